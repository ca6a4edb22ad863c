/** The statements of one translated instruction, made from its semantics: the twin of the interpreter's handlers. */
import { choose, type Expr, i32, i64 } from "../../wasm/expression.ts";
import { readGlobal } from "../../wasm/module.ts";
import { set, type Statement, type Statements, store, when } from "../../wasm/statement.ts";
import { replaceOperands } from "../../wasm/rewrite.ts";
import type { Decoded } from "../decode.ts";
import type { Semantics } from "../instruction.ts";
import * as at from "../layout.ts";
import { accessOf, locate, type Member } from "./access.ts";
import { zeroBlockCode } from "./block_code.ts";
import type { Step } from "./discovery.ts";
import type { RegionState } from "./region_state.ts";

/** What is known at a point of a block. */
export interface BlockState {
  /** The floating-point unit has been found to be on; it is marked as dirty. */
  isFloatOn: boolean;
  isFloatDirty: boolean;
  readonly groups: ReadonlyMap<Step, Member>;
}

type Shape<S extends Semantics["shape"]> = Extract<Semantics, { shape: S }>;

const loads = {
  signed: { 1: i64.load8_s, 2: i64.load16_s, 4: i64.load32_s, 8: i64.load },
  unsigned: { 1: i64.load8_u, 2: i64.load16_u, 4: i64.load32_u, 8: i64.load },
};
const stores = { 1: store.i64_8, 2: store.i64_16, 4: store.i64_32, 8: store.i64 };
const NAN_BOX = i64.const(-1n << 32n);

/** An expression of the semantics over the region's locals. */
export function bound(region: RegionState, { offset, decoded }: Step, e: Expr, others: Record<string, Expr> = {}) {
  return fold(replaceOperands(e, (name) => {
    const other = others[name];
    if (other) return other;
    switch (name) {
      case "rs1":
        return region.read("x", decoded.rs1);
      case "rs2":
        return region.read("x", decoded.rs2);
      case "fs1":
        return region.read("f", decoded.rs1);
      case "fs2":
        return region.read("f", decoded.rs2);
      case "fs3":
        return region.read("f", decoded.rs3);
      case "imm":
        return i64.const(decoded.imm);
      case "pc":
        return region.addressOf(offset);
      default:
        throw new Error(`operand "${name}" has no meaning in the translator`);
    }
  }));
}

/** Moves and constants are written as additions: without the zero, the baseline tier does nothing for them either. */
function fold(e: Expr): Expr {
  if (e.kind !== "numeric" || e.op.name !== "i64.add") return e;
  const [a, b] = e.args;
  if (a && isZero(b)) return a;
  return b && isZero(a) ? b : e;
}

function isZero(e: Expr | undefined): boolean {
  return e?.kind === "const" && Number(e.value) === 0;
}

/** `left` is how many instructions of the block have not begun, this one included. */
export function stepCode(region: RegionState, step: Step, left: number, state: BlockState): Statements {
  const { decoded } = step;
  const s = decoded.instruction.semantics;
  switch (s.shape) {
    case "compute":
      return region.write("x", decoded.rd, bound(region, step, s.result));
    case "load":
      return loadCode(region, step, s, left, state);
    case "store":
      return storeCode(region, step, s, left, state);
    case "atomic":
    case "loadReserved":
    case "storeConditional":
      return atomicCode(region, step, s, left);
    case "cacheBlock":
      return zeroBlockCode(region, step, left);
    case "float":
      return floatCode(region, step, s, left, state);
    case "system":
      // Fences: stores are seen at once, and decoded and translated code follows them.
      return [];
    default:
      throw new Error(`${decoded.instruction.name} ends a block`);
  }
}

function locateStep(region: RegionState, step: Step, left: number, { groups }: BlockState): Statements {
  const access = accessOf(step);
  if (!access) throw new Error(`${step.decoded.instruction.name} does not access memory`);
  return locate(region, step, access, left, groups.get(step));
}

function loadCode(region: RegionState, step: Step, s: Shape<"load">, left: number, state: BlockState): Statements {
  const { rd } = step.decoded;
  const isFloat = s.file === "f";
  const value = (s.signed && !isFloat ? loads.signed : loads.unsigned)[s.bytes](region.entry);
  return [
    ...(isFloat ? requireFloat(region, step, left, state) : []),
    ...locateStep(region, step, left, state),
    ...region.write(s.file, rd, isFloat && s.bytes === 4 ? i64.or(value, NAN_BOX) : value),
    ...(isFloat ? dirtyFloat(region, state) : []),
  ];
}

