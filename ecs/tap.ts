/**
 * Tap: what stands before the handlers of a region: io events, coalesced ranges, and whether accesses drain collected
 * writes. Handlers with a tap take no access on the short way of dispatch, so a region without one pays nothing.
 */
import type { IoEvent } from "./io_event.ts";
import { regions } from "./region.ts";
import type { World } from "./world.ts";

/** Part of a region, in bytes from its start. */
export interface Extent {
  readonly start: number;
  readonly end: number;
}

export interface Tap {
  /** What `direct` of the handlers is without the tap. */
  readonly direct: number;
  /** Sorted. */
  readonly ioEvents: IoEvent[];
  /** In the order of adding. Replaced, never changed in place. */
  coalesced: readonly Extent[];
  /** Asked for, or because there are coalesced ranges. */
  drains: boolean;
}

/** The tap of a region that has handlers; it is put in if there is none. */
export function tapOf(world: World, region: number): Tap {
  const mmio = regions(world).mmio[region]!; // callers have checked
  const taps = regions(world).tap;
  const present = taps[region];
  if (present !== undefined) return present;
  const tap: Tap = { direct: mmio.direct, ioEvents: [], coalesced: [], drains: false };
  taps[region] = tap;
  mmio.direct = 0;
  return tap;
}

/** Takes the tap out if it does nothing any more. */
export function trimTap(world: World, region: number): void {
  const columns = regions(world);
  const mmio = columns.mmio[region];
  const tap = columns.tap[region];
  if (mmio === undefined || tap === undefined) return;
  if (tap.ioEvents.length > 0 || tap.coalesced.length > 0 || tap.drains) return;
  mmio.direct = tap.direct;
  columns.tap[region] = undefined;
}
