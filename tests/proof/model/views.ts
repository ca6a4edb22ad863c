/** Views: what a root shows, rendered from the top down: whoever comes first takes what is free. */
import { Flag, INHERITED } from "../../../ecs/region.ts";
import type { RangeModel, RegionModel } from "./facts.ts";

/** What a root shows, by ascending address. */
export function render(root: RegionModel): RangeModel[] {
  const ranges: RangeModel[] = [];
  show(ranges, root, 0, 0, Infinity, 0);
  return merge(ranges);
}

function show(ranges: RangeModel[], region: RegionModel, base: number, from: number, to: number, inherited: number) {
  const start = Math.max(from, base);
  const end = Math.min(to, base + region.size);
  if (!region.enabled || start >= end) return;
  const flags = inherited | (region.flags & INHERITED);
  if (region.kind === "alias") {
    if (region.target !== undefined) show(ranges, region.target, base - region.offset, start, end, flags);
    return;
  }
  for (const child of region.children) show(ranges, child, base + child.address, start, end, flags);
  if (region.kind === "container") return;
  fill(ranges, { start, end, region, base, flags: flags | (region.flags & Flag.ROMD) });
}

/** Adds what of `range` is not covered yet: what came before lies above. */
function fill(ranges: RangeModel[], range: RangeModel): void {
  let at = range.start;
  let index = 0;
  while (at < range.end) {
    while (index < ranges.length && (ranges[index]?.end ?? 0) <= at) index++;
    const next = ranges[index];
    const end = Math.min(range.end, next?.start ?? Infinity);
    if (at < end) ranges.splice(index++, 0, { ...range, start: at, end });
    at = next === undefined ? range.end : Math.max(at, next.end);
  }
}

function merge(ranges: readonly RangeModel[]): RangeModel[] {
  const merged: RangeModel[] = [];
  for (const range of ranges) {
    const last = merged.at(-1);
    const continues = last !== undefined && last.end === range.start && last.region === range.region &&
      last.base === range.base && last.flags === range.flags && (last.flags & Flag.UNMERGEABLE) === 0;
    if (continues) last.end = range.end;
    else merged.push(range);
  }
  return merged;
}

/** Whether listeners could not tell two ranges apart. */
export function isSame(a: RangeModel, b: RangeModel): boolean {
  return a.start === b.start && a.end === b.end && a.region === b.region && a.base === b.base && a.flags === b.flags;
}

/** Puts a region among its siblings, from top to bottom. */
export function attach(container: RegionModel, region: RegionModel): void {
  region.container = container;
  const isBelow = (other: RegionModel) =>
    other.priority < region.priority || (other.priority === region.priority && other.order < region.order);
  const at = container.children.findIndex(isBelow);
  container.children.splice(at < 0 ? container.children.length : at, 0, region);
}

export function detach(region: RegionModel): void {
  const siblings = region.container?.children;
  if (siblings !== undefined) siblings.splice(siblings.indexOf(region), 1);
  region.container = undefined;
}

/** Whether `from` shows `sought`, or is it. */
export function shows(from: RegionModel, sought: RegionModel): boolean {
  if (from === sought || (from.target !== undefined && shows(from.target, sought))) return true;
  return from.children.some((child) => shows(child, sought));
}
