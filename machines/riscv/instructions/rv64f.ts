/**
 * Single-precision floating point: RV32F and RV64F (unprivileged specification, chapter "F"). An operand is a whole
 * f register: a single that is not NaN-boxed counts as the canonical NaN (chapter "D", "NaN Boxing of Narrower Values").
 * The intrinsics are those of `soft_float.ts`.
 */
import { extension, L, R, R2, R4, S } from "../encoding.ts";
import { fs1, fs2, fs3, rs1 } from "../instruction.ts";
import { type Expr, i64, intrinsic, select } from "../../wasm/expression.ts";
import { float, rounded, roundedToInteger, toInteger } from "./float_shapes.ts";

const BOX = i64.const(-0x1_0000_0000), SIGN = i64.const(0x8000_0000n), MAGNITUDE = i64.const(~0x8000_0000n);
const CANONICAL_NAN = i64.const(0xffff_ffff_7fc0_0000n);

/** Negation of a boxed single. One that is not boxed stays so. */
const negated = (single: Expr) => i64.xor(single, SIGN);
const unboxed = (single: Expr) => select(i64.lt_u(single, BOX), CANONICAL_NAN, single);
/** `magnitude` with the sign of `sign` (both boxed). */
const withSign = (magnitude: Expr, sign: Expr) => i64.or(i64.and(magnitude, MAGNITUDE), i64.and(sign, SIGN));

const single1 = unboxed(fs1), single2 = unboxed(fs2);

export const RV64F = extension("F", [
  L("flw", "LOAD-FP", 2, { shape: "load", bytes: 4, signed: false, file: "f" }),
  S("fsw", "STORE-FP", 2, { shape: "store", bytes: 4, file: "f" }),

  R4("fmadd.s", "MADD", 0, rounded("f32_fma", fs1, fs2, fs3)),
  R4("fmsub.s", "MSUB", 0, rounded("f32_fma", fs1, fs2, negated(fs3))),
  R4("fnmsub.s", "NMSUB", 0, rounded("f32_fma", negated(fs1), fs2, fs3)),
  R4("fnmadd.s", "NMADD", 0, rounded("f32_fma", negated(fs1), fs2, negated(fs3))),

  R("fadd.s", "OP-FP", undefined, 0x00, rounded("f32_add", fs1, fs2)),
  R("fsub.s", "OP-FP", undefined, 0x04, rounded("f32_sub", fs1, fs2)),
  R("fmul.s", "OP-FP", undefined, 0x08, rounded("f32_mul", fs1, fs2)),
  R("fdiv.s", "OP-FP", undefined, 0x0c, rounded("f32_div", fs1, fs2)),
  R2("fsqrt.s", "OP-FP", undefined, 0x2c, 0, rounded("f32_sqrt", fs1)),

  R("fsgnj.s", "OP-FP", 0, 0x10, float(withSign(single1, single2))),
  R("fsgnjn.s", "OP-FP", 1, 0x10, float(withSign(single1, negated(single2)))),
  R("fsgnjx.s", "OP-FP", 2, 0x10, float(i64.xor(single1, i64.and(single2, SIGN)))),
  R("fmin.s", "OP-FP", 0, 0x14, float(intrinsic("i64", "f32_min", fs1, fs2))),
  R("fmax.s", "OP-FP", 1, 0x14, float(intrinsic("i64", "f32_max", fs1, fs2))),

  R("fle.s", "OP-FP", 0, 0x50, toInteger(intrinsic("i64", "f32_le", fs1, fs2))),
  R("flt.s", "OP-FP", 1, 0x50, toInteger(intrinsic("i64", "f32_lt", fs1, fs2))),
  R("feq.s", "OP-FP", 2, 0x50, toInteger(intrinsic("i64", "f32_eq", fs1, fs2))),
  R2("fclass.s", "OP-FP", 1, 0x70, 0, toInteger(intrinsic("i64", "f32_class", fs1))),

  R2("fcvt.w.s", "OP-FP", undefined, 0x60, 0, roundedToInteger("f32_to_i32")),
  R2("fcvt.wu.s", "OP-FP", undefined, 0x60, 1, roundedToInteger("f32_to_u32")),
  R2("fcvt.l.s", "OP-FP", undefined, 0x60, 2, roundedToInteger("f32_to_i64")),
  R2("fcvt.lu.s", "OP-FP", undefined, 0x60, 3, roundedToInteger("f32_to_u64")),
  R2("fcvt.s.w", "OP-FP", undefined, 0x68, 0, rounded("i32_to_f32", rs1)),
  R2("fcvt.s.wu", "OP-FP", undefined, 0x68, 1, rounded("u32_to_f32", rs1)),
  R2("fcvt.s.l", "OP-FP", undefined, 0x68, 2, rounded("i64_to_f32", rs1)),
  R2("fcvt.s.lu", "OP-FP", undefined, 0x68, 3, rounded("u64_to_f32", rs1)),

  // The moves carry bits: nothing is unboxed.
  R2("fmv.x.w", "OP-FP", 0, 0x70, 0, toInteger(i64.extend32_s(fs1))),
  R2("fmv.w.x", "OP-FP", 0, 0x78, 0, float(i64.or(rs1, BOX))),
]);
