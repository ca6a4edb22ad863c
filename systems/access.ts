/** Access: the words that describe one: outcome bits, attribute bits, and how a value is split into 32-bit halves. */

/** Outcome of an access; bits of several pieces are OR-ed. */
export const MemTx = {
  OK: 0,
  /** The device refused. */
  ERROR: 1,
  /** Nothing answers there, or not in this way. */
  DECODE_ERROR: 2,
  /** The requester may not. */
  ACCESS_ERROR: 4,
} as const;

/** Who asks, as a bit set; 0 says nothing. Bits 16 to 31 are the requester's id. */
export const Attrs = {
  SECURE: 1 << 0,
  USER: 1 << 1,
  /** A debugger: writes reach ROM. */
  DEBUG: 1 << 2,
  /** Only memory may answer: no handler is called (S98). */
  MEMORY: 1 << 3,
} as const;

/** Low 32 bits of a handler's value, as int32. */
export function lowBits(value: number | bigint): number {
  return typeof value === "number" ? value | 0 : Number(BigInt.asIntN(32, value));
}

/** Bits 63..32 of a handler's value, as int32. A number is taken as a non-negative integer. */
export function highBits(value: number | bigint): number {
  return typeof value === "number" ? Math.floor(value / 0x100000000) | 0 : Number(BigInt.asIntN(32, value >> 32n));
}

/** The 64-bit value of two halves. */
export function joinBits(high: number, low: number): bigint {
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
}

/** The lowest 1, 2 or 4 bytes of a handler's value, zero-extended within int32. */
export function lowBytes(value: number | bigint, size: number): number {
  return (typeof value === "number" ? value : lowBits(value)) & (-1 >>> (32 - 8 * size));
}

/** Loads `size` little-endian bytes: low 32 bits, zero-extended within int32. */
export function loadLow(view: DataView, offset: number, size: number): number {
  if (size === 1) return view.getUint8(offset);
  if (size === 2) return view.getUint16(offset, true);
  return view.getInt32(offset, true);
}

/** Stores `size` little-endian bytes of the value (high, low). */
export function storeHalves(view: DataView, offset: number, size: number, low: number, high: number): void {
  if (size === 1) view.setUint8(offset, low);
  else if (size === 2) view.setUint16(offset, low, true);
  else view.setInt32(offset, low, true);
  if (size === 8) view.setInt32(offset + 4, high, true);
}
