/**
 * An exact model of RISC-V floating point, by definition rather than by algorithm: numbers are BigInt rationals (or the
 * root of one), every operation is exact, and rounding looks at the two neighbours once. Nothing is shared with the
 * implementation.
 */

export interface FloatFormat {
  readonly name: "f32" | "f64";
  readonly width: number;
  /** Digits of the significand with the leading one. */
  readonly precision: number;
  readonly minimumExponent: number;
  readonly maximumExponent: number;
}

export const F32: FloatFormat = {
  name: "f32",
  width: 32,
  precision: 24,
  minimumExponent: -126,
  maximumExponent: 127,
};
export const F64: FloatFormat = {
  name: "f64",
  width: 64,
  precision: 53,
  minimumExponent: -1022,
  maximumExponent: 1023,
};

export const NV = 16, DZ = 8, OF = 4, UF = 2, NX = 1;
const RNE = 0, RTZ = 1, RDN = 2, RUP = 3;

export interface Outcome {
  /** The whole register, unsigned. */
  readonly register: bigint;
  readonly flags: number;
}

type Value =
  | { readonly kind: "nan"; readonly signalling: boolean }
  | { readonly kind: "infinite"; readonly negative: boolean }
  /** ±numerator/denominator; zero has a sign. */
  | { readonly kind: "finite"; readonly negative: boolean; readonly numerator: bigint; readonly denominator: bigint };

const BOX = 0xffff_ffff_0000_0000n;

export function isBoxed(register: bigint): boolean {
  return register >= BOX;
}

export function canonicalNan(format: FloatFormat): bigint {
  return format === F32 ? 0xffff_ffff_7fc0_0000n : 0x7ff8_0000_0000_0000n;
}

/** The meaning of a register. */
export function decode(format: FloatFormat, register: bigint): Value {
  if (format === F32 && !isBoxed(register)) return { kind: "nan", signalling: false };
  const bits = BigInt.asUintN(format.width, register);
  const fractionBits = BigInt(format.precision - 1);
  const negative = bits >> BigInt(format.width - 1) === 1n;
  const fraction = bits & ((1n << fractionBits) - 1n);
  const exponentMask = BigInt(2 * format.maximumExponent + 1);
  const exponent = (bits >> fractionBits) & exponentMask;
  if (exponent === exponentMask) {
    if (fraction === 0n) return { kind: "infinite", negative };
    return { kind: "nan", signalling: fraction >> (fractionBits - 1n) === 0n };
  }
  const integer = exponent === 0n ? fraction : fraction + (1n << fractionBits);
  const scale = Math.max(Number(exponent), 1) - format.maximumExponent - format.precision + 1;
  return {
    kind: "finite",
    negative,
    numerator: scale > 0 ? integer << BigInt(scale) : integer,
    denominator: scale < 0 ? 1n << BigInt(-scale) : 1n,
  };
}

function encode(format: FloatFormat, negative: boolean, magnitude: bigint): bigint {
  const bits = (negative ? 1n << BigInt(format.width - 1) : 0n) | magnitude;
  return format === F32 ? bits | BOX : bits;
}

function infinity(format: FloatFormat, negative: boolean): bigint {
  return encode(format, negative, BigInt(2 * format.maximumExponent + 1) << BigInt(format.precision - 1));
}

/** A positive exact quantity, seen on a grid of spacing 2^-scale. */
interface Exact {
  /** The exponent of its leading one. */
  readonly exponent: number;
  /** How many grid steps it is, rounded down, and what is left in steps: none, below a half, a half, above a half. */
  onGrid(scale: number): { steps: bigint; left: "none" | "below" | "half" | "above" };
}

