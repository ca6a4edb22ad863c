/**
 * Container: where I am visible. A region is in at most one container (C1), at an address and with a priority; siblings
 * are listed from the highest priority to the lowest, and among equals from the one added last (C2).
 */
import { formatAddress } from "./address.ts";
import { childIndexColumns, indexChild, resizeIndexedChild, unindexChild } from "./child_index.ts";
import { recordEvent } from "./handle.ts";
import { defineColumns, type World } from "./world.ts";

export const containers = defineColumns((capacity) => ({
  /** 0: in no container. */
  container: new Int32Array(capacity),
  /** Bytes from the container's start. NaN: programmed to an address that an f64 cannot hold; renders nothing. */
  address: new Float64Array(capacity),
  priority: new Int32Array(capacity),
  /** Order among siblings of equal priority: the greater is on top. */
  order: new Float64Array(capacity),
  firstChild: new Int32Array(capacity),
  next: new Int32Array(capacity),
  previous: new Int32Array(capacity),
  ...childIndexColumns(capacity),
  lastOrder: 0,
}));

/** A new region is in no container and has no children. */
export function clearContainer(world: World, region: number): void {
  const columns = containers(world);
  columns.container[region] =
    columns.firstChild[region] =
    columns.root[region] =
    columns.next[region] =
    columns.previous[region] =
      0;
  columns.address[region] = columns.priority[region] = columns.order[region] = 0;
}

/** Whether `a` is above `b`; they are siblings. */
export function isOnTop(world: World, a: number, b: number): boolean {
  const { priority, order } = containers(world);
  return priority[a]! > priority[b]! || (priority[a] === priority[b] && order[a]! > order[b]!);
}

/** Puts `region`, which is `size` bytes long, into `container`; `order` undefined: as the newest. */
export function linkChild(
  world: World,
  container: number,
  region: number,
  place: { address: number; size: number; priority: number; order?: number },
): void {
  const columns = containers(world);
  if (world.events !== undefined) recordEvent(world, "attached", region, container, formatAddress(place.address));
  columns.container[region] = container;
  columns.address[region] = place.address;
  columns.priority[region] = place.priority;
  const newest = ++columns.lastOrder;
  columns.order[region] = place.order ?? (world.policy.equalPriority === "lastWins" ? newest : -newest);
  let before = 0;
  let after = columns.firstChild[container]!;
  while (after !== 0 && isOnTop(world, after, region)) {
    before = after;
    after = columns.next[after]!;
  }
  columns.previous[region] = before;
  columns.next[region] = after;
  if (before === 0) columns.firstChild[container] = region;
  else columns.next[before] = region;
  if (after !== 0) columns.previous[after] = region;
  if (!Number.isNaN(place.address)) indexChild(columns, container, region, place.size);
}

/** Takes `region` out of its container; address and priority stay readable. */
export function unlinkChild(world: World, region: number): void {
  const columns = containers(world);
  const container = columns.container[region]!;
  if (world.events !== undefined) recordEvent(world, "detached", region, container);
  const next = columns.next[region]!;
  const previous = columns.previous[region]!;
  if (previous === 0) columns.firstChild[container] = next;
  else columns.next[previous] = next;
  if (next !== 0) columns.previous[next] = previous;
  if (!Number.isNaN(columns.address[region])) unindexChild(columns, container, region);
  columns.container[region] = columns.next[region] = columns.previous[region] = 0;
}

/** Address of a region that is in no container. */
export function writeAddress(world: World, region: number, address: number): void {
  containers(world).address[region] = address;
}

/** Priority of a region that is in no container: what it had in the last one. */
export function writePriority(world: World, region: number, priority: number): void {
  containers(world).priority[region] = priority;
}

/** Tells the index of the container, if any, that a region has a new size. */
export function resizeChild(world: World, region: number, size: number): void {
  const columns = containers(world);
  const container = columns.container[region]!;
  if (container !== 0 && !Number.isNaN(columns.address[region])) resizeIndexedChild(columns, container, region, size);
}
