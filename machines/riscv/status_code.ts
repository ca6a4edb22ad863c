/**
 * mstatus in generated code: reading and writing it as sstatus, and the TLB contexts that follow from it and the mode.
 * Its bits are those of `status.ts`.
 */
import { type Callee, choose, type Expr, i32, i64, select } from "../wasm/expression.ts";
import type { ModuleBuilder } from "../wasm/module.ts";
import { giveBack, run, set, store, when } from "../wasm/statement.ts";
import * as at from "./layout.ts";
import { parameter } from "./page_walk.ts";
import { FS_SHIFT, MPP_SHIFT, MSTATUS, SD, SSTATUS_VISIBLE, SSTATUS_WRITABLE } from "./status.ts";

/** sstatus as supervisor mode reads it. */
export function readSstatus(base: Expr): Expr {
  const fs = i64.load32_u(base, at.FS);
  const dirty = select(i64.eq(fs, i64.const(3)), i64.const(SD), i64.const(0));
  const stored = i64.or(i64.load(base, at.CSR.mstatus), i64.shl(fs, i64.const(FS_SHIFT)));
  return i64.and(i64.or(stored, dirty), i64.const(SSTATUS_VISIBLE));
}

export interface StatusCode {
  /**
   * (base, value) → 1 if sstatus was written in supervisor mode, without any effect but on the data context; 0 if nothing
   * was done: TypeScript has to do it.
   */
  readonly writeSstatus: Callee;
}

export function defineStatus(module: ModuleBuilder): StatusCode {
  const chooseContexts = defineContexts(module);
  const signature = { params: ["i32", "i64"], results: ["i32"], exported: true } as const;
  const writeSstatus = module.function("writeSstatus", signature, (f) => {
    const base = parameter(f, 0), value = i32.wrap_i64(parameter(f, 1));
    const old = f.local("i32"), next = f.local("i32");
    const refuse = (condition: Expr) => when(condition, [giveBack(i32.const(0))]);
    const changes = (bits: number) => i32.and(i32.xor(old, next), i32.const(bits));
    const enabled = i32.load(base, at.CSR.mie), delegated = i32.load(base, at.CSR.mideleg);
    const takable = choose(
      i32.and(next, i32.const(MSTATUS.SIE)),
      enabled,
      i32.and(enabled, i32.xor(delegated, i32.const(-1))),
    );
    return [
      refuse(i32.ne(i32.load(base, at.FETCH_CONTEXT), i32.const(at.SUPERVISOR))),
      set(old, i32.load(base, at.CSR.mstatus)),
      set(next, i32.or(i32.and(old, i32.const(~SSTATUS_WRITABLE)), i32.and(value, i32.const(SSTATUS_WRITABLE)))),
      // What the TLB holds depends on MXR.
      refuse(changes(MSTATUS.MXR)),
      refuse(i32.and(takable, i32.load(base, at.PENDING))),
      store.i32(base, next, at.CSR.mstatus),
      store.i32(base, i32.and(i32.shr_u(value, i32.const(FS_SHIFT)), i32.const(3)), at.FS),
      when(changes(MSTATUS.SUM), [run(chooseContexts, base, i32.const(at.SUPERVISOR))]),
      giveBack(i32.const(1)),
    ];
  });
  return { writeSstatus };
}

/** (base, mode): which contexts loads and stores, and fetches, use from now on (privileged specification, 3.1.6.3). */
function defineContexts(module: ModuleBuilder): Callee {
  return module.function("chooseContexts", { params: ["i32", "i32"], exported: true }, (f) => {
    const base = parameter(f, 0), mode = parameter(f, 1);
    const status = f.local("i32"), data = f.local("i32");
    const has = (bits: number) => i32.ne(i32.and(status, i32.const(bits)), i32.const(0));
    const tables = (context: Expr) =>
      i32.add(i32.add(base, i32.const(at.TLB)), i32.mul(context, i32.const(at.TLB_CONTEXT_BYTES)));
    return [
      set(status, i32.load(base, at.CSR.mstatus)),
      set(data, mode),
      // MPP names one of the modes that there are, by its number.
      when(i32.and(i32.eq(mode, i32.const(at.MACHINE)), has(MSTATUS.MPRV)), [
        set(data, i32.and(i32.shr_u(status, i32.const(MPP_SHIFT)), i32.const(3))),
      ]),
      when(i32.and(i32.eq(data, i32.const(at.SUPERVISOR)), has(MSTATUS.SUM)), [
        set(data, i32.const(at.SUPERVISOR_SUM)),
      ]),
      store.i32(base, data, at.DATA_CONTEXT),
      store.i32(base, mode, at.FETCH_CONTEXT),
      store.i32(base, tables(data), at.DATA_TLB),
      store.i32(base, tables(mode), at.FETCH_TLB),
      store.i32(base, has(MSTATUS.MXR), at.MXR),
    ];
  });
}