function rational(numerator: bigint, denominator: bigint): Exact {
  let exponent = bitLength(numerator) - bitLength(denominator);
  const isBelow = exponent > 0
    ? numerator < denominator << BigInt(exponent)
    : numerator << BigInt(-exponent) < denominator;
  if (isBelow) exponent--;
  return {
    exponent,
    onGrid(scale) {
      const n = scale > 0 ? numerator << BigInt(scale) : numerator;
      const d = scale < 0 ? denominator << BigInt(-scale) : denominator;
      const steps = n / d, twice = 2n * (n % d);
      return { steps, left: twice === 0n ? "none" : twice < d ? "below" : twice === d ? "half" : "above" };
    },
  };
}

function rootOf(numerator: bigint, denominator: bigint): Exact {
  const squared = rational(numerator, denominator);
  return {
    exponent: Math.floor(squared.exponent / 2),
    onGrid(scale) {
      // root(x) × 2^scale = root(x × 4^scale) = root(n / d), and its floor is floor(root(floor(n / d))).
      const n = scale > 0 ? numerator << BigInt(2 * scale) : numerator;
      const d = scale < 0 ? denominator << BigInt(-2 * scale) : denominator;
      const steps = integerRoot(n / d);
      if (steps * steps * d === n) return { steps, left: "none" };
      const middle = (2n * steps + 1n) ** 2n * d;
      return { steps, left: 4n * n < middle ? "below" : 4n * n === middle ? "half" : "above" };
    },
  };
}

function integerRoot(x: bigint): bigint {
  if (x < 2n) return x;
  let root = 1n << BigInt((bitLength(x) + 1) >> 1);
  for (;;) {
    const next = (root + x / root) >> 1n;
    if (next >= root) return root;
    root = next;
  }
}

export function bitLength(x: bigint): number {
  if (x === 0n) return 0;
  const hex = x.toString(16);
  return (hex.length - 1) * 4 + (32 - Math.clz32(parseInt(hex.charAt(0), 16)));
}

/** The chosen one of the two neighbours on the grid. */
function roundOnGrid(exact: Exact, scale: number, negative: boolean, rm: number): { steps: bigint; inexact: boolean } {
  const { steps, left } = exact.onGrid(scale);
  if (left === "none") return { steps, inexact: false };
  let up: boolean;
  if (rm === RTZ) up = false;
  else if (rm === RDN) up = negative;
  else if (rm === RUP) up = !negative;
  else if (left === "half") up = rm === RNE ? steps % 2n === 1n : true;
  else up = left === "above";
  return { steps: up ? steps + 1n : steps, inexact: true };
}

function roundExact(format: FloatFormat, negative: boolean, exact: Exact, rm: number): Outcome {
  const digits = format.precision - 1;
  // First as if exponents had no bounds: that decides about overflow and tininess.
  const unbounded = roundOnGrid(exact, digits - exact.exponent, negative, rm);
  const carried = unbounded.steps >> BigInt(format.precision) === 1n;
  const exponent = carried ? exact.exponent + 1 : exact.exponent;
  if (exponent > format.maximumExponent) {
    const toInfinity = rm === RTZ ? false : rm === RDN ? negative : rm === RUP ? !negative : true;
    const limit = BigInt.asUintN(format.width, infinity(format, false));
    return { register: encode(format, negative, toInfinity ? limit : limit - 1n), flags: OF | NX };
  }
  const tiny = exponent < format.minimumExponent;
  const gridExponent = Math.max(exact.exponent, format.minimumExponent);
  const { steps, inexact } = roundOnGrid(exact, digits - gridExponent, negative, rm);
  // Encodings count the numbers of a format upwards from zero: a carry into the exponent needs no care.
  const magnitude = (BigInt(gridExponent - format.minimumExponent) << BigInt(digits)) + steps;
  return { register: encode(format, negative, magnitude), flags: inexact ? (tiny ? UF | NX : NX) : 0 };
}

/** Rounds the signed rational n/d. An exact zero has the sign that is given. */
function round(format: FloatFormat, n: bigint, d: bigint, rm: number, zeroIsNegative: boolean): Outcome {
  if (n === 0n) return { register: encode(format, zeroIsNegative, 0n), flags: 0 };
  return roundExact(format, n < 0n, rational(n < 0n ? -n : n, d), rm);
}

