/** The statements of one translated instruction, made from its semantics: the twin of the interpreter's handlers. */
import { choose, type Expr, f64, i32, i64 } from "../../wasm/expression.ts";
import { set, type Statement, type Statements, store, when } from "../../wasm/statement.ts";
import type { Semantics } from "../instruction.ts";
import * as at from "../layout.ts";
import { bound } from "./operands.ts";
import { locate } from "./access.ts";
import { accessOf, type Member } from "./groups.ts";
import { zeroBlockCode } from "./block_code.ts";
import { csrCode } from "./csr_code.ts";
import type { Step } from "./discovery.ts";
import { dirtyFloat, floatCode, type FloatUnit, requireFloat } from "./float_code.ts";
import { asDouble, type RegionState } from "./region_state.ts";

/** What is known at a point of a block. */
export interface BlockState extends FloatUnit {
  readonly groups: ReadonlyMap<Step, Member>;
}

type Shape<S extends Semantics["shape"]> = Extract<Semantics, { shape: S }>;

const loads = {
  signed: { 1: i64.load8_s, 2: i64.load16_s, 4: i64.load32_s, 8: i64.load },
  unsigned: { 1: i64.load8_u, 2: i64.load16_u, 4: i64.load32_u, 8: i64.load },
};
const stores = { 1: store.i64_8, 2: store.i64_16, 4: store.i64_32, 8: store.i64 };
const NAN_BOX = i64.const(-1n << 32n);

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
    case "csr":
      return csrCode(region, step, s, left, state);
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
    ...(isFloat && s.bytes === 8
      ? region.writeDouble(rd, f64.load(region.entry))
      : region.write(s.file, rd, isFloat ? i64.or(value, NAN_BOX) : value)),
    ...(isFloat ? dirtyFloat(region, state) : []),
  ];
}

function storeCode(region: RegionState, step: Step, s: Shape<"store">, left: number, state: BlockState): Statements {
  const { rs2 } = step.decoded;
  return [
    ...(s.file === "f" ? requireFloat(region, step, left, state) : []),
    ...locateStep(region, step, left, state),
    ...region.logStore(),
    s.file === "f" && s.bytes === 8
      ? store.f64(region.entry, asDouble(region.read("f", rs2)))
      : stores[s.bytes](region.entry, region.read(s.file, rs2)),
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
