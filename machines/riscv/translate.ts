/**
 * What the slow paths of loads, stores and fetches share: from a virtual address to a place in guest memory, the faults
 * on the way, and where decoded code lies.
 */
import { call, type Callee, type Expr, i32, i64, type Local, select } from "../wasm/expression.ts";
import type { FunctionBuilder, ModuleBuilder } from "../wasm/module.ts";
import { fill, giveBack, run, set, type Statement, type Statements, store, when } from "../wasm/statement.ts";
import type { HartImports } from "./imports.ts";
import * as at from "./layout.ts";
import {
  ACCESS_FAULT,
  ALLOWED,
  EXECUTE,
  FOUND,
  PAGE_FAULT,
  type PageWalk,
  parameter,
  PARTIAL,
  WRITE,
} from "./page_walk.ts";

export const PAGE_MASK = -4096;

/** Index of an address's TLB entry, as an offset in its table. */
export function tlbOffset(va: Expr): Expr {
  const mask = (at.TLB_ENTRIES - 1) * at.TLB_ENTRY_BYTES;
  return i32.and(i32.shr_u(i32.wrap_i64(va), i32.const(8)), i32.const(mask));
}

/** The fetch TLB's entry for an address: its tag and the rest are at `FETCH_TABLE`. */
export function fetchEntry(base: Expr, va: Expr): Expr {
  return i32.add(i32.load(base, at.FETCH_TLB), tlbOffset(va));
}

export const page = (address: Expr) => i64.and(address, i64.const(PAGE_MASK));
export const inPage = (address: Expr) => i32.and(address, i32.const(at.PAGE_BYTES - 1));

/** (base, address in guest memory, bytes): undecodes the slots that begin in or reach into these bytes of one page. */
export function defineClearSlots(module: ModuleBuilder, imports: HartImports): Callee {
  return module.function("clearSlots", { params: ["i32", "i32", "i32"] }, (f) => {
    const base = parameter(f, 0), address = parameter(f, 1), bytes = parameter(f, 2);
    const code = f.local("i32"), first = f.local("i32");
    const granule = (place: Expr) => i64.extend_i32_u(i32.shr_u(place, i32.const(at.GRANULE_SHIFT)));
    const last = i32.sub(bytes, i32.const(1));
    const granules = i64.and(
      i64.shl(i64.const(-1), granule(inPage(address))),
      i64.shr_u(i64.const(-1), i64.sub(i64.const(63), granule(last))),
    );
    return [
      set(code, decodedPage(base, address)),
      when(i32.eqz(code), [giveBack()]),
      set(bytes, i32.add(inPage(address), bytes)),
      when(i64.ne(i64.and(i64.load(code, at.PAGE_TRANSLATED), granules), i64.const(0)), [
        run(imports.dropRegions, code, inPage(address), last),
      ]),
      // An instruction that begins two bytes earlier may reach in.
      set(first, i32.and(i32.sub(inPage(address), i32.const(2)), i32.const(-2))),
      when(i32.lt_s(first, i32.const(0)), [set(first, i32.const(0))]),
      fill(
        i32.add(code, i32.shl(first, i32.const(at.SLOT_SHIFT))),
        i32.const(0),
        i32.shl(i32.and(i32.sub(i32.add(bytes, i32.const(1)), first), i32.const(-2)), i32.const(at.SLOT_SHIFT)),
      ),
    ];
  });
}

/** The decoded page of an address in guest memory, or 0. */
export function decodedPage(base: Local, address: Expr): Expr {
  return i32.load(i32.add(i32.load(base, at.CODE_MAP), i32.shl(i32.shr_u(address, i32.const(12)), i32.const(2))));
}

/** By kind of access: the codes of access faults and page faults (loads 5 and 13, stores 7 and 15, fetches 1 and 12). */
export function raiseFault(imports: HartImports, base: Local, access: Expr, fault: Expr): Statement {
  const { CAUSE } = at;
  const byAccess = (read: number, write: number, fetch: number) =>
    select(
      i32.eq(access, i32.const(EXECUTE)),
      i32.const(fetch),
      select(i32.eq(access, i32.const(WRITE)), i32.const(write), i32.const(read)),
    );
  return run(
    imports.raise,
    base,
    select(
      i32.eq(fault, i32.const(PAGE_FAULT)),
      byAccess(CAUSE.loadPage, CAUSE.storePage, CAUSE.instructionPage),
      byAccess(CAUSE.loadAccess, CAUSE.storeAccess, CAUSE.instructionAccess),
    ),
  );
}

export type Translate = (
  f: FunctionBuilder,
  base: Local,
  va: Local,
  bytes: Expr,
  access: Expr,
  context: Expr,
  trapped: Statements,
  /** The kind of access whose faults are raised, if it is another. */
  blamed?: Expr,
) => { code: Statements; physical: Local; range: Local; cacheable: Expr };

/**
 * Translates, checks PMP for the page or, where the page is not uniform, for the access, and finds the range.
 * Leaves the physical address, the range (0: none) and whether the page may be cached in the locals.
 */
export function makeTranslate(imports: HartImports, { checkPmp, findRange, walk }: PageWalk): Translate {
  return (
    f: FunctionBuilder,
    base: Local,
    va: Local,
    bytes: Expr,
    access: Expr,
    context: Expr,
    trapped: Statements,
    blamed = access,
  ) => {
    const status = f.local("i32"), physical = f.local("i64"), range = f.local("i32"), machine = f.local("i32");
    const whole = f.local("i32");
    const fault = (kind: Expr): Statements => [raiseFault(imports, base, blamed, kind), ...trapped];
    const code: Statements = [
      store.i64(base, va, at.TVAL),
      set(status, call(walk, base, va, access, context)),
      when(i32.ne(status, i32.const(FOUND)), fault(status)),
      set(physical, i64.load(base, at.PHYSICAL)),
      set(machine, i32.eq(context, i32.const(at.MACHINE))),
      set(
        whole,
        call(checkPmp, base, page(physical), i64.or(physical, i64.const(at.PAGE_BYTES - 1)), access, machine),
      ),
      set(status, whole),
      when(i32.eq(whole, i32.const(PARTIAL)), [
        set(
          status,
          call(
            checkPmp,
            base,
            physical,
            i64.add(physical, i64.sub(i64.extend_i32_u(bytes), i64.const(1))),
            access,
            machine,
          ),
        ),
      ]),
      when(i32.ne(status, i32.const(ALLOWED)), fault(i32.const(ACCESS_FAULT))),
      set(range, call(findRange, base, page(physical), i64.or(physical, i64.const(at.PAGE_BYTES - 1)))),
    ];
    return { code, physical, range, cacheable: i32.eq(whole, i32.const(ALLOWED)) };
  };
}
