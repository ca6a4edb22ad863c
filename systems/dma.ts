/**
 * DMA: buffers in and out of an address space. A call captures one view for all of its pieces, whatever handlers change
 * meanwhile (1.8.1); results are OR-ed, and an error does not end it.
 */
import { type AddressSpace, spaceOf } from "../ecs/address_space.ts";
import { bytesUntil, exactHalves, roundDown } from "../ecs/address.ts";
import { endOffset, type FlatView, isWritable, offsetIn, type Range, rangeAt, startAbove } from "../ecs/flat_view.ts";
import { Permission } from "../ecs/iommu.ts";
import type { AccessSize, Mmio } from "../ecs/region.ts";
import type { World } from "../ecs/world.ts";
import { Attrs, highBits, joinBits, loadLow, lowBits, MemTx, storeHalves } from "./access.ts";
import { dispatchRead, dispatchWrite, plus, readRange, writeRange } from "./dispatch.ts";
import { reverseBytes } from "./handler.ts";
import { readScope } from "./scope.ts";
import { enterHop, iommuIn, leaveHop } from "./translate.ts";

/** What a walk does with each piece. Returns MemTx bits. */
interface Pieces {
  memory(range: Range, offset: number, at: number, length: number): number;
  handler(range: Range, hi: number, lo: number, at: number, size: AccessSize): number;
  /** `result` says why, if it is known. */
  nothing(at: number, length: number, result?: number): number;
}

/** What an IOMMU is asked, and whether memory with handlers is written through them. */
interface DmaAccess {
  readonly isWrite: boolean;
  readonly wanted: number;
  readonly attrs: number;
}

/** Fills `bytes` from memory and devices. What cannot be read is 0. Returns MemTx bits. */
export function read(
  world: World,
  space: AddressSpace,
  address: number | bigint,
  bytes: Uint8Array,
  attrs = 0,
): number {
  const [hi, lo] = exactHalves(address);
  return readView(world, spaceOf(world, space).view, hi, lo, bytes, attrs);
}

/** As {@linkcode read}, from a captured view, at the address (hi, lo). */
export function readView(
  world: World,
  view: FlatView,
  hi: number,
  lo: number,
  bytes: Uint8Array,
  attrs: number,
): number {
  const target = viewOn(bytes);
  return walk(world, view, hi, lo, bytes.length, {
    memory(range, offset, at, length) {
      bytes.set(range.ram!.bytes.subarray(offset, offset + length), at); // `memory` is for ranges that have it
      return MemTx.OK;
    },
    handler(range, hi, lo, at, size) {
      const low = readRange(world, view, range, hi, lo, size, attrs);
      storeHalves(target, at, size, low, world.access.hi);
      return world.access.result;
    },
    nothing(at, length, result = MemTx.DECODE_ERROR) {
      bytes.fill(0, at, at + length);
      return result;
    },
  }, { isWrite: false, wanted: Permission.READ, attrs });
}

/** Writes `bytes` to memory and devices. Returns MemTx bits. */
export function write(
  world: World,
  space: AddressSpace,
  address: number | bigint,
  bytes: Uint8Array,
  attrs = 0,
): number {
  const [hi, lo] = exactHalves(address);
  return writeView(world, spaceOf(world, space).view, hi, lo, bytes, attrs);
}

/** As {@linkcode write}, to a captured view, at the address (hi, lo). */
export function writeView(
  world: World,
  view: FlatView,
  hi: number,
  lo: number,
  bytes: Uint8Array,
  attrs: number,
): number {
  const source = viewOn(bytes);
  return walk(world, view, hi, lo, bytes.length, {
    memory(range, offset, at, length) {
      if (isWritable(range) || (attrs & Attrs.DEBUG) !== 0) return storeBytes(range, offset, bytes, at, length);
      return MemTx.DECODE_ERROR;
    },
    handler(range, hi, lo, at, size) {
      const high = size === 8 ? source.getInt32(at + 4, true) : 0;
      return writeRange(world, view, range, hi, lo, size, loadLow(source, at, size), high, attrs);
    },
    nothing: (_at, _length, result = MemTx.DECODE_ERROR) => result,
  }, { isWrite: true, wanted: Permission.WRITE, attrs });
}

/** Writes memory of every kind, ROM too, and calls no handler: for images and reset. Returns MemTx bits. */
export function writeRom(world: World, space: AddressSpace, address: number | bigint, bytes: Uint8Array): number {
  const { view } = spaceOf(world, space);
  const [hi, lo] = exactHalves(address);
  return walk(world, view, hi, lo, bytes.length, {
    memory: (range, offset, at, length) => storeBytes(range, offset, bytes, at, length),
    handler: () => MemTx.DECODE_ERROR,
    nothing: (_at, _length, result = MemTx.DECODE_ERROR) => result,
  }, { isWrite: false, wanted: Permission.WRITE, attrs: 0 });
}

/** Fills `bytes` without any side effect: devices answer with their `peek`, or 0. Returns MemTx bits. */
export function peek(world: World, space: AddressSpace, address: number | bigint, bytes: Uint8Array): number {
  const { view } = spaceOf(world, space);
  const target = viewOn(bytes);
  const [hi, lo] = exactHalves(address);
  return walk(world, view, hi, lo, bytes.length, {
    memory(range, offset, at, length) {
      bytes.set(range.ram!.bytes.subarray(offset, offset + length), at); // as in `read`
      return MemTx.OK;
    },
    handler(range, hi, lo, at, size) {
      const { ops, state } = range.mmio ?? {};
      const value = ops?.peek?.(state, offsetIn(range, hi, lo), size);
      storeHalves(target, at, size, lowBits(value ?? 0), highBits(value ?? 0));
      return value === undefined ? MemTx.DECODE_ERROR : MemTx.OK;
    },
    nothing(at, length, result = MemTx.DECODE_ERROR) {
      bytes.fill(0, at, at + length);
      return result;
    },
  }, { isWrite: false, wanted: Permission.NONE, attrs: 0 });
}

