/**
 * Topology: the public mutators. Each validates everything, then writes, and is a transaction of its own (LC31). Sizes,
 * offsets and addresses are in bytes; `number | bigint`, exact as a 64-bit float, else `InexactAddressError`.
 */
import { exactAddress, formatAddress } from "../ecs/address.ts";
import { containers, writeAddress } from "../ecs/container.ts";
import { nameOf, resolve } from "../ecs/handle.ts";
import { Flag, type Region, RegionKind, regions, writeAliasOffset, writeFlag, writeSize } from "../ecs/region.ts";
import type { World } from "../ecs/world.ts";
import { admitChild, TopologyError } from "./admission.ts";
import { unlinkContained } from "./collect.ts";
import { markRegion } from "./dirty_windows.ts";
import { LifetimeError } from "./finalize.ts";
import { place } from "./place.ts";
import { admitNesting } from "./nesting.ts";
import { isFinalizing } from "./retire.ts";
import { commit } from "./transaction.ts";
import { keepPlacement } from "./undo.ts";
import { refuseMeanwhile, resolveLiving } from "./living.ts";

/**
 * Shows `region` in `container` at `offset`. Among siblings the greater priority is on top (signed 32-bit, default 0),
 * among equals the one added last (C2). What is outside of the container is clipped.
 *
 * @throws {TopologyError} if the region is in a container already, the container is an alias, or regions would be nested
 * more than 250 levels deep.
 * @throws {CycleError} if the region would show itself, or ownership would become circular.
 */
export function addSubregion(
  world: World,
  container: Region,
  offset: number | bigint,
  region: Region,
  { priority = 0 }: { readonly priority?: number } = {},
): void {
  const { above, id } = resolvePair(world, container, region);
  const address = exactAddress(offset, `address of "${nameOf(world, id)}"`);
  admitChild(world, above, id);
  admitNesting(world, above, id);
  keepPlacement(world, id);
  place(world, above, id, { address, priority: priority | 0 });
  commit(world);
}

/** The two ends of a new edge; a refusal names both. */
function resolvePair(world: World, container: Region, region: Region): { above: number; id: number } {
  try {
    return { above: resolveLiving(world, container, RegionKind), id: resolveLiving(world, region, RegionKind) };
  } catch (cause) {
    if (!(cause instanceof LifetimeError) || isFinalizing(world)) throw cause;
    const [to, what] = [container, region].map((handle) => nameOf(world, resolve(world, handle, RegionKind)));
    throw new LifetimeError(`cannot add "${what}" to "${to}": ${cause.message}`, { cause });
  }
}

/** Also of what was dropped and is still pinned. @throws {TopologyError} if the region is not in this container. */
export function delSubregion(world: World, container: Region, region: Region): void {
  refuseMeanwhile(world, container);
  const above = resolve(world, container, RegionKind);
  const id = resolve(world, region, RegionKind);
  if (containers(world).container[id] !== above) {
    throw new TopologyError(`"${nameOf(world, id)}" is not in "${nameOf(world, above)}"`);
  }
  keepPlacement(world, id);
  markRegion(world, id);
  unlinkContained(world, id);
  commit(world);
}

/** A disabled region shows nothing, nor does what is below it; it keeps its place (C6). */
export function setEnabled(world: World, region: Region, value: boolean): void {
  const id = resolveLiving(world, region, RegionKind);
  if (((regions(world).flags[id]! & Flag.ENABLED) !== 0) === value) return;
  keepPlacement(world, id);
  markRegion(world, id);
  writeFlag(world, id, Flag.ENABLED, value);
  markRegion(world, id);
  commit(world);
}

/**
 * Moves a region. In a container it goes to the top among its equals (Q8). An address that a 64-bit float cannot hold is
 * accepted, since guests program addresses: the region shows nothing there, and a line is traced.
 */
export function setAddress(world: World, region: Region, value: number | bigint): void {
  const id = resolveLiving(world, region, RegionKind);
  const address = guestAddress(world, id, value);
  const columns = containers(world);
  if (Object.is(columns.address[id], address)) return;
  keepPlacement(world, id);
  const above = columns.container[id]!;
  if (above === 0) {
    writeAddress(world, id, address);
    return commit(world);
  }
  const priority = columns.priority[id]!;
  const order = world.policy.moveReorders ? undefined : columns.order[id]!;
  markRegion(world, id);
  unlinkContained(world, id);
  place(world, above, id, { address, priority, order });
  commit(world);
}

function guestAddress(world: World, region: number, value: number | bigint): number {
  const rounded = Number(value);
  if (typeof value === "bigint" && value >= 0n && value < 1n << 64n && BigInt(rounded) !== value) {
    world.trace(`"${nameOf(world, region)}" is not shown at ${formatAddress(value)}: not exact as a 64-bit float`);
    return NaN;
  }
  return exactAddress(value, `address of "${nameOf(world, region)}"`);
}

/** Changes how much a region covers; the bytes of RAM stay as they are. @throws {TopologyError} for more than its RAM. */
export function setSize(world: World, region: Region, value: number | bigint): void {
  const id = resolveLiving(world, region, RegionKind);
  const columns = regions(world);
  const size = exactAddress(value, `size of "${nameOf(world, id)}"`);
  const ram = columns.ram[id];
  if (ram !== undefined && size > ram.size) {
    throw new TopologyError(`"${nameOf(world, id)}" has ${ram.size} bytes of memory, so it cannot cover ${size}`);
  }
  if (columns.size[id] === size) return;
  keepPlacement(world, id);
  markRegion(world, id);
  writeSize(world, id, size);
  markRegion(world, id);
  commit(world);
}

/** Moves the window of an alias. @throws {TopologyError} if the region is not an alias. */
export function setAliasOffset(world: World, region: Region, value: number | bigint): void {
  const id = resolveLiving(world, region, RegionKind);
  const columns = regions(world);
  const offset = exactAddress(value, `offset of alias "${nameOf(world, id)}"`);
  if ((columns.flags[id]! & Flag.ALIAS) === 0) throw new TopologyError(`"${nameOf(world, id)}" is not an alias`);
  if (columns.window[id]?.offset === offset) return;
  keepPlacement(world, id);
  writeAliasOffset(world, id, offset);
  markRegion(world, id);
  commit(world);
}

/** Guests cannot write what is seen through the region. */
export function setReadonly(world: World, region: Region, value: boolean): void {
  setAttribute(world, region, Flag.READONLY, value);
}

export function setNonvolatile(world: World, region: Region, value: boolean): void {
  setAttribute(world, region, Flag.NONVOLATILE, value);
}

/** Ranges of the region are never joined with their neighbours. */
export function setUnmergeable(world: World, region: Region, value: boolean): void {
  setAttribute(world, region, Flag.UNMERGEABLE, value);
}

/** Whether a ROM device reads as memory (true) or through its handlers. @throws {TopologyError} for other kinds. */
export function setRomd(world: World, region: Region, value: boolean): void {
  const id = resolveLiving(world, region, RegionKind);
  if ((regions(world).flags[id]! & Flag.ROM_DEVICE) === 0) {
    throw new TopologyError(`"${nameOf(world, id)}" is not a ROM device`);
  }
  setAttribute(world, region, Flag.ROMD, value);
}

function setAttribute(world: World, region: Region, flag: number, value: boolean): void {
  const id = resolveLiving(world, region, RegionKind);
  if (((regions(world).flags[id]! & flag) !== 0) === value) return;
  keepPlacement(world, id);
  writeFlag(world, id, flag, value);
  markRegion(world, id);
  commit(world);
}
