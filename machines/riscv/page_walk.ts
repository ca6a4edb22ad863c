/**
 * Generates the functions that turn a virtual address into a physical one: physical memory protection, the table of
 * guest memory's ranges, and the page walk (privileged specification, 3.7 and 4.3 to 4.5).
 */
import { call, type Callee, choose, type Expr, i32, i64, type Local, select } from "../wasm/expression.ts";
import type { FunctionBuilder, ModuleBuilder } from "../wasm/module.ts";
import {
  block,
  branch,
  branchIf,
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
import * as at from "./layout.ts";
import type { HartImports } from "./imports.ts";
import { logStore } from "./logged_stores.ts";

/** What an access is: the bit that PMP and the page table must grant. */
export const READ = at.PMP_READ, WRITE = at.PMP_WRITE, EXECUTE = at.PMP_EXECUTE;
/** Answers of the PMP check. */
export const DENIED = 0, ALLOWED = 1, PARTIAL = 2;
/** Answers of the walk. */
export const FOUND = 0, PAGE_FAULT = 1, ACCESS_FAULT = 2;

const PTE = { V: 1, R: 2, W: 4, X: 8, U: 16, A: 64, D: 128 } as const;
const PPN_MASK = 0x003f_ffff_ffff_fc00n;
/** Bits that must be zero without Svnapot and Svpbmt. */
const PTE_RESERVED = 0xffc0_0000_0000_0000n;

export interface PageWalk {
  /** (base, first, last, access, machine) → DENIED, ALLOWED or PARTIAL. */
  readonly checkPmp: Callee;
  /** (base, first, last) → address of the range's entry that holds all of it, or 0. */
  readonly findRange: Callee;
  /** (base, address, access, context) → FOUND (and the address in PHYSICAL), PAGE_FAULT or ACCESS_FAULT. */
  readonly walk: Callee;
  /** The same where nothing is written and nobody asked: FOUND only if A and D are set and all tables are guest memory. */
  readonly look: Callee;
}

/** A parameter, by position. */
export function parameter(f: FunctionBuilder, index: number): Local {
  const local = f.params[index];
  if (!local) throw new Error(`${f.callee.name} has no parameter ${index}`);
  return local;
}

/** Goes over a table of the hart's: `body` sees the entry's address. */
function forEach(
  f: FunctionBuilder,
  base: Local,
  table: number,
  count: number,
  bytes: number,
  body: (entry: Local) => Statements,
): Statement {
  const entry = f.local("i32"), end = f.local("i32");
  const next = label("next"), done = label("done");
  return block(done, [
    set(entry, i32.add(base, i32.const(table))),
    set(end, i32.add(entry, i32.mul(i32.load(base, count), i32.const(bytes)))),
    loop(next, [
      branchIf(done, i32.eq(entry, end)),
      ...body(entry),
      set(entry, i32.add(entry, i32.const(bytes))),
      branch(next),
    ]),
  ]);
}

function definePmp(module: ModuleBuilder): Callee {
  return module.function("checkPmp", { params: ["i32", "i64", "i64", "i32", "i32"], results: ["i32"] }, (f) => {
    const [base, first, last, access, machine] = [0, 1, 2, 3, 4].map((i) => parameter(f, i)) as [
      Local,
      Local,
      Local,
      Local,
      Local,
    ];
    return [
      forEach(f, base, at.PMP, at.PMP_COUNT, at.PMP_ENTRY_BYTES, (entry) => {
        const low = i64.load(entry), high = i64.load(entry, 8), granted = i32.load(entry, 16);
        const touches = i32.and(i64.le_u(low, last), i64.ge_u(high, first));
        const covers = i32.and(i64.le_u(low, first), i64.ge_u(high, last));
        return [when(touches, [
          when(i32.eqz(covers), [giveBack(i32.const(PARTIAL))]),
          // Machine mode is bound by locked entries only.
          when(i32.and(machine, i32.eqz(i32.and(granted, i32.const(at.PMP_LOCKED)))), [giveBack(i32.const(ALLOWED))]),
          giveBack(i32.ne(i32.and(granted, access), i32.const(0))),
        ])];
      }),
      giveBack(machine),
    ];
  });
}

function defineRanges(module: ModuleBuilder): Callee {
  return module.function("findRange", { params: ["i32", "i64", "i64"], results: ["i32"] }, (f) => {
    const base = parameter(f, 0), first = parameter(f, 1), last = parameter(f, 2);
    return [
      forEach(f, base, at.RANGES, at.RANGE_COUNT, at.RANGE_BYTES, (entry) => [
        when(i32.and(i64.le_u(i64.load(entry), first), i64.ge_u(i64.load(entry, 8), last)), [giveBack(entry)]),
      ]),
      giveBack(i32.const(0)),
    ];
  });
}

/** Where in guest memory a physical address lies, given its range's entry. */
export function offsetInMemory(range: Expr, physical: Expr): Expr {
  return i32.add(i32.load(range, 16), i32.wrap_i64(i64.sub(physical, i64.load(range))));
}

export function definePageWalk(
  module: ModuleBuilder,
  imports: HartImports,
  clearSlots: Callee,
  isWatched: boolean,
): PageWalk {
  const checkPmp = definePmp(module), findRange = defineRanges(module);
  const checks = { checkPmp, findRange };
  const look = defineWalk(module, "look", checks, {
    table: () => [giveBack(i32.const(ACCESS_FAULT))],
    marks: () => [giveBack(i32.const(PAGE_FAULT))],
  });
  const walk = defineWalk(module, "walk", checks, {
    table: (base, address, pte) => [
      store.i64(base, address, at.PHYSICAL),
      when(call(imports.loadPhysical, base), [giveBack(i32.const(ACCESS_FAULT))]),
      set(pte, i64.load(base, at.VALUE)),
    ],
    marks: (base, address, range, wanted) => {
      const last = i64.add(address, i64.const(7));
      const mayWrite = call(checkPmp, base, address, last, i32.const(WRITE), i32.const(0));
      return [
        when(i32.ne(mayWrite, i32.const(ALLOWED)), [giveBack(i32.const(ACCESS_FAULT))]),
        when(choose(range, i32.eqz(i32.load(range, 20)), i32.const(0)), [
          set(range, offsetInMemory(range, address)),
          logStore(imports, base, range),
          ...clear(clearSlots, base, range),
          store.i64(range, wanted),
        ], [
          store.i64(base, address, at.PHYSICAL),
          store.i64(base, wanted, at.VALUE),
          when(call(imports.storePhysical, base), [giveBack(i32.const(ACCESS_FAULT))]),
        ]),
      ];
    },
  });
  return { checkPmp, findRange, look, walk: isWatched ? defineWatchedWalk(module, imports, walk) : walk };
}

/** What a walk does beyond reading guest memory. */
interface Effects {
  /** Reads an entry that is not in guest memory. */
  table(base: Local, address: Local, pte: Local): Statements;
  /** Writes A and D into the entry at `address`. */
  marks(base: Local, address: Local, range: Local, wanted: Local): Statements;
}

function defineWalk(
  module: ModuleBuilder,
  name: string,
  { checkPmp, findRange }: Pick<PageWalk, "checkPmp" | "findRange">,
  { table: readElsewhere, marks }: Effects,
): Callee {
  return module.function(name, { params: ["i32", "i64", "i32", "i32"], results: ["i32"] }, (f) => {
    const [base, va, access, context] = [0, 1, 2, 3].map((i) => parameter(f, i)) as [Local, Local, Local, Local];
    const level = f.local("i32"), shift = f.local("i64"), table = f.local("i64"), address = f.local("i64");
    const pte = f.local("i64"), range = f.local("i32"), wanted = f.local("i64");
    const next = label("next"), leaf = label("leaf");
    const has = (bits: number) => i64.ne(i64.and(pte, i64.const(bits)), i64.const(0));
    const lacks = (bits: number) => i64.eqz(i64.and(pte, i64.const(bits)));
    const fail = (condition: Expr, answer: number) => when(condition, [giveBack(i32.const(answer))]);
    const is = (kind: number) => i32.eq(access, i32.const(kind));
    const ppn = i64.shl(i64.shr_u(i64.and(pte, i64.const(PPN_MASK)), i64.const(10)), i64.const(12));
    const mayRead = call(checkPmp, base, address, i64.add(address, i64.const(7)), i32.const(READ), i32.const(0));
    const findPte = set(range, call(findRange, base, address, i64.add(address, i64.const(7))));
    return [
      set(level, i32.load(base, at.LEVELS)),
      when(i32.or(i32.eq(context, i32.const(at.MACHINE)), i32.eqz(level)), [
        store.i64(base, va, at.PHYSICAL),
        giveBack(i32.const(FOUND)),
      ]),
      // All bits above the translated ones must equal the highest of them.
      set(shift, i64.sub(i64.const(52), i64.mul(i64.extend_i32_u(level), i64.const(9)))),
      fail(i64.ne(i64.shr_s(i64.shl(va, shift), shift), va), PAGE_FAULT),
      set(table, i64.load(base, at.ROOT)),
      set(level, i32.sub(level, i32.const(1))),
      block(leaf, [loop(next, [
        set(shift, i64.extend_i32_u(i32.add(i32.mul(level, i32.const(9)), i32.const(12)))),
        set(address, i64.add(table, i64.shl(i64.and(i64.shr_u(va, shift), i64.const(511)), i64.const(3)))),
        fail(i32.ne(mayRead, i32.const(ALLOWED)), ACCESS_FAULT),
        findPte,
        when(range, [set(pte, i64.load(offsetInMemory(range, address)))], readElsewhere(base, address, pte)),
        fail(
          i32.or(
            i32.or(lacks(PTE.V), i64.ne(i64.and(pte, i64.const(PTE_RESERVED)), i64.const(0))),
            i64.eq(i64.and(pte, i64.const(PTE.R | PTE.W)), i64.const(PTE.W)),
          ),
          PAGE_FAULT,
        ),
        branchIf(leaf, has(PTE.R | PTE.X)),
        fail(i32.or(has(PTE.U | PTE.A | PTE.D), i32.eqz(level)), PAGE_FAULT),
        set(level, i32.sub(level, i32.const(1))),
        set(table, ppn),
        branch(next),
      ])]),
      when(i32.eqz(context), [fail(lacks(PTE.U), PAGE_FAULT)], [
        fail(i32.and(i32.ne(context, i32.const(at.SUPERVISOR_SUM)), has(PTE.U)), PAGE_FAULT),
      ]),
      when(is(EXECUTE), [fail(lacks(PTE.X), PAGE_FAULT)], [
        when(is(WRITE), [fail(lacks(PTE.W), PAGE_FAULT)], [
          fail(i32.and(lacks(PTE.R), i32.or(i32.eqz(i32.load(base, at.MXR)), lacks(PTE.X))), PAGE_FAULT),
        ]),
      ]),
      set(wanted, i64.sub(i64.shl(i64.const(1), shift), i64.const(1))),
      // A large page must lie at a multiple of its size.
      fail(i64.ne(i64.and(ppn, wanted), i64.const(0)), PAGE_FAULT),
      set(table, i64.or(ppn, i64.and(va, wanted))),
      set(wanted, i64.or(pte, select(is(WRITE), i64.const(PTE.A | PTE.D), i64.const(PTE.A)))),
      when(i64.ne(wanted, pte), marks(base, address, range, wanted)),
      when(level, [markSuperpage(base, va, shift)]),
      store.i64(base, table, at.PHYSICAL),
      giveBack(i32.const(FOUND)),
    ];
  });
}

/** The walk, whose end is told. */
function defineWatchedWalk(module: ModuleBuilder, imports: HartImports, walk: Callee): Callee {
  return module.function("watchedWalk", { params: ["i32", "i64", "i32", "i32"], results: ["i32"] }, (f) => {
    const base = parameter(f, 0), access = parameter(f, 2), context = parameter(f, 3);
    const answer = f.local("i32");
    return [
      set(answer, call(walk, base, parameter(f, 1), access, context)),
      run(imports.walked, base, access, context, answer),
      giveBack(answer),
    ];
  });
}

/** A page table may share its page with code. */
function clear(clearSlots: Callee, base: Local, address: Local): Statements {
  return [{ kind: "call", callee: clearSlots, args: [base, address, i32.const(8)] }];
}

/** Remembers that the TLB may hold a piece of a page larger than 4 KiB, of `1 << shift` bytes, around this address. */
function markSuperpage(base: Local, va: Local, shift: Expr): Statement {
  const granule = superpageGranule(va, shift);
  const byte = i32.add(base, i32.shr_u(granule, i32.const(3)));
  const bit = i32.shl(i32.const(1), i32.and(granule, i32.const(7)));
  return store.i32_8(byte, i32.or(i32.load8_u(byte, at.SUPERPAGES), bit), at.SUPERPAGES);
}

/** 1 if `markSuperpage` may have been told of the page of that size around this address. */
export function maybeSuperpage(base: Local, va: Local, shift: Expr): Expr {
  const granule = superpageGranule(va, shift);
  const byte = i32.load8_u(i32.add(base, i32.shr_u(granule, i32.const(3))), at.SUPERPAGES);
  return i32.and(i32.shr_u(byte, i32.and(granule, i32.const(7))), i32.const(1));
}

/** By multiplication: where kernels map memory, the lower bits of granules are those of programs. */
function superpageGranule(va: Expr, shift: Expr): Expr {
  const granule = i64.add(i64.shr_u(va, shift), shift);
  const mixed = i64.mul(granule, i64.const(0x9e37_79b9_7f4a_7c15n - 2n ** 64n));
  return i32.wrap_i64(i64.shr_u(mixed, i64.const(64 - Math.log2(at.SUPERPAGE_BITS))));
}
