/** Random operations on random topologies: after each, views, listeners and ownership are what their models say. */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import type { AddressSpace } from "../../ecs/address_space.ts";
import { allSpaces, spaceOf } from "../../ecs/address_space.ts";
import { rangesOf } from "../../ecs/flat_view.ts";
import type { Listener, Section } from "../../ecs/listener.ts";
import type { Owner } from "../../ecs/owner.ts";
import type { Region } from "../../ecs/region.ts";
import { createWorld, type World } from "../../ecs/world.ts";
import { TopologyError } from "../../systems/admission.ts";
import { drop, InUseError, LifetimeError } from "../../systems/finalize.ts";
import { StaleHandleError } from "../../ecs/handle.ts";
import { audit } from "../../systems/inspect.ts";
import { closeScope, openScope } from "../../systems/scope.ts";
import type { Reader } from "../../systems/epoch.ts";
import {
  createAddressSpace,
  destroyAddressSpace,
  registerListener,
  unregisterListener,
} from "../../systems/address_spaces.ts";
import {
  createAlias,
  createContainer,
  createMmio,
  createOwner,
  createRam,
  createReservation,
  createRomDevice,
} from "../../systems/create_region.ts";
import {
  addSubregion,
  delSubregion,
  setAddress,
  setAliasOffset,
  setEnabled,
  setNonvolatile,
  setReadonly,
  setRomd,
  setSize,
  setUnmergeable,
} from "../../systems/topology.ts";
import { transaction } from "../../systems/transaction.ts";

/** Operation code and operands, from which the step picks entities by index. */
type Step = readonly [code: number, a: number, b: number, c: number];

/** Evenly spread, where `fc.nat` prefers small numbers; still shrinks. */
const any = fc.noBias(fc.integer({ min: 0, max: 0xffff }));
const step: fc.Arbitrary<Step> = fc.tuple(any, any, any, any);

/** Rare sizes and addresses: nothing, unaligned, the largest exact, the top of the address space. */
const ODD = [0, 1, 0x18, 0x1801, 2 ** 32, 2 ** 53 - 1, 2 ** 63, 2 ** 64 - 2048, 2 ** 64];

/** Mostly small, so that regions overlap and continue each other. */
const sizeFrom = (n: number) => n % 16 === 0 ? pick(ODD, n >> 4) : 0x10 << (n % 8);
const addressFrom = (n: number) => n % 32 === 0 ? pick(ODD, n >> 5) : (n % 64) * 0x10;

class Fold {
  readonly shown = new Map<number, Section>();

  add(section: Section): void {
    assert(!this.shown.has(section.address), `range at ${section.address} was added twice`);
    this.shown.set(section.address, section);
  }

  del(section: Section): void {
    assertEquals(this.shown.get(section.address), section, "a range was removed that was not there");
    this.shown.delete(section.address);
  }
}

/** A world with everything in lists to pick from. */
class Model {
  readonly world: World = createWorld({ reportFault: (error) => this.faults.push(error) });
  readonly faults: Error[] = [];
  readonly regions: Region[] = [];
  readonly owners: Owner[] = [];
  readonly listeners = new Map<Listener, { space: AddressSpace; fold: Fold }>();
  readonly scopes: Reader[] = [];

  constructor() {
    const machine = createOwner(this.world, { name: "machine" });
    this.owners.push(machine);
    for (let i = 0; i < 3; i++) this.owners.push(createOwner(this.world, { name: `device ${i}`, owner: machine }));
    this.owners.push(createOwner(this.world, { name: "backend" }));
    for (let i = 0; i < 3; i++) {
      const root = createContainer(this.world, { name: `root ${i}`, size: 2 ** 64, owner: machine });
      this.regions.push(root);
      this.listen(createAddressSpace(this.world, { name: `space ${i}`, root, owner: machine }), i);
    }
  }

  listen(space: AddressSpace, priority: number): void {
    const fold = new Fold();
    const listener = registerListener(this.world, space, {
      name: "fold",
      priority,
      regionAdd: (section) => fold.add(section),
      regionDel: (section) => fold.del(section),
      regionNop: (section) => assertEquals(fold.shown.get(section.address), section, "a nop for an unknown range"),
    });
    this.listeners.set(listener, { space, fold });
  }

  /** Refusals of a mutator are part of its contract; everything else fails the test. */
  attempt(operation: () => void): void {
    try {
      operation();
    } catch (error) {
      const refused = error instanceof TopologyError || error instanceof InUseError ||
        error instanceof LifetimeError || error instanceof StaleHandleError;
      if (!refused) throw error;
    }
  }

  check(): void {
    forgetTheDead(this);
    assertEquals(this.faults, []);
    audit(this.world); // INV5: every view equals the oracle's
    for (const { space, fold } of this.listeners.values()) {
      const ranges = [...rangesOf(spaceOf(this.world, space).view)];
      const told = [...fold.shown.values()].sort((a, b) => a.address - b.address);
      assertEquals(
        told.map((s) => [s.address, s.size, s.offset]),
        ranges.map((r) => [r.start, r.end - r.start, r.start - r.base]),
        "INV6: the listener's fold is not the view",
      );
    }
  }
}

function pick<T>(list: readonly T[], index: number): T {
  const item = list[index % list.length];
  assert(item !== undefined);
  return item;
}

