/** Immediates scattered over an instruction word, described in the notation of the specification's format tables. */

/** Bits `low` … of the word hold bits `to` … of the value. */
interface Piece {
  readonly low: number;
  readonly to: number;
  readonly width: number;
}

export interface Immediate {
  readonly pieces: readonly Piece[];
  /** The value has this many bits, sign included. */
  readonly bits: number;
  readonly signed: boolean;
  /** The value is a multiple of this: its low bits are not stored. */
  readonly unit: number;
}

/**
 * Describes an immediate by pairs of word bits and value bits, as the manual does: `[["31:25", "12|10:5"], …]` says that
 * bit 31 of the word is bit 12 of the value, and bits 30 to 25 are its bits 10 to 5.
 * @throws RangeError if a pair's two sides differ in width.
 */
export function immediate(signed: boolean, ...pairs: readonly (readonly [word: string, value: string])[]): Immediate {
  const pieces = pairs.flatMap(([word, value]) => scatter(word, value));
  const bits = Math.max(...pieces.map(({ to, width }) => to + width));
  return { pieces, bits, signed, unit: 2 ** Math.min(...pieces.map(({ to }) => to)) };
}

function scatter(word: string, value: string): Piece[] {
  const [, bottom] = bounds(word);
  let next = bounds(word)[0] + 1;
  const pieces = value.split("|").map((range) => {
    const [high, low] = bounds(range);
    next -= high - low + 1;
    return { low: next, to: low, width: high - low + 1 };
  });
  if (next !== bottom) throw new RangeError(`bits ${word} of a word can't hold bits ${value} of an immediate`);
  return pieces;
}

/** "10:5" → 10 and 5, "12" → 12 and 12. */
function bounds(range: string): [high: number, low: number] {
  const [high = NaN, low = high] = range.split(":").map(Number);
  return [high, low];
}

/** The immediate in a word, sign-extended if it is signed. */
export function extract({ pieces, bits, signed }: Immediate, word: number): number {
  let value = 0;
  for (const { low, to, width } of pieces) value |= ((word >>> low) & ((1 << width) - 1)) << to;
  return signed ? value << (32 - bits) >> (32 - bits) : value;
}

/** The bits of a word that hold `value`; the other bits are 0. The value must be one that the immediate can hold. */
export function insert({ pieces }: Immediate, value: number): number {
  let word = 0;
  for (const { low, to, width } of pieces) word |= ((value >>> to) & ((1 << width) - 1)) << low;
  return word;
}

/** Smallest and greatest value that the immediate can hold. */
export function range({ bits, signed, unit }: Immediate): [least: number, greatest: number] {
  return signed ? [-(2 ** (bits - 1)), 2 ** (bits - 1) - unit] : [0, 2 ** bits - unit];
}
