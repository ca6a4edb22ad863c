/**
 * Generates the slow paths of data accesses: what happens when the inline TLB check of a load, store or atomic
 * fails. They translate, fill the TLB, split accesses that cross pages, keep decoded code coherent with stores, and
 * leave to TypeScript only what is not guest memory.
 */
import { call, type Callee, choose, type Expr, i32, i64, select } from "../wasm/expression.ts";
import type { ModuleBuilder } from "../wasm/module.ts";
import { block, branch, branchIf, fill, giveBack, label, loop, run, set, store, when } from "../wasm/statement.ts";
import { defineFetch, type FetchPath } from "./fetch_path.ts";
import type { HartImports } from "./imports.ts";
import * as at from "./layout.ts";
import { logStore } from "./logged_stores.ts";
import {
  ACCESS_FAULT,
  ALLOWED,
  definePageWalk,
  FOUND,
  offsetInMemory,
  type PageWalk,
  parameter,
  READ,
  WRITE,
} from "./page_walk.ts";
import {
  decodedPage,
  defineClearSlots,
  inPage,
  makeTranslate,
  page,
  PAGE_MASK,
  raiseFault,
  tlbOffset,
  type Translate,
} from "./translate.ts";
import { defineFences } from "./translation_fence.ts";

/** Answers of `locate` that are not an address in guest memory. */
const TRAPPED = -1n, ELSEWHERE = -2n, LOST = -3n;
/** An atomic's address if an exception was taken. No aligned access lies there. */
export const NO_ADDRESS = -1;
/** Stores to a decoded page until it is taken for data. */
const RETIRE_AFTER = 256;

export interface Mmu extends FetchPath {
  /** (base, address, kind) → status; the result, extended as the kind says, in VALUE. */
  readonly loadSlow: Callee;
  /** (base, address, bytes) → status; writes VALUE, or zeros if the bytes are a block's. */
  readonly storeSlow: Callee;
  /** (base, address, bytes, READ or WRITE) → address in guest memory or NO_ADDRESS. */
  readonly locateAtomic: Callee;
  /** (base, address) → CONTINUE, or RELOAD after an exception: whether a block may be managed. */
  readonly touchBlock: Callee;
}

/** @param isWatched Whether `walked` is told of page walks. */
export function defineMmu(module: ModuleBuilder, imports: HartImports, isWatched: boolean): Mmu {
  const clearSlots = defineClearSlots(module, imports);
  const walks = definePageWalk(module, imports, clearSlots, isWatched);
  const translate = makeTranslate(imports, walks);

  const locate = module.function(
    "locate",
    { params: ["i32", "i64", "i32", "i32"], results: ["i64"] },
    (f) => {
      const base = parameter(f, 0), va = parameter(f, 1), bytes = parameter(f, 2), access = parameter(f, 3);
      const address = f.local("i32"), code = f.local("i32"), entry = f.local("i32"), context = f.local("i32");
      const found = translate(f, base, va, bytes, access, context, [giveBack(i64.const(TRAPPED))]);
      const isWrite = i32.eq(access, i32.const(WRITE));
      return [
        set(context, i32.load(base, at.DATA_CONTEXT)),
        ...found.code,
        when(i32.eqz(found.range), [giveBack(i64.const(ELSEWHERE))]),
        when(i32.and(isWrite, i32.ne(i32.load(found.range, 20), i32.const(at.STORES_WRITE))), [
          when(i32.eq(i32.load(found.range, 20), i32.const(at.STORES_LOST)), [giveBack(i64.const(LOST))]),
          giveBack(i64.const(ELSEWHERE)),
        ]),
        set(address, offsetInMemory(found.range, found.physical)),
        when(isWrite, [
          logStore(imports, base, address),
          set(code, decodedPage(base, address)),
          // A page that holds decoded code never enters the write TLB.
          when(code, [
            run(clearSlots, base, address, bytes),
            store.i32(code, i32.add(i32.load(code, at.PAGE_STORES), i32.const(1)), at.PAGE_STORES),
            giveBack(i64.extend_i32_u(address)),
          ]),
        ]),
        when(found.cacheable, [
          set(entry, i32.add(i32.load(base, at.DATA_TLB), tlbOffset(va))),
          set(entry, i32.add(entry, select(isWrite, i32.const(at.WRITE_TABLE), i32.const(at.READ_TABLE)))),
          store.i64(entry, page(va)),
          store.i32(entry, i32.sub(address, i32.wrap_i64(va)), 8),
        ]),
        giveBack(i64.extend_i32_u(address)),
      ];
    },
  );

  defineFences(module);
  defineRefill(module, walks, isWatched);
  return {
    loadSlow: defineLoad(module, imports, locate),
    storeSlow: defineStore(module, imports, locate),
    locateAtomic: defineAtomic(module, imports, locate),
    touchBlock: defineTouchBlock(module, translate),
    ...defineFetch(module, imports, translate),
  };
}

