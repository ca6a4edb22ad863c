/**
 * Dispatch: one access of 1, 2, 4 or 8 bytes, from address to handler. Read from the top: the range in the current
 * view; memory at once, a handler inside a read scope and behind the device's re-entrancy guard; validity; one call or
 * several. Guest misbehaviour is an outcome, never an exception; a handler that throws is a fault of the model.
 */
import { type AddressSpace, lookup, spaceOf } from "../ecs/address_space.ts";
import { roundDown } from "../ecs/address.ts";
import { endOffset, type FlatView, isWritable, offsetIn, type Range, rangeAt } from "../ecs/flat_view.ts";
import { type Epochs, innermostFrame } from "../ecs/epochs.ts";
import { resolve } from "../ecs/handle.ts";
import { type Iommu, Permission } from "../ecs/iommu.ts";
import { type Guard, guardAbove, type Owner, OwnerKind } from "../ecs/owner.ts";
import { type AccessSize, type Mmio, regions } from "../ecs/region.ts";
import type { Access, World } from "../ecs/world.ts";
import { Attrs, loadLow, lowBits, MemTx, storeHalves } from "./access.ts";
import { reportHandlerFault, warnReentry } from "./fault.ts";
import { isValid, readAdjusted, writeAdjusted } from "./handler.ts";
import { type HandlerWrite, interceptRead, interceptWrite, PASS } from "./intercept.ts";
import { commit } from "./transaction.ts";
import { enterHop, iommuIn, leaveHop } from "./translate.ts";

const { OK, ERROR, DECODE_ERROR, ACCESS_ERROR } = MemTx;

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
  return readRange(world, record.view, range, hi, lo, size, attrs);
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

/** Reads from a range of a captured view. */
export function readRange(
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
  const offset = offsetIn(range, hi, lo);
  const { ram, mmio } = range;
  if (ram !== undefined) {
    if (offset + size > endOffset(range)) return readAcross(world, view, hi, lo, size, attrs);
    access.hi = size === 8 ? ram.view.getInt32(offset + 4, true) : 0;
    access.result = OK;
    return loadLow(ram.view, offset, size);
  }
  if (mmio === undefined) {
    const iommu = iommuIn(world, range);
    if (iommu !== undefined) return readTranslated(world, view, range, iommu, hi, lo, size, attrs);
    return fail(access, (attrs & Attrs.MEMORY) === 0 ? DECODE_ERROR : ACCESS_ERROR);
  }
  if ((attrs & Attrs.MEMORY) !== 0) return fail(access, ACCESS_ERROR);
  return readHandler(world, range, mmio, offset, size, attrs);
}

/** Writes to a range of a captured view. */
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
  if (range === undefined) return DECODE_ERROR;
  const offset = offsetIn(range, hi, lo);
  const { ram, mmio } = range;
  if (ram !== undefined && (isWritable(range) || (attrs & Attrs.DEBUG) !== 0)) {
    if (offset + size > endOffset(range)) return writeAcross(world, view, hi, lo, size, valueLo, valueHi, attrs);
    storeHalves(ram.view, offset, size, valueLo, valueHi);
    ram.observer?.(offset, size);
    return OK;
  }
  const isRefused = (attrs & Attrs.MEMORY) !== 0 && ram === undefined;
  if (mmio === undefined) {
    const iommu = iommuIn(world, range);
    if (iommu !== undefined) {
      return writeTranslated(world, view, range, iommu, hi, lo, size, valueLo, valueHi, attrs);
    }
    return isRefused ? ACCESS_ERROR : DECODE_ERROR;
  }
  if (isRefused) return ACCESS_ERROR;
  return writeHandler(world, range, mmio, offset, size, valueLo, valueHi, attrs);
}

function fail(access: Access, result: number): number {
  access.hi = 0;
  access.result = result;
  return 0;
}

