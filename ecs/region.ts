/**
 * Region: a piece of address space with attributes: a pure container, RAM, ROM, a ROM device, MMIO, a reservation, or an
 * alias, which is a window on another region (specification 1.1–1.3).
 */
import { clearContainer, resizeChild } from "./container.ts";
import { defineKind, newEntity } from "./handle.ts";
import type { Iommu } from "./iommu.ts";
import { writeLevels } from "./nesting.ts";
import { type Guard, guardAbove, guardOf, linkOwned, newGuard } from "./owner.ts";
import type { RamBlock } from "./ram_block.ts";
import type { Tap } from "./tap.ts";
import { type Access, defineColumns, type World, writeReference } from "./world.ts";

declare const region: unique symbol;
/** Handle of a region. */
export type Region = number & { readonly [region]: true };

export const RegionKind = defineKind("region");

export type AccessSize = 1 | 2 | 4 | 8;

/** Which accesses a device takes or its handlers implement; sizes in bytes. */
export interface AccessWidths {
  readonly min?: AccessSize;
  readonly max?: AccessSize;
  readonly unaligned?: boolean;
}

/**
 * Handlers of an MMIO region. A handler is called inside a read scope, with the device's re-entrancy flag set.
 *
 * `offset` is in bytes from the region's start; above 2^53 it is rounded. A value is a number up to 32 bits and a
 * bigint (from a read: or a number) where the size is 8. An absent `read` reads 0, an absent `write` drops.
 */
export interface MmioOps<S> {
  read?(state: S, offset: number, size: AccessSize, access: Access): number | bigint;
  write?(state: S, offset: number, value: number | bigint, size: AccessSize, access: Access): void;
  /** Side-effect-free twin of `read`, for debuggers. */
  peek?(state: S, offset: number, size: AccessSize): number | bigint;
  /** What the bus lets through; default: all sizes, aligned. */
  readonly valid?: AccessWidths & {
    accepts?(state: S, offset: number, size: AccessSize, isWrite: boolean, attrs: number): boolean;
  };
  /** What the handlers implement; default: 1 to 4. Other sizes are split or widened. */
  readonly impl?: AccessWidths;
  /** Byte order of the registers; default little. */
  readonly endian?: "little" | "big";
}

/** Handlers bound to a region. What only some accesses ask for stays in `ops`: there is one of these per region. */
export interface Mmio {
  readonly ops: MmioOps<unknown>;
  readonly state: unknown;
  /** Sizes (as a bit set: 1, 2, 4, 8) that an aligned access may pass to one handler call as it is. */
  direct: number;
  /** Re-entrancy guard of the handlers: the nearest device's, or the region's own (S53); undefined: unguarded. */
  guard: Guard | undefined;
}

export const Flag = {
  /** Claims its range, instead of showing what is below (R7). */
  TERMINATES: 1 << 0,
  /** RAM or ROM: memory may be reached without a handler. */
  RAM: 1 << 1,
  ROM_DEVICE: 1 << 2,
  ALIAS: 1 << 3,
  MMIO: 1 << 4,
  ENABLED: 1 << 5,
  READONLY: 1 << 6,
  NONVOLATILE: 1 << 7,
  UNMERGEABLE: 1 << 8,
  /** A ROM device reads as memory. */
  ROMD: 1 << 9,
  /** Ownerless by birth: lives as long as its world, and is never counted (LC8). */
  STATIC: 1 << 10,
  /** Opted out of the re-entrancy guard (S48). */
  UNGUARDED: 1 << 11,
  /** RAM that is reached one access at a time, as a device's own must be. */
  RAM_DEVICE: 1 << 12,
  IOMMU: 1 << 13,
} as const;

/** What an alias looks at, and its place among the aliases of that. */
export interface Window {
  /** 0: it is gone; the alias renders nothing. */
  target: number;
  /** Bytes from the target's start. */
  offset: number;
  next: number;
  previous: number;
}

/** Attributes that a container or alias passes on to what is seen through it (1.3). */
export const INHERITED = Flag.READONLY | Flag.NONVOLATILE | Flag.UNMERGEABLE;

export const regions = defineColumns((capacity) => ({
  flags: new Uint32Array(capacity),
  /** Bytes, 0 to 2^64. */
  size: new Float64Array(capacity),
  /** What an alias looks at. */
  window: [] as (Window | undefined)[],
  /** Aliases of this region: the reverse index. */
  firstAlias: new Int32Array(capacity),
  /** Spaces that have this region as their root. */
  spaces: [] as (number[] | undefined)[],
  mmio: [] as (Mmio | undefined)[],
  /** While there is one, `direct` of the handlers is 0. */
  tap: [] as (Tap | undefined)[],
  iommu: [] as (Iommu | undefined)[],
  ram: [] as (RamBlock | undefined)[],
}));