function storeBytes(range: Range, offset: number, bytes: Uint8Array, at: number, length: number): number {
  const ram = range.ram!; // as in `read`
  ram.bytes.set(bytes.subarray(at, at + length), offset);
  storedTo(range, offset, length);
  return MemTx.OK;
}

/** Tells those who follow stores that bytes of the range's memory were written, `offset` from its region's start. */
export function storedTo(range: Range, offset: number, length: number): void {
  range.ram?.observer?.(offset, length);
}

/** Cuts `length` bytes at the address (hi, lo) into pieces of one range each. Addresses wrap at 2^64. */
function walk(
  world: World,
  view: FlatView,
  hi: number,
  lo: number,
  length: number,
  pieces: Pieces,
  access: DmaAccess,
): number {
  return readScope(world, "dma", () => walkFrom(world, view, hi, lo, 0, length, pieces, access));
}

/** The pieces of the bytes `at` to `end` of the buffer; those behind an IOMMU are cut again in its target's view. */
function walkFrom(
  world: World,
  view: FlatView,
  hi: number,
  lo: number,
  at: number,
  end: number,
  pieces: Pieces,
  access: DmaAccess,
): number {
  let result: number = MemTx.OK;
  while (at < end) {
    const here = roundDown(hi, lo);
    const range = rangeAt(view, here);
    const iommu = iommuIn(world, range);
    const left = end - at;
    let piece: number;
    if (range === undefined) {
      piece = Math.min(left, bytesUntil(startAbove(view, here), hi, lo));
      result |= pieces.nothing(at, piece);
    } else if (range.ram !== undefined && !(access.isWrite && range.mmio !== undefined)) {
      const offset = offsetIn(range, hi, lo);
      piece = Math.min(left, endOffset(range) - offset);
      result |= pieces.memory(range, offset, at, piece);
    } else if (iommu !== undefined) {
      const hop = enterHop(world, range, iommu, hi, lo, access.wanted, access.attrs);
      try {
        piece = Math.min(left, hop.length, bytesUntil(range.end, hi, lo));
        if (hop.space === undefined) result |= pieces.nothing(at, piece, hop.result);
        else result |= walkFrom(world, hop.space.view, hop.hi, hop.lo, at, at + piece, pieces, access);
      } finally {
        leaveHop(world);
      }
    } else if (range.mmio === undefined) {
      piece = Math.min(left, bytesUntil(range.end, hi, lo));
      result |= pieces.nothing(at, piece);
    } else {
      const size = pieceSize(range.mmio, offsetIn(range, hi, lo), left);
      result |= pieces.handler(range, hi, lo, at, size);
      piece = size;
    }
    at += piece;
    [hi, lo] = plus(hi, lo, piece);
  }
  return result;
}

/** The largest power of two that the device takes, that is left, and that is aligned unless it need not be. */
function pieceSize(mmio: Mmio, offset: number, left: number): AccessSize {
  let size: number = mmio.ops.valid?.max ?? 4;
  const isAligned = (at: number) => (mmio.ops.impl?.unaligned ?? false) || offset % at === 0;
  while (size > left || !isAligned(size)) size /= 2;
  return size as AccessSize;
}

function viewOn(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** How a scalar is accessed. */
export interface ScalarOptions {
  readonly attrs?: number;
  /** Byte order of the access; default little. */
  readonly endian?: "little" | "big";
}

/** Reads a scalar: a number up to 4 bytes, a bigint of 8. `world.access.result` has the MemTx bits; a failed read is 0. */
export function load(
  world: World,
  space: AddressSpace,
  address: number | bigint,
  size: 1 | 2 | 4,
  options?: ScalarOptions,
): number;
export function load(
  world: World,
  space: AddressSpace,
  address: number | bigint,
  size: 8,
  options?: ScalarOptions,
): bigint;
export function load(
  world: World,
  space: AddressSpace,
  address: number | bigint,
  size: AccessSize,
  { attrs = 0, endian = "little" }: ScalarOptions = {},
): number | bigint {
  const [hi, lo] = exactHalves(address);
  const low = dispatchRead(world, space, hi, lo, size, attrs);
  const value = BigInt.asUintN(8 * size, joinBits(world.access.hi, low));
  const ordered = endian === "big" ? reverseBytes(value, size) : value;
  return size === 8 ? ordered : Number(ordered);
}

/** Writes a scalar. Returns MemTx bits. */
export function store(
  world: World,
  space: AddressSpace,
  address: number | bigint,
  size: AccessSize,
  value: number | bigint,
  { attrs = 0, endian = "little" }: ScalarOptions = {},
): number {
  const [hi, lo] = exactHalves(address);
  const bits = BigInt.asUintN(8 * size, BigInt(value));
  const ordered = endian === "big" ? reverseBytes(bits, size) : bits;
  return dispatchWrite(world, space, hi, lo, size, lowBits(ordered), highBits(ordered), attrs);
}
