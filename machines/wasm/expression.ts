/**
 * WebAssembly expressions as typed trees: what an instruction's semantics are written in, and what the interpreter
 * and the translator emit. A tree is immutable and may be shared; `emit.ts` turns it into bytes.
 */

export type ValueType = "i32" | "i64" | "f32" | "f64" | "v128";

/** A local variable of the function that is being built (parameters included). */
export interface Local {
  readonly kind: "local";
  readonly type: ValueType;
  readonly index: number;
}

/** A function that can be called: one of the module's own or an import. */
export interface Callee {
  readonly name: string;
  readonly params: readonly ValueType[];
  readonly results: readonly ValueType[];
  /** Index in the module's function space, imports first. */
  index: number;
}

/** What functions of the table have in common. */
export interface Prototype {
  readonly name: string;
  readonly params: readonly ValueType[];
  readonly results: readonly ValueType[];
  /** Index in the module's types. */
  readonly typeIndex: number;
}

export type Expr =
  | Local
  | { readonly kind: "const"; readonly type: ValueType; readonly value: number | bigint }
  /** A named place that the consumer fills in: `rs1`, `imm`, `pc` … */
  | { readonly kind: "operand"; readonly type: ValueType; readonly name: string }
  | { readonly kind: "numeric"; readonly type: ValueType; readonly op: NumericOp; readonly args: readonly Expr[] }
  | {
    readonly kind: "load";
    readonly type: ValueType;
    readonly op: MemoryOp;
    readonly address: Expr;
    readonly offset: number;
  }
  | { readonly kind: "select"; readonly type: ValueType; readonly then: Expr; readonly else: Expr; readonly if: Expr }
  /** Like `select`, but only the chosen side is evaluated. */
  | { readonly kind: "choose"; readonly type: ValueType; readonly then: Expr; readonly else: Expr; readonly if: Expr }
  | { readonly kind: "call"; readonly type: ValueType; readonly callee: Callee; readonly args: readonly Expr[] }
  /** Calls the function at a position of the imported table. */
  | {
    readonly kind: "callIndirect";
    readonly type: ValueType;
    readonly callee: Prototype;
    readonly args: readonly Expr[];
    readonly position: Expr;
  }
  /** A function known by name only; the consumer says which one it is (multiply-high, soft float …). */
  | { readonly kind: "intrinsic"; readonly type: ValueType; readonly name: string; readonly args: readonly Expr[] }
  | { readonly kind: "tee"; readonly type: ValueType; readonly local: Local; readonly value: Expr }
  /** The upper half of a 128-bit product. The local is used up. */
  | {
    readonly kind: "upperProduct";
    readonly type: "i64";
    readonly isSigned: boolean;
    readonly a: Expr;
    readonly b: Expr;
    readonly local: Local;
  }
  | { readonly kind: "global"; readonly type: ValueType; readonly index: number }
  | {
    readonly kind: "lane";
    readonly type: ValueType;
    readonly code: number;
    readonly lane: number;
    readonly of: Expr;
  };

export interface NumericOp {
  readonly name: string;
  /** Opcode bytes: one for the core set; prefix 0xfc or 0xfd and a LEB128 number for the rest. */
  readonly code: readonly number[];
  readonly params: readonly ValueType[];
  readonly result: ValueType;
}

export interface MemoryOp {
  readonly name: string;
  readonly code: number;
  readonly type: ValueType;
  readonly bytes: 1 | 2 | 4 | 8;
}

const BINARY = 2, UNARY = 1;

type Builders<T> = { readonly [K in keyof T]: (...args: Expr[]) => Expr };

/** Builders for one group of operators that share operand type and result type. */
function group<const T extends Record<string, number>>(
  arity: number,
  operand: ValueType,
  result: ValueType,
  codes: T,
  prefix = operand as string,
): Builders<T> {
  return Object.fromEntries(
    Object.entries(codes).map(([name, code]) => {
      const op: NumericOp = {
        name: `${prefix}.${name}`,
        code: code > 0xff ? [code >> 16, ...leb(code & 0xffff)] : [code],
        params: Array(arity).fill(operand),
        result,
      };
      return [name, (...args: Expr[]) => numeric(op, args)];
    }),
  ) as Builders<T>;
}

function leb(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...leb(value >> 7)];
}

/** @throws TypeError if the arguments' types are not those of the operator. */
export function numeric(op: NumericOp, args: readonly Expr[]): Expr {
  if (!areOfTypes(args, op.params)) {
    throw new TypeError(`${op.name} takes (${op.params.join(", ")}), not (${args.map((arg) => arg.type).join(", ")})`);
  }
  return { kind: "numeric", type: op.result, op, args };
}

