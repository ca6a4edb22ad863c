/**
 * Random ownership: who is alive after each operation is what marking from the roots says. The model marks; the systems
 * count. They agree only if every edge is counted exactly when it must be and no cycle is ever admitted.
 */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { countEntities, isAlive } from "../../ecs/handle.ts";
import type { Owner } from "../../ecs/owner.ts";
import type { Region } from "../../ecs/region.ts";
import { createWorld } from "../../ecs/world.ts";
import { TopologyError } from "../../systems/admission.ts";
import type { Reader } from "../../systems/epoch.ts";
import { drop, onFinalize, reference, release } from "../../systems/finalize.ts";
import { audit } from "../../systems/inspect.ts";
import { closeScope, openScope } from "../../systems/scope.ts";
import { createContainer, createOwner, createRam } from "../../systems/create_region.ts";
import { addSubregion, delSubregion } from "../../systems/topology.ts";

interface OwnerModel {
  readonly handle: Owner;
  readonly above: OwnerModel | undefined;
  readonly created: number;
  isDropped: boolean;
}

interface RegionModel {
  readonly handle: Region;
  readonly owner: OwnerModel;
  readonly isRam: boolean;
  container: RegionModel | undefined;
  pins: number;
}

class Model {
  readonly world = createWorld();
  owners: OwnerModel[] = [];
  regions: RegionModel[] = [];
  readonly scopes: Reader[] = [];
  /** Creation numbers of owners, in the order of finalize. */
  readonly finalized: number[] = [];
  created = 0;

  addOwner(above: OwnerModel | undefined): void {
    const created = ++this.created;
    const handle = createOwner(this.world, { name: `owner ${created}`, owner: above?.handle });
    onFinalize(this.world, handle, () => this.finalized.push(created));
    this.owners.push({ handle, above, created, isDropped: false });
  }

  addRegion(owner: OwnerModel, isRam: boolean): void {
    const options = { name: `region ${this.regions.length}`, size: 0x100, owner: owner.handle };
    const handle = isRam ? createRam(this.world, options) : createContainer(this.world, options);
    this.regions.push({ handle, owner, isRam, container: undefined, pins: 0 });
  }

  contain(container: RegionModel, region: RegionModel): void {
    if (region.container !== undefined) return;
    try {
      addSubregion(this.world, container.handle, 0, region.handle);
      region.container = container;
    } catch (error) {
      if (!(error instanceof TopologyError)) throw error;
    }
  }

  /** Marks from the owners that nobody dropped and from the pins. */
  marked(): Set<OwnerModel> {
    const alive = new Set<OwnerModel>();
    const mark = (owner: OwnerModel | undefined) => owner !== undefined && alive.add(owner);
    for (const owner of this.owners) if (owner.above === undefined && !owner.isDropped) mark(owner);
    for (const region of this.regions) if (region.pins > 0 && !region.isRam) mark(region.owner);
    for (const owner of alive) {
      mark(owner.above); // what lives delays what is above it
      for (const child of this.owners) if (child.above === owner && !child.isDropped) mark(child);
      for (const { container, owner: target } of this.regions) {
        if (container?.owner === owner && !isAbove(target, owner)) mark(target);
      }
    }
    return alive;
  }

  /** With no scope open, what is not marked is gone. */
  settle(): void {
    audit(this.world);
    if (this.scopes.length > 0) return;
    const alive = this.marked();
    const orphans = this.regions.filter(({ owner, isRam, pins }) => !alive.has(owner) && isRam && pins > 0);
    for (const owner of this.owners) assertEquals(isAlive(this.world, owner.handle), alive.has(owner), "owner alive");
    const regions = this.regions.filter((region) => alive.has(region.owner) || orphans.includes(region));
    for (const region of this.regions) {
      assertEquals(isAlive(this.world, region.handle), regions.includes(region), "region alive");
      const holder = region.container?.owner;
      if (holder !== undefined && (!alive.has(holder) || !alive.has(region.owner))) region.container = undefined;
    }
    this.owners = [...alive].sort((a, b) => a.created - b.created);
    this.regions = regions;
    assertEquals(countEntities(this.world), this.owners.length + this.regions.length, "nothing else is left");
  }
}

