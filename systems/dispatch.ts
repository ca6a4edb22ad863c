/**
 * Dispatch: one access of 1, 2, 4 or 8 bytes, from address to handler. Read from the top: the range in the current
 * view; memory at once, a handler by `call_handler.ts`, the rest by an IOMMU or not at all. Guest misbehaviour is an
 * outcome, never an exception.
 */
import { type AddressSpace, lookup, spaceOf } from "../ecs/address_space.ts";
import { roundDown } from "../ecs/address.ts";
import { endOffset, type FlatView, isWritable, offsetIn, type Range, rangeAt } from "../ecs/flat_view.ts";
import { type Iommu, Permission } from "../ecs/iommu.ts";
import type { RamBlock } from "../ecs/ram_block.ts";
import type { AccessSize } from "../ecs/region.ts";
import type { World } from "../ecs/world.ts";
import { Attrs, loadLow, MemTx, storeHalves } from "./access.ts";
import { fail, readHandler, writeHandler } from "./call_handler.ts";
import { enterHop, iommuIn, leaveHop } from "./translate.ts";

const { OK, DECODE_ERROR, ACCESS_ERROR } = MemTx;
const MEMORY_ONLY = Attrs.MEMORY;

/**
 * Reads at the 64-bit address (hi, lo), halves as int32.
 *
 * @returns Bits 31..0, as int32, zero-extended from `size`. `world.access.hi` has bits 63..32 and `world.access.result`
 * the MemTx bits; a read that fails gives 0.
 */
export function dispatchRead(
  world: World,
  space: AddressSpace,
  hi: number,
  lo: number,
  size: AccessSize,
  attrs = 0,
): number {
  const record = spaceOf(world, space);
  const range = lookup(record, hi, lo);
  // As in `readRange`, whose code would be too long to be compiled into this: a third of the time of a register read.
  const mmio = range?.mmio;
  if (mmio === undefined || range!.ram !== undefined || (attrs & MEMORY_ONLY) !== 0) {
    return readElsewhere(world, record.view, range, hi, lo, size, attrs);
  }
  return readHandler(world, range!, mmio, offsetIn(range!, hi, lo), size, attrs); // handlers are a range's
}

/** Writes the value (valueHi, valueLo) at the address (hi, lo), all int32. Returns MemTx bits. */
export function dispatchWrite(
  world: World,
  space: AddressSpace,
  hi: number,
  lo: number,
  size: AccessSize,
  valueLo: number,
  valueHi = 0,
  attrs = 0,
): number {
  const record = spaceOf(world, space);
  const range = lookup(record, hi, lo);
  return world.access.result = writeRange(world, record.view, range, hi, lo, size, valueLo, valueHi, attrs);
}

/** Reads from a range of a captured view. Handlers first: they are most of what comes by here. */
export function readRange(
  world: World,
  view: FlatView,
  range: Range | undefined,
  hi: number,
  lo: number,
  size: AccessSize,
  attrs: number,
): number {
  const mmio = range?.mmio;
  if (mmio === undefined || range!.ram !== undefined || (attrs & MEMORY_ONLY) !== 0) {
    return readElsewhere(world, view, range, hi, lo, size, attrs);
  }
  return readHandler(world, range!, mmio, offsetIn(range!, hi, lo), size, attrs); // handlers are a range's
}

/** Writes to a range of a captured view. A ROM device in ROM mode is written by its handlers. */
export function writeRange(
  world: World,
  view: FlatView,
  range: Range | undefined,
  hi: number,
  lo: number,
  size: AccessSize,
  valueLo: number,
  valueHi: number,
  attrs: number,
): number {
  const mmio = range?.mmio;
  const allowed = range?.ram === undefined ? MEMORY_ONLY : Attrs.DEBUG;
  if (range === undefined || mmio === undefined || (attrs & allowed) !== 0) {
    return writeElsewhere(world, view, range, hi, lo, size, valueLo, valueHi, attrs);
  }
  return writeHandler(world, range, mmio, offsetIn(range, hi, lo), size, valueLo, valueHi, attrs);
}

/** Memory, what an IOMMU leads to, or nothing. */
function readElsewhere(
  world: World,
  view: FlatView,
  range: Range | undefined,
  hi: number,
  lo: number,
  size: AccessSize,
  attrs: number,
): number {
  const { access } = world;
  if (range === undefined) return fail(access, DECODE_ERROR);
  if (range.ram !== undefined) return readMemory(world, view, range, range.ram, hi, lo, size, attrs);
  const iommu = iommuIn(world, range);
  if (iommu !== undefined) return readTranslated(world, view, range, iommu, hi, lo, size, attrs);
  return fail(access, (attrs & MEMORY_ONLY) === 0 ? DECODE_ERROR : ACCESS_ERROR);
}

