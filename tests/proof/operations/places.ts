/** Places: where addresses lead, through IOMMUs, and what is read and written there. */
import { isAlive } from "../../../ecs/handle.ts";
import { Flag } from "../../../ecs/region.ts";
import { Attrs, MemTx } from "../../../systems/access.ts";
import type { Machine } from "../machine.ts";
import { markStore } from "../model/dirty.ts";
import { guardOf, hasHandlers, type PageModel, type RangeModel, type RegionModel } from "../model/facts.ts";

/** Hops that follow each other before an access fails. */
const HOPS_MAX = 64;
/** Bytes of a page of an IOMMU. */
export const PAGE = 0x1000;

/** Where an address leads. */
export interface Place {
  /** undefined: nothing answers there. */
  readonly range: RangeModel | undefined;
  /** In the region. */
  readonly offset: number;
  /** Bytes that lead to the same range. */
  readonly length: number;
  /** Through how many IOMMUs. */
  readonly hops: number;
}

export function locate(
  machine: Machine,
  ranges: readonly RangeModel[],
  address: number,
  permission: number,
  hops = 0,
): Place {
  const range = ranges.find(({ start, end }) => start <= address && address < end);
  const above = ranges.find(({ start }) => start > address)?.start ?? 2 ** 64;
  const length = (range?.end ?? above) - address;
  if (range === undefined) return { range, offset: 0, length, hops };
  const offset = address - range.base;
  if (range.region.kind !== "iommu") return { range, offset, length, hops };
  const { page, inPage, left } = pageOf(machine, range.region, offset);
  const reach = Math.min(length, left);
  if (page === undefined || hops > HOPS_MAX || (page.permission & permission) !== permission) {
    return { range: undefined, offset: 0, length: reach, hops };
  }
  const next = locate(machine, machine.view(page.space), page.address + inPage, permission, hops + 1);
  return { ...next, length: Math.min(reach, next.length) };
}

/** What a device answers. */
export function registerValue(offset: number): number {
  return (offset * 7 + 3) & 0xff;
}

export function loadModel({ memory }: RegionModel, offset: number, size: number): number {
  let value = 0;
  for (let at = size - 1; at >= 0; at--) value = value * 256 + (memory?.bytes.get(offset + at) ?? 0);
  return value;
}

/** Whether a read reaches the memory of the range. */
export function readsMemory({ region, flags }: RangeModel): boolean {
  return region.kind === "ram" || (flags & Flag.ROMD) !== 0;
}

/** Whether a write reaches the memory of the range. */
export function writesMemory({ region, flags }: RangeModel): boolean {
  return region.kind === "ram" && (flags & Flag.READONLY) === 0;
}

/** The page at an offset of an IOMMU, and how many bytes are left of it. */
export function pageOf(
  machine: Machine,
  region: RegionModel,
  offset: number,
): { page: PageModel | undefined; inPage: number; left: number } {
  const page = region.pages.get(Math.floor(offset / PAGE));
  const inPage = offset % PAGE;
  const isThere = page !== undefined && isAlive(machine.world, page.space.handle);
  return { page: isThere ? page : undefined, inPage, left: PAGE - inPage };
}

/** What a read finds, and its outcome. */
export function expectedRead(
  machine: Machine,
  { range, offset }: Place,
  size: number,
  attrs: number,
): [value: number, result: number] {
  if (range === undefined) return [0, MemTx.DECODE_ERROR];
  if (readsMemory(range)) return [loadModel(range.region, offset, size), MemTx.OK];
  if (attrs === Attrs.MEMORY) return [0, MemTx.ACCESS_ERROR];
  if (!hasHandlers(range.region)) return [0, MemTx.DECODE_ERROR];
  return machine.engaged.has(guardOf(range.region)) ? [0, MemTx.ACCESS_ERROR] : [registerValue(offset), MemTx.OK];
}

export function bytesOf(value: number, size: number): number[] {
  return Array.from({ length: size }, (_, at) => Math.floor(value / 2 ** (8 * at)) % 256);
}

/** Notes a write to what has no handlers; its outcome. */
export function storeModel(machine: Machine, { range, offset }: Place, bytes: ArrayLike<number>): number {
  if (range === undefined || !writesMemory(range)) return MemTx.DECODE_ERROR;
  setBytes(range.region, offset, bytes);
  markStore(machine, range.region, offset, bytes.length);
  return MemTx.OK;
}

export function setBytes({ memory }: RegionModel, offset: number, bytes: ArrayLike<number>): void {
  for (let at = 0; at < bytes.length; at++) memory?.bytes.set(offset + at, bytes[at] ?? 0);
}