/** Whether `above` is `owner` or an owner above it. */
function isAbove(above: OwnerModel, owner: OwnerModel): boolean {
  for (let at: OwnerModel | undefined = owner; at !== undefined; at = at.above) if (at === above) return true;
  return false;
}

function pick<T>(list: readonly T[], index: number): T | undefined {
  return list[index % Math.max(1, list.length)];
}

function apply(model: Model, [code, a, b]: readonly [number, number, number]): void {
  const { world, owners, regions, scopes } = model;
  // Ids of the dead may linger in the model while a scope is open.
  const living = owners.filter((owner) => !owner.isDropped && isWhole(owner));
  const usable = regions.filter((region) => living.includes(region.owner));
  const [owner, region, other] = [pick(living, a), pick(usable, a), pick(usable, b)];
  const operations: (() => void)[] = [
    () => model.addOwner(a % 3 === 0 ? undefined : owner),
    () => owner !== undefined && model.addRegion(owner, b % 2 === 0),
    () => region !== undefined && other !== undefined && model.contain(region, other),
    () => region !== undefined && other !== undefined && model.contain(other, region),
    () => {
      if (region?.container === undefined || !usable.includes(region.container)) return;
      delSubregion(world, region.container.handle, region.handle);
      region.container = undefined;
    },
    () => {
      if (region === undefined) return;
      reference(world, region.handle, "map");
      region.pins++;
    },
    () => {
      const pinned = pick(regions.filter(({ pins }) => pins > 0), a);
      if (pinned === undefined) return;
      pinned.pins--;
      release(world, pinned.handle, "map");
    },
    () => {
      if (owner === undefined) return;
      owner.isDropped = true;
      drop(world, owner.handle);
    },
    () => void (scopes.length < 3 && scopes.push(openScope(world, "random"))),
    () => {
      const [scope] = scopes.splice(a % Math.max(1, scopes.length), 1);
      if (scope !== undefined) closeScope(world, scope);
    },
  ];
  pick(operations, code)?.();
}

/** Neither the owner nor anything above it was dropped. */
function isWhole(owner: OwnerModel): boolean {
  for (let at: OwnerModel | undefined = owner; at !== undefined; at = at.above) if (at.isDropped) return false;
  return true;
}

const any = fc.noBias(fc.nat(0xffff));
const operations = fc.array(fc.tuple(any, any, any), { minLength: 30, maxLength: 150, size: "max" });

Deno.test("random ownership: what lives is what marking reaches; finalize is deterministic", () => {
  fc.assert(
    fc.property(operations, (steps) => {
      const runs = [0, 1].map(() => {
        const model = new Model();
        for (let i = 0; i < 4; i++) model.addOwner(i < 2 ? undefined : pick(model.owners, i));
        for (let i = 0; i < 8; i++) model.addRegion(model.owners[i % 4]!, i % 4 === 0); // four owners
        for (const step of steps) {
          apply(model, step);
          model.settle();
        }
        for (const scope of model.scopes.splice(0)) closeScope(model.world, scope);
        for (const region of model.regions) while (region.pins-- > 0) release(model.world, region.handle, "map");
        for (const owner of model.owners) {
          if (owner.above === undefined && !owner.isDropped) drop(model.world, owner.handle);
        }
        assertEquals(countEntities(model.world), 0, "everything was dropped, and nothing is left");
        return model.finalized;
      });
      const [first, second] = runs;
      assert(first !== undefined);
      assertEquals(first, second);
      assertEquals(new Set(first).size, first.length, "finalized once");
    }),
    { numRuns: 80 },
  );
});
