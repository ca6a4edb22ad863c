/** Dirty bits, as sets of pages. No memory here has more than 32, so that a set is a number. */
import { DIRTY_CLIENTS, DIRTY_PAGE, type DirtyClient } from "../../../ecs/dirty_bitmap.ts";
import type { MemoryModel, RegionModel } from "./facts.ts";
import type { Model } from "./model.ts";

/** All pages of so many bytes, as bits. */
export function allPages(bytes: number): number {
  return pages(0, bytes);
}

/** The pages of some bytes, as bits. */
export function pages(offset: number, length: number): number {
  if (length === 0) return 0;
  const first = Math.floor(offset / DIRTY_PAGE);
  const count = Math.ceil((offset + length) / DIRTY_PAGE) - first;
  return ((2 ** count - 1) * 2 ** first) >>> 0;
}

/** A store reached the memory: whoever logs it has the pages dirty. */
export function markStore(model: Model, region: RegionModel, offset: number, length: number): void {
  const { memory } = region;
  if (memory === undefined || length === 0) return;
  const mask = model.maskOf(region);
  const { dirty } = memory;
  for (const client of DIRTY_CLIENTS) {
    if ((mask & (1 << client)) !== 0) dirty[client] = (dirty[client] | pages(offset, length)) >>> 0;
  }
}

/** The dirty bits of a client that mean something. */
export function dirtyOf({ dirty, used }: MemoryModel, client: DirtyClient): number {
  return (dirty[client] & allPages(used)) >>> 0;
}