const nan = (format: FloatFormat, flags: number): Outcome => ({ register: canonicalNan(format), flags });
const quiet = (format: FloatFormat, values: Value[]): Outcome => nan(format, values.some(isSignalling) ? NV : 0);
const isSignalling = (value: Value) => value.kind === "nan" && value.signalling;
type Finite = Extract<Value, { kind: "finite" }>;
const signed = (x: Finite) => x.negative ? -x.numerator : x.numerator;
const isZero = (x: Value) => x.kind === "finite" && x.numerator === 0n;

export function add(format: FloatFormat, a: bigint, b: bigint, rm: number): Outcome {
  return addValues(format, decode(format, a), decode(format, b), rm);
}

export function negate(format: FloatFormat, register: bigint): bigint {
  return register ^ (1n << BigInt(format.width - 1));
}

function addValues(format: FloatFormat, x: Value, y: Value, rm: number): Outcome {
  if (x.kind === "nan" || y.kind === "nan") return quiet(format, [x, y]);
  if (x.kind === "infinite" || y.kind === "infinite") {
    if (x.kind === y.kind && x.negative !== y.negative) return nan(format, NV);
    return { register: infinity(format, x.kind === "infinite" ? x.negative : y.negative), flags: 0 };
  }
  const n = signed(x) * y.denominator + signed(y) * x.denominator;
  const zeroIsNegative = x.negative === y.negative ? x.negative : rm === RDN;
  return round(format, n, x.denominator * y.denominator, rm, zeroIsNegative);
}

export function multiply(format: FloatFormat, a: bigint, b: bigint, rm: number): Outcome {
  const x = decode(format, a), y = decode(format, b);
  if (x.kind === "nan" || y.kind === "nan") return quiet(format, [x, y]);
  const negative = x.negative !== y.negative;
  if (x.kind === "infinite" || y.kind === "infinite") {
    if (isZero(x) || isZero(y)) return nan(format, NV);
    return { register: infinity(format, negative), flags: 0 };
  }
  return round(format, signed(x) * signed(y), x.denominator * y.denominator, rm, negative);
}

export function divide(format: FloatFormat, a: bigint, b: bigint, rm: number): Outcome {
  const x = decode(format, a), y = decode(format, b);
  if (x.kind === "nan" || y.kind === "nan") return quiet(format, [x, y]);
  const negative = x.negative !== y.negative;
  if (x.kind === "infinite") {
    return y.kind === "infinite" ? nan(format, NV) : { register: infinity(format, negative), flags: 0 };
  }
  if (y.kind === "infinite") return { register: encode(format, negative, 0n), flags: 0 };
  if (y.numerator === 0n) {
    return x.numerator === 0n ? nan(format, NV) : { register: infinity(format, negative), flags: DZ };
  }
  const n = x.numerator * y.denominator;
  return round(format, negative ? -n : n, x.denominator * y.numerator, rm, negative);
}

export function squareRoot(format: FloatFormat, a: bigint, rm: number): Outcome {
  const x = decode(format, a);
  if (x.kind === "nan") return quiet(format, [x]);
  if (isZero(x)) return { register: a, flags: 0 };
  if (x.negative) return nan(format, NV);
  if (x.kind === "infinite") return { register: a, flags: 0 };
  return roundExact(format, false, rootOf(x.numerator, x.denominator), rm);
}

export function fused(format: FloatFormat, a: bigint, b: bigint, c: bigint, rm: number): Outcome {
  const x = decode(format, a), y = decode(format, b), z = decode(format, c);
  if ((x.kind === "infinite" && isZero(y)) || (isZero(x) && y.kind === "infinite")) return nan(format, NV);
  if (x.kind === "nan" || y.kind === "nan" || z.kind === "nan") return quiet(format, [x, y, z]);
  const negative = x.negative !== y.negative;
  const product: Value = x.kind === "infinite" || y.kind === "infinite" ? { kind: "infinite", negative } : {
    kind: "finite",
    negative,
    numerator: x.numerator * y.numerator,
    denominator: x.denominator * y.denominator,
  };
  return addValues(format, product, z, rm);
}

