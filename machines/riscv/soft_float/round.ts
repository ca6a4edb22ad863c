/** Rounding, once and last: from an exact value, or one with a sticky bit, to an encoding and its flags. */
import { type Expr, i32, i64, type Local, select } from "../../wasm/expression.ts";
import { giveBack, set, type Statement, when } from "../../wasm/statement.ts";
import type { FunctionBuilder } from "../../wasm/module.ts";
import type { Format } from "./format.ts";
import { type FloatLibrary, NX, OF, RDN, RMM, RNE, RUP, UF } from "./library.ts";

/**
 * x >> distance where every lost one sets the lowest bit, so that rounding still sees that there was more.
 * The distance is an unsigned i64; x is below 2^63.
 */
export function shiftRightSticky(f: FunctionBuilder, x: Local, distance: Expr): Statement[] {
  const by = f.local("i64");
  const lost = i64.and(x, i64.sub(i64.shl(i64.const(1), by), i64.const(1)));
  return [
    set(by, distance),
    when(i64.gt_u(by, i64.const(63)), [set(by, i64.const(63))]),
    set(x, i64.or(i64.shr_u(x, by), asBit(i64.ne(lost, i64.const(0))))),
  ];
}

export function asBit(condition: Expr): Expr {
  return i64.extend_i32_u(condition);
}

/**
 * `f64_round(sign, exponent, significand, rm)`: the register for ±significand × 2^exponent, significand unsigned and
 * not zero, bit 0 sticky. Raises OF, UF and NX; tininess is detected after rounding (chapter "F", "Underflow").
 */
export function defineRound(library: FloatLibrary, format: Format): void {
  library.defineExact(`${format.name}_round`, ["i64", "i32", "i64", "i32"], (f) => {
    const [sign, exponent, significand, rm] = f.params as [Local, Local, Local, Local];
    const zeros = f.local("i64"), increment = f.local("i64"), kept = f.local("i64"), tiny = f.local("i32");
    const dropped = 63 - format.fractionBits;
    const mask = i64.const((1n << BigInt(dropped)) - 1n), half = i64.const(1n << BigInt(dropped - 1));
    const rest = () => i64.and(significand, mask);
    const roundedUp = () =>
      i64.add(
        i64.shr_u(significand, i64.const(dropped)),
        i64.shr_u(i64.add(rest(), increment), i64.const(dropped)),
      );
    const isNearest = i32.or(i32.eq(rm, i32.const(RNE)), i32.eq(rm, i32.const(RMM)));
    const isAway = i32.eq(rm, select(i64.eqz(sign), i32.const(RUP), i32.const(RDN)));
    const signed = (magnitude: Expr) => format.boxed(i64.or(magnitude, format.placedSign(sign)));

    const overflow: Statement[] = [
      library.raise(OF | NX),
      giveBack(signed(select(i64.eqz(increment), format.largest, format.infinity))),
    ];
    const belowNormal: Statement[] = [
      // Just below the smallest normal number, rounding with an unbounded exponent may reach it: then it is not tiny.
      set(
        tiny,
        i32.or(i32.lt_s(exponent, i32.const(0)), i64.eqz(i64.shr_u(roundedUp(), i64.const(format.fractionBits + 1)))),
      ),
      set(kept, i64.extend_i32_s(i32.sub(i32.const(1), exponent))),
      // The significand uses all 64 bits: halve it first.
      set(significand, i64.or(i64.shr_u(significand, i64.const(1)), i64.and(significand, i64.const(1)))),
      ...shiftRightSticky(f, significand, i64.sub(kept, i64.const(1))),
      set(exponent, i32.const(1)),
    ];
    return [
      set(zeros, i64.clz(significand)),
      set(significand, i64.shl(significand, zeros)),
      // The biased exponent of the leading one.
      set(exponent, i32.add(i32.sub(exponent, i32.wrap_i64(zeros)), i32.const(63 + format.bias))),
      set(increment, select(isNearest, half, select(isAway, mask, i64.const(0)))),
      when(i32.ge_s(exponent, i32.const(format.maximumExponent)), overflow),
      when(i32.le_s(exponent, i32.const(0)), belowNormal),
      set(kept, roundedUp()),
      // A tie goes to the even neighbour.
      when(i32.and(i32.eqz(rm), i64.eq(rest(), half)), [set(kept, i64.and(kept, i64.const(-2)))]),
      // The leading one adds to the exponent field; so does a carry out of the significand.
      set(
        kept,
        i64.add(kept, i64.shl(i64.extend_i32_u(i32.sub(exponent, i32.const(1))), i64.const(format.fractionBits))),
      ),
      when(i64.ge_u(kept, format.infinity), overflow),
      when(i64.ne(rest(), i64.const(0)), [
        library.raise(NX),
        when(tiny, [library.raise(UF)]),
      ]),
      giveBack(signed(kept)),
    ];
  });
}
