/**
 * Windows: for each base register, and for loads and stores apart, the page that translated code accessed last. They
 * hold as long as translated code runs, across calls, too: mappings do not change meanwhile.
 */
import { call, type Callee, type Expr, i32, i64, type Local } from "../../wasm/expression.ts";
import type { ModuleBuilder } from "../../wasm/module.ts";
import { branchIf, giveBack, label, loop, run, set, type Statements, store, when } from "../../wasm/statement.ts";
import * as at from "../layout.ts";
import { parameter } from "../page_walk.ts";
import { page, tlbOffset } from "../translate.ts";

/** The number of a window, 0 to 63. */
export function windowOf(register: number, table: number): number {
  return 2 * register + (table === at.READ_TABLE ? 0 : 1);
}

/** The field of the hart's state where a window begins. */
export function fieldOf(window: number): number {
  return at.WINDOWS + window * at.WINDOW_BYTES;
}

/** Marks a window as one that is there; it lies at this field behind `start`. */
export function openWindow(base: Expr, start: Expr, window: Expr, field: number): Statements {
  const bit = i64.shl(i64.const(1), i64.extend_i32_u(window));
  return [
    when(i32.load(start, field + at.WINDOW_MISSING), [
      store.i32(start, i32.const(0), field + at.WINDOW_MISSING),
      store.i64(base, i64.or(i64.load(base, at.WINDOWS_USED), bit), at.WINDOWS_USED),
    ]),
  ];
}

export const FORGET = { params: ["i32"] } as const;
const CLAIM = { params: ["i32", "i32", "i32", "i32", "i64", "i64"], results: ["i32"] } as const;

/** (base): empties the windows. */
export function defineForget(module: ModuleBuilder): Callee {
  return module.function("forget", { ...FORGET, exported: true }, (f) => {
    const base = parameter(f, 0), used = f.local("i64"), start = f.local("i32"), next = label("next");
    return [
      set(used, i64.load(base, at.WINDOWS_USED)),
      loop(next, [
        set(start, i32.add(base, i32.mul(i32.wrap_i64(i64.ctz(used)), i32.const(at.WINDOW_BYTES)))),
        store.i64(start, i64.const(at.NO_PAGE), at.WINDOWS + at.WINDOW_PAGE),
        store.i32(start, i32.const(-1), at.WINDOWS + at.WINDOW_MISSING),
        set(used, i64.and(used, i64.sub(used, i64.const(1)))),
        branchIf(next, i64.ne(used, i64.const(0))),
      ]),
      store.i64(base, used, at.WINDOWS_USED),
    ];
  });
}

/** `straddles` is told of accesses that lie in two pages. */
export function defineClaim(module: ModuleBuilder, refill: Callee, straddles: Callee): Callee {
  return module.function("claim", CLAIM, (f) => {
    const base = parameter(f, 0), table = parameter(f, 1), window = parameter(f, 2), slot = parameter(f, 3);
    const first = parameter(f, 4), last = parameter(f, 5);
    const entry = f.local("i32"), distance = f.local("i32"), start = f.local("i32");
    const refuse = (condition: Expr, ...code: Statements) => when(condition, [...code, giveBack(i32.const(0))]);
    const lookUp = (address: Local): Statements => [
      set(entry, i32.add(table, tlbOffset(address))),
      when(i64.ne(i64.load(entry), page(address)), [
        refuse(i32.eqz(call(refill, base, address, page(address), table))),
      ]),
    ];
    return [
      ...lookUp(first),
      set(distance, i32.load(entry, 8)),
      when(i64.ne(page(first), page(last)), [
        ...lookUp(last),
        refuse(i32.ne(i32.load(entry, 8), distance), run(straddles, slot)),
      ]),
      set(start, i32.add(base, i32.mul(window, i32.const(at.WINDOW_BYTES)))),
      store.i64(start, page(first), at.WINDOWS + at.WINDOW_PAGE),
      store.i32(start, distance, at.WINDOWS + at.WINDOW_DISTANCE),
      ...openWindow(base, start, window, at.WINDOWS),
      giveBack(i32.const(1)),
    ];
  });
}
