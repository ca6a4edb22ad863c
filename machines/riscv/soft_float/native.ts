/**
 * The fast path of arithmetic. Rounding to nearest, WebAssembly's own operators give the right result wherever it is a
 * normal number; only the inexact flag is not theirs to give. It is sticky, and in a running program nearly always set
 * already: then nothing is left to do, nor if the result can be shown to be exact. All else goes to the exact functions.
 *
 * The same records serve a translator that inlines the path: `value` over native operands, then `isRight`.
 */
import { choose, type Expr, f32, f64, i32, i64, type Local } from "../../wasm/expression.ts";
import { giveBack, set, when } from "../../wasm/statement.ts";
import { type Global, readGlobal } from "../../wasm/module.ts";
import { multiplyAdd } from "./fused_probe.ts";
import { DOUBLE, type Format, SINGLE } from "./format.ts";
import { type FloatLibrary, NX, RNE } from "./library.ts";

export interface NativeOperation {
  readonly name: "add" | "sub" | "mul" | "div" | "sqrt" | "fma";
  readonly operands: 1 | 2 | 3;
  /** The host's result from native operands. */
  value(...operands: Expr[]): Expr;
  /**
   * A sum that is subnormal is exact. Other tiny results may raise UF, and one that was rounded up to the smallest
   * normal number may do so too.
   */
  readonly isRightIfTiny: boolean;
  /** Whether a finite result is exact for certain. May miss some. */
  isExact(result: Expr, a: Expr, b: Expr, c: Expr): Expr;
}

/** Above it, what a double-precision product or quotient lost is a double itself: at least 2^-1074. */
const RESIDUAL_IS_EXACT = f64.const(2 ** -960);

/** Whether a × b = p, as the fused operation can tell. */
function isProduct(a: Expr, b: Expr, p: Expr): Expr {
  return i32.and(
    f64.gt(f64.abs(p), RESIDUAL_IS_EXACT),
    f64.eq(multiplyAdd(a, b, f64.neg(p)), f64.const(0)),
  );
}

/** Whether a × b = p for singles: their product is exact as a double. */
function isProductOfSingles(a: Expr, b: Expr, p: Expr): Expr {
  return f64.eq(f64.mul(f64.promote_f32(a), f64.promote_f32(b)), f64.promote_f32(p));
}

/**
 * Whether a + b = sum, a finite result of rounding to nearest: the larger operand's difference from the sum is exact
 * (Dekker 1971), so that it is the smaller one, or the sum is not exact.
 */
function isSum({ sub, eq }: typeof f64 | typeof f32, a: Expr, b: Expr, sum: Expr): Expr {
  return i32.and(eq(sub(sum, a), b), eq(sub(sum, b), a));
}

/** The operations of a format; `fuses` says whether the host's multiply-add may be used. */
export function nativeOperations(format: Format, fuses: boolean): readonly NativeOperation[] {
  const native = format.width === 64 ? f64 : f32;
  const isExactProduct = format === SINGLE ? isProductOfSingles : fuses ? isProduct : () => i32.const(0);
  const { add, sub, mul, div, sqrt, neg } = native;
  const operations: NativeOperation[] = [
    {
      name: "add",
      operands: 2,
      value: add,
      isRightIfTiny: true,
      isExact: (sum, a, b) => isSum(native, a, b, sum),
    },
    {
      name: "sub",
      operands: 2,
      value: sub,
      isRightIfTiny: true,
      isExact: (difference, a, b) => isSum(native, a, neg(b), difference),
    },
    {
      name: "mul",
      operands: 2,
      value: mul,
      isRightIfTiny: false,
      isExact: (product, a, b) => isExactProduct(a, b, product),
    },
    {
      name: "div",
      operands: 2,
      value: div,
      isRightIfTiny: false,
      isExact: (quotient, a, b) => isExactProduct(quotient, b, a),
    },
    {
      name: "sqrt",
      operands: 1,
      value: sqrt,
      isRightIfTiny: false,
      isExact: (root, a) => isExactProduct(root, root, a),
    },
  ];
  return format === DOUBLE && fuses ? [...operations, FUSED] : operations;
}

