/**
 * Generates the slow paths of memory accesses: what happens when the inline TLB check of a load, store, atomic or fetch
 * fails. They translate, fill the TLB, split accesses that cross pages, keep decoded code coherent with stores, and
 * leave to TypeScript only what is not guest memory.
 */
import { call, type Callee, choose, type Expr, i32, i64, type Local, select } from "../wasm/expression.ts";
import type { FunctionBuilder, ModuleBuilder } from "../wasm/module.ts";
import {
  block,
  branch,
  branchIf,
  fill,
  giveBack,
  label,
  loop,
  run,
  set,
  type Statement,
  type Statements,
  store,
  when,
} from "../wasm/statement.ts";
import type { HartImports } from "./imports.ts";
import * as at from "./layout.ts";
import {
  ACCESS_FAULT,
  ALLOWED,
  definePageWalk,
  EXECUTE,
  FOUND,
  maybeSuperpage,
  offsetInMemory,
  PAGE_FAULT,
  parameter,
  PARTIAL,
  READ,
  WRITE,
} from "./page_walk.ts";

/** Answers of `locate` that are not an address in guest memory. */
const TRAPPED = -1n, ELSEWHERE = -2n, LOST = -3n;
/** Answers of the fetch functions that are not a decoded page. */
export const FETCH_TRAPPED = 0, FETCH_SINGLE = -1;
/** An atomic's address if an exception was taken. No aligned access lies there. */
export const NO_ADDRESS = -1;
/** Stores to a decoded page until it is taken for data. */
const RETIRE_AFTER = 256;

const PAGE_MASK = -4096;

export interface Mmu {
  /** (base, address, kind) → status; the result, extended as the kind says, in VALUE. */
  readonly loadSlow: Callee;
  /** (base, address, bytes) → status; writes VALUE. */
  readonly storeSlow: Callee;
  /** (base, address, bytes, READ or WRITE) → address in guest memory or NO_ADDRESS. */
  readonly locateAtomic: Callee;
  /** (base, address) → decoded page, FETCH_TRAPPED or FETCH_SINGLE. */
  readonly fetchPage: Callee;
  /** (base, address) → FETCH_SINGLE or FETCH_TRAPPED. */
  readonly fetchSingle: Callee;
}

/** Index of an address's TLB entry, as an offset in its table. */
export function tlbOffset(va: Expr): Expr {
  const mask = (at.TLB_ENTRIES - 1) * at.TLB_ENTRY_BYTES;
  return i32.and(i32.shr_u(i32.wrap_i64(va), i32.const(8)), i32.const(mask));
}

const page = (address: Expr) => i64.and(address, i64.const(PAGE_MASK));
const inPage = (address: Expr) => i32.and(address, i32.const(at.PAGE_BYTES - 1));

