/** The 64-byte pieces of a page, one bit each: as exactly as it is known from which code translated regions were made. */
import { GRANULE_SHIFT } from "../layout.ts";

export const ALL_GRANULES = (1n << 64n) - 1n;

/** Those that bytes of a page lie in, from the first to the last (inclusive). */
export function granulesOf(first: number, last: number): bigint {
  const from = BigInt(first >>> GRANULE_SHIFT), count = BigInt(last >>> GRANULE_SHIFT) - from + 1n;
  return ((1n << count) - 1n) << from;
}