/** −1, 0 or 1; −0 equals +0. */
function order(x: Value, y: Value): number {
  if (x.kind === "nan" || y.kind === "nan") throw new Error("NaN has no order");
  if (x.kind === "infinite" || y.kind === "infinite") {
    const rank = (v: Value) => v.kind === "infinite" ? (v.negative ? -1 : 1) : 0;
    return rank(x) - rank(y);
  }
  const left = signed(x) * y.denominator, right = signed(y) * x.denominator;
  return left < right ? -1 : left > right ? 1 : 0;
}

export function compare(format: FloatFormat, relation: "eq" | "lt" | "le", a: bigint, b: bigint): Outcome {
  const x = decode(format, a), y = decode(format, b);
  if (x.kind === "nan" || y.kind === "nan") {
    return { register: 0n, flags: relation !== "eq" || isSignalling(x) || isSignalling(y) ? NV : 0 };
  }
  const o = order(x, y);
  const holds = relation === "eq" ? o === 0 : relation === "lt" ? o < 0 : o <= 0;
  return { register: holds ? 1n : 0n, flags: 0 };
}

export function minimum(format: FloatFormat, which: "min" | "max", a: bigint, b: bigint): Outcome {
  const x = decode(format, a), y = decode(format, b);
  const flags = isSignalling(x) || isSignalling(y) ? NV : 0;
  if (x.kind === "nan") return { register: y.kind === "nan" ? canonicalNan(format) : b, flags };
  if (y.kind === "nan") return { register: a, flags };
  const o = order(x, y) || (x.negative === y.negative ? 0 : x.negative ? -1 : 1);
  return { register: (which === "min" ? o <= 0 : o >= 0) ? a : b, flags };
}

export function classify(format: FloatFormat, a: bigint): Outcome {
  const x = decode(format, a);
  if (x.kind === "nan") return { register: x.signalling ? 1n << 8n : 1n << 9n, flags: 0 };
  let place: number;
  if (x.kind === "infinite") place = 7;
  else if (x.numerator === 0n) place = 4;
  else place = rational(x.numerator, x.denominator).exponent < format.minimumExponent ? 5 : 6;
  return { register: 1n << BigInt(x.negative ? 7 - place : place), flags: 0 };
}

export function toInteger(format: FloatFormat, width: 32 | 64, isSigned: boolean, a: bigint, rm: number): Outcome {
  const x = decode(format, a);
  const largest = (1n << BigInt(isSigned ? width - 1 : width)) - 1n;
  const smallest = isSigned ? -largest - 1n : 0n;
  const register = (value: bigint) => BigInt.asUintN(64, BigInt.asIntN(width, value));
  if (x.kind === "nan") return { register: register(largest), flags: NV };
  if (x.kind === "infinite") return { register: register(x.negative ? smallest : largest), flags: NV };
  if (x.numerator === 0n) return { register: 0n, flags: 0 };
  const { steps, inexact } = roundOnGrid(rational(x.numerator, x.denominator), 0, x.negative, rm);
  const value = x.negative ? -steps : steps;
  if (value > largest) return { register: register(largest), flags: NV };
  if (value < smallest) return { register: register(smallest), flags: NV };
  return { register: register(value), flags: inexact ? NX : 0 };
}

export function fromInteger(format: FloatFormat, width: 32 | 64, isSigned: boolean, a: bigint, rm: number): Outcome {
  return round(format, isSigned ? BigInt.asIntN(width, a) : BigInt.asUintN(width, a), 1n, rm, false);
}

export function between(from: FloatFormat, to: FloatFormat, a: bigint, rm: number): Outcome {
  const x = decode(from, a);
  if (x.kind === "nan") return quiet(to, [x]);
  if (x.kind === "infinite") return { register: infinity(to, x.negative), flags: 0 };
  return round(to, signed(x), x.denominator, rm, x.negative);
}
