/**
 * Handler: fits an access to what a device takes (`valid`) and to what its handlers implement (`impl`), as in 1.8.3.
 * Only accesses that need no fitting take the short way in dispatch.
 */
import { type AccessSize, implWidths, type Mmio, validWidths } from "../ecs/region.ts";
import type { Access } from "../ecs/world.ts";
import { highBits, joinBits, lowBits, lowBytes } from "./access.ts";

/** Whether the device takes the access: first its own check, then alignment, then size. */
export function isValid(mmio: Mmio, offset: number, size: AccessSize, isWrite: boolean, attrs: number): boolean {
  const { accepts } = mmio.ops.valid ?? {};
  if (accepts !== undefined && !accepts(mmio.state, offset, size, isWrite, attrs)) return false;
  const { min, max, unaligned } = validWidths(mmio.ops);
  if (!unaligned && offset % size !== 0) return false;
  return size >= min && size <= max;
}

function isBigEndian(mmio: Mmio): boolean {
  return mmio.ops.endian === "big";
}

/** Width of each handler call. */
function stepOf(mmio: Mmio, size: number): AccessSize {
  const { min, max } = implWidths(mmio.ops);
  return Math.max(min, Math.min(max, size)) as AccessSize;
}

/** Where a part of the value is, in bits; negative where the handler is wider than a big-endian access. */
function shiftOf(mmio: Mmio, size: number, step: number, at: number): bigint {
  return BigInt(8 * (isBigEndian(mmio) ? size - step - at : at));
}

/**
 * Reads in steps that the handlers implement, at ascending offsets; all are called, whatever their results. A handler
 * wider than the access is called once, at the unmodified offset, and the low bytes count (S40).
 *
 * @returns Bits 31..0; bits 63..32 are in `access.hi`.
 */
export function readAdjusted(mmio: Mmio, offset: number, size: AccessSize, access: Access): number {
  const step = stepOf(mmio, size);
  if (step === size && size < 8 && !isBigEndian(mmio)) {
    return lowBytes(mmio.ops.read?.(mmio.state, offset, size, access) ?? 0, size);
  }
  let value = 0n;
  for (let at = 0; at < size; at += step) {
    const part = mmio.ops.read === undefined ? 0 : mmio.ops.read(mmio.state, offset + at, step, access);
    const bits = BigInt.asUintN(8 * step, joinBits(highBits(part), lowBits(part)));
    const shift = shiftOf(mmio, size, step, at);
    value |= shift < 0n ? bits >> -shift : bits << shift;
  }
  value = BigInt.asUintN(8 * size, value);
  if (isBigEndian(mmio)) value = reverseBytes(value, size);
  access.hi = highBits(value);
  return lowBits(value);
}

/**
 * Writes in steps, as {@linkcode readAdjusted} reads. A handler wider than the access gets the zero-extended value: a
 * narrow write clobbers the register (S97).
 */
export function writeAdjusted(
  mmio: Mmio,
  offset: number,
  size: AccessSize,
  valueLo: number,
  valueHi: number,
  access: Access,
): void {
  const step = stepOf(mmio, size);
  if (step === size && size < 8 && !isBigEndian(mmio)) {
    return mmio.ops.write?.(mmio.state, offset, lowBytes(valueLo, size) >>> 0, size, access);
  }
  let value = BigInt.asUintN(8 * size, joinBits(valueHi, valueLo));
  if (isBigEndian(mmio)) value = reverseBytes(value, size);
  for (let at = 0; at < size; at += step) {
    const shift = shiftOf(mmio, size, step, at);
    const part = BigInt.asUintN(8 * step, shift < 0n ? value << -shift : value >> shift);
    mmio.ops.write?.(mmio.state, offset + at, step === 8 ? part : Number(part), step, access);
  }
}

/** The lowest `size` bytes in reverse order. */
export function reverseBytes(value: bigint, size: number): bigint {
  let reversed = 0n;
  for (let at = 0; at < size; at++) reversed = (reversed << 8n) | ((value >> BigInt(8 * at)) & 0xffn);
  return reversed;
}
