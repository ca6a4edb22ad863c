/**
 * Double-precision floating point: RV32D and RV64D (unprivileged specification, chapter "D"). The intrinsics are those
 * of `soft_float.ts`.
 */
import { extension, L, R, R2, R4, S } from "../encoding.ts";
import { fs1, fs2, fs3, rs1 } from "../instruction.ts";
import { type Expr, i64, intrinsic } from "../../wasm/expression.ts";
import { float, rounded, roundedToInteger, toInteger } from "./float_shapes.ts";

const SIGN = i64.const(-0x8000_0000_0000_0000n), MAGNITUDE = i64.const(0x7fff_ffff_ffff_ffffn);

const negated = (double: Expr) => i64.xor(double, SIGN);
const withSign = (magnitude: Expr, sign: Expr) => i64.or(i64.and(magnitude, MAGNITUDE), i64.and(sign, SIGN));

export const RV64D = extension("D", [
  L("fld", "LOAD-FP", 3, { shape: "load", bytes: 8, signed: false, file: "f" }),
  S("fsd", "STORE-FP", 3, { shape: "store", bytes: 8, file: "f" }),

  R4("fmadd.d", "MADD", 1, rounded("f64_fma", fs1, fs2, fs3)),
  R4("fmsub.d", "MSUB", 1, rounded("f64_fma", fs1, fs2, negated(fs3))),
  R4("fnmsub.d", "NMSUB", 1, rounded("f64_fma", negated(fs1), fs2, fs3)),
  R4("fnmadd.d", "NMADD", 1, rounded("f64_fma", negated(fs1), fs2, negated(fs3))),

  R("fadd.d", "OP-FP", undefined, 0x01, rounded("f64_add", fs1, fs2)),
  R("fsub.d", "OP-FP", undefined, 0x05, rounded("f64_sub", fs1, fs2)),
  R("fmul.d", "OP-FP", undefined, 0x09, rounded("f64_mul", fs1, fs2)),
  R("fdiv.d", "OP-FP", undefined, 0x0d, rounded("f64_div", fs1, fs2)),
  R2("fsqrt.d", "OP-FP", undefined, 0x2d, 0, rounded("f64_sqrt", fs1)),

  R("fsgnj.d", "OP-FP", 0, 0x11, float(withSign(fs1, fs2))),
  R("fsgnjn.d", "OP-FP", 1, 0x11, float(withSign(fs1, negated(fs2)))),
  R("fsgnjx.d", "OP-FP", 2, 0x11, float(i64.xor(fs1, i64.and(fs2, SIGN)))),
  R("fmin.d", "OP-FP", 0, 0x15, float(intrinsic("i64", "f64_min", fs1, fs2))),
  R("fmax.d", "OP-FP", 1, 0x15, float(intrinsic("i64", "f64_max", fs1, fs2))),

  R("fle.d", "OP-FP", 0, 0x51, toInteger(intrinsic("i64", "f64_le", fs1, fs2))),
  R("flt.d", "OP-FP", 1, 0x51, toInteger(intrinsic("i64", "f64_lt", fs1, fs2))),
  R("feq.d", "OP-FP", 2, 0x51, toInteger(intrinsic("i64", "f64_eq", fs1, fs2))),
  R2("fclass.d", "OP-FP", 1, 0x71, 0, toInteger(intrinsic("i64", "f64_class", fs1))),

  R2("fcvt.w.d", "OP-FP", undefined, 0x61, 0, roundedToInteger("f64_to_i32")),
  R2("fcvt.wu.d", "OP-FP", undefined, 0x61, 1, roundedToInteger("f64_to_u32")),
  R2("fcvt.l.d", "OP-FP", undefined, 0x61, 2, roundedToInteger("f64_to_i64")),
  R2("fcvt.lu.d", "OP-FP", undefined, 0x61, 3, roundedToInteger("f64_to_u64")),
  R2("fcvt.d.w", "OP-FP", undefined, 0x69, 0, rounded("i32_to_f64", rs1)),
  R2("fcvt.d.wu", "OP-FP", undefined, 0x69, 1, rounded("u32_to_f64", rs1)),
  R2("fcvt.d.l", "OP-FP", undefined, 0x69, 2, rounded("i64_to_f64", rs1)),
  R2("fcvt.d.lu", "OP-FP", undefined, 0x69, 3, rounded("u64_to_f64", rs1)),
  R2("fcvt.s.d", "OP-FP", undefined, 0x20, 1, rounded("f64_to_f32", fs1)),
  R2("fcvt.d.s", "OP-FP", undefined, 0x21, 0, rounded("f32_to_f64", fs1)),

  R2("fmv.x.d", "OP-FP", 0, 0x71, 0, toInteger(fs1)),
  R2("fmv.d.x", "OP-FP", 0, 0x79, 0, float(rs1)),
]);
