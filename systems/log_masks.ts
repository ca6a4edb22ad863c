/**
 * Log masks: which clients log the stores to a region. A change is in force for stores at once; listeners are told of it
 * by the next commit, as one of ranges that stay (S113).
 */
import { DirtyClient, isTracking, noteTold, writeLogMask } from "../ecs/dirty_bitmap.ts";
import { connectObserver, type RamBlock } from "../ecs/ram_block.ts";
import { regions } from "../ecs/region.ts";
import { defineState, type World } from "../ecs/world.ts";
import { markRegion } from "./dirty_windows.ts";

/** The masks of a region before and after a commit, `1 << client`. */
export interface MaskChange {
  readonly before: number;
  readonly after: number;
}

/** Regions whose mask was written since the last commit. */
const pending = defineState(() => ({ regions: new Set<number>() }));

const NONE: ReadonlyMap<number, MaskChange> = new Map();

/** Has a client log a region, or no longer. */
export function writeMask(world: World, region: number, block: RamBlock, client: DirtyClient, on: boolean): void {
  const { dirty } = block;
  writeLogMask(dirty, client, on);
  connectObserver(block);
  // What is clean already has to be asked about from now on.
  if (on && dirty.bits[client] !== undefined) block.cleaned?.(0, block.size);
  pending(world).regions.add(region);
  markRegion(world, region);
}

/** The masks that a commit has to tell. They count as told from now on. */
export function takeMaskChanges(world: World): ReadonlyMap<number, MaskChange> {
  const waiting = pending(world).regions;
  if (waiting.size === 0) return NONE;
  const changes = new Map<number, MaskChange>();
  for (const region of waiting) {
    const log = regions(world).ram[region]?.dirty;
    if (log === undefined || log.told === log.mask) continue;
    changes.set(region, { before: log.told, after: log.mask });
    noteTold(log);
  }
  waiting.clear();
  return changes;
}

/** Whether the mask of a region waits to be told. */
export function isMaskPending(world: World, region: number): boolean {
  return pending(world).regions.has(region);
}

/** The mask of a region that listeners know. */
export function toldMask(world: World, region: number): number {
  return regions(world).ram[region]?.dirty.told ?? 0;
}

/** Memory that is made while tracking is on is tracked from its start (S130). */
export function trackNewBlock(world: World, block: RamBlock): void {
  if (!block.isMigratable || !isTracking(world)) return;
  writeLogMask(block.dirty, DirtyClient.MIGRATION, true);
  noteTold(block.dirty);
}
