/**
 * Address: bytes as f64, in half-open intervals `[start, end)`. An f64 holds every integer up to 2^53 and above that
 * every multiple of a power of two with 53 significant bits, 2^64 included; whatever is not exact is refused at the API.
 */

/** 2^64, the end of the largest address space. */
export const TOP = 2 ** 64;

/** A size or address that an f64 cannot hold exactly, or that is out of range. */
export class InexactAddressError extends Error {
  override readonly name = "InexactAddressError";
}

/**
 * The number for a size or address in bytes, 0 to 2^64.
 *
 * @throws {InexactAddressError} if it is negative, fractional, above 2^64 or not exact.
 */
export function exactAddress(value: number | bigint, what: string): number {
  const number = Number(value);
  const inRange = number >= 0 && number <= TOP && Number.isInteger(number);
  if (inRange && (typeof value === "number" || BigInt(number) === value)) return number;
  const why = inRange ? "not exact as a 64-bit float" : "not an integer from 0 to 2^64";
  throw new InexactAddressError(`${what} ${formatAddress(value)} is ${why}`);
}

/** Error of `a + b` as computed: the true sum is `(a + b) + roundingError(a, b)` (Knuth's two-sum). */
export function roundingError(a: number, b: number): number {
  const sum = a + b;
  const tail = sum - a;
  return (a - (sum - tail)) + (b - tail);
}

/** A number at or below the true sum, for the start of a window that may be too wide. */
export function sumBelow(a: number, b: number): number {
  const sum = a + b;
  return roundingError(a, b) < 0 ? sum - Math.abs(sum) * 2 ** -52 : sum;
}

/** A number at or above the true sum, for the end of a window that may be too wide. */
export function sumAbove(a: number, b: number): number {
  const sum = a + b;
  return roundingError(a, b) > 0 ? sum + Math.abs(sum) * 2 ** -52 : sum;
}

/**
 * The 64-bit address (hi, lo), rounded down to an f64. Every boundary of a view is an f64, so comparing with the
 * rounded address gives the same answer as comparing with the exact one: 2^64−1 hits the last byte.
 */
export function roundDown(hi: number, lo: number): number {
  const high = hi >>> 0;
  if (high < 0x200000) return high * 0x100000000 + (lo >>> 0);
  return high * 0x100000000 + ((lo & (-1 << (11 - Math.clz32(high)))) >>> 0);
}

/** Bits 63..32 of an exact f64, which may be negative (two's complement), as int32. */
export function highHalf(value: number): number {
  return Math.floor(value / 0x100000000) | 0;
}

/** Bits 31..0 of an exact f64, which may be negative (two's complement), as int32. */
export function lowHalf(value: number): number {
  return (value - Math.floor(value / 0x100000000) * 0x100000000) | 0;
}

/** Hexadecimal, as it stands in messages and maps. */
export function formatAddress(value: number | bigint): string {
  if (typeof value === "number" && !Number.isInteger(value)) return String(value);
  const big = BigInt(value);
  return big < 0n ? `-0x${(-big).toString(16)}` : `0x${big.toString(16)}`;
}

/**
 * Halves of an accessed address, which is exact: a bigint, or an integer up to 2^53.
 *
 * @throws {InexactAddressError} for anything else.
 */
export function exactHalves(address: number | bigint): [hi: number, lo: number] {
  if (typeof address === "bigint") {
    return [Number(BigInt.asIntN(32, address >> 32n)), Number(BigInt.asIntN(32, address))];
  }
  if (Number.isInteger(address) && address >= 0 && address < TOP) return [highHalf(address), lowHalf(address)];
  throw new InexactAddressError(`address ${address} is not an integer from 0 to 2^64`);
}

/** Bytes from the address (hi, lo) up to the exact `end`; rounded above 2^53. */
export function bytesUntil(end: number, hi: number, lo: number): number {
  const high = Math.floor(end / 0x100000000);
  return (high - (hi >>> 0)) * 0x100000000 + (end - high * 0x100000000 - (lo >>> 0));
}