/** (base, address in guest memory, bytes): undecodes the slots that begin in or reach into these bytes of one page. */
function defineClearSlots(module: ModuleBuilder): Callee {
  return module.function("clearSlots", { params: ["i32", "i32", "i32"] }, (f) => {
    const base = parameter(f, 0), address = parameter(f, 1), bytes = parameter(f, 2);
    const code = f.local("i32"), first = f.local("i32");
    return [
      set(code, decodedPage(base, address)),
      when(i32.eqz(code), [giveBack()]),
      set(bytes, i32.add(inPage(address), bytes)),
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
function decodedPage(base: Local, address: Expr): Expr {
  return i32.load(i32.add(i32.load(base, at.CODE_MAP), i32.shl(i32.shr_u(address, i32.const(12)), i32.const(2))));
}

/** By kind of access: the codes of access faults and page faults (loads 5 and 13, stores 7 and 15, fetches 1 and 12). */
function raiseFault(imports: HartImports, base: Local, access: Expr, fault: Expr): Statement {
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

export function defineMmu(module: ModuleBuilder, imports: HartImports): Mmu {
  const clearSlots = defineClearSlots(module);
  const { checkPmp, findRange, walk } = definePageWalk(module, imports, clearSlots);

  /**
   * Translates, checks PMP for the page or, where the page is not uniform, for the access, and finds the range.
   * Leaves the physical address, the range (0: none) and whether the page may be cached in the locals.
   */
  const translate = (
    f: FunctionBuilder,
    base: Local,
    va: Local,
    bytes: Expr,
    access: Expr,
    context: Expr,
    trapped: Statements,
  ) => {
    const status = f.local("i32"), physical = f.local("i64"), range = f.local("i32"), machine = f.local("i32");
    const whole = f.local("i32");
    const fault = (kind: Expr): Statements => [raiseFault(imports, base, access, kind), ...trapped];
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
        when(i32.and(isWrite, i32.load(found.range, 20)), [
          when(i32.eq(i32.load(found.range, 20), i32.const(at.STORES_LOST)), [giveBack(i64.const(LOST))]),
          giveBack(i64.const(ELSEWHERE)),
        ]),
        set(address, offsetInMemory(found.range, found.physical)),
        when(isWrite, [
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

  return {
    loadSlow: defineLoad(module, imports, locate),
    storeSlow: defineStore(module, imports, locate),
    locateAtomic: defineAtomic(module, imports, locate),
    ...defineFetch(module, imports, translate),
    ...defineMaintenance(module),
  };
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

type Translate = (
  f: FunctionBuilder,
  base: Local,
  va: Local,
  bytes: Expr,
  access: Expr,
  context: Expr,
  trapped: Statements,
) => { code: Statements; physical: Local; range: Local; cacheable: Expr };

function defineFetch(module: ModuleBuilder, imports: HartImports, translate: Translate) {
  const execute = i32.const(EXECUTE);

  /** (base, address) → halfword, or −1 after an exception. */
  const fetchHalfword = module.function("fetchHalfword", { params: ["i32", "i64"], results: ["i32"] }, (f) => {
    const base = parameter(f, 0), va = parameter(f, 1);
    const entry = f.local("i32"), half = f.local("i32");
    const found = translate(f, base, va, i32.const(2), execute, i32.load(base, at.FETCH_CONTEXT), [
      giveBack(i32.const(-1)),
    ]);
    return [
      set(entry, i32.add(i32.load(base, at.FETCH_TLB), tlbOffset(va))),
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
    const word = f.local("i32"), half = f.local("i32");
    const trapped = (value: Expr) => when(i32.lt_s(value, i32.const(0)), [giveBack(i32.const(FETCH_TRAPPED))]);
    return [
      set(word, call(fetchHalfword, base, va)),
      trapped(word),
      when(i32.eq(i32.and(word, i32.const(3)), i32.const(3)), [
        set(half, call(fetchHalfword, base, i64.add(va, i64.const(2)))),
        trapped(half),
        set(word, i32.or(word, i32.shl(half, i32.const(16)))),
      ]),
      when(i32.ne(word, i32.load(base, at.SINGLE_WORD)), [run(imports.decodeSingle, base, word)]),
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
      set(entry, i32.add(i32.load(base, at.FETCH_TLB), tlbOffset(va))),
      store.i64(entry, page(va), at.FETCH_TABLE),
      store.i32(entry, code, at.FETCH_TABLE + 8),
      store.i32(entry, source, at.FETCH_TABLE + 12),
      giveBack(code),
    ];
  });
  return { fetchPage, fetchSingle };
}

/** Functions that TypeScript calls to drop TLB entries. */
function defineMaintenance(module: ModuleBuilder) {
  /** (base, address) → 0 after dropping the page's entries of user and supervisor, or 1 if all must be dropped. */
  module.function("fenceAddress", { params: ["i32", "i64"], results: ["i32"], exported: true }, (f) => {
    const base = parameter(f, 0), va = parameter(f, 1);
    const entry = f.local("i32");
    const tables: number[] = [];
    for (let table = 0; table < at.MACHINE * 3; table++) tables.push(at.TLB + table * at.TLB_TABLE_BYTES);
    return [
      ...[21, 30, 39, 48].map((shift) => when(maybeSuperpage(base, va, i64.const(shift)), [giveBack(i32.const(1))])),
      set(entry, i32.add(base, tlbOffset(va))),
      ...tables.map((table) =>
        when(i64.eq(i64.load(entry, table), page(va)), [store.i64(entry, i64.const(-1), table)])
      ),
      giveBack(i32.const(0)),
    ];
  });

  /** (base, page of guest memory): drops the write entries that lead to this page. */
  module.function("dropWriters", { params: ["i32", "i32"], exported: true }, (f) => {
    const base = parameter(f, 0), source = parameter(f, 1);
    const entry = f.local("i32"), end = f.local("i32"), context = f.local("i32");
    const contexts = label("contexts"), entries = label("entries");
    return [
      set(context, i32.add(base, i32.const(at.TLB + at.WRITE_TABLE))),
      loop(contexts, [
        set(entry, context),
        set(end, i32.add(entry, i32.const(at.TLB_TABLE_BYTES))),
        loop(entries, [
          when(i32.eq(i32.add(i32.load(entry), i32.load(entry, 8)), source), [store.i64(entry, i64.const(-1))]),
          set(entry, i32.add(entry, i32.const(at.TLB_ENTRY_BYTES))),
          branchIf(entries, i32.ne(entry, end)),
        ]),
        set(context, i32.add(context, i32.const(at.TLB_CONTEXT_BYTES))),
        branchIf(
          contexts,
          i32.ne(context, i32.add(base, i32.const(at.TLB + at.WRITE_TABLE + at.CONTEXTS * at.TLB_CONTEXT_BYTES))),
        ),
      ]),
    ];
  });
  return {};
}
