/**
 * Floating-point instructions in regions: the host's own operators where they are known to give result and flags, and
 * else the functions of `soft_float.ts`, which are right for all operands and modes.
 */
import { choose, type Expr, f64, i32, i64 } from "../../wasm/expression.ts";
import { readGlobal } from "../../wasm/module.ts";
import { set, type Statements, store, when, whenRarely } from "../../wasm/statement.ts";
import type { Semantics } from "../instruction.ts";
import * as at from "../layout.ts";
import { DOUBLE, type Format, SINGLE } from "../soft_float/format.ts";
import { hostFuses } from "../soft_float/fused_probe.ts";
import { isTrusted, type NativeOperation, nativeOperations } from "../soft_float/native.ts";
import type { Step } from "./discovery.ts";
import { bound } from "./operands.ts";
import { asDouble, type RegionState } from "./region_state.ts";

type FloatSemantics = Extract<Semantics, { shape: "float" }>;
type Intrinsic = Extract<Expr, { kind: "intrinsic" }>;

/** What is known of the floating-point unit at a point of a block. */
export interface FloatUnit {
  /** It has been found to be on; it is marked as dirty. */
  isFloatOn: boolean;
  isFloatDirty: boolean;
}

const DYNAMIC = 7, TO_NEAREST = 0;

/** `left` is how many instructions of the block have not begun, this one included. */
export function floatCode(
  region: RegionState,
  step: Step,
  s: FloatSemantics,
  left: number,
  unit: FloatUnit,
): Statements {
  return [
    ...requireFloat(region, step, left, unit),
    ...(nativeCode(region, step, s, left, unit) ?? exactCode(region, step, s, left, unit)),
    ...(s.file === "f" ? dirtyFloat(region, unit) : []),
  ];
}

/** By the function that the instruction names. */
function exactCode(region: RegionState, step: Step, s: FloatSemantics, left: number, unit: FloatUnit): Statements {
  const { rd } = step.decoded;
  const value = bound(region, step, s.result, { rm: region.rm });
  return [
    ...(s.rounds ? roundingMode(region, step, left) : []),
    ...(s.file === "x" ? [set(region.status, readGlobal(region.flags))] : []),
    ...(s.file === "x" && rd === 0 ? [set(region.old, value)] : region.write(s.file, rd, value)),
    ...(s.file === "x" ? dirtyByFlags(region, unit) : []),
  ];
}

let operations: ReadonlyMap<string, { format: Format; operation: NativeOperation }> | undefined;

/** The operations that the host has, by the names of their functions. */
function nativeOperation(name: string) {
  operations ??= new Map(
    [SINGLE, DOUBLE].flatMap((format) =>
      nativeOperations(format, hostFuses()).map((
        operation,
      ) => [`${format.name}_${operation.name}`, { format, operation }])
    ),
  );
  return operations.get(name);
}

/** By an operator of the host, if it has one. */
function nativeCode(
  region: RegionState,
  step: Step,
  s: FloatSemantics,
  left: number,
  unit: FloatUnit,
): Statements | undefined {
  if (s.result.kind !== "intrinsic") return undefined;
  const { rm, rd } = step.decoded;
  const relation = COMPARISONS[s.result.name];
  if (relation) return rd === 0 ? undefined : compareCode(region, step, s, left, unit, relation);
  const found = nativeOperation(s.result.name);
  if (!found || (rm !== DYNAMIC && rm !== TO_NEAREST)) return undefined;
  return arithmeticCode(region, step, s, left, unit, found.format, found.operation, s.result);
}

function arithmeticCode(
  region: RegionState,
  step: Step,
  s: FloatSemantics,
  left: number,
  unit: FloatUnit,
  format: Format,
  operation: NativeOperation,
  { args }: Intrinsic,
): Statements {
  const registers = args.slice(0, operation.operands).map((arg) => bound(region, step, arg));
  const { bits, isSettled } = region;
  const result = format === DOUBLE ? region.double : region.single;
  const isRight = i32.and(
    i32.and(isSettled, format.areBoxed(registers)),
    isTrusted(format, operation.isRightIfTiny, bits),
  );
  const operands = registers.map((register) => format === DOUBLE ? signedDouble(register) : format.native(register));
  return [
    set(result, operation.value(...operands)),
    set(bits, format.nativeBits(result)),
    whenRarely(
      i32.eqz(isRight),
      [...exactCode(region, step, s, left, unit), ...region.settleFloats()],
      format === DOUBLE
        ? region.writeDouble(step.decoded.rd, result)
        : region.write("f", step.decoded.rd, format.boxed(bits)),
    ),
  ];
}

/** A double whose sign the instruction may invert: fused operations do. */
function signedDouble(bits: Expr): Expr {
  const [number, sign] = bits.kind === "numeric" && bits.op.name === "i64.xor" ? bits.args : [];
  const isNegated = sign?.kind === "const" && BigInt.asUintN(64, BigInt(sign.value)) === 1n << 63n;
  return number && isNegated ? f64.neg(asDouble(number)) : asDouble(bits);
}

/** Comparisons of doubles, and what is true of two numbers where they are not. */
const COMPARISONS: Readonly<Record<string, { holds: typeof f64.lt; fails: (a: Expr, b: Expr) => Expr }>> = {
  f64_lt: { holds: f64.lt, fails: f64.ge },
  f64_le: { holds: f64.le, fails: f64.gt },
  f64_eq: { holds: f64.eq, fails: (a, b) => i32.or(f64.lt(a, b), f64.gt(a, b)) },
};

/** Neither holding nor failing, there is a NaN, and perhaps a flag to raise. */
function compareCode(
  region: RegionState,
  step: Step,
  s: FloatSemantics,
  left: number,
  unit: FloatUnit,
  { holds, fails }: { holds: typeof f64.lt; fails: (a: Expr, b: Expr) => Expr },
): Statements {
  const { rs1, rs2, rd } = step.decoded;
  const a = asDouble(region.read("f", rs1)), b = asDouble(region.read("f", rs2));
  return [
    set(region.rm, holds(a, b)),
    whenRarely(
      i32.eqz(choose(region.rm, i32.const(1), fails(a, b))),
      exactCode(region, step, s, left, unit),
      region.write("x", rd, i64.extend_i32_u(region.rm)),
    ),
  ];
}

/** What gives an integer makes the unit dirty only by a flag that was not set. */
function dirtyByFlags(region: RegionState, unit: FloatUnit): Statements {
  if (unit.isFloatDirty) return [];
  return [when(i32.ne(readGlobal(region.flags), region.status), [store.i32(region.base, i32.const(3), at.FS)])];
}

/** Resolves the dynamic rounding mode; modes 5 to 7 are reserved there, too. */
function roundingMode(region: RegionState, { offset, decoded: { rm } }: Step, left: number): Statements {
  if (rm !== DYNAMIC) return [set(region.rm, i32.const(rm))];
  return [
    set(region.rm, i32.load(region.base, at.FRM)),
    ...region.exitIf(i32.gt_u(region.rm, i32.const(4)), offset, left),
  ];
}

/** Nothing in a region turns the unit off, so that a block looks once. */
export function requireFloat(region: RegionState, step: Step, left: number, unit: FloatUnit): Statements {
  if (unit.isFloatOn) return [];
  unit.isFloatOn = true;
  return region.exitIf(i32.eqz(i32.load(region.base, at.FS)), step.offset, left);
}

export function dirtyFloat(region: RegionState, unit: FloatUnit): Statements {
  if (unit.isFloatDirty) return [];
  unit.isFloatDirty = true;
  return [store.i32(region.base, i32.const(3), at.FS)];
}
