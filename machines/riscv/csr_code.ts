/** CSR instructions in the interpreter: registers that generated code may access are read and written here. */
import { call, choose, i32, i64 } from "../wasm/expression.ts";
import { branchIf, set, type Statements, store, when } from "../wasm/statement.ts";
import { CSR_OPERATIONS } from "./direct_csrs.ts";
import { arrive, type Machine, register, slotField } from "./handlers.ts";
import * as at from "./layout.ts";
import { readSstatus } from "./status_code.ts";

const CSR_LENGTH = 4;

/** Performs the operation `kind` with the operand `first` on the register at the field `address`. */
export function csrOperation(m: Machine): Statements {
  const { base, address, first, second, third, kind } = m;
  const lowestMode = i32.and(i32.shr_u(slotField(m, at.SLOT_IMM), i32.const(8)), i32.const(3));
  const is = (operation: number) => i32.eq(kind, i32.const(operation));
  const changed = choose(is(CSR_OPERATIONS.set), i64.or(second, first), i64.and(second, i64.xor(first, i64.const(-1))));
  // The offset of x0 is 0, as is an immediate of 0: set and clear then don't write.
  const isWrite = i32.or(is(CSR_OPERATIONS.write), slotField(m, at.SLOT_RS1));
  const zeros = i64.extend_i32_u(i32.load8_u(m.slot, at.SLOT_CSR_ZEROS));
  return [
    branchIf(m.labels.execute, i32.lt_u(i32.load(base, at.FETCH_CONTEXT), lowestMode)),
    when(i32.eq(address, i32.const(at.CSR.mstatus)), [
      set(second, readSstatus(base)),
      when(isWrite, [
        set(third, choose(is(CSR_OPERATIONS.write), first, changed)),
        branchIf(m.labels.execute, i32.eqz(call(m.status.writeSstatus, base, third))),
        set(m.tlb, i32.load(base, at.DATA_TLB)),
      ]),
    ], [
      set(address, i32.add(base, address)),
      set(second, i64.load(address)),
      when(isWrite, [
        set(third, choose(is(CSR_OPERATIONS.write), first, changed)),
        store.i64(address, i64.and(third, i64.xor(zeros, i64.const(-1)))),
      ]),
    ]),
    store.i64(register(m, at.SLOT_RD), second),
    set(m.slot, i32.add(m.slot, i32.const((CSR_LENGTH / 2) * at.SLOT_BYTES))),
    ...arrive(m),
  ];
}