function constant(type: ValueType) {
  return (value: number | bigint): Expr => ({ kind: "const", type, value });
}

function load(type: ValueType, name: string, code: number, bytes: MemoryOp["bytes"]) {
  const op: MemoryOp = { name: `${type}.${name}`, code, type, bytes };
  return (address: Expr, offset = 0): Expr => ({ kind: "load", type, op, address, offset });
}

const integerBinary = (first: number) => ({
  add: first,
  sub: first + 1,
  mul: first + 2,
  div_s: first + 3,
  div_u: first + 4,
  rem_s: first + 5,
  rem_u: first + 6,
  and: first + 7,
  or: first + 8,
  xor: first + 9,
  shl: first + 10,
  shr_s: first + 11,
  shr_u: first + 12,
  rotl: first + 13,
  rotr: first + 14,
});
const integerCompare = (first: number) => ({
  eq: first,
  ne: first + 1,
  lt_s: first + 2,
  lt_u: first + 3,
  gt_s: first + 4,
  gt_u: first + 5,
  le_s: first + 6,
  le_u: first + 7,
  ge_s: first + 8,
  ge_u: first + 9,
});
const floatCompare = (first: number) => ({
  eq: first,
  ne: first + 1,
  lt: first + 2,
  gt: first + 3,
  le: first + 4,
  ge: first + 5,
});
const floatUnary = (first: number) => ({
  abs: first,
  neg: first + 1,
  ceil: first + 2,
  floor: first + 3,
  trunc: first + 4,
  nearest: first + 5,
  sqrt: first + 6,
});
const floatBinary = (first: number) => ({
  add: first,
  sub: first + 1,
  mul: first + 2,
  div: first + 3,
  min: first + 4,
  max: first + 5,
  copysign: first + 6,
});

export const i32 = {
  const: constant("i32"),
  ...group(BINARY, "i32", "i32", integerBinary(0x6a)),
  ...group(BINARY, "i32", "i32", integerCompare(0x46)),
  ...group(UNARY, "i32", "i32", { eqz: 0x45, clz: 0x67, ctz: 0x68, popcnt: 0x69, extend8_s: 0xc0, extend16_s: 0xc1 }),
  ...group(UNARY, "i64", "i32", { wrap_i64: 0xa7 }, "i32"),
  ...group(UNARY, "f32", "i32", { reinterpret_f32: 0xbc }, "i32"),
  ...group(UNARY, "f64", "i32", { trunc_sat_f64_s: 0xfc0002, trunc_sat_f64_u: 0xfc0003 }, "i32"),
  load: load("i32", "load", 0x28, 4),
  load8_s: load("i32", "load8_s", 0x2c, 1),
  load8_u: load("i32", "load8_u", 0x2d, 1),
  load16_s: load("i32", "load16_s", 0x2e, 2),
  load16_u: load("i32", "load16_u", 0x2f, 2),
};

export const i64 = {
  const: constant("i64"),
  ...group(BINARY, "i64", "i64", integerBinary(0x7c)),
  ...group(BINARY, "i64", "i32", integerCompare(0x51)),
  ...group(UNARY, "i64", "i64", {
    clz: 0x79,
    ctz: 0x7a,
    popcnt: 0x7b,
    extend8_s: 0xc2,
    extend16_s: 0xc3,
    extend32_s: 0xc4,
  }),
  ...group(UNARY, "i64", "i32", { eqz: 0x50 }),
  ...group(UNARY, "i32", "i64", { extend_i32_s: 0xac, extend_i32_u: 0xad }, "i64"),
  ...group(UNARY, "f64", "i64", {
    reinterpret_f64: 0xbd,
    trunc_sat_f64_s: 0xfc0006,
    trunc_sat_f64_u: 0xfc0007,
  }, "i64"),
  load: load("i64", "load", 0x29, 8),
  load8_s: load("i64", "load8_s", 0x30, 1),
  load8_u: load("i64", "load8_u", 0x31, 1),
  load16_s: load("i64", "load16_s", 0x32, 2),
  load16_u: load("i64", "load16_u", 0x33, 2),
  load32_s: load("i64", "load32_s", 0x34, 4),
  load32_u: load("i64", "load32_u", 0x35, 4),
};

