/** Evaluates a semantics tree with bigints, step by step as the WebAssembly specification defines each operator. */
import type { Expr } from "../../../machines/wasm/expression.ts";

type Binary = (a: bigint, b: bigint, bits: number) => bigint;

const signed = (value: bigint, bits: number) => BigInt.asIntN(bits, value);
const bool = (condition: boolean) => condition ? 1n : 0n;

/** Operands come in, and results go out, as unsigned values. A division that WebAssembly traps on throws. */
const BINARY: Record<string, Binary> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div_u: (a, b) => a / b,
  rem_u: (a, b) => a % b,
  div_s: (a, b, bits) => {
    const quotient = signed(a, bits) / signed(b, bits);
    if (quotient !== signed(quotient, bits)) throw new RangeError("integer overflow");
    return quotient;
  },
  rem_s: (a, b, bits) => signed(a, bits) % signed(b, bits),
  and: (a, b) => a & b,
  or: (a, b) => a | b,
  xor: (a, b) => a ^ b,
  rotl: (a, b, bits) => a << (b % BigInt(bits)) | a >> (BigInt(bits) - b % BigInt(bits)),
  rotr: (a, b, bits) => a >> (b % BigInt(bits)) | a << (BigInt(bits) - b % BigInt(bits)),
  shl: (a, b, bits) => a << (b % BigInt(bits)),
  shr_u: (a, b, bits) => a >> (b % BigInt(bits)),
  shr_s: (a, b, bits) => signed(a, bits) >> (b % BigInt(bits)),
  eq: (a, b) => bool(a === b),
  ne: (a, b) => bool(a !== b),
  lt_u: (a, b) => bool(a < b),
  gt_u: (a, b) => bool(a > b),
  ge_u: (a, b) => bool(a >= b),
  lt_s: (a, b, bits) => bool(signed(a, bits) < signed(b, bits)),
  gt_s: (a, b, bits) => bool(signed(a, bits) > signed(b, bits)),
  ge_s: (a, b, bits) => bool(signed(a, bits) >= signed(b, bits)),
};

const UNARY: Record<string, (a: bigint, bits: number) => bigint> = {
  eqz: (a) => bool(a === 0n),
  clz: (a, bits) => BigInt(bits - (a === 0n ? 0 : a.toString(2).length)),
  ctz: (a, bits) => a === 0n ? BigInt(bits) : BigInt((a & -a).toString(2).length - 1),
  popcnt: (a) => BigInt(a.toString(2).replaceAll("0", "").length),
  extend8_s: (a) => signed(a, 8),
  extend16_s: (a) => signed(a, 16),
  extend32_s: (a) => signed(a, 32),
  extend_i32_s: (a) => signed(a, 32),
  extend_i32_u: (a) => a,
  wrap_i64: (a) => a,
};

/** @returns the unsigned value of an i32 or i64 expression. */
export function evaluate(
  e: Expr,
  operands: Readonly<Record<string, bigint>>,
  intrinsics: Readonly<Record<string, (...args: bigint[]) => bigint>>,
): bigint {
  const bits = bitsOf(e.type);
  const part = (inner: Expr) => evaluate(inner, operands, intrinsics);
  switch (e.kind) {
    case "const":
      return BigInt.asUintN(bits, BigInt(e.value));
    case "operand":
      return BigInt.asUintN(bits, known(operands, e.name));
    case "select":
    case "choose":
      return part(e.if) !== 0n ? part(e.then) : part(e.else);
    case "intrinsic":
      return BigInt.asUintN(bits, known(intrinsics, e.name)(...e.args.map(part)));
    case "numeric": {
      const name = e.op.name.slice(e.op.name.indexOf(".") + 1);
      const [a = 0n, b] = e.args.map(part);
      const width = bitsOf(e.op.params[0] ?? e.type);
      return BigInt.asUintN(bits, b === undefined ? known(UNARY, name)(a, width) : known(BINARY, name)(a, b, width));
    }
    default:
      throw new Error(`integer semantics don't use ${e.kind}`);
  }
}

function bitsOf(type: string): number {
  return type === "i32" ? 32 : 64;
}

function known<T>(from: Readonly<Record<string, T>>, name: string): T {
  const value = from[name];
  if (value === undefined) throw new Error(`"${name}" is not known here`);
  return value;
}
