/**
 * Coalesced ring: collects guests' writes to coalesced ranges, so that handlers see them in batches. They are delivered in
 * the order of writing before anything can tell the difference: when a transaction begins, before an access to a region
 * that drains (every one with a coalesced range does), and when the machine says so. A world without a ring, which is
 * what it begins with, delivers every write at once.
 */
import { coalescedRing, type CollectedWrite } from "../ecs/coalesced_ring.ts";
import type { World } from "../ecs/world.ts";

/** Lets the world collect up to `capacity` writes (at least 1). The machine's loop must drain now and then. */
export function openCoalescedRing(world: World, capacity: number): void {
  if (!Number.isInteger(capacity) || capacity < 1) throw new RangeError(`a ring cannot hold ${capacity} writes`);
  coalescedRing(world).capacity = capacity;
}

/** Delivers what was collected; writes go to their handlers at once from now on. */
export function closeCoalescedRing(world: World): void {
  coalescedRing(world).capacity = 0;
  drainCoalesced(world);
}

/** Keeps a write for later. False if there is no room, or deliveries are under way. */
export function collectWrite(world: World, write: CollectedWrite): boolean {
  const ring = coalescedRing(world);
  if (ring.isDraining || ring.writes.length >= ring.capacity) return false;
  ring.writes.push(write);
  return true;
}

/**
 * Delivers what was collected. Writes to a device that is in the middle of a handler wait for the next time, since its
 * guard would refuse them.
 *
 * @returns How many were delivered.
 */
export function drainCoalesced(world: World): number {
  const ring = coalescedRing(world);
  if (ring.writes.length === 0 || ring.isDraining) return 0;
  ring.isDraining = true;
  let delivered = 0;
  try {
    while (true) {
      const next = ring.writes.findIndex(({ guard }) => !guard?.engaged);
      if (next < 0) return delivered;
      const [write] = ring.writes.splice(next, 1);
      delivered++;
      write?.deliver();
    }
  } finally {
    ring.isDraining = false;
  }
}
