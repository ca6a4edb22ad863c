/**
 * Coalesced ranges: parts of a region in which writes may be collected and delivered in batches, because the device does
 * not mind (specification 1.9). They belong to the region; listeners are told at once, in no transaction (M1).
 */
import { exactAddress } from "../ecs/address.ts";
import { nameOf } from "../ecs/handle.ts";
import { type Region, RegionKind, regions } from "../ecs/region.ts";
import { type Extent, tapOf, trimTap } from "../ecs/tap.ts";
import type { World } from "../ecs/world.ts";
import { TopologyError } from "./admission.ts";
import { drainCoalesced } from "./coalesced_ring.ts";
import { announceCoalesced } from "./notify.ts";
import { whenTold } from "./telling.ts";
import { resolveLiving } from "./living.ts";

/** Makes all of the region coalesced, instead of what was (M3). */
export function setCoalescing(world: World, region: Region): void {
  const id = resolveHandled(world, region);
  drainCoalesced(world);
  whenTold(world, () => {
    replaceExtents(world, id, []);
    replaceExtents(world, id, [{ start: 0, end: regions(world).size[id]! }]);
  });
}

/**
 * Makes `size` bytes from `offset` coalesced. Accesses to the region drain the ring from now on.
 *
 * @throws {TopologyError} if the region has no handlers.
 */
export function addCoalescing(world: World, region: Region, offset: number | bigint, size: number | bigint): void {
  const id = resolveHandled(world, region);
  const name = nameOf(world, id);
  const start = exactAddress(offset, `offset of a coalesced range of "${name}"`);
  const extent = { start, end: start + exactAddress(size, `size of a coalesced range of "${name}"`) };
  whenTold(world, () => replaceExtents(world, id, [...tapOf(world, id).coalesced, extent]));
}

/** Ends all coalesced ranges of the region, and its draining (M3). */
export function clearCoalescing(world: World, region: Region): void {
  const id = resolveHandled(world, region);
  drainCoalesced(world);
  whenTold(world, () => {
    if (regions(world).tap[id] === undefined) return;
    replaceExtents(world, id, []);
    tapOf(world, id).drains = false;
    trimTap(world, id);
  });
}

/**
 * Whether accesses to the region drain the ring first, so that they see the effects of writes to another. A region with
 * coalesced ranges does in any case.
 *
 * @throws {TopologyError} if the region has no handlers.
 */
export function setFlushCoalesced(world: World, region: Region, value: boolean): void {
  const id = resolveHandled(world, region);
  drainCoalesced(world);
  whenTold(world, () => { // after the changes of ranges that came before it
    const tap = tapOf(world, id);
    tap.drains = value || tap.coalesced.length > 0;
    trimTap(world, id);
  });
}

/** Tells the listeners of every space that shows the region what changes. */
function replaceExtents(world: World, id: number, extents: readonly Extent[]): void {
  const tap = tapOf(world, id);
  const former = tap.coalesced;
  tap.coalesced = extents;
  if (extents.length > 0) tap.drains = true;
  announceCoalesced(world, id, "coalescedDel", former.filter((extent) => !extents.includes(extent)));
  announceCoalesced(world, id, "coalescedAdd", extents.filter((extent) => !former.includes(extent)));
}

function resolveHandled(world: World, region: Region): number {
  const id = resolveLiving(world, region, RegionKind);
  if (regions(world).mmio[id] !== undefined) return id;
  throw new TopologyError(`"${nameOf(world, id)}" has no handlers, so there is nothing to collect writes for`);
}