function storeCode(region: RegionState, step: Step, s: Shape<"store">, left: number, state: BlockState): Statements {
  const { rs2 } = step.decoded;
  return [
    ...(s.file === "f" ? requireFloat(region, step, left, state) : []),
    ...locateStep(region, step, left, state),
    ...region.logStore(),
    stores[s.bytes](region.entry, region.read(s.file, rs2)),
  ];
}

function atomicCode(
  region: RegionState,
  step: Step,
  s: Shape<"atomic"> | Shape<"loadReserved" | "storeConditional">,
  left: number,
): Statements {
  const { rd, rs1, rs2 } = step.decoded;
  const { base, entry, old, status } = region;
  const table = s.shape === "loadReserved" ? at.READ_TABLE : at.WRITE_TABLE;
  const access = { register: rs1, distance: 0, bytes: s.bytes, table, isAligned: true };
  const current = s.bytes === 8 ? i64.load(entry) : i64.load32_s(entry);
  const write = (value: Expr) => s.bytes === 8 ? store.i64(entry, value) : store.i64_32(entry, value);
  const code: Statement[] = [...locate(region, step, access, left)];
  if (s.shape !== "loadReserved") code.push(...region.logStore());
  switch (s.shape) {
    case "atomic":
      code.push(set(old, current), write(bound(region, step, s.next, { old })), ...region.write("x", rd, old));
      break;
    case "loadReserved":
      code.push(
        set(old, current),
        store.i64(base, i64.extend_i32_u(entry), at.RESERVATION),
        store.i64(base, old, at.RESERVED_VALUE),
        ...region.write("x", rd, old),
      );
      break;
    case "storeConditional":
      code.push(
        set(
          status,
          choose(
            i64.eq(i64.load(base, at.RESERVATION), i64.extend_i32_u(entry)),
            s.bytes === 8
              ? i64.eq(i64.load(base, at.RESERVED_VALUE), current)
              : i32.eq(i32.load(base, at.RESERVED_VALUE), i32.load(entry)),
            i32.const(0),
          ),
        ),
        when(status, [write(region.read("x", rs2))]),
        store.i64(base, i64.const(-1), at.RESERVATION),
        ...region.write("x", rd, i64.extend_i32_u(i32.eqz(status))),
      );
  }
  return code;
}

function floatCode(region: RegionState, step: Step, s: Shape<"float">, left: number, state: BlockState): Statements {
  const { rd } = step.decoded;
  const value = bound(region, step, s.result, { rm: region.rm });
  return [
    ...requireFloat(region, step, left, state),
    ...(s.rounds ? roundingMode(region, step.decoded, step, left) : []),
    ...(s.file === "x" ? [set(region.status, readGlobal(region.flags))] : []),
    ...(s.file === "x" && rd === 0 ? [set(region.old, value)] : region.write(s.file, rd, value)),
    ...(s.file === "f" ? dirtyFloat(region, state) : dirtyByFlags(region, state)),
  ];
}

/** What gives an integer makes the unit dirty only by a flag that was not set. */
function dirtyByFlags(region: RegionState, state: BlockState): Statements {
  if (state.isFloatDirty) return [];
  return [when(i32.ne(readGlobal(region.flags), region.status), [store.i32(region.base, i32.const(3), at.FS)])];
}

/** Resolves the dynamic rounding mode; modes 5 to 7 are reserved there, too. */
function roundingMode(region: RegionState, { rm }: Decoded, step: Step, left: number): Statements {
  if (rm !== 7) return [set(region.rm, i32.const(rm))];
  return [
    set(region.rm, i32.load(region.base, at.FRM)),
    ...region.exitIf(i32.gt_u(region.rm, i32.const(4)), step.offset, left),
  ];
}

/** Nothing in a region turns the unit off, so that a block looks once. */
function requireFloat(region: RegionState, step: Step, left: number, state: BlockState): Statements {
  if (state.isFloatOn) return [];
  state.isFloatOn = true;
  return region.exitIf(i32.eqz(i32.load(region.base, at.FS)), step.offset, left);
}

function dirtyFloat(region: RegionState, state: BlockState): Statements {
  if (state.isFloatDirty) return [];
  state.isFloatDirty = true;
  return [store.i32(region.base, i32.const(3), at.FS)];
}