/**
 * (base, address, page, table) → 1 if the entry of the table for the address is now that of this page. Only what changes
 * nothing but the table is done: translated code goes on behind it. Page walks that are watched are left to `locate`.
 */
function defineRefill(module: ModuleBuilder, { look, checkPmp, findRange }: PageWalk, isWatched: boolean): void {
  const signature = { params: ["i32", "i64", "i64", "i32"], results: ["i32"], exported: true } as const;
  module.function("refill", signature, (f) => {
    if (isWatched) return [giveBack(i32.const(0))];
    const base = parameter(f, 0), va = parameter(f, 1), wanted = parameter(f, 2), table = parameter(f, 3);
    const access = f.local("i32"), context = f.local("i32"), physical = f.local("i64"), range = f.local("i32");
    const address = f.local("i32"), isWrite = f.local("i32"), last = f.local("i64");
    const refuse = (condition: Expr) => when(condition, [giveBack(i32.const(0))]);
    const isLogged = i32.load8_u(i32.add(i32.load(base, at.LOGGED_MAP), i32.shr_u(address, i32.const(12))));
    const isMachine = i32.eq(context, i32.const(at.MACHINE));
    return [
      refuse(i64.ne(page(va), wanted)),
      set(isWrite, i32.eq(table, i32.add(i32.load(base, at.DATA_TLB), i32.const(at.WRITE_TABLE)))),
      set(access, select(isWrite, i32.const(WRITE), i32.const(READ))),
      set(context, i32.load(base, at.DATA_CONTEXT)),
      refuse(i32.ne(call(look, base, va, access, context), i32.const(FOUND))),
      set(physical, page(i64.load(base, at.PHYSICAL))),
      set(last, i64.or(physical, i64.const(at.PAGE_BYTES - 1))),
      refuse(i32.ne(call(checkPmp, base, physical, last, access, isMachine), i32.const(ALLOWED))),
      set(range, call(findRange, base, physical, last)),
      refuse(i32.eqz(range)),
      set(address, offsetInMemory(range, physical)),
      when(isWrite, [
        refuse(i32.ne(i32.load(range, 20), i32.const(at.STORES_WRITE))),
        refuse(isLogged),
        refuse(decodedPage(base, address)),
      ]),
      set(table, i32.add(table, tlbOffset(va))),
      store.i64(table, wanted),
      store.i32(table, i32.sub(address, i32.wrap_i64(wanted)), 8),
      giveBack(i32.const(1)),
    ];
  });
}

/** True if the access goes on in the next page. */
const crosses = (va: Expr, bytes: Expr) => i32.gt_u(i32.add(inPage(i32.wrap_i64(va)), bytes), i32.const(at.PAGE_BYTES));

/** One of four by log2 of the size. */
function bySize(size: Expr, one: Expr, two: Expr, four: Expr, eight: Expr): Expr {
  const is = (n: number) => i32.eq(size, i32.const(n));
  return choose(is(1), one, choose(is(2), two, choose(is(4), four, eight)));
}