function writeElsewhere(
  world: World,
  view: FlatView,
  range: Range | undefined,
  hi: number,
  lo: number,
  size: AccessSize,
  valueLo: number,
  valueHi: number,
  attrs: number,
): number {
  if (range === undefined) return DECODE_ERROR;
  const { ram } = range;
  if (ram !== undefined && (isWritable(range) || (attrs & Attrs.DEBUG) !== 0)) {
    return writeMemory(world, view, range, ram, hi, lo, size, valueLo, valueHi, attrs);
  }
  const iommu = iommuIn(world, range);
  if (iommu !== undefined) return writeTranslated(world, view, range, iommu, hi, lo, size, valueLo, valueHi, attrs);
  return (attrs & MEMORY_ONLY) !== 0 && ram === undefined ? ACCESS_ERROR : DECODE_ERROR;
}

function readMemory(
  world: World,
  view: FlatView,
  range: Range,
  ram: RamBlock,
  hi: number,
  lo: number,
  size: AccessSize,
  attrs: number,
): number {
  const offset = offsetIn(range, hi, lo);
  if (offset + size > endOffset(range)) return readAcross(world, view, hi, lo, size, attrs);
  world.access.hi = size === 8 ? ram.view.getInt32(offset + 4, true) : 0;
  world.access.result = OK;
  return loadLow(ram.view, offset, size);
}

function writeMemory(
  world: World,
  view: FlatView,
  range: Range,
  ram: RamBlock,
  hi: number,
  lo: number,
  size: AccessSize,
  valueLo: number,
  valueHi: number,
  attrs: number,
): number {
  const offset = offsetIn(range, hi, lo);
  if (offset + size > endOffset(range)) return writeAcross(world, view, hi, lo, size, valueLo, valueHi, attrs);
  storeHalves(ram.view, offset, size, valueLo, valueHi);
  ram.observer?.(offset, size);
  return OK;
}

/** Goes on in the address space that an IOMMU leads to; an access over the end of a page is taken apart. */
function readTranslated(
  world: World,
  view: FlatView,
  range: Range,
  iommu: Iommu,
  hi: number,
  lo: number,
  size: AccessSize,
  attrs: number,
): number {
  const hop = enterHop(world, range, iommu, hi, lo, Permission.READ, attrs);
  try {
    if (hop.length < size || offsetIn(range, hi, lo) + size > endOffset(range)) {
      return readAcross(world, view, hi, lo, size, attrs);
    }
    const { space } = hop;
    if (space === undefined) return fail(world.access, hop.result);
    return readRange(world, space.view, lookup(space, hop.hi, hop.lo), hop.hi, hop.lo, size, attrs);
  } finally {
    leaveHop(world);
  }
}

function writeTranslated(
  world: World,
  view: FlatView,
  range: Range,
  iommu: Iommu,
  hi: number,
  lo: number,
  size: AccessSize,
  valueLo: number,
  valueHi: number,
  attrs: number,
): number {
  const hop = enterHop(world, range, iommu, hi, lo, Permission.WRITE, attrs);
  try {
    if (hop.length < size || offsetIn(range, hi, lo) + size > endOffset(range)) {
      return writeAcross(world, view, hi, lo, size, valueLo, valueHi, attrs);
    }
    const { space } = hop;
    if (space === undefined) return hop.result;
    const target = lookup(space, hop.hi, hop.lo);
    return writeRange(world, space.view, target, hop.hi, hop.lo, size, valueLo, valueHi, attrs);
  } finally {
    leaveHop(world);
  }
}

/** A scalar that begins in memory and runs over the end of the range: byte by byte, from the same view. */
function readAcross(world: World, view: FlatView, hi: number, lo: number, size: number, attrs: number): number {
  const bytes = new DataView(new ArrayBuffer(8));
  let result: number = OK;
  for (let i = 0; i < size; i++) {
    const [high, low] = plus(hi, lo, i);
    bytes.setUint8(i, readRange(world, view, rangeAt(view, roundDown(high, low)), high, low, 1, attrs));
    result |= world.access.result;
  }
  world.access.result = result;
  world.access.hi = bytes.getInt32(4, true);
  return bytes.getInt32(0, true);
}

function writeAcross(
  world: World,
  view: FlatView,
  hi: number,
  lo: number,
  size: number,
  valueLo: number,
  valueHi: number,
  attrs: number,
): number {
  let result: number = OK;
  for (let i = 0; i < size; i++) {
    const [high, low] = plus(hi, lo, i);
    const byte = ((i < 4 ? valueLo : valueHi) >>> (8 * (i & 3))) & 0xff;
    result |= writeRange(world, view, rangeAt(view, roundDown(high, low)), high, low, 1, byte, 0, attrs);
  }
  return result;
}

/** The address `bytes` after (hi, lo), modulo 2^64. */
export function plus(hi: number, lo: number, bytes: number): [hi: number, lo: number] {
  const low = (lo >>> 0) + bytes;
  return [(hi + Math.floor(low / 0x100000000)) | 0, low | 0];
}
