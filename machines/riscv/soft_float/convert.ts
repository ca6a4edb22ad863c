/** Conversions between the two formats, and between them and integers of 32 and 64 bits. */
import { type Expr, f64, i32, i64, type Local, select } from "../../wasm/expression.ts";
import { giveBack, set, when } from "../../wasm/statement.ts";
import { DOUBLE, type Format, SINGLE } from "./format.ts";
import { type FloatLibrary, NV, NX, RDN, RMM, RNE, RUP } from "./library.ts";
import { asBit } from "./round.ts";

export interface IntegerType {
  readonly name: "i32" | "u32" | "i64" | "u64";
  readonly width: 32 | 64;
  readonly signed: boolean;
}

export const INTEGER_TYPES: readonly IntegerType[] = [
  { name: "i32", width: 32, signed: true },
  { name: "u32", width: 32, signed: false },
  { name: "i64", width: 64, signed: true },
  { name: "u64", width: 64, signed: false },
];

/** Whether every integer of the type is a number of the format. */
export function isAlwaysExact(type: IntegerType, format: Format): boolean {
  return type.width <= format.fractionBits;
}

/** An x register holds every 32-bit value sign-extended, also the unsigned ones. */
export function asRegister(type: IntegerType, value: Expr): Expr {
  return type.width === 32 ? i64.extend32_s(value) : value;
}

/**
 * `f64_to_i32(a, rm)` …: out of range gives the nearest limit and NV alone; NaN gives the largest (chapter "F",
 * "Domains of float-to-integer conversions and behavior for invalid inputs").
 */
export function defineToInteger(library: FloatLibrary, format: Format, type: IntegerType): void {
  library.defineExact(`${format.name}_to_${type.name}`, ["i64", "i32"], (f) => {
    const { bits, code } = library.operands(f, format, 1);
    const [a] = bits as [Local];
    const rm = f.params[1] as Local;
    const { significand, exponent, code: unpack } = format.unpack(f, a);
    const whole = f.local("i64"), fraction = f.local("i64"), limit = f.local("i64");
    const isNegative = i64.ne(format.sign(a), i64.const(0));
    const largest = (1n << BigInt(type.signed ? type.width - 1 : type.width)) - 1n;
    const limits = {
      positive: i64.const(BigInt.asIntN(64, largest)),
      negative: i64.const(type.signed ? BigInt.asIntN(64, largest + 1n) : 0n),
    };
    const saturated = asRegister(
      type,
      select(i32.and(isNegative, i32.eqz(format.isNan(a))), limits.negative, limits.positive),
    );
    const half = i64.const(-0x8000_0000_0000_0000n);
    const isInexact = i64.ne(fraction, i64.const(0));
    const isAway = i32.eq(rm, select(isNegative, i32.const(RDN), i32.const(RUP)));
    const isAboveHalf = i64.gt_u(fraction, half), isTie = i64.eq(fraction, half);
    const isOdd = i32.wrap_i64(i64.and(whole, i64.const(1)));
    const roundsUp = i32.or(
      i32.and(isAway, isInexact),
      i32.or(
        i32.and(i32.eq(rm, i32.const(RNE)), i32.or(isAboveHalf, i32.and(isTie, isOdd))),
        i32.and(i32.eq(rm, i32.const(RMM)), i32.or(isAboveHalf, isTie)),
      ),
    );
    return [
      ...code,
      when(format.isZero(a), [giveBack(i64.const(0))]),
      ...unpack,
      // From here the exponent is that of the leading one.
      set(exponent, i32.add(exponent, i32.const(63))),
      when(i32.ge_s(exponent, i32.const(64)), [library.raise(NV), giveBack(saturated)]),
      when(i32.ge_s(exponent, i32.const(0)), [
        set(whole, i64.shr_u(significand, i64.extend_i32_u(i32.sub(i32.const(63), exponent)))),
        // In two steps, since a shift by 64 would be one by 0.
        set(fraction, i64.shl(i64.shl(significand, i64.const(1)), i64.extend_i32_u(exponent))),
      ], [
        set(whole, i64.const(0)),
        // Below one half only whether there is a fraction matters.
        set(fraction, select(i32.eq(exponent, i32.const(-1)), significand, i64.const(1))),
      ]),
      // No carry out: a number with a fraction is far below 2^64.
      set(whole, i64.add(whole, asBit(roundsUp))),
      set(limit, select(isNegative, limits.negative, limits.positive)),
      when(i64.gt_u(whole, limit), [library.raise(NV), giveBack(saturated)]),
      when(isInexact, [library.raise(NX)]),
      giveBack(asRegister(type, select(isNegative, i64.sub(i64.const(0), whole), whole))),
    ];
  });
}

/** `i32_to_f64(x, rm)` …: of a 32-bit type only the lower half of the register counts. */
export function defineFromInteger(library: FloatLibrary, type: IntegerType, format: Format): void {
  library.defineExact(`${type.name}_to_${format.name}`, ["i64", "i32"], (f) => {
    const [x, rm] = f.params as [Local, Local];
    const value = f.local("i64"), sign = f.local("i64");
    const narrow = type.signed ? i64.extend32_s(x) : i64.and(x, i64.const(0xffff_ffff));
    return [
      set(value, type.width === 32 ? narrow : x),
      when(i64.eqz(value), [giveBack(format.boxed(i64.const(0)))]),
      ...type.signed
        ? [
          set(sign, i64.shr_u(value, i64.const(63))),
          when(i64.lt_s(value, i64.const(0)), [set(value, i64.sub(i64.const(0), value))]),
        ]
        : [],
      giveBack(library.exact(`${format.name}_round`, sign, i32.const(0), value, rm)),
    ];
  });
}

/** `f64_to_f32(a, rm)`. */
export function defineNarrow(library: FloatLibrary): void {
  const from = DOUBLE, to = SINGLE;
  library.defineExact("f64_to_f32", ["i64", "i32"], (f) => {
    const [a, rm] = f.params as [Local, Local];
    const { significand, exponent, code } = from.unpack(f, a);
    const signed = (magnitude: Expr) => to.boxed(i64.or(to.placedSign(from.sign(a)), magnitude));
    return [
      when(from.isNan(a), [
        when(from.isSignalling(a), [library.raise(NV)]),
        giveBack(to.canonicalNan),
      ]),
      when(from.isInfinite(a), [giveBack(signed(to.infinity))]),
      when(from.isZero(a), [giveBack(signed(i64.const(0)))]),
      ...code,
      giveBack(library.exact("f32_round", from.sign(a), exponent, significand, rm)),
    ];
  });
}

/** `f32_to_f64(a, rm)`: every single is a double, so there is nothing to round. */
export function defineWiden(library: FloatLibrary): void {
  library.define("f32_to_f64", ["i64", "i32"], (f) => {
    const { bits, code } = library.operands(f, SINGLE, 1);
    const [a] = bits as [Local];
    return [
      ...code,
      when(SINGLE.isNan(a), [
        when(SINGLE.isSignalling(a), [library.raise(NV)]),
        giveBack(DOUBLE.canonicalNan),
      ]),
      giveBack(DOUBLE.nativeBits(f64.promote_f32(SINGLE.native(a)))),
    ];
  });
}