function defineLoad(module: ModuleBuilder, imports: HartImports, locate: Callee): Callee {
  /** (base, address, bytes) → status; VALUE is zero-extended. */
  const loadUnsigned = module.declare("loadUnsigned", { params: ["i32", "i64", "i32"], results: ["i32"] });
  module.define(loadUnsigned, (f) => {
    const base = parameter(f, 0), va = parameter(f, 1), bytes = parameter(f, 2);
    const found = f.local("i64"), at32 = f.local("i32"), value = f.local("i64"), i = f.local("i32");
    const status = f.local("i32"), again = f.local("i32");
    const next = label("next");
    return [
      when(crosses(va, bytes), [
        // Bytes from the last to the first. A fault names the first byte of the part that faults, so the first page
        // is tried first.
        set(status, call(loadUnsigned, base, va, i32.const(1))),
        when(i32.eq(status, i32.const(at.RELOAD)), [giveBack(status)]),
        set(again, status),
        set(value, i64.load(base, at.VALUE)),
        set(i, i32.const(1)),
        loop(next, [
          set(status, call(loadUnsigned, base, i64.add(va, i64.extend_i32_u(i)), i32.const(1))),
          when(i32.eq(status, i32.const(at.RELOAD)), [giveBack(status)]),
          set(again, i32.or(again, status)),
          set(
            value,
            i64.or(value, i64.shl(i64.load(base, at.VALUE), i64.extend_i32_u(i32.shl(i, i32.const(3))))),
          ),
          set(i, i32.add(i, i32.const(1))),
          branchIf(next, i32.lt_u(i, bytes)),
        ]),
        store.i64(base, value, at.VALUE),
        giveBack(again),
      ]),
      set(found, call(locate, base, va, bytes, i32.const(READ))),
      when(i64.ge_s(found, i64.const(0)), [
        set(at32, i32.wrap_i64(found)),
        store.i64(
          base,
          bySize(bytes, i64.load8_u(at32), i64.load16_u(at32), i64.load32_u(at32), i64.load(at32)),
          at.VALUE,
        ),
        giveBack(i32.const(at.CONTINUE)),
      ]),
      when(i64.eq(found, i64.const(TRAPPED)), [giveBack(i32.const(at.RELOAD))]),
      giveBack(call(imports.load, base, bytes)),
    ];
  });
  return module.function("loadSlow", { params: ["i32", "i64", "i32"], results: ["i32"] }, (f) => {
    const base = parameter(f, 0), va = parameter(f, 1), kind = parameter(f, 2);
    const status = f.local("i32"), bytes = f.local("i32"), value = f.local("i64");
    return [
      set(bytes, i32.shl(i32.const(1), i32.and(kind, i32.const(3)))),
      set(status, call(loadUnsigned, base, va, bytes)),
      set(value, i64.load(base, at.VALUE)),
      when(i32.and(kind, i32.const(at.KIND_SIGNED)), [
        set(
          value,
          bySize(bytes, i64.extend8_s(value), i64.extend16_s(value), i64.extend32_s(value), value),
        ),
      ]),
      // A single is boxed in a double's register.
      when(i32.eq(kind, i32.const(at.KIND_FLOAT | 2)), [set(value, i64.or(value, i64.const(-1n << 32n)))]),
      store.i64(base, value, at.VALUE),
      giveBack(status),
    ];
  });
}

