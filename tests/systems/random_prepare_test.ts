/** Random transactions that a listener may refuse: either all of one shows, or the tree and every view are as before. */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { StaleHandleError } from "../../ecs/handle.ts";
import type { Section } from "../../ecs/listener.ts";
import type { Region } from "../../ecs/region.ts";
import { TopologyError } from "../../systems/admission.ts";
import { drop } from "../../systems/finalize.ts";
import { audit } from "../../systems/inspect.ts";
import { mtreeJson } from "../../systems/mtree.ts";
import { RefusedError } from "../../systems/prepare.ts";
import { createAddressSpace, registerListener } from "../../systems/address_spaces.ts";
import {
  addSubregion,
  delSubregion,
  setAddress,
  setAliasOffset,
  setEnabled,
  setReadonly,
  setSize,
} from "../../systems/topology.ts";
import { transaction } from "../../systems/transaction.ts";
import { Machine } from "../scenarios/machine.ts";

type Step = readonly [code: number, a: number, b: number, c: number];

const any = fc.noBias(fc.integer({ min: 0, max: 0xffff }));
const steps = fc.array(fc.tuple(any, any, any, any), { minLength: 1, maxLength: 12 });

class Model {
  readonly m = new Machine({ debug: true });
  readonly regions: Region[] = [this.m.root];
  /** What each listener was prepared for and has not been told the end of, and what it knows. */
  readonly expected: Set<number>[] = [new Set(), new Set()];
  readonly shown: Map<number, Section>[] = [new Map(), new Map()];
  /** Asks until a range is refused; -1: none is. */
  patience = -1;

  constructor() {
    const { m, regions } = this;
    for (let i = 0; i < 3; i++) regions.push(m.container(`c${i}`, m.owner, 0x2000));
    for (let i = 0; i < 4; i++) regions.push(m.ram(`r${i}`, m.owner), m.mmio(`m${i}`, m.owner));
    for (let i = 0; i < 3; i++) regions.push(m.alias(`a${i}`, m.owner, regions[1 + i]!, 0x100 * i, 0x1800));
    for (let i = 1; i < 4; i++) addSubregion(m.world, m.root, i * 0x1800, regions[i]!);
    for (let i = 4; i < regions.length; i++) addSubregion(m.world, regions[i % 4]!, i * 0x180, regions[i]!);
    const second = createAddressSpace(m.world, { name: "second", root: regions[1]!, owner: m.owner });
    [m.space, second].forEach((space, at) => this.listen(space, at));
  }

  listen(space: Machine["space"], at: number): void {
    const expected = this.expected[at]!;
    const shown = this.shown[at]!;
    registerListener(this.m.world, space, {
      name: `l${at}`,
      regionPrepare: ({ address }) => {
        if (this.patience >= 0 && this.patience-- === 0) throw new Error("no");
        assert(!expected.has(address));
        expected.add(address);
      },
      regionCancel: ({ address }) => void assert(expected.delete(address)),
      regionAdd(section) {
        assert(expected.delete(section.address), "added without being prepared");
        shown.set(section.address, section);
      },
      regionDel: ({ address }) => void assert(shown.delete(address)),
    });
  }

  apply([code, a, b, c]: Step): void {
    const { m: { world }, regions } = this;
    const region = regions[1 + a % (regions.length - 1)]!;
    const container = regions[b % 4]!;
    const at = (c % 32) * 0x100;
    if (code % 8 < 2) addSubregion(world, container, at, region, { priority: c % 3 });
    else if (code % 8 === 2) delSubregion(world, container, region);
    else if (code % 8 === 3) setAddress(world, region, at);
    else if (code % 8 === 4) setEnabled(world, region, b % 2 === 0);
    else if (code % 8 === 5) setSize(world, region, at % 0x1001);
    else if (code % 8 === 6) setReadonly(world, region, b % 2 === 0);
    else setAliasOffset(world, region, at);
  }

  /** @returns whether the transaction was refused. */
  run(batch: readonly Step[]): boolean {
    try {
      transaction(this.m.world, () => {
        for (const step of batch) {
          try {
            transaction(this.m.world, () => this.apply(step));
          } catch (error) {
            assert(error instanceof TopologyError && !(error instanceof RefusedError), `${error}`);
          }
        }
      });
      return false;
    } catch (error) {
      assert(error instanceof RefusedError, `${error}`);
      return true;
    }
  }

  check(): void {
    assertEquals([this.m.faults, this.expected[0]!.size, this.expected[1]!.size], [[], 0, 0]);
    audit(this.m.world);
    const views = mtreeJson(this.m.world).map(({ ranges }) => ranges.map(({ start }) => start));
    assertEquals(this.shown.map((shown) => [...shown.keys()].sort((a, b) => a - b)), views);
  }
}

Deno.test("W22 random transactions: what is refused leaves no trace, what is not is prepared before it is added", () => {
  let refusals = 0;
  const batches = fc.array(fc.tuple(steps, fc.integer({ min: -1, max: 3 })), { minLength: 1, maxLength: 12 });
  fc.assert(
    fc.property(batches, (batches) => {
      const model = new Model();
      for (const [batch, patience] of batches) {
        const before = mtreeJson(model.m.world);
        model.patience = patience;
        if (model.run(batch)) {
          refusals++;
          assertEquals(mtreeJson(model.m.world), before);
        }
        model.patience = -1;
        model.check();
      }
    }),
    { numRuns: 100 },
  );
  assert(refusals > 50, `only ${refusals} refusals`);
});

Deno.test("W22 random deaths after refused transactions: nothing is kept alive by what was undone", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(steps, any), { minLength: 1, maxLength: 6 }), (batches) => {
      const model = new Model();
      const { m, regions } = model;
      for (const [batch, n] of batches) {
        const device = m.own(`device ${n}`);
        regions.push(m.mmio(`of device ${n}`, device), m.ram(`ram of device ${n}`, device));
        model.patience = n % 4;
        model.run(batch);
        model.patience = -1;
        const victims = regions.splice(-2);
        drop(m.world, device);
        for (const region of victims) {
          for (const container of regions.slice(0, 4)) {
            try {
              delSubregion(m.world, container, region);
            } catch (error) {
              assert(error instanceof TopologyError || error instanceof StaleHandleError, `${error}`);
            }
          }
        }
        assertEquals(m.finalized.splice(0), [`device ${n}`]);
        model.check();
      }
    }),
    { numRuns: 100 },
  );
});
