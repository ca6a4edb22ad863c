/**
 * Dirty log: which pages of RAM were stored to since somebody looked (specification 1.15). Stores through dispatch, DMA
 * and harts set the bits of the clients that log a region; a client reads and clears them by pages of 4 KiB. Offsets and
 * lengths are in bytes from the region's start.
 *
 * Every function here throws `StaleHandleError` for a region that is gone, `TopologyError` for one without memory, and
 * `DirtyLogError` for bytes outside of it.
 */
import { addLogCount, anyBit, anyDirty, clearPages, copyWords, DIRTY_PAGE, DirtyClient } from "../ecs/dirty_bitmap.ts";
import { nameOf, resolve } from "../ecs/handle.ts";
import { allListeners, type Section } from "../ecs/listener.ts";
import { connectObserver, type RamBlock } from "../ecs/ram_block.ts";
import { Flag, type Region, RegionKind, regions } from "../ecs/region.ts";
import type { World } from "../ecs/world.ts";
import { TopologyError } from "./admission.ts";
import { writeMask } from "./log_masks.ts";
import { call } from "./call_listener.ts";
import { sectionsShownTo } from "./notify.ts";
import { ramOf } from "./create_region.ts";
import { resolveLiving } from "./living.ts";
import { commit } from "./transaction.ts";

/** A request that the dirty logs cannot meet. */
export class DirtyLogError extends Error {
  override readonly name = "DirtyLogError";
}

/** Pages, in the steps in which a compatible snapshot takes them (Q9). */
const GROUP = 64;

/** Dirty bits as they were when they were cleared. */
export interface DirtySnapshot {
  /** Bytes that it covers, whole pages. */
  readonly start: number;
  readonly end: number;
  /** Bit 0 is the page at `start` rounded down to 32 pages. */
  readonly words: Uint32Array;
}

/**
 * Has VGA or CODE log a region, or no longer. Counted: as many calls switch it off as switched it on (S126).
 *
 * @throws {DirtyLogError} for MIGRATION, which `startDirtyTracking` switches, and for more offs than ons (Q16).
 */
export function setLog(world: World, region: Region, client: DirtyClient, on: boolean): void {
  const id = resolveLiving(world, region, RegionKind);
  const block = ramOf(world, region);
  if (client === DirtyClient.MIGRATION) {
    throw new DirtyLogError(`MIGRATION logs all memory or none, so not "${nameOf(world, id)}" alone`);
  }
  const { counts } = block.dirty;
  if (!on && counts[client] === 0) {
    throw new DirtyLogError(`the client does not log "${nameOf(world, id)}", so it cannot stop`);
  }
  addLogCount(block.dirty, client, on ? 1 : -1);
  if (counts[client] !== (on ? 1 : 0)) return;
  writeMask(world, id, block, client, on);
  commit(world);
}

/** Notes a store that did not come through dispatch or DMA: sets the bits of the region's clients, and tells observers. */
export function markDirty(world: World, region: Region, offset: number, length: number): void {
  const block = rangeOf(world, region, offset, length);
  if (length > 0) block.observer?.(offset, length);
}

/** A ROM device's handler has changed its memory (S86). @throws {TopologyError} for other kinds. */
export function flushRomDevice(world: World, region: Region, offset: number, length: number): void {
  const id = resolve(world, region, RegionKind);
  if ((regions(world).flags[id]! & Flag.ROM_DEVICE) === 0) {
    throw new TopologyError(`"${nameOf(world, id)}" is not a ROM device`);
  }
  markDirty(world, region, offset, length);
}

/** Whether any page of these bytes is dirty for a client. */
export function getDirty(world: World, region: Region, offset: number, length: number, client: DirtyClient): boolean {
  const { dirty } = rangeOf(world, region, offset, length);
  return anyDirty(dirty, client, firstPage(offset), endPage(offset, length));
}

/** Clears a client's bits of the pages of these bytes, and tells listeners. Returns whether any was set (G8). */
export function resetDirty(world: World, region: Region, offset: number, length: number, client: DirtyClient): boolean {
  const block = rangeOf(world, region, offset, length);
  const first = firstPage(offset), end = endPage(offset, length);
  if (first === end) return false;
  const wasDirty = clean(block, client, first, end);
  clearDirtyLog(world, region, first * DIRTY_PAGE, (end - first) * DIRTY_PAGE);
  return wasDirty;
}

/**
 * Takes a client's bits of the pages of these bytes (G8): asks listeners for what they know, copies and clears the bits,
 * tells listeners that they were cleared, and last that all of it is over (S133).
 */
