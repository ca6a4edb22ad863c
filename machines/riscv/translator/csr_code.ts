/**
 * The statements of CSR instructions that change nothing but the hart's state and, with sstatus.SUM, which TLB loads and
 * stores use: the twin of the interpreter's `csr_code.ts`. Regions are left for all others.
 */
import { call, type Expr, i32, i64 } from "../../wasm/expression.ts";
import { run, set, type Statements, store, when } from "../../wasm/statement.ts";
import { directCsr, lowestMode, SSTATUS } from "../direct_csrs.ts";
import type { Semantics } from "../instruction.ts";
import * as at from "../layout.ts";
import { readSstatus } from "../status_code.ts";
import type { Step } from "./discovery.ts";
import type { FloatUnit } from "./float_code.ts";
import type { RegionState } from "./region_state.ts";

type CsrSemantics = Extract<Semantics, { shape: "csr" }>;

/** `left` is how many instructions of the block have not begun, this one included. */
export function csrCode(
  region: RegionState,
  { offset, decoded }: Step,
  s: CsrSemantics,
  left: number,
  unit: FloatUnit,
): Statements {
  const { base, old, linkage } = region;
  const { imm: number, rd, rs1 } = decoded;
  const direct = directCsr(number);
  if (!direct) throw new Error(`CSR ${number} is not accessed by generated code`);
  const isStatus = number === SSTATUS;
  const operand = s.immediate ? i64.const(rs1) : region.read("x", rs1);
  const next = changed(s.op, old, operand);
  const mode = i32.load(base, at.FETCH_CONTEXT);
  const write = isStatus
    ? [...region.exitIf(i32.eqz(call(linkage.writeSstatus, base, next)), offset, left), ...takeContext(region)]
    : [store.i64(base, i64.and(next, i64.const(~direct.zeros)), direct.field)];
  // The unit may have been switched off, or be clean.
  if (isStatus) unit.isFloatOn = unit.isFloatDirty = false;
  return [
    ...region.exitIf(i32.lt_u(mode, i32.const(lowestMode(number))), offset, left),
    set(old, isStatus ? readSstatus(base) : i64.load(base, direct.field)),
    // Set and clear of x0 or 0 don't write.
    ...(s.op === "write" || rs1 !== 0 ? write : []),
    ...region.write("x", rd, old),
  ];
}

function changed(op: CsrSemantics["op"], old: Expr, operand: Expr): Expr {
  if (op === "write") return operand;
  return op === "set" ? i64.or(old, operand) : i64.and(old, i64.xor(operand, i64.const(-1)));
}

/** With SUM all is there that is there without it: pages that were found before it is cleared are forgotten. */
function takeContext({ base, tlb, linkage }: RegionState): Statements {
  const hasLost = i32.eq(i32.load(base, at.DATA_CONTEXT), i32.const(at.SUPERVISOR));
  const hasWindows = i64.ne(i64.load(base, at.WINDOWS_USED), i64.const(0));
  return [
    when(i32.ne(tlb, i32.load(base, at.DATA_TLB)), [
      set(tlb, i32.load(base, at.DATA_TLB)),
      when(i32.and(hasLost, hasWindows), [run(linkage.forget, base)]),
    ]),
  ];
}