export const f32 = {
  const: constant("f32"),
  ...group(BINARY, "f32", "i32", floatCompare(0x5b)),
  ...group(UNARY, "f32", "f32", floatUnary(0x8b)),
  ...group(BINARY, "f32", "f32", floatBinary(0x92)),
  ...group(UNARY, "i32", "f32", { reinterpret_i32: 0xbe, convert_i32_s: 0xb2, convert_i32_u: 0xb3 }, "f32"),
  ...group(UNARY, "i64", "f32", { convert_i64_s: 0xb4, convert_i64_u: 0xb5 }, "f32"),
  ...group(UNARY, "f64", "f32", { demote_f64: 0xb6 }, "f32"),
};

export const f64 = {
  const: constant("f64"),
  ...group(BINARY, "f64", "i32", floatCompare(0x61)),
  ...group(UNARY, "f64", "f64", floatUnary(0x99)),
  ...group(BINARY, "f64", "f64", floatBinary(0xa0)),
  ...group(UNARY, "i64", "f64", { reinterpret_i64: 0xbf, convert_i64_s: 0xb9, convert_i64_u: 0xba }, "f64"),
  ...group(UNARY, "i32", "f64", { convert_i32_s: 0xb7, convert_i32_u: 0xb8 }, "f64"),
  ...group(UNARY, "f32", "f64", { promote_f32: 0xbb }, "f64"),
  load: load("f64", "load", 0x2b, 8),
};

export const f64x2 = {
  ...group(UNARY, "f64", "v128", { splat: 0xfd0014 }, "f64x2"),
  /** a × b + c, fused or not as the host pleases: probe before use (relaxed SIMD). */
  ...group(3, "v128", "v128", { relaxed_madd: 0xfd0107 }, "f64x2"),
  extract_lane: (of: Expr, lane: number): Expr => ({ kind: "lane", type: "f64", code: 0x21, lane, of }),
};

export function operand(type: ValueType, name: string): Expr {
  return { kind: "operand", type, name };
}

/** Both sides are evaluated; use `choose` where one of them is costly or may trap. */
export function select(condition: Expr, then: Expr, otherwise: Expr): Expr {
  return { kind: "select", type: sameType(then, otherwise), then, else: otherwise, if: condition };
}

/** Only the chosen side is evaluated. */
export function choose(condition: Expr, then: Expr, otherwise: Expr): Expr {
  return { kind: "choose", type: sameType(then, otherwise), then, else: otherwise, if: condition };
}

/** @throws TypeError if the callee does not give exactly one value or the arguments do not fit. */
export function call(callee: Callee, ...args: Expr[]): Expr {
  const [type, ...more] = callee.results;
  if (!type || more.length > 0) throw new TypeError(`${callee.name} does not give exactly one value`);
  checkArguments(callee, args);
  return { kind: "call", type, callee, args };
}

/** @throws TypeError if the function does not give exactly one value or the arguments do not fit. */
export function callIndirect(callee: Prototype, position: Expr, ...args: Expr[]): Expr {
  const [type, ...more] = callee.results;
  if (!type || more.length > 0) throw new TypeError(`${callee.name} does not give exactly one value`);
  checkArguments(callee, args);
  return { kind: "callIndirect", type, callee, args, position };
}

export function intrinsic(type: ValueType, name: string, ...args: Expr[]): Expr {
  return { kind: "intrinsic", type, name, args };
}

/** Stores into a local and gives the value. */
export function tee(local: Local, value: Expr): Expr {
  if (local.type !== value.type) throw new TypeError(`a ${local.type} local cannot hold ${value.type}`);
  return { kind: "tee", type: local.type, local, value };
}

/** Of two i64 (wide arithmetic, a proposal that not every host has: see `hostMultipliesWide`). The local is used up. */
export function upperProduct(isSigned: boolean, a: Expr, b: Expr, local: Local): Expr {
  return { kind: "upperProduct", type: "i64", isSigned, a, b, local };
}

export function checkArguments(callee: Pick<Callee, "name" | "params">, args: readonly Expr[]) {
  if (!areOfTypes(args, callee.params)) {
    throw new TypeError(`${callee.name} takes (${callee.params.join(", ")}), not (${args.map((a) => a.type)})`);
  }
}

/** A loop: a machine starts with twenty thousand of these, in code that the engine has not yet compiled. */
function areOfTypes(args: readonly Expr[], types: readonly ValueType[]): boolean {
  if (args.length !== types.length) return false;
  for (let i = 0; i < args.length; i++) if (args[i]?.type !== types[i]) return false;
  return true;
}

function sameType(a: Expr, b: Expr): ValueType {
  if (a.type !== b.type) throw new TypeError(`the two sides of a choice differ: ${a.type} and ${b.type}`);
  return a.type;
}