/** For doubles, where the host's multiply-add rounds once. */
const FUSED: NativeOperation = {
  name: "fma",
  operands: 3,
  value: multiplyAdd,
  isRightIfTiny: false,
  isExact: (result, a, b, c) => i32.and(isProduct(a, b, f64.mul(a, b)), isSum(f64, f64.mul(a, b), c, result)),
};

/**
 * Whether the host's result, and its encoding `bits`, from these registers is what the instruction gives, with the
 * flags as they are.
 */
export function isRight(
  format: Format,
  operation: NativeOperation,
  flags: Global,
  { result, bits, registers, rm }: { result: Expr; bits: Expr; registers: readonly Expr[]; rm: Expr },
): Expr {
  // Operands that an operation does not have are not looked at.
  const [a = result, b = a, c = a] = registers.map((register) => format.native(register));
  return i32.and(
    i32.and(i32.eq(rm, i32.const(RNE)), isTrusted(format, operation.isRightIfTiny, bits)),
    i32.and(format.areBoxed(registers), needsNoFlag(flags, operation.isExact(result, a, b, c))),
  );
}

/** Whether the encoding of a result is neither tiny, where that matters, nor infinite nor a NaN. */
export function isTrusted(format: Format, isRightIfTiny: boolean, bits: Expr): Expr {
  const from = isRightIfTiny ? 0n : format.smallestNormal + 1n;
  return i64.lt_u(i64.sub(format.magnitude(bits), i64.const(from)), i64.const(format.infinityBits - from));
}

/** Whether there is no NX to raise: it is set already, or the result is exact. */
export function needsNoFlag(flags: Global, isExact: Expr): Expr {
  return choose(i32.and(readGlobal(flags), i32.const(NX)), i32.const(1), isExact);
}

/** `f64_add(a, b, rm)` … as instructions call them: the fast path, then the exact function. */
export function defineNative(library: FloatLibrary, format: Format, operation: NativeOperation): void {
  const name = `${format.name}_${operation.name}`;
  const types = Array.from({ length: operation.operands }, () => "i64" as const);
  library.define(name, [...types, "i32"], (f) => {
    const registers = f.params.slice(0, operation.operands), rm = f.params[operation.operands] as Local;
    const result = f.local(format.name), bits = f.local("i64");
    return [
      set(result, operation.value(...registers.map((register) => format.native(register)))),
      set(bits, format.nativeBits(result)),
      when(isRight(format, operation, library.flags, { result, bits, registers, rm }), [giveBack(format.boxed(bits))]),
      giveBack(library.exact(name, ...registers, rm)),
    ];
  });
}

/**
 * `f32_fma` by way of doubles: the product of two singles is exact there, the sum is rounded, and rounding once more is
 * harmless unless the double lies on a tie between two singles, perhaps only because it was rounded.
 */
export function defineSingleFused(library: FloatLibrary): void {
  library.define("f32_fma", ["i64", "i64", "i64", "i32"], (f) => {
    const registers = f.params.slice(0, 3), rm = f.params[3] as Local;
    const product = f.local("f64"), sum = f.local("f64"), result = f.local("f32"), bits = f.local("i64");
    const [a, b, c] = registers.map((x) => f64.promote_f32(SINGLE.native(x))) as [Expr, Expr, Expr];
    const beyond = (1n << BigInt(DOUBLE.fractionBits - SINGLE.fractionBits)) - 1n, tie = (beyond + 1n) / 2n;
    const isTie = i64.eq(i64.and(i64.reinterpret_f64(sum), i64.const(beyond)), i64.const(tie));
    const isExact = i32.and(isSum(f64, product, c, sum), f64.eq(f64.promote_f32(result), sum));
    const isSafe = i32.and(i32.eq(rm, i32.const(RNE)), i32.and(SINGLE.areBoxed(registers), i32.eqz(isTie)));
    return [
      set(product, f64.mul(a, b)),
      set(sum, f64.add(product, c)),
      set(result, f32.demote_f64(sum)),
      set(bits, SINGLE.nativeBits(result)),
      when(i32.and(isSafe, i32.and(isTrusted(SINGLE, false, bits), needsNoFlag(library.flags, isExact))), [
        giveBack(SINGLE.boxed(bits)),
      ]),
      giveBack(library.exact("f32_fma", ...registers, rm)),
    ];
  });
}
