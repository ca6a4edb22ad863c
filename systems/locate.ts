/** Locate: which range an address reaches, for those who go on without dispatch: mappings, caches. */
import { bytesUntil, roundDown } from "../ecs/address.ts";
import { EMPTY_VIEW, type FlatView, isWritable, offsetIn, type Range, rangeAt, startAbove } from "../ecs/flat_view.ts";
import { Permission } from "../ecs/iommu.ts";
import type { World } from "../ecs/world.ts";
import { Attrs } from "./access.ts";
import { enterHop, iommuIn, leaveHop } from "./translate.ts";

/** Where an address leads. */
export interface Place {
  /** undefined: nothing answers there. */
  readonly range: Range | undefined;
  /** Halves of the address in the view that shows the range. */
  readonly hi: number;
  readonly lo: number;
  /** How many bytes from the address lead to the same range, one after the other; at least 1. */
  readonly length: number;
}

/** The place of the address (hi, lo) in a captured view, through IOMMUs. */
export function locate(
  world: World,
  view: FlatView,
  hi: number,
  lo: number,
  isWrite: boolean,
  attrs: number,
): Place {
  const address = roundDown(hi, lo);
  const range = rangeAt(view, address);
  const length = bytesUntil(range?.end ?? startAbove(view, address), hi, lo);
  const iommu = iommuIn(world, range);
  if (range === undefined || iommu === undefined) return { range, hi, lo, length };
  const hop = enterHop(world, range, iommu, hi, lo, isWrite ? Permission.WRITE : Permission.READ, attrs);
  try {
    const inPage = Math.min(length, hop.length);
    if (hop.space === undefined) return { range: undefined, hi, lo, length: inPage };
    const place = locate(world, hop.space.view, hop.hi, hop.lo, isWrite, attrs);
    return { ...place, length: Math.min(inPage, place.length) };
  } finally {
    leaveHop(world);
  }
}

/** Offset of a place in its range's region, in bytes. */
export function offsetOf(place: Place): number {
  return place.range === undefined ? 0 : offsetIn(place.range, place.hi, place.lo);
}

/** Whether accesses reach the range's memory without a handler. */
export function isDirect(range: Range, isWrite: boolean, attrs: number): boolean {
  return range.ram !== undefined && (!isWrite || isWritable(range) || (attrs & Attrs.DEBUG) !== 0);
}

/** A view that shows nothing but one range. */
export function viewOf(range: Range | undefined): FlatView {
  return range === undefined ? EMPTY_VIEW : { chunks: [[range]] };
}
