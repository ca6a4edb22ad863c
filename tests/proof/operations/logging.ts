/** Logging: dirty bits as sets of pages, who logs them, and tracking. */
import { assert, assertEquals } from "@std/assert";
import { DIRTY_CLIENTS, DIRTY_PAGE, type DirtyClient, type TrackingReason } from "../../../ecs/dirty_bitmap.ts";
import type { Section } from "../../../ecs/listener.ts";
import {
  type DirtySnapshot,
  flushRomDevice,
  getDirty,
  markDirty,
  resetDirty,
  setLog,
  snapshotAndClear,
  snapshotGetDirty,
} from "../../../systems/dirty_log.ts";
import { setGuestRunning, startDirtyTracking, stopDirtyTracking } from "../../../systems/dirty_tracking.ts";
import type { Machine, Room } from "../machine.ts";
import { dirtyOf, markStore, pages } from "../model/dirty.ts";
import type { MemoryModel, RangeModel, RegionModel } from "../model/facts.ts";
import { clearText, syncText } from "../model/folds.ts";
import { render } from "../model/views.ts";
import { drained } from "./coalescing.ts";
import { pick, pickKind } from "../picks.ts";

const REASONS: readonly TrackingReason[] = ["migration", "dirty rate", "dirty limit"];

export const room: Room = {
  anywhere: [
    (machine, [, a, b, c]) => log(machine, withMemory(machine, a), b % 2 === 0 ? 0 : 1, c % 3 !== 0),
    (machine, [, a, b, c]) => mark(machine, withMemory(machine, a), b, c),
    (machine, [, a, b, c]) => reset(machine, withMemory(machine, a), pick(DIRTY_CLIENTS, a >> 3) ?? 0, b, c),
    drained((machine, [, a, b]) => track(machine, pick(REASONS, a), b % 2 === 0)),
    drained((machine, [, a]) => runGuest(machine, a % 3 !== 0)),
  ],
  outside: [
    (machine, [, a, b, c]) => take(machine, withMemory(machine, a), pick(DIRTY_CLIENTS, a >> 3) ?? 0, b, c),
    (machine, [, a, b]) => refuseTracking(machine, pick(REASONS, a), b),
  ],
};

function withMemory(machine: Machine, index: number): RegionModel | undefined {
  return pickKind(machine, index, "ram", "romDevice");
}

/** Bytes within the memory of a region. */
function span({ capacity }: MemoryModel, b: number, c: number): { offset: number; length: number } {
  const offset = (b * 0x40) % capacity;
  return { offset, length: Math.min(capacity - offset, (c % 5) * 0x300 + (c % 2)) };
}

/** All dirty bits are those of the model. */
export function compareDirty(machine: Machine): void {
  for (const region of machine.regions) {
    const { memory, handle, name } = region;
    if (memory === undefined) continue;
    for (const client of DIRTY_CLIENTS) {
      let found = 0;
      for (let page = 0; page * DIRTY_PAGE < memory.capacity; page++) {
        if (getDirty(machine.world, handle, page * DIRTY_PAGE, 1, client)) found += 2 ** page;
      }
      assertEquals(found, dirtyOf(memory, client), `dirty pages of ${name} for client ${client}`);
    }
  }
}

function log(machine: Machine, region: RegionModel | undefined, client: 0 | 1, on: boolean): void {
  if (region?.memory === undefined) return;
  const { counts } = region.memory;
  const isRight = on || counts[client] > 0;
  machine.attempt(`client ${client} ${on ? "logs" : "no longer logs"} ${region.name}`, isRight, () => {
    const before = counts[client];
    if (isRight) counts[client] += on ? 1 : -1;
    try {
      setLog(machine.world, region.handle, client, on);
    } catch (error) {
      counts[client] = before;
      throw error;
    }
  });
}

function mark(machine: Machine, region: RegionModel | undefined, b: number, c: number): void {
  if (region?.memory === undefined) return;
  const { offset, length } = span(region.memory, b, c);
  const isDevice = region.kind === "romDevice" && c % 2 === 0;
  machine.attempt(`${length} bytes at ${offset} of ${region.name} are dirty`, true, () => {
    (isDevice ? flushRomDevice : markDirty)(machine.world, region.handle, offset, length);
    markStore(machine, region, offset, length);
  });
}

/** In `logSync`, a listener reports a store that nobody else knows of. */
export function reportStore(machine: Machine, { region: handle, offset }: Section): void {
  const region = [...machine.regions].find((one) => one.handle === handle);
  if (region?.memory === undefined) return;
  markDirty(machine.world, handle, offset, 1);
  markStore(machine, region, offset, 1);
}

function reset(machine: Machine, region: RegionModel | undefined, client: DirtyClient, b: number, c: number): void {
  if (region?.memory === undefined) return;
  const { memory } = region;
  const { offset, length } = span(memory, b, c);
  const first = Math.floor(offset / DIRTY_PAGE) * DIRTY_PAGE;
  const end = length === 0 ? first : Math.ceil((offset + length) / DIRTY_PAGE) * DIRTY_PAGE;
  machine.attempt(`client ${client} clears ${length} bytes at ${offset} of ${region.name}`, true, () => {
    const cleared = pages(offset, length) & dirtyOf(memory, client);
    memory.dirty[client] = (memory.dirty[client] & ~pages(offset, length)) >>> 0;
    whileHearing(machine, region, () => {
      const wasDirty = resetDirty(machine.world, region.handle, offset, length, client);
      assertEquals(wasDirty, cleared !== 0, "was any page dirty");
    }, (logged) => clearedTexts(logged, first, end));
  });
}

