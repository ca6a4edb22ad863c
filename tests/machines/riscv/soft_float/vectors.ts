/** Operands weighted towards where floating point goes wrong: boundaries, ties, cancellation, NaNs, missing boxes. */
import { F32, F64, type FloatFormat, fused, multiply, negate } from "./oracle.ts";
import type { Operation } from "./operations.ts";

/** A small reproducible source of random numbers (xorshift, 32 bits). */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = (seed * 2654435761) | 1;
  }

  /** Uniform in [0, bound), bound ≤ 2^32. */
  below(bound: number): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x;
    return (x >>> 0) % bound;
  }

  bits(count: number): bigint {
    const all = (BigInt(this.below(2 ** 32)) << 32n) | BigInt(this.below(2 ** 32));
    return BigInt.asUintN(count, all);
  }

  /** One of the alternatives, each as likely. */
  pick<T>(alternatives: readonly [T, ...T[]]): T {
    return alternatives[this.below(alternatives.length)] ?? alternatives[0];
  }
}

/** Random fractions, and those with few ones or few zeros: they make ties, exact results and carries. */
function fraction(random: Random, format: FloatFormat): bigint {
  const width = format.precision - 1;
  const all = (1n << BigInt(width)) - 1n;
  const single = () => 1n << BigInt(random.below(width));
  switch (random.below(8)) {
    case 0:
      return 0n;
    case 1:
      return all;
    case 2:
      return single();
    case 3:
      return single() | single();
    case 4:
      return all ^ single();
    case 5: // ones from the top
      return all ^ (single() - 1n);
    case 6: // ones from the bottom
      return single() - 1n;
    default:
      return random.bits(width);
  }
}

function assemble(random: Random, format: FloatFormat, biasedExponent: number): bigint {
  const largest = 2 * format.maximumExponent;
  const exponent = BigInt(Math.min(Math.max(biasedExponent, 0), largest));
  return box(
    format,
    (random.bits(1) << BigInt(format.width - 1)) | (exponent << BigInt(format.precision - 1)) |
      fraction(random, format),
  );
}

function box(format: FloatFormat, bits: bigint): bigint {
  return format === F32 ? bits | 0xffff_ffff_0000_0000n : bits;
}

function exponentOf(format: FloatFormat, register: bigint): number {
  return Number(BigInt.asUintN(format.width - 1, register) >> BigInt(format.precision - 1));
}

/** Infinities, both kinds of NaN, zeros, the ends of the subnormal and normal ranges. */
function special(random: Random, format: FloatFormat): bigint {
  const fractionBits = BigInt(format.precision - 1);
  const infinity = BigInt(2 * format.maximumExponent + 1) << fractionBits;
  const magnitude = random.pick([
    0n,
    1n,
    (1n << fractionBits) - 1n,
    1n << fractionBits,
    (1n << fractionBits) + 1n,
    infinity - 1n,
    infinity,
    infinity | 1n,
    infinity | (1n << (fractionBits - 1n)),
    infinity | random.bits(format.precision - 1),
    BigInt(format.maximumExponent) << fractionBits, // 1
  ]);
  return box(format, (random.bits(1) << BigInt(format.width - 1)) | magnitude);
}

function number(random: Random, format: FloatFormat): bigint {
  const bias = format.maximumExponent, digits = format.precision;
  switch (random.below(8)) {
    case 0:
      return special(random, format);
    case 1: // subnormal and just above
      return assemble(random, format, random.below(3));
    case 2: // about to overflow
      return assemble(random, format, 2 * bias - random.below(3));
    case 3: // integers and their fractions
      return assemble(random, format, bias + random.below(70) - 3);
    case 4:
    case 5:
      return assemble(random, format, bias + random.below(2 * digits) - digits);
    default:
      return assemble(random, format, random.below(2 * bias + 1));
  }
}

/** A second operand that meets the first: equal but for some units, near in exponent, or at the edge of a product. */
function partner(random: Random, format: FloatFormat, first: bigint): bigint {
  const exponent = exponentOf(format, first), bias = format.maximumExponent, digits = format.precision;
  const wobble = random.below(5) - 2;
  switch (random.below(7)) {
    case 0: {
      const sign = random.bits(1) << BigInt(format.width - 1);
      return box(format, BigInt.asUintN(format.width, first + BigInt(wobble)) ^ sign);
    }
    case 1:
      return assemble(random, format, exponent + wobble);
    case 2: // ties of a sum
      return assemble(random, format, exponent + random.pick([digits, -digits]) + wobble);
    case 3: // the product underflows, or not quite
      return assemble(random, format, bias - exponent + 3 - random.below(digits + 3));
    case 4: // the product is at the edge of the subnormal numbers
      return assemble(random, format, 1 + bias - exponent + wobble);
    case 5: // the product is at the edge of overflow; the quotient too if the first is small
      return assemble(random, format, 3 * bias - exponent + wobble);
    default:
      return number(random, format);
  }
}

/** An addend that cancels the product wholly or nearly, is next to it in size, or is far from it. */
function addend(random: Random, format: FloatFormat, a: bigint, b: bigint): bigint {
  const product = multiply(format, a, b, 0).register;
  const digits = format.precision;
  switch (random.below(6)) {
    case 0:
    case 1: {
      const near = BigInt.asUintN(format.width, negate(format, product) + BigInt(random.below(5) - 2));
      return box(format, near);
    }
    case 2: // what the rounding of the product left over: the exact sum is a tie or cancels deeply
      return negate(format, fused(format, a, b, negate(format, product), 0).register);
    case 3:
      return assemble(random, format, exponentOf(format, product) + random.below(4 * digits) - 2 * digits);
    default:
      return number(random, format);
  }
}

function integer(random: Random): bigint {
  const bits = random.bits(1 + random.below(64));
  const near = (1n << BigInt(random.below(64))) + BigInt(random.below(5) - 2);
  const value = random.pick([bits, -bits, near, -near, near | (near >> BigInt(random.below(64)))]);
  return BigInt.asUintN(64, value);
}

/** A double around the ends of the single-precision range. */
function nearSingle(random: Random): bigint {
  const bias = F64.maximumExponent;
  const exponent = random.pick([F32.maximumExponent, F32.minimumExponent, F32.minimumExponent - random.below(26)]);
  return assemble(random, F64, bias + exponent + random.below(5) - 2);
}

/** Registers for one case of an operation. */
export function operandsFor(random: Random, { name, takes, count }: Operation): bigint[] {
  if (takes === "x") return [integer(random)];
  if (name === "f64_to_f32" && random.below(2) === 0) return [nearSingle(random)];
  const first = number(random, takes);
  const operands = [first];
  if (count > 1) operands.push(partner(random, takes, first));
  const [a = 0n, b = 0n] = operands;
  if (count > 2) operands.push(addend(random, takes, a, b));
  if (count > 1 && random.below(2) === 0) operands.reverse();
  if (takes !== F32) return operands;
  return operands.map((register) => random.below(40) === 0 ? unboxed(random, register) : register);
}

/** A single whose upper half says that it is none, sometimes by one bit. */
function unboxed(random: Random, register: bigint): bigint {
  return random.below(2) === 0
    ? BigInt.asUintN(32, register) | (random.bits(32) << 32n)
    : register ^ (1n << BigInt(32 + random.below(32)));
}