export function snapshotAndClear(
  world: World,
  region: Region,
  offset: number,
  length: number,
  client: DirtyClient,
): DirtySnapshot {
  const block = rangeOf(world, region, offset, length);
  syncDirtyLog(world, region);
  let first = firstPage(offset), end = endPage(offset, length);
  if (world.policy.snapshotClearsNeighbours && first < end) {
    first -= first % GROUP;
    end = Math.min(Math.ceil(end / GROUP) * GROUP, block.dirty.pages);
  }
  const words = copyWords(block.dirty, client, first, end);
  clean(block, client, first, end);
  clearDirtyLog(world, region, offset, length);
  finishSync(world);
  return { start: first * DIRTY_PAGE, end: end * DIRTY_PAGE, words };
}

/** Whether any page of these bytes was dirty. @throws {DirtyLogError} for bytes that the snapshot does not cover. */
export function snapshotGetDirty({ start, end, words }: DirtySnapshot, offset: number, length: number): boolean {
  if (!(offset >= start && length >= 0 && offset + length <= end)) {
    throw new DirtyLogError(`the snapshot covers [${start}, ${end}), not [${offset}, ${offset + length})`);
  }
  const origin = firstPage(start) & ~31;
  return anyBit(words, firstPage(offset) - origin, endPage(offset, length) - origin);
}

/** Has listeners report stores to a region, or to all, that they alone know of (G5). */
export function syncDirtyLog(world: World, region?: Region): void {
  if (region !== undefined) resolve(world, region, RegionKind);
  for (const listener of allListeners(world)) {
    const { logSync, logSyncGlobal } = listener.callbacks;
    if (logSyncGlobal !== undefined) call(world, listener, () => listener.callbacks.logSyncGlobal?.());
    if (logSync === undefined) continue;
    for (const section of sectionsShownTo(world, listener)) {
      if (section.logMask === 0 || (region !== undefined && section.region !== region)) continue;
      call(world, listener, () => listener.callbacks.logSync?.(section));
    }
  }
}

/** Tells listeners that the bits they reported have been collected (G7). */
export function finishSync(world: World): void {
  for (const listener of allListeners(world)) {
    if (listener.callbacks.afterSync !== undefined) call(world, listener, () => listener.callbacks.afterSync?.());
  }
}

/** Tells listeners that bits of part of a region were cleared: each the parts that its space shows (G6, S132). */
export function clearDirtyLog(world: World, region: Region, offset: number, length: number): void {
  resolve(world, region, RegionKind);
  for (const listener of allListeners(world)) {
    if (listener.callbacks.logClear === undefined) continue;
    for (const section of sectionsShownTo(world, listener)) {
      if (section.logMask === 0 || section.region !== region) continue;
      const part = clip(section, offset, offset + length);
      if (part !== undefined) call(world, listener, () => listener.callbacks.logClear?.(part));
    }
  }
}

/** What a section shows of the bytes `[start, end)` of its region. */
function clip(section: Section, start: number, end: number): Section | undefined {
  const from = Math.max(start, section.offset);
  const to = Math.min(end, section.offset + section.size);
  if (from >= to) return undefined;
  return { ...section, address: section.address + from - section.offset, offset: from, size: to - from };
}

/** Clears bits; whoever stores on its own has to ask again. Returns whether any was set. */
function clean(block: RamBlock, client: DirtyClient, first: number, end: number): boolean {
  const { active } = block.dirty;
  const wasDirty = clearPages(block.dirty, client, first, end);
  if (block.dirty.active !== active) connectObserver(block);
  if (wasDirty && (block.dirty.mask & (1 << client)) !== 0) {
    const start = first * DIRTY_PAGE;
    block.cleaned?.(start, Math.min(end * DIRTY_PAGE, block.size) - start);
  }
  return wasDirty;
}

function rangeOf(world: World, region: Region, offset: number, length: number): RamBlock {
  const block = ramOf(world, region);
  if (offset >= 0 && length >= 0 && offset + length <= block.size) return block;
  const name = nameOf(world, resolve(world, region, RegionKind));
  throw new DirtyLogError(`"${name}" has no bytes [${offset}, ${offset + length}): its memory is ${block.size} bytes`);
}

function firstPage(offset: number): number {
  return Math.floor(offset / DIRTY_PAGE);
}

/** The page after the last of these bytes. */
function endPage(offset: number, length: number): number {
  return length === 0 ? firstPage(offset) : Math.ceil((offset + length) / DIRTY_PAGE);
}