/** A region in no container. `flags` says its kind; it is enabled. */
export function newRegion(
  world: World,
  kind: { name: string; size: number; owner: number; flags: number; mmio?: Mmio; iommu?: Iommu; ram?: RamBlock },
): number {
  const id = newEntity(world, RegionKind, kind.name);
  const columns = regions(world);
  columns.flags[id] = kind.flags | Flag.ENABLED | (kind.owner === 0 ? Flag.STATIC : 0);
  columns.size[id] = kind.size;
  columns.firstAlias[id] = 0;
  writeReference(columns.window, id, undefined);
  writeReference(columns.spaces, id, undefined);
  columns.mmio[id] = kind.mmio;
  if (kind.mmio !== undefined && isGuarded(kind.flags)) kind.mmio.guard = guardFor(world, kind.owner);
  writeReference(columns.tap, id, undefined);
  writeReference(columns.iommu, id, kind.iommu);
  writeReference(columns.ram, id, kind.ram);
  clearContainer(world, id);
  writeLevels(world, id, 0);
  linkOwned(world, id, kind.owner);
  return id;
}

/** Handlers of ROM devices and those that opted out may be entered again (1.8.4). */
function isGuarded(flags: number): boolean {
  return (flags & (Flag.ROM_DEVICE | Flag.UNGUARDED)) === 0;
}

function guardFor(world: World, owner: number): Guard | undefined {
  if (world.policy.guardedBy === "owningDevice") return guardOf(world, owner);
  return guardAbove(world, owner) ?? newGuard();
}

/** Points a new alias at its target. */
export function linkAlias(world: World, alias: number, target: number, offset: number): void {
  const { window, firstAlias } = regions(world);
  const next = firstAlias[target]!;
  window[alias] = { target, offset, next, previous: 0 };
  if (next !== 0) window[next]!.previous = alias;
  firstAlias[target] = alias;
}

/** Breaks an alias: it renders nothing from now on. */
export function unlinkAlias(world: World, alias: number): void {
  const { window, firstAlias } = regions(world);
  const broken = window[alias];
  if (broken === undefined || broken.target === 0) return;
  const { target, next, previous } = broken;
  if (previous === 0) firstAlias[target] = next;
  else window[previous]!.next = next;
  if (next !== 0) window[next]!.previous = previous;
  broken.target = broken.next = broken.previous = 0;
}

/** What an alias looks at; 0: it is no alias, or a broken one. */
export function aliasTarget(world: World, region: number): number {
  return regions(world).window[region]?.target ?? 0;
}

export function writeAliasOffset(world: World, alias: number, offset: number): void {
  regions(world).window[alias]!.offset = offset;
}

/** Sets or clears one flag. */
export function writeFlag(world: World, region: number, flag: number, value: boolean): void {
  const { flags } = regions(world);
  flags[region] = value ? flags[region]! | flag : flags[region]! & ~flag;
}

export function writeFlags(world: World, region: number, flags: number): void {
  regions(world).flags[region] = flags;
}

export function writeSize(world: World, region: number, size: number): void {
  regions(world).size[region] = size;
  resizeChild(world, region, size);
}

/** Notes that `space` has `region` as its root. */
export function addRootOf(world: World, region: number, space: number): void {
  (regions(world).spaces[region] ??= []).push(space);
}

export function removeRootOf(world: World, region: number, space: number): void {
  const spaces = regions(world).spaces[region];
  const at = spaces?.indexOf(space) ?? -1;
  if (at >= 0) spaces?.splice(at, 1);
}

/** A dead region keeps nothing alive in the host. */
export function clearRegion(world: World, region: number): void {
  const { flags, mmio, tap, iommu, ram, window, spaces } = regions(world);
  flags[region] = 0;
  writeReference(mmio, region, undefined);
  writeReference(tap, region, undefined);
  writeReference(iommu, region, undefined);
  writeReference(ram, region, undefined);
  writeReference(window, region, undefined);
  writeReference(spaces, region, undefined);
}

/** Binds handlers to the state of a device. */
export function bindMmio<S>(ops: MmioOps<S>, state: S): Mmio {
  return { ops: ops as MmioOps<unknown>, state, direct: directSizes(ops as MmioOps<unknown>), guard: undefined };
}

function directSizes(ops: MmioOps<unknown>): number {
  if (ops.read === undefined || ops.valid?.accepts !== undefined) return 0;
  const valid = validWidths(ops);
  const impl = implWidths(ops);
  let direct = 0;
  for (let size = 1; size <= 4; size *= 2) {
    if (size >= valid.min && size <= valid.max && size >= impl.min && size <= impl.max) direct |= size;
  }
  return ops.endian === "big" ? direct & 1 : direct;
}

/** What the bus lets through. */
export function validWidths({ valid }: MmioOps<unknown>): Required<AccessWidths> {
  return { min: valid?.min ?? 1, max: valid?.max ?? 8, unaligned: valid?.unaligned ?? false };
}

/** What the handlers implement. */
export function implWidths({ impl }: MmioOps<unknown>): Required<AccessWidths> {
  return { min: impl?.min ?? 1, max: impl?.max ?? 4, unaligned: impl?.unaligned ?? false };
}