function readHandler(
  world: World,
  range: Range,
  mmio: Mmio,
  offset: number,
  size: AccessSize,
  attrs: number,
): number {
  let isDirect = (mmio.direct & size) !== 0 && (offset & (size - 1)) === 0;
  if (!isDirect) {
    const tap = regions(world).tap[range.region];
    if (tap !== undefined) {
      interceptRead(world, tap);
      isDirect = (tap.direct & size) !== 0 && (offset & (size - 1)) === 0;
    }
    if (!isDirect && !isValid(mmio, offset, size, false, attrs)) return fail(world.access, DECODE_ERROR);
  }
  const { guard } = mmio;
  if (guard !== undefined && !engage(world, range, guard)) return fail(world.access, ACCESS_ERROR);
  const { epochs } = world;
  const access = enterHandler(epochs, range.region, attrs);
  let low = 0;
  try {
    if (isDirect) {
      const value = mmio.ops.read === undefined ? 0 : mmio.ops.read(mmio.state, offset, size, access);
      low = truncate(lowBits(value), size);
    } else {
      low = readAdjusted(mmio, offset, size, access);
    }
  } catch (cause) {
    low = access.hi = 0;
    access.result = ERROR;
    reportHandlerFault(world, range, offset, size, undefined, cause);
  } finally {
    close(world, guard, epochs);
  }
  world.access.hi = access.hi;
  world.access.result = access.result;
  return low;
}

function writeHandler(
  world: World,
  range: Range,
  mmio: Mmio,
  offset: number,
  size: AccessSize,
  valueLo: number,
  valueHi: number,
  attrs: number,
): number {
  let isDirect = (mmio.direct & size) !== 0 && (offset & (size - 1)) === 0;
  if (!isDirect) {
    const tap = regions(world).tap[range.region];
    if (tap !== undefined) {
      const write = { world, range, mmio, offset, size, valueLo, valueHi, attrs };
      const result = interceptWrite(write, tap, deliver);
      if (result !== PASS) return result;
      isDirect = (tap.direct & size) !== 0 && (offset & (size - 1)) === 0;
    }
    if (!isDirect && !isValid(mmio, offset, size, true, attrs)) return DECODE_ERROR;
  }
  const { guard } = mmio;
  if (guard !== undefined && !engage(world, range, guard)) return ACCESS_ERROR;
  const { epochs } = world;
  const access = enterHandler(epochs, range.region, attrs);
  try {
    if (isDirect) mmio.ops.write?.(mmio.state, offset, truncate(valueLo, size) >>> 0, size, access);
    else writeAdjusted(mmio, offset, size, valueLo, valueHi, access);
  } catch (cause) {
    access.result = ERROR;
    reportHandlerFault(world, range, offset, size, valueLo, cause);
  } finally {
    close(world, guard, epochs);
  }
  return access.result;
}

/** A write that was collected reaches its handler; nobody is left to hear of its outcome. */
function deliver({ world, range, mmio, offset, size, valueLo, valueHi, attrs }: HandlerWrite): void {
  writeHandler(world, range, mmio, offset, size, valueLo, valueHi, attrs);
}

/** Sets the re-entrancy flag of the range's device; false if a handler of it runs already (1.8.4). */
function engage(world: World, range: Range, guard: Guard): boolean {
  if (guard.engaged) {
    warnReentry(world, range, guard);
    return false;
  }
  return guard.engaged = true;
}

/** Opens a scope as `enterScope` does; returns the access for the handler that runs in it. */
function enterHandler(epochs: Epochs, region: number, attrs: number): Access {
  if (epochs.depth++ === 0) epochs.scopeEpoch = epochs.current;
  const frame = innermostFrame(epochs);
  frame.opener = region;
  frame.attrs = attrs;
  frame.result = OK;
  frame.hi = 0;
  return frame;
}

/** The guard is alive here even if the handler dropped its device: the scope is still open (LC20). */
function close(world: World, guard: Guard | undefined, epochs: Epochs): void {
  if (guard !== undefined) guard.engaged = false;
  epochs.depth--;
  if (epochs.depth === 0 && epochs.oldestRetired !== 0) commit(world);
}

function truncate(low: number, size: number): number {
  return size === 4 ? low | 0 : size === 1 ? low & 0xff : low & 0xffff;
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

/** Sets the re-entrancy flag of a device outside of an access, for guarded bottom halves (S47). Returns what it was. */
export function engageGuard(world: World, owner: Owner): boolean {
  const guard = guardAbove(world, resolve(world, owner, OwnerKind));
  if (guard === undefined) return false;
  const former = guard.engaged;
  guard.engaged = true;
  return former;
}

/** Puts the flag back to what {@linkcode engageGuard} returned. */
export function restoreGuard(world: World, owner: Owner, former: boolean): void {
  const guard = guardAbove(world, resolve(world, owner, OwnerKind));
  if (guard !== undefined) guard.engaged = former;
}
