/**
 * Random programs over dirty logs: stores, clearing, masks, tracking and topology, against sets of page numbers and a
 * listener that adds up what it is told.
 */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { DIRTY_CLIENTS, DIRTY_PAGE, DirtyClient, type TrackingReason } from "../../ecs/dirty_bitmap.ts";
import type { Section } from "../../ecs/listener.ts";
import type { Region } from "../../ecs/region.ts";
import { createWorld, type Policy } from "../../ecs/world.ts";
import {
  DirtyLogError,
  getDirty,
  markDirty,
  resetDirty,
  setLog,
  snapshotAndClear,
  snapshotGetDirty,
} from "../../systems/dirty_log.ts";
import { setGuestRunning, startDirtyTracking, stopDirtyTracking } from "../../systems/dirty_tracking.ts";
import { store, write } from "../../systems/dma.ts";
import { audit } from "../../systems/inspect.ts";
import {
  addSubregion,
  createAddressSpace,
  createAlias,
  createContainer,
  createOwner,
  createRam,
  registerListener,
  setEnabled,
  setReadonly,
  unregisterListener,
} from "../../systems/topology.ts";
import { transaction } from "../../systems/transaction.ts";

const { VGA, CODE, MIGRATION } = DirtyClient;
const BLOCKS = 3, PAGES = 100, BYTES = PAGES * DIRTY_PAGE;
const REASONS: readonly TrackingReason[] = ["migration", "dirty rate", "dirty limit"];

type Step =
  | { do: "store" | "buffer" | "mark"; block: number; offset: number; length: number }
  | { do: "reset" | "snapshot" | "get"; block: number; client: DirtyClient; offset: number; length: number }
  | { do: "log"; block: number; client: 0 | 1; on: boolean }
  | { do: "track"; reason: number; on: boolean }
  | { do: "run"; on: boolean }
  | { do: "enable" | "readonly"; block: number; on: boolean }
  | { do: "listen"; on: boolean };

const block = fc.nat(BLOCKS - 1);
const on = fc.boolean();
const client = fc.constantFrom(...DIRTY_CLIENTS);
/** Lengths of every order of magnitude, near borders of pages and of groups of them. */
const span = fc.tuple(
  fc.oneof(fc.nat(BYTES - 1), fc.nat(PAGES - 1).map((page) => page * DIRTY_PAGE)),
  fc.oneof(fc.nat(9), fc.nat(3 * DIRTY_PAGE), fc.nat(BYTES), fc.nat(PAGES).map((page) => page * DIRTY_PAGE)),
).map(([offset, length]) => ({ offset, length: Math.min(length, BYTES - offset) }));
const withSpan = <T>(other: fc.Arbitrary<T>) => fc.tuple(other, span).map(([a, b]) => ({ ...a, ...b }));

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: withSpan(fc.record({ do: fc.constantFrom("store", "buffer", "mark"), block })) },
  { weight: 4, arbitrary: withSpan(fc.record({ do: fc.constantFrom("reset", "snapshot", "get"), block, client })) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant("log" as const), block, client: fc.constantFrom(VGA, CODE), on }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("track" as const), reason: fc.nat(2), on }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("run" as const), on }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom("enable" as const, "readonly" as const), block, on }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("listen" as const), on }) },
);

/** Sets of pages in place of bitmaps; who logs in place of masks. */
class Model {
  readonly dirty = Array.from(
    { length: BLOCKS },
    () => DIRTY_CLIENTS.map(() => new Set(Array.from({ length: PAGES }, (_, page) => page))),
  );
  readonly counts = Array.from({ length: BLOCKS }, () => [0, 0]);
  readonly reasons = new Set<number>();
  readonly postponed = new Set<number>();
  readonly readonlys = new Set<number>();
  readonly hidden = new Set<number>();
  isRunning = true;

  mask(block: number): number {
    const counted = this.counts[block]!.map((count, at) => count > 0 ? 1 << at : 0);
    return counted.reduce((a, b) => a | b, this.reasons.size > 0 ? 1 << MIGRATION : 0);
  }

  mark(block: number, offset: number, length: number): void {
    for (const client of DIRTY_CLIENTS) {
      if ((this.mask(block) & (1 << client)) === 0) continue;
      for (const page of pages(offset, length)) this.dirty[block]![client]!.add(page);
    }
  }