function create(model: Model, code: number, a: number, b: number, c: number): void {
  const { world, regions, owners } = model;
  const size = sizeFrom(b);
  const options = { name: `region ${regions.length}`, size, owner: a % 7 === 0 ? undefined : pick(owners, a) };
  const small = { ...options, size: Math.min(size, 0x1800) };
  const kinds = [
    () => createContainer(world, options),
    () => createRam(world, small),
    () => createMmio(world, { ...options, ops: {}, state: undefined }),
    () => createReservation(world, options),
    () => createRomDevice(world, { ...small, ops: {}, state: undefined }),
    () => createAlias(world, { ...options, target: pick(regions, c), offset: addressFrom(c >> 3) }),
    () => createAlias(world, { ...options, target: pick(regions, c), offset: addressFrom(c >> 3) }),
  ];
  const region = pick(kinds, code)();
  regions.push(region);
  const container = c % 3 === 0 ? pick(regions, c >> 4) : pick(regions, (c >> 4) % 3);
  model.attempt(() => addSubregion(world, container, addressFrom(a), region, { priority: b % 3 }));
}

function apply(model: Model, [code, a, b, c]: Step): void {
  const { world, regions, owners, scopes } = model;
  const region = pick(regions, a);
  const inner = pick(regions, 3 + (a % Math.max(1, regions.length - 3)));
  const yes = b % 2 === 0;
  const frequent: (() => void)[] = [
    () => create(model, c, a, b, c),
    () => addSubregion(world, region, addressFrom(c), pick(regions, b), { priority: (c % 5) - 2 }),
    () => addSubregion(world, pick(regions, a % 3), addressFrom(c), pick(regions, b), { priority: (c % 3) - 1 }),
    () => remove(model, b),
    () => setEnabled(world, inner, b % 8 !== 0),
    () => setAddress(world, region, addressFrom(c)),
    () => setSize(world, inner, sizeFrom(c)),
    () => setAliasOffset(world, region, addressFrom(c)),
    () => setReadonly(world, inner, yes),
    () => setUnmergeable(world, inner, yes),
  ];
  const rare: (() => void)[] = [
    () => setEnabled(world, region, yes),
    () => setNonvolatile(world, region, yes),
    () => setRomd(world, region, yes),
    () => setAddress(world, inner, 2n ** 64n - 256n),
    () => model.listen(createAddressSpace(world, { name: "other", root: region, owner: pick(owners, b) }), c % 3),
    () => drop(world, inner),
    () => drop(world, pick(owners, 1 + (b % (owners.length - 1)))),
    () => owners.push(createOwner(world, { name: `device ${owners.length}`, owner: pick(owners, b) })),
    () => scopes.push(openScope(world, "random")),
    () => scopes.length > 0 && closeScope(world, scopes.splice(c % scopes.length, 1)[0]!), // within the length
    () => unlisten(model, c),
  ];
  model.attempt(code % 8 === 0 ? pick(rare, code >> 3) : pick(frequent, code >> 3));
}

/** Takes a contained region out of wherever it is. */
function remove(model: Model, index: number): void {
  for (const container of model.regions) {
    model.attempt(() => delSubregion(model.world, container, pick(model.regions, index)));
  }
}

function unlisten(model: Model, index: number): void {
  if (model.listeners.size === 0) return;
  const [listener, { space, fold }] = pick([...model.listeners], index);
  unregisterListener(model.world, listener);
  assertEquals(fold.shown.size, 0, "S111: unregistering replays the view as removed");
  model.listeners.delete(listener);
  const others = [...model.listeners.values()].some((other) => other.space === space);
  if (!others && index % 2 === 0) destroyAddressSpace(model.world, space);
  else model.listen(space, index % 4);
}

function forgetTheDead(model: Model): void {
  const alive = new Set(allSpaces(model.world).map((space) => space.handle));
  for (const [listener, { space }] of model.listeners) if (!alive.has(space)) model.listeners.delete(listener);
  if (model.listeners.size === 0) {
    const root = createContainer(model.world, { name: "new root", size: 2 ** 64 });
    model.regions.push(root);
    model.listen(createAddressSpace(model.world, { name: "new", root }), 0);
  }
}

/** Regions to begin with, so that there is something to see. */
function populate(model: Model, steps: readonly Step[]): void {
  for (const [code, a, b, c] of steps) model.attempt(() => create(model, code, a, b, c));
}

const population = fc.array(step, { minLength: 20, maxLength: 50, size: "max" });

Deno.test("random topologies: views equal the oracle, listeners' folds equal views, the audit is clean", () => {
  const steps = fc.array(step, { minLength: 20, maxLength: 80, size: "max" });
  fc.assert(
    fc.property(population, steps, (initial, steps) => {
      const model = new Model();
      populate(model, initial);
      model.check();
      for (const one of steps) {
        apply(model, one);
        model.check();
      }
    }),
    { numRuns: 60 },
  );
});

Deno.test("random transactions: many changes at once give the same as the oracle", () => {
  const batches = fc.array(fc.array(step, { minLength: 1, maxLength: 12, size: "max" }), {
    minLength: 5,
    maxLength: 20,
    size: "max",
  });
  fc.assert(
    fc.property(population, batches, (initial, batches) => {
      const model = new Model();
      transaction(model.world, () => populate(model, initial));
      for (const batch of batches) {
        transaction(model.world, () => batch.forEach((one) => apply(model, one)));
        model.check();
      }
    }),
    { numRuns: 100 },
  );
});
