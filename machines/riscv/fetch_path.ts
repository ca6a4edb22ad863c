/** Generates the slow paths of instruction fetch: what happens when a jump leaves the page and the fetch TLB misses. */
import { call, type Callee, type Expr, i32, i64 } from "../wasm/expression.ts";
import type { ModuleBuilder } from "../wasm/module.ts";
import { giveBack, run, set, store, when } from "../wasm/statement.ts";
import type { HartImports } from "./imports.ts";
import * as at from "./layout.ts";
import { decodedPage, fetchEntry, inPage, page, PAGE_MASK, raiseFault, type Translate } from "./translate.ts";
import { ACCESS_FAULT, EXECUTE, offsetInMemory, parameter } from "./page_walk.ts";

/** Answers that are not a decoded page. */
export const FETCH_TRAPPED = 0, FETCH_SINGLE = -1;

/** Where the instruction at an address is decoded if it runs apart from any page. */
export function singleSlot(base: Expr, va: Expr): Expr {
  // Those that straddle pages all have the same place in theirs.
  const mixed = i32.wrap_i64(i64.add(i64.shr_u(va, i64.const(12)), i64.shr_u(va, i64.const(1))));
  const place = i32.mul(i32.and(mixed, i32.const(at.SINGLE_COUNT - 1)), i32.const(at.SINGLE_BYTES));
  return i32.add(i32.add(base, i32.const(at.SINGLES)), place);
}

export interface FetchPath {
  /** (base, address) → decoded page, FETCH_TRAPPED or FETCH_SINGLE. */
  readonly fetchPage: Callee;
  /** (base, address) → FETCH_SINGLE or FETCH_TRAPPED. */
  readonly fetchSingle: Callee;
}

export function defineFetch(module: ModuleBuilder, imports: HartImports, translate: Translate): FetchPath {
  const execute = i32.const(EXECUTE);

  /** (base, address) → halfword, or −1 after an exception. */
  const fetchHalfword = module.function("fetchHalfword", { params: ["i32", "i64"], results: ["i32"] }, (f) => {
    const base = parameter(f, 0), va = parameter(f, 1);
    const entry = f.local("i32"), half = f.local("i32");
    const found = translate(f, base, va, i32.const(2), execute, i32.load(base, at.FETCH_CONTEXT), [
      giveBack(i32.const(-1)),
    ]);
    return [
      set(entry, fetchEntry(base, va)),
      when(i64.eq(i64.load(entry, at.FETCH_TABLE), page(va)), [
        giveBack(i32.load16_u(i32.add(i32.load(entry, at.FETCH_TABLE + 12), inPage(i32.wrap_i64(va))))),
      ]),
      ...found.code,
      when(found.range, [giveBack(i32.load16_u(offsetInMemory(found.range, found.physical)))]),
      set(half, call(imports.fetchHalfword, base)),
      when(i32.lt_s(half, i32.const(0)), [raiseFault(imports, base, execute, i32.const(ACCESS_FAULT))]),
      giveBack(half),
    ];
  });

  const fetchSingle = module.function("fetchSingle", { params: ["i32", "i64"], results: ["i32"] }, (f) => {
    const base = parameter(f, 0), va = parameter(f, 1);
    const word = f.local("i32"), half = f.local("i32"), slot = f.local("i32");
    const trapped = (value: Expr) => when(i32.lt_s(value, i32.const(0)), [giveBack(i32.const(FETCH_TRAPPED))]);
    return [
      set(word, call(fetchHalfword, base, va)),
      trapped(word),
      when(i32.eq(i32.and(word, i32.const(3)), i32.const(3)), [
        set(half, call(fetchHalfword, base, i64.add(va, i64.const(2)))),
        trapped(half),
        set(word, i32.or(word, i32.shl(half, i32.const(16)))),
      ]),
      set(slot, singleSlot(base, va)),
      when(i32.ne(word, i32.load(slot, at.SINGLE_WORD)), [run(imports.decodeSingle, base, slot, word)]),
      giveBack(i32.const(FETCH_SINGLE)),
    ];
  });

  const fetchPage = module.function("fetchPage", { params: ["i32", "i64"], results: ["i32"] }, (f) => {
    const base = parameter(f, 0), va = parameter(f, 1);
    const source = f.local("i32"), code = f.local("i32"), entry = f.local("i32");
    const found = translate(f, base, va, i32.const(2), execute, i32.load(base, at.FETCH_CONTEXT), [
      giveBack(i32.const(FETCH_TRAPPED)),
    ]);
    return [
      ...found.code,
      when(i32.or(i32.eqz(found.range), i32.eqz(found.cacheable)), [giveBack(call(fetchSingle, base, va))]),
      set(source, i32.and(offsetInMemory(found.range, found.physical), i32.const(PAGE_MASK))),
      set(code, decodedPage(base, source)),
      when(i32.eqz(code), [set(code, call(imports.createPage, base, source))]),
      set(entry, fetchEntry(base, va)),
      store.i64(entry, page(va), at.FETCH_TABLE),
      store.i32(entry, code, at.FETCH_TABLE + 8),
      store.i32(entry, source, at.FETCH_TABLE + 12),
      giveBack(code),
    ];
  });
  return { fetchPage, fetchSingle };
}
