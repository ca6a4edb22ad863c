/** Coalesced ring: writes to coalesced ranges that handlers have not seen yet, in the order in which guests made them. */
import type { Guard } from "./owner.ts";
import { defineState, type World } from "./world.ts";

export interface CollectedWrite {
  /** Entity id of the region. */
  readonly region: number;
  /** While it is engaged the write waits. */
  readonly guard: Guard | undefined;
  readonly deliver: () => void;
}

interface CoalescedRing {
  /** 0: there is no ring, and every write goes to its handler at once. */
  capacity: number;
  writes: CollectedWrite[];
  isDraining: boolean;
}

export const coalescedRing = defineState((): CoalescedRing => ({ capacity: 0, writes: [], isDraining: false }));

/** A region that dies takes along what was written to it. */
export function discardWrites(world: World, region: number): void {
  const ring = coalescedRing(world);
  if (ring.writes.length > 0) ring.writes = ring.writes.filter((write) => write.region !== region);
}
