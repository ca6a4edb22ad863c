/**
 * Log masks: which clients log the stores to a region. A change is in force for stores at once; listeners are told of it
 * by the next commit, as one of ranges that stay (S113).
 */
import { DirtyClient, isTracking, noteTold, writeLogMask } from "../ecs/dirty_bitmap.ts";
import { entitiesOf } from "../ecs/handle.ts";
import { connectObserver, type RamBlock } from "../ecs/ram_block.ts";
import { Flag, RegionKind, regions } from "../ecs/region.ts";
import { defineState, type World } from "../ecs/world.ts";
import { markRegion } from "./dirty_windows.ts";

/** The masks of a region before and after a commit, `1 << client`. */
export interface MaskChange {
  readonly before: number;
  readonly after: number;
}

const MIGRATION = 1 << DirtyClient.MIGRATION;

const pending = defineState(() => ({
  /** Regions whose mask was written since the last commit. */
  regions: new Set<number>(),
  /** Whether listeners know that IOMMU regions, which have no log of their own, are logged for MIGRATION. */
  isTrackingTold: false,
  isTrackingWritten: false,
}));

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

/** Has MIGRATION log all migratable memory and all IOMMU regions (1.3), or none. */
export function writeTracking(world: World, on: boolean): void {
  const { ram, flags } = regions(world);
  pending(world).isTrackingWritten = true;
  for (const region of entitiesOf(world, RegionKind)) {
    const block = ram[region];
    if (block?.isMigratable) writeMask(world, region, block, DirtyClient.MIGRATION, on);
    else if ((flags[region]! & Flag.IOMMU) !== 0) {
      pending(world).regions.add(region);
      markRegion(world, region);
    }
  }
}

/** The masks that a commit has to tell. They count as told from now on. */
export function takeMaskChanges(world: World): ReadonlyMap<number, MaskChange> {
  const state = pending(world);
  if (state.regions.size === 0 && !state.isTrackingWritten) return NONE;
  const before = new Map([...state.regions].map((region) => [region, toldMask(world, region)]));
  for (const region of before.keys()) {
    const log = regions(world).ram[region]?.dirty;
    if (log !== undefined) noteTold(log);
  }
  if (state.isTrackingWritten) state.isTrackingTold = isTracking(world);
  state.isTrackingWritten = false;
  state.regions.clear();
  const changes = new Map<number, MaskChange>();
  for (const [region, mask] of before) {
    const after = toldMask(world, region);
    if (after !== mask) changes.set(region, { before: mask, after });
  }
  return changes;
}

/** Whether any mask waits to be told. */
export function hasMaskChanges(world: World): boolean {
  const { regions, isTrackingWritten } = pending(world);
  return regions.size > 0 || isTrackingWritten;
}

/** The mask of a region that is in force for stores. */
export function currentMask(world: World, region: number): number {
  const { ram, flags } = regions(world);
  const log = ram[region]?.dirty;
  if (log !== undefined) return log.mask;
  return (flags[region]! & Flag.IOMMU) !== 0 && isTracking(world) ? MIGRATION : 0;
}

/** Whether the mask of a region waits to be told. */
export function isMaskPending(world: World, region: number): boolean {
  return pending(world).regions.has(region);
}

/** The mask of a region that listeners know. */
export function toldMask(world: World, region: number): number {
  const { ram, flags } = regions(world);
  const log = ram[region]?.dirty;
  if (log !== undefined) return log.told;
  return (flags[region]! & Flag.IOMMU) !== 0 && pending(world).isTrackingTold ? MIGRATION : 0;
}

/** Memory that is made while tracking is on is tracked from its start (S130). */
export function trackNewBlock(world: World, block: RamBlock): void {
  if (!block.isMigratable || !isTracking(world)) return;
  writeLogMask(block.dirty, DirtyClient.MIGRATION, true);
  noteTold(block.dirty);
}