  /** Whether a guest's store reaches the block. */
  takesStores(block: number): boolean {
    return !this.readonlys.has(block) && !this.hidden.has(block);
  }
}

function pages(offset: number, length: number): number[] {
  if (length === 0) return [];
  const first = Math.floor(offset / DIRTY_PAGE);
  const last = Math.floor((offset + length - 1) / DIRTY_PAGE);
  return Array.from({ length: last - first + 1 }, (_, at) => first + at);
}

/** What a listener of the log callbacks knows. */
class Fold {
  readonly masks = new Map<number, number>();
  isTracking = false;
  readonly #isAddLogged: boolean;

  constructor(policy: Policy) {
    this.#isAddLogged = policy.logStartOnAdd;
  }

  readonly callbacks = (isReplay: () => boolean) => ({
    regionAdd: ({ address, logMask }: Section) => {
      assert(!this.masks.has(address));
      this.masks.set(address, this.#isAddLogged || isReplay() ? 0 : logMask);
    },
    regionDel: ({ address }: Section) => {
      if (this.#isAddLogged || isReplay()) assertEquals(this.masks.get(address), 0);
      this.masks.delete(address);
    },
    logStart: ({ address }: Section, before: number, after: number) => this.#change(address, before, after),
    logStop: ({ address }: Section, before: number, after: number) => this.#change(address, before, after),
    logGlobalStart: () => {
      assert(!this.isTracking);
      this.isTracking = true;
    },
    logGlobalStop: () => {
      assert(this.isTracking);
      this.isTracking = false;
    },
  });

  #change(address: number, before: number, after: number) {
    const known = this.masks.get(address);
    // A mask that gains and loses is told twice.
    assert(known === before || known === after, `at ${address}: told ${before}→${after}, knew ${known}`);
    this.masks.set(address, after);
  }
}

function runProgram(steps: readonly (Step | Step[])[], policy: Partial<Policy>) {
  const world = createWorld({ debug: true, policy, reportFault: (error) => assert(false, error.message) });
  const owner = createOwner(world, { name: "machine" });
  const root = createContainer(world, { name: "system", size: 2 ** 32, owner });
  const space = createAddressSpace(world, { name: "memory", root, owner });
  const model = new Model();
  const blocks: Region[] = [];
  for (let at = 0; at < BLOCKS; at++) {
    const ram = createRam(world, { name: `ram${at}`, size: BYTES, owner });
    blocks.push(ram);
    addSubregion(world, root, at * 2 * BYTES, ram);
    const window = { name: `window${at}`, target: ram, offset: 3 * DIRTY_PAGE, size: BYTES, owner };
    addSubregion(world, root, 2 ** 31 + at * 2 * BYTES, createAlias(world, window));
  }
  let isReplay = false;
  const listen = () => {
    const fold = new Fold(world.policy);
    isReplay = true;
    const listener = registerListener(world, space, { name: "fold", ...fold.callbacks(() => isReplay) });
    isReplay = false;
    return { fold, listener };
  };
  const always = listen();
  let second: ReturnType<typeof listen> | undefined;

  const perform = (step: Step): void => {
    switch (step.do) {
      case "store":
      case "buffer": {
        const size = step.do === "store" ? Math.min(8, step.length) : step.length;
        const address = step.block * 2 * BYTES + step.offset;
        if (size === 0) return;
        if (step.do === "store") { for (let at = 0; at < size; at++) store(world, space, address + at, 1, 1); }
        else write(world, space, address, new Uint8Array(size));
        return;
      }
      case "mark":
        markDirty(world, blocks[step.block]!, step.offset, step.length);
        return model.mark(step.block, step.offset, step.length);
      case "get": {
        const known = model.dirty[step.block]![step.client]!;
        const isDirty = getDirty(world, blocks[step.block]!, step.offset, step.length, step.client);
        return assertEquals(isDirty, pages(step.offset, step.length).some((page) => known.has(page)));
      }
      case "reset":
        return reset(step.block, step.client, step.offset, step.length);
      case "snapshot":
        return snapshot(step.block, step.client, step.offset, step.length);
      case "log": {
        const counts = model.counts[step.block]!;
        if (!step.on && counts[step.client] === 0) return;
        counts[step.client]! += step.on ? 1 : -1;
        return setLog(world, blocks[step.block]!, step.client, step.on);
      }
      case "track":
        return track(step.reason, step.on);
      case "run":
        if (step.on) { for (const reason of model.postponed) model.reasons.delete(reason); }
        if (step.on) model.postponed.clear();
        model.isRunning = step.on;
        return setGuestRunning(world, step.on);
      case "enable":
        step.on ? model.hidden.delete(step.block) : model.hidden.add(step.block);
        return setEnabled(world, blocks[step.block]!, step.on);
      case "readonly":
        step.on ? model.readonlys.add(step.block) : model.readonlys.delete(step.block);
        return setReadonly(world, blocks[step.block]!, step.on);
      case "listen":
        if (step.on) second ??= listen();
        else if (second !== undefined) {
          isReplay = true;
          unregisterListener(world, second.listener);
          isReplay = false;
          assertEquals(second.fold.masks.size, 0);
          second = undefined;
        }
        return;
    }
  };

  const reset = (block: number, client: DirtyClient, offset: number, length: number) => {
    const known = model.dirty[block]![client]!;
    const cleared = pages(offset, length).filter((page) => known.delete(page));
    assertEquals(resetDirty(world, blocks[block]!, offset, length, client), cleared.length > 0);
  };

  const snapshot = (block: number, client: DirtyClient, offset: number, length: number) => {
    const known = model.dirty[block]![client]!;
    const before = new Set(known);
    const taken = snapshotAndClear(world, blocks[block]!, offset, length, client);
    const asked = pages(offset, length);
    for (const page of asked) {
      assertEquals(snapshotGetDirty(taken, page * DIRTY_PAGE, 1), before.has(page), `page ${page}`);
    }
    const groups = new Set(asked.map((page) => Math.floor(page / 64)));
    for (const page of before) {
      const isCleared = world.policy.snapshotClearsNeighbours
        ? groups.has(Math.floor(page / 64))
        : asked.includes(page);
      if (isCleared) known.delete(page);
    }
  };

  const track = (reason: number, on: boolean) => {
    if (on) {
      model.reasons.add(reason);
      model.postponed.delete(reason);
      return startDirtyTracking(world, REASONS[reason]!);
    }
    let error: unknown;
    try {
      stopDirtyTracking(world, REASONS[reason]!);
    } catch (thrown) {
      error = thrown;
    }
    assertEquals(error instanceof DirtyLogError, !model.reasons.has(reason));
    if (model.isRunning) model.reasons.delete(reason);
    else if (model.reasons.has(reason)) model.postponed.add(reason);
  };

  /** A guest's store goes through the view, which is that of before the transaction. */
  const note = (step: Step, takesStores: (block: number) => boolean) => {
    if ((step.do !== "store" && step.do !== "buffer") || !takesStores(step.block)) return;
    model.mark(step.block, step.offset, step.do === "store" ? Math.min(8, step.length) : step.length);
  };

  for (const part of steps) {
    const taking = blocks.map((_, block) => model.takesStores(block));
    const takes = (block: number) => taking[block]!;
    transaction(world, () => {
      for (const one of Array.isArray(part) ? part : [part]) {
        perform(one);
        note(one, takes);
      }
    });
    audit(world);
    for (const { fold } of second === undefined ? [always] : [always, second]) {
      assertEquals(fold.isTracking, model.reasons.size > 0);
      for (let block = 0; block < BLOCKS; block++) {
        const mask = model.hidden.has(block) ? undefined : model.mask(block);
        assertEquals(fold.masks.get(block * 2 * BYTES), mask);
        assertEquals(fold.masks.get(2 ** 31 + block * 2 * BYTES), mask);
      }
    }
  }
  for (let block = 0; block < BLOCKS; block++) {
    for (const client of DIRTY_CLIENTS) {
      const found = Array.from({ length: PAGES }, (_, page) => page)
        .filter((page) => getDirty(world, blocks[block]!, page * DIRTY_PAGE, 1, client));
      assertEquals(new Set(found), model.dirty[block]![client]!);
    }
  }
}

const program = fc.array(fc.oneof({ weight: 4, arbitrary: step }, fc.array(step, { maxLength: 6 })), { maxLength: 40 });

for (const policy of [{}, { logStartOnAdd: false, snapshotClearsNeighbours: true }]) {
  const mode = "logStartOnAdd" in policy ? "[C]" : "[S]";
  Deno.test(`${mode} dirty bits are the pages stored to, and listeners know who logs what, after every step`, () => {
    fc.assert(fc.property(program, (steps) => runProgram(steps, policy)), { numRuns: 150 });
  });
}
