/** 128-bit integers in pairs of locals: the exact products and sums of double-precision arithmetic. */
import { type Expr, i32, i64, type Local, select } from "../../wasm/expression.ts";
import { set, type Statement, type Statements, when } from "../../wasm/statement.ts";
import type { FunctionBuilder } from "../../wasm/module.ts";
import { asBit } from "./round.ts";

export interface Wide {
  readonly high: Local;
  readonly low: Local;
}

export function wide(f: FunctionBuilder): Wide {
  return { high: f.local("i64"), low: f.local("i64") };
}

export const lowHalf = (x: Expr): Expr => i64.and(x, i64.const(0xffff_ffff));
export const highHalf = (x: Expr): Expr => i64.shr_u(x, i64.const(32));

/** to ← a × b, unsigned, from four products of halves. */
export function multiplyWide(f: FunctionBuilder, to: Wide, a: Expr, b: Expr): Statements {
  const a0 = f.local("i64"), a1 = f.local("i64"), b0 = f.local("i64"), b1 = f.local("i64"), middle = f.local("i64");
  return [
    set(a0, lowHalf(a)),
    set(a1, highHalf(a)),
    set(b0, lowHalf(b)),
    set(b1, highHalf(b)),
    set(to.low, i64.mul(a, b)),
    set(middle, i64.add(i64.mul(a1, b0), highHalf(i64.mul(a0, b0)))),
    set(to.high, i64.add(i64.mul(a1, b1), highHalf(middle))),
    set(middle, i64.add(lowHalf(middle), i64.mul(a0, b1))),
    set(to.high, i64.add(to.high, highHalf(middle))),
  ];
}

/** x >> distance, an i32 ≥ 0, where every lost one sets the lowest bit. x is below 2^127. */
export function shiftWideRightSticky(f: FunctionBuilder, x: Wide, distance: Expr): Statements {
  const by = f.local("i64"), lost = f.local("i64");
  const below = (bits: Expr) => i64.sub(i64.shl(i64.const(1), bits), i64.const(1));
  return [
    set(by, i64.extend_i32_u(select(i32.gt_s(distance, i32.const(127)), i32.const(127), distance))),
    when(i64.ge_u(by, i64.const(64)), [
      set(lost, i64.or(x.low, i64.and(x.high, below(by)))),
      set(x.low, i64.shr_u(x.high, by)), // shift amounts are modulo 64
      set(x.high, i64.const(0)),
    ], [
      set(lost, i64.and(x.low, below(by))),
      set(x.low, i64.shr_u(x.low, by)),
      // In two steps, since a shift by 64 would be one by 0.
      set(x.low, i64.or(x.low, i64.shl(i64.shl(x.high, i64.const(1)), i64.xor(by, i64.const(63))))),
      set(x.high, i64.shr_u(x.high, by)),
    ]),
    set(x.low, i64.or(x.low, asBit(i64.ne(lost, i64.const(0))))),
  ];
}

/** x ← x + y. */
export function addWide(x: Wide, y: Wide): Statements {
  return [
    set(x.low, i64.add(x.low, y.low)),
    set(x.high, i64.add(i64.add(x.high, y.high), asBit(i64.lt_u(x.low, y.low)))),
  ];
}

/** x ← x − y, where x ≥ y. */
export function subtractWide(x: Wide, y: Wide): Statements {
  return [
    set(x.high, i64.sub(i64.sub(x.high, y.high), asBit(i64.lt_u(x.low, y.low)))),
    set(x.low, i64.sub(x.low, y.low)),
  ];
}

export function isWideLess(x: Wide, y: Wide): Expr {
  return i32.or(
    i64.lt_u(x.high, y.high),
    i32.and(i64.eq(x.high, y.high), i64.lt_u(x.low, y.low)),
  );
}

export function isWideZero(x: Wide): Expr {
  return i64.eqz(i64.or(x.high, x.low));
}

/**
 * Moves the leading one to bit 63 of `high` and folds what `low` then holds into the sticky bit. `exponent`, that of
 * bit 0 of the pair before, becomes that of bit 0 of `high`. x is not zero.
 */
export function normalizeWide(f: FunctionBuilder, x: Wide, exponent: Local): Statement[] {
  const zeros = f.local("i64");
  return [
    set(exponent, i32.add(exponent, i32.const(64))),
    when(i64.eqz(x.high), [
      set(x.high, x.low),
      set(x.low, i64.const(0)),
      set(exponent, i32.sub(exponent, i32.const(64))),
    ]),
    set(zeros, i64.clz(x.high)),
    set(x.high, i64.shl(x.high, zeros)),
    set(x.high, i64.or(x.high, i64.shr_u(i64.shr_u(x.low, i64.const(1)), i64.xor(zeros, i64.const(63))))),
    set(x.low, i64.shl(x.low, zeros)),
    set(x.high, i64.or(x.high, asBit(i64.ne(x.low, i64.const(0))))),
    set(exponent, i32.sub(exponent, i32.wrap_i64(zeros))),
  ];
}