/** Snapshot: those who log are asked first, told what was cleared, and told that it is over. */
function take(machine: Machine, region: RegionModel | undefined, client: DirtyClient, b: number, c: number): void {
  if (region?.memory === undefined) return;
  const { memory } = region;
  const { offset, length } = span(memory, b, c);
  machine.attempt(`client ${client} takes ${length} bytes at ${offset} of ${region.name}`, true, () => {
    const run = () => {
      const taken = snapshotAndClear(machine.world, region.handle, offset, length, client);
      compareTaken(taken, offset, length, dirtyOf(memory, client), `of ${region.name} was dirty`);
      memory.dirty[client] = (memory.dirty[client] & ~pages(offset, length)) >>> 0;
    };
    whileHearing(machine, region, run, (logged, isGlobal) => {
      const asked = isGlobal
        ? ["sync"]
        : logged.map(({ start, end }) => syncText({ address: start, size: end - start }));
      return [...asked, ...clearedTexts(logged, offset, offset + length), "over"];
    });
  });
}

function compareTaken(taken: DirtySnapshot, offset: number, length: number, dirty: number, what: string): void {
  const first = Math.floor(offset / DIRTY_PAGE) * DIRTY_PAGE;
  for (let at = first; length > 0 && at < offset + length; at += DIRTY_PAGE) {
    assertEquals(snapshotGetDirty(taken, at, 1), (dirty & pages(at, 1)) !== 0, `whether the page at ${at} ${what}`);
  }
}

/** Runs `body`, of which each listener that follows logs hears what `expected` says of the ranges that log. */
function whileHearing(
  machine: Machine,
  region: RegionModel,
  body: () => void,
  expected: (logged: readonly RangeModel[], isGlobal: boolean) => readonly string[],
): void {
  machine.nextCallback = undefined;
  for (const { fold } of machine.listeners) fold.collection.length = 0;
  body();
  // In a transaction what was told is behind what is true.
  if (machine.transactions + machine.callbacks > 0) return;
  for (const { registered, space, fold, name } of machine.listeners) {
    if (!registered || !fold.follows.logs) continue;
    const logged = machine.maskOf(region) === 0 ? [] : render(space.root).filter((range) => range.region === region);
    assertEquals(fold.collection, [...expected(logged, fold.follows.isGlobal)], `what ${name} heard of bits`);
  }
}

/** Each range shows part of what was cleared. */
function clearedTexts(logged: readonly RangeModel[], from: number, to: number): string[] {
  return logged.flatMap(({ start, end, base }) => {
    const first = Math.max(from, start - base);
    const last = Math.min(to, end - base);
    return first < last ? [clearText({ address: base + first, size: last - first, offset: first })] : [];
  });
}

function track(machine: Machine, reason: TrackingReason | undefined, on: boolean): void {
  if (reason === undefined) return;
  const { reasons, postponed, isRunning } = machine.tracking;
  const isRight = on || reasons.has(reason);
  machine.attempt(`${on ? "start" : "stop"} tracking for ${reason}`, isRight, () => {
    const [reasonsBefore, postponedBefore] = [[...reasons], [...postponed]];
    try {
      if (on) {
        reasons.add(reason);
        postponed.delete(reason);
        startDirtyTracking(machine.world, reason);
      } else {
        if (isRunning) reasons.delete(reason);
        else if (isRight) postponed.add(reason);
        stopDirtyTracking(machine.world, reason);
      }
    } catch (refusal) {
      replace(reasons, reasonsBefore);
      replace(postponed, postponedBefore);
      throw refusal;
    }
  });
}

/** What was refused has changed nothing. */
function replace<T>(set: Set<T>, by: readonly T[]): void {
  set.clear();
  for (const one of by) set.add(one);
}

function runGuest(machine: Machine, on: boolean): void {
  const { reasons, postponed } = machine.tracking;
  machine.attempt(`the guest ${on ? "runs" : "stops"}`, true, () => {
    if (on) { for (const reason of postponed) reasons.delete(reason); }
    if (on) postponed.clear();
    machine.tracking.isRunning = on;
    setGuestRunning(machine.world, on);
  });
}

/** A listener refuses: those before it are stopped again, and nothing is tracked. */
function refuseTracking(machine: Machine, reason: TrackingReason | undefined, index: number): void {
  const { reasons } = machine.tracking;
  const refusing = pick(
    [...machine.listeners].filter(({ registered, fold }) => registered && fold.follows.logs),
    index,
  );
  if (reason === undefined || refusing === undefined || reasons.size > 0 || machine.callbacks > 0) return;
  machine.nextCallback = undefined;
  refusing.fold.refuses = true;
  machine.attempt(`start tracking for ${reason}, which ${refusing.name} refuses`, false, () => {
    startDirtyTracking(machine.world, reason);
  });
  refusing.fold.refuses = false;
  assert([...machine.listeners].every(({ registered, fold }) => !registered || !fold.isTracking), "nobody tracks");
}