function defineStore(module: ModuleBuilder, imports: HartImports, locate: Callee): Callee {
  const storeSlow = module.declare("storeSlow", { params: ["i32", "i64", "i32"], results: ["i32"] });
  module.define(storeSlow, (f) => {
    const base = parameter(f, 0), va = parameter(f, 1), bytes = parameter(f, 2);
    const found = f.local("i64"), at32 = f.local("i32"), value = f.local("i64"), i = f.local("i32");
    const status = f.local("i32"), again = f.local("i32"), code = f.local("i32");
    const next = label("next"), written = label("written");
    const size = (n: number) => i32.eq(bytes, i32.const(n));
    return [
      set(value, i64.load(base, at.VALUE)),
      when(crosses(va, bytes), [
        // Both pages must take the store before either is written.
        ...[va, i64.and(i64.add(va, i64.const(8)), i64.const(PAGE_MASK))].map((address) =>
          when(i64.eq(call(locate, base, address, i32.const(1), i32.const(WRITE)), i64.const(TRAPPED)), [
            giveBack(i32.const(at.RELOAD)),
          ])
        ),
        set(i, i32.const(0)),
        loop(next, [
          store.i64(
            base,
            i64.and(i64.shr_u(value, i64.extend_i32_u(i32.shl(i, i32.const(3)))), i64.const(0xff)),
            at.VALUE,
          ),
          set(status, call(storeSlow, base, i64.add(va, i64.extend_i32_u(i)), i32.const(1))),
          when(i32.eq(status, i32.const(at.RELOAD)), [giveBack(status)]),
          set(again, i32.or(again, status)),
          set(i, i32.add(i, i32.const(1))),
          branchIf(next, i32.lt_u(i, bytes)),
        ]),
        giveBack(again),
      ]),
      set(found, call(locate, base, va, bytes, i32.const(WRITE))),
      when(i64.eq(found, i64.const(TRAPPED)), [giveBack(i32.const(at.RELOAD))]),
      when(i64.eq(found, i64.const(ELSEWHERE)), [giveBack(call(imports.store, base, bytes))]),
      when(i64.eq(found, i64.const(LOST)), [giveBack(i32.const(at.CONTINUE))]),
      set(at32, i32.wrap_i64(found)),
      block(written, [
        when(size(1), [store.i64_8(at32, value), branch(written)]),
        when(size(2), [store.i64_16(at32, value), branch(written)]),
        when(size(4), [store.i64_32(at32, value), branch(written)]),
        when(size(at.BLOCK_BYTES), [fill(at32, i32.const(0), bytes), branch(written)]),
        store.i64(at32, value),
      ]),
      set(code, decodedPage(base, at32)),
      when(i32.eqz(code), [giveBack(i32.const(at.CONTINUE))]),
      when(i32.lt_u(i32.load(code, at.PAGE_STORES), i32.const(RETIRE_AFTER)), [giveBack(i32.const(at.CONTINUE))]),
      run(imports.retirePage, base, i32.and(at32, i32.const(PAGE_MASK))),
      giveBack(i32.const(at.FETCH_AGAIN)),
    ];
  });
  return storeSlow;
}

/**
 * Cache-block management needs what a load or a store needs; who may store may load. Faults are those of stores
 * (unprivileged specification, chapter "CMO", "Traps").
 */
function defineTouchBlock(module: ModuleBuilder, translate: Translate): Callee {
  return module.function("touchBlock", { params: ["i32", "i64"], results: ["i32"] }, (f) => {
    const base = parameter(f, 0), va = parameter(f, 1), context = f.local("i32");
    const trapped = [giveBack(i32.const(at.RELOAD))];
    const bytes = i32.const(at.BLOCK_BYTES);
    return [
      set(context, i32.load(base, at.DATA_CONTEXT)),
      ...translate(f, base, va, bytes, i32.const(READ), context, trapped, i32.const(WRITE)).code,
      giveBack(i32.const(at.CONTINUE)),
    ];
  });
}

/** Atomics act on guest memory only: elsewhere is no memory that supports them (privileged specification, 3.6.3). */
function defineAtomic(module: ModuleBuilder, imports: HartImports, locate: Callee): Callee {
  return module.function(
    "locateAtomic",
    { params: ["i32", "i64", "i32", "i32"], results: ["i32"] },
    (f) => {
      const base = parameter(f, 0), va = parameter(f, 1), bytes = parameter(f, 2), access = parameter(f, 3);
      const found = f.local("i64");
      const { loadMisaligned, storeMisaligned } = at.CAUSE;
      const isRead = i32.eq(access, i32.const(READ));
      return [
        when(i32.and(i32.wrap_i64(va), i32.sub(bytes, i32.const(1))), [
          store.i64(base, va, at.TVAL),
          run(imports.raise, base, select(isRead, i32.const(loadMisaligned), i32.const(storeMisaligned))),
          giveBack(i32.const(NO_ADDRESS)),
        ]),
        set(found, call(locate, base, va, bytes, access)),
        when(i64.ge_s(found, i64.const(0)), [giveBack(i32.wrap_i64(found))]),
        when(i64.ne(found, i64.const(TRAPPED)), [raiseFault(imports, base, access, i32.const(ACCESS_FAULT))]),
        giveBack(i32.const(NO_ADDRESS)),
      ];
    },
  );
}
