/** Division and square root with all rounding modes, in integers. */
import { type Expr, i32, i64, type Local } from "../../wasm/expression.ts";
import { branchIf, giveBack, label, loop, set, type Statements, when } from "../../wasm/statement.ts";
import type { FunctionBuilder } from "../../wasm/module.ts";
import type { Format } from "./format.ts";
import { DZ, type FloatLibrary } from "./library.ts";
import { asBit } from "./round.ts";
import { highHalf, lowHalf } from "./wide.ts";

/** `f64_div(a, b, rm)`. */
export function defineDivide(library: FloatLibrary, format: Format): void {
  library.defineExact(`${format.name}_div`, ["i64", "i64", "i32"], (f) => {
    const { bits, code } = library.operands(f, format, 2);
    const [a, b] = bits as [Local, Local];
    const rm = f.params[2] as Local;
    const sign = f.local("i64"), quotient = f.local("i64"), dividend = f.local("i64");
    const x = format.unpack(f, a), y = format.unpack(f, b);
    const signed = (magnitude: Expr) => format.boxed(i64.or(format.placedSign(sign), magnitude));
    return [
      ...code,
      set(sign, i64.xor(format.sign(a), format.sign(b))),
      when(i32.or(format.isInfiniteOrNan(a), format.isInfiniteOrNan(b)), [
        library.giveNan(format, a, b),
        when(i32.and(format.isInfinite(a), format.isInfinite(b)), library.invalid(format)),
        when(format.isInfinite(b), [giveBack(signed(i64.const(0)))]),
        giveBack(signed(format.infinity)),
      ]),
      when(format.isZero(b), [
        when(format.isZero(a), library.invalid(format)),
        library.raise(DZ),
        giveBack(signed(format.infinity)),
      ]),
      when(format.isZero(a), [giveBack(signed(i64.const(0)))]),
      ...x.code,
      ...y.code,
      // Below the divisor, so that the quotient of dividend × 2^64 fits 64 bits.
      set(dividend, i64.shr_u(x.significand, i64.const(1))),
      ...divideWide(f, quotient, dividend, y.significand),
      // The remainder is dividend × 2^64 − quotient × divisor, which is below 2^64.
      set(quotient, i64.or(quotient, asBit(i64.ne(i64.mul(quotient, y.significand), i64.const(0))))),
      giveBack(library.exact(
        `${format.name}_round`,
        sign,
        i32.sub(i32.sub(x.exponent, y.exponent), i32.const(63)),
        quotient,
        rm,
      )),
    ];
  });
}

/**
 * quotient ← dividend × 2^64 / divisor, rounded down: schoolbook division with two digits of 32 bits (Knuth, volume 2,
 * 4.3.1, algorithm D). The divisor's bit 63 is set and the dividend is below it.
 */
function divideWide(f: FunctionBuilder, quotient: Local, dividend: Local, divisor: Local): Statements {
  const digit = f.local("i64"), rest = f.local("i64");
  const RADIX = i64.const(0x1_0000_0000);
  const tooLarge = i32.or(
    i64.ge_u(digit, RADIX),
    i64.gt_u(i64.mul(digit, lowHalf(divisor)), i64.shl(rest, i64.const(32))),
  );
  const correct: Statements = [
    set(digit, i64.sub(digit, i64.const(1))),
    set(rest, i64.add(rest, highHalf(divisor))),
  ];
  /** The digit of dividend × 2^32 / divisor; the estimate from the upper half of the divisor is at most 2 too large. */
  const nextDigit: Statements = [
    set(digit, i64.div_u(dividend, highHalf(divisor))),
    set(rest, i64.sub(dividend, i64.mul(digit, highHalf(divisor)))),
    when(tooLarge, [
      ...correct,
      when(i32.and(i64.lt_u(rest, RADIX), tooLarge), correct),
    ]),
  ];
  return [
    ...nextDigit,
    set(quotient, i64.shl(digit, i64.const(32))),
    set(dividend, i64.sub(i64.shl(dividend, i64.const(32)), i64.mul(digit, divisor))),
    ...nextDigit,
    set(quotient, i64.or(quotient, digit)),
  ];
}

/** `f64_sqrt(a, rm)`. */
export function defineSquareRoot(library: FloatLibrary, format: Format): void {
  library.defineExact(`${format.name}_sqrt`, ["i64", "i32"], (f) => {
    const { bits, code } = library.operands(f, format, 1);
    const [a] = bits as [Local];
    const rm = f.params[1] as Local;
    const { significand, exponent, code: unpack } = format.unpack(f, a);
    const root = f.local("i64"), rest = f.local("i64"), trial = f.local("i64"), steps = f.local("i32");
    // All bits of the result, one to round by, and one more since the first may be zero; the rest is in the sticky bit.
    const digits = format.fractionBits + 3;
    const again = label("again");
    return [
      ...code,
      library.giveNan(format, a),
      when(format.isZero(a), [giveBack(format.boxed(a))]),
      when(i64.ne(format.sign(a), i64.const(0)), library.invalid(format)),
      when(format.isInfinite(a), [giveBack(format.boxed(a))]),
      ...unpack,
      // The root of the exponent is its half: make it even.
      when(i32.and(exponent, i32.const(1)), [
        set(significand, i64.shr_u(significand, i64.const(1))),
        set(exponent, i32.add(exponent, i32.const(1))),
      ]),
      set(steps, i32.const(digits)),
      // Digit by digit: each step brings down two bits of the radicand and finds one of the root.
      loop(again, [
        set(rest, i64.or(i64.shl(rest, i64.const(2)), i64.shr_u(significand, i64.const(62)))),
        set(significand, i64.shl(significand, i64.const(2))),
        set(trial, i64.or(i64.shl(root, i64.const(2)), i64.const(1))),
        set(root, i64.shl(root, i64.const(1))),
        when(i64.ge_u(rest, trial), [
          set(rest, i64.sub(rest, trial)),
          set(root, i64.or(root, i64.const(1))),
        ]),
        set(steps, i32.sub(steps, i32.const(1))),
        branchIf(again, steps),
      ]),
      giveBack(library.exact(
        `${format.name}_round`,
        i64.const(0),
        i32.sub(i32.shr_s(exponent, i32.const(1)), i32.const(digits + 1 - 32)),
        i64.or(i64.shl(root, i64.const(1)), asBit(i64.ne(rest, i64.const(0)))),
        rm,
      )),
    ];
  });
}
