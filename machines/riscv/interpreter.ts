/**
 * Generates the interpreter: one WebAssembly function that runs pre-decoded instructions until its budget is spent.
 * A loop dispatches on the slot's opcode by `br_table`; what a page is left for goes through the fetch TLB.
 */
import { call, type Callee, callIndirect, i32, i64, type Prototype } from "../wasm/expression.ts";
import { ModuleBuilder, readGlobal, writeGlobal } from "../wasm/module.ts";
import {
  block,
  branch,
  branchIf,
  branchTable,
  type Label,
  label,
  loop,
  run as callFor,
  set,
  type Statements,
  store,
  when,
} from "../wasm/statement.ts";
import { FLOAT_SIGNATURE } from "./float_unit.ts";
import {
  advance,
  arrive,
  currentPc,
  handler,
  keepOperands,
  type Machine,
  refund,
  requireFloat,
  saved,
  slotField,
} from "./handlers.ts";
import { csrOperation } from "./csr_code.ts";
import { defineCarryless } from "./carryless.ts";
import { type HartImports, importHartFunctions } from "./imports.ts";
import * as at from "./layout.ts";
import { FETCH_SINGLE, FETCH_TRAPPED, singleSlot } from "./fetch_path.ts";
import { defineMmu } from "./mmu.ts";
import { defineMultiply } from "./multiply.ts";
import { FORMS } from "./opcodes.ts";
import { parameter } from "./page_walk.ts";
import { arriveByFetch, enterRegion } from "./region_entry.ts";
import { fetchEntry } from "./translate.ts";
import { defineStatus } from "./status_code.ts";
import { REGION_SIGNATURE } from "./translator/linkage.ts";
import { defineForget } from "./translator/windows.ts";

/** Beyond what a slot's count can be. */
export const NEVER = 0x10000;
/** What the instance exports. */
export interface InterpreterExports {
  /** Runs the hart at `base` until BUDGET is spent. */
  run(base: number): void;
  /** Fills guest memory with a byte. */
  fillBytes(start: number, value: number, length: number): void;
  /** Drops the translations of one page; 1 if only dropping all of them will do. */
  fenceAddress(base: number, address: bigint): number;
  /** Drops the write translations that lead to a page of guest memory. */
  dropWriters(base: number, source: number): void;
  /** (base, mode): the TLB contexts that follow from the mode and mstatus. */
  chooseContexts(base: number, mode: number): void;
  /** (base, value) → whether generated code wrote sstatus; else nothing was done. */
  writeSstatus(base: number, value: bigint): number;
  /** How often control comes to a place until `heat` is told. */
  readonly threshold: WebAssembly.Global;
  /** One of `ENTER_…`. */
  readonly entering: WebAssembly.Global;
  /** Accrued exception flags while a hart runs; with the carry-less functions by name, for translated code. */
  readonly flags: WebAssembly.Global;
  /** What stands for the floating-point unit in the table until there is one. */
  firstFloat(base: number, slot: number, opcode: number): number;
}

const COMPILED: Map<boolean, WebAssembly.Module> = new Map();

/**
 * The interpreter's module, generated and compiled at first use. It holds no state and serves any number of machines.
 * Only that of watched machines tells of page walks.
 */
export function interpreterModule(isWatched: boolean): WebAssembly.Module {
  const known = COMPILED.get(isWatched);
  if (known) return known;
  const compiled = new WebAssembly.Module(generateInterpreter(isWatched));
  COMPILED.set(isWatched, compiled);
  return compiled;
}

export function generateInterpreter(isWatched = false): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder();
  module.importMemory(1, at.MAXIMUM_PAGES);
  module.importTable();
  const imports = importHartFunctions(module);
  const flags = module.global("i32", 0);
  const functions = defineCarryless(module);
  const threshold = module.global("i32", NEVER), entering = module.global("i32", at.ENTER_DIRECTLY);
  module.exportGlobal("threshold", threshold);
  module.exportGlobal("entering", entering);
  module.exportGlobal("flags", flags);
  for (const [name, callee] of functions) module.exportFunction(name, callee);
  module.exportFunction("firstFloat", imports.firstFloat);
  const intrinsics = new Map([...functions, ...defineMultiply(module)]);
  const mmu = defineMmu(module, imports, isWatched), status = defineStatus(module);
  const forget = defineForget(module);
  defineRun(module, imports, { mmu, status, forget }, { flags, threshold, entering }, intrinsics);
  return module.finish();
}

function defineRun(
  module: ModuleBuilder,
  imports: HartImports,
  { mmu, status, forget }: Pick<Machine, "mmu" | "status" | "forget">,
  { flags, threshold, entering }: Pick<Machine, "flags" | "threshold" | "entering">,
  intrinsics: ReadonlyMap<string, Callee>,
) {
  const intrinsic = (name: string): Callee => {
    const callee = intrinsics.get(name);
    if (!callee) throw new Error(`intrinsic "${name}" is not defined`);
    return callee;
  };
  const operand = (name: string) => {
    throw new Error(`operand "${name}" was left unbound`);
  };
  const region = module.prototype("region", REGION_SIGNATURE);
  const floatUnit = module.prototype("floatUnit", FLOAT_SIGNATURE);
  module.function("run", { params: ["i32"], exported: true }, (f) => {
    const m: Machine = {
      base: parameter(f, 0),
      slot: f.local("i32"),
      budget: f.local("i32"),
      tlb: f.local("i32"),
      anchor: f.local("i64"),
      target: f.local("i64"),
      first: f.local("i64"),
      second: f.local("i64"),
      third: f.local("i64"),
      address: f.local("i32"),
      kind: f.local("i32"),
      rm: f.local("i32"),
      opcode: f.local("i32"),
      rd: f.local("i32"),
      length: f.local("i32"),
      skip: f.local("i32"),
      labels: {
        next: label("next"),
        jump: label("jump"),
        reload: label("reload"),
        illegal: label("illegal"),
        execute: label("execute"),
        csr: label("csr"),
        loadSlow: label("loadSlow"),
        storeSlow: label("storeSlow"),
        hot: label("hot"),
        region: label("region"),
      },
      mmu,
      status,
      forget,
      flags,
      threshold,
      entering,
    };
    const spent = label("spent");
    const again = label("again");
    return [
      writeGlobal(flags, i32.load(m.base, at.FFLAGS)),
      ...enter(m),
      block(spent, [
        loop(again, [
          ...fetch(m, again, spent),
          ...arriveByFetch(m, imports),
          block(m.labels.jump, [
            block(m.labels.reload, dispatch(m, imports, { region, floatUnit }, spent)),
            ...enter(m),
            branch(again),
          ]),
          branch(again),
        ]),
      ]),
      store.i64(m.base, m.target, at.PC),
      store.i32(m.base, i32.const(0), at.BUDGET),
      store.i32(m.base, readGlobal(flags), at.FFLAGS),
    ];
  }, { operand, intrinsic });
}

/** Takes over what memory says of the program counter, the budget and the mode. */
function enter(m: Machine): Statements {
  return [
    set(m.target, i64.load(m.base, at.PC)),
    set(m.budget, i32.load(m.base, at.BUDGET)),
    set(m.tlb, i32.load(m.base, at.DATA_TLB)),
  ];
}

/** Finds the slot of `target`: by the fetch TLB, by a walk, or decoded on its own. */
function fetch(m: Machine, again: Label, spent: Label): Statements {
  const page = m.address, entry = m.kind;
  return [
    branchIf(spent, i32.le_s(m.budget, i32.const(0))),
    set(entry, fetchEntry(m.base, m.target)),
    when(i64.eq(i64.load(entry, at.FETCH_TABLE), i64.and(m.target, i64.const(-at.PAGE_BYTES))), [
      set(page, i32.load(entry, at.FETCH_TABLE + 8)),
    ], [
      store.i64(m.base, m.target, at.PC),
      store.i32(m.base, m.budget, at.BUDGET),
      set(page, call(m.mmu.fetchPage, m.base, m.target)),
      when(i32.eq(page, i32.const(FETCH_TRAPPED)), [...enter(m), branch(again)]),
    ]),
    when(i32.eq(page, i32.const(FETCH_SINGLE)), enterSingle(m), [
      set(
        m.slot,
        i32.add(
          page,
          i32.shl(i32.and(i32.wrap_i64(m.target), i32.const(at.PAGE_BYTES - 2)), i32.const(at.SLOT_SHIFT)),
        ),
      ),
      set(
        m.anchor,
        i64.sub(
          i64.and(m.target, i64.const(-at.PAGE_BYTES)),
          i64.extend_i32_u(i32.shr_u(page, i32.const(at.SLOT_SHIFT))),
        ),
      ),
    ]),
  ];
}

/** The instruction at `target` runs apart from any page. */
function enterSingle(m: Machine): Statements {
  return [
    set(m.slot, singleSlot(m.base, m.target)),
    set(m.anchor, i64.sub(m.target, i64.extend_i32_u(i32.shr_u(m.slot, i32.const(at.SLOT_SHIFT))))),
  ];
}

/** The loop over instructions of a page. Falls out to reload; `jump` and `spent` are further out. */
function dispatch(
  m: Machine,
  imports: HartImports,
  { region, floatUnit }: Readonly<Record<"region" | "floatUnit", Prototype>>,
  spent: Label,
): Statements {
  const { labels } = m;
  const float = { label: label("float"), body: runFloat(m, floatUnit) };
  const byOpcode: { label: Label; body: Statements }[] = [
    { label: label("undecoded"), body: undecoded(m, imports) },
    { label: label("sentinel"), body: [...refund(m), set(m.target, currentPc(m)), branch(labels.jump)] },
    { label: label("illegal"), body: [branch(labels.illegal)] },
    { label: label("straddling"), body: straddling(m) },
    { label: label("breakpoint"), body: breakpoint(m, imports) },
    ...FORMS.map((form) =>
      form.instruction.semantics.shape === "float" ? float : {
        label: label(`${form.instruction.name}/${form.length}${form.near ? " near" : ""}`),
        body: handler(m, form),
      }
    ),
  ];
  const opcodes = byOpcode.map((one) => one.label);
  const start = label("start");
  let nest: Statements = [branchTable(opcodes, labels.region, m.opcode)];
  for (const { label, body } of new Set(byOpcode)) nest = [block(label, nest), ...body];
  nest = [
    set(m.budget, i32.sub(m.budget, i32.const(1))),
    when(i32.lt_s(m.budget, i32.const(0)), [set(m.target, currentPc(m)), branch(spent)]),
    set(m.opcode, slotField(m, at.SLOT_OPCODE)),
    loop(start, [block(labels.region, nest), ...enterRegion(m, imports, region, start)]),
  ];
  return [
    loop(labels.next, [
      block(labels.hot, [
        block(labels.illegal, [
          block(labels.execute, [
            block(labels.storeSlow, [
              block(labels.loadSlow, [
                block(labels.csr, nest),
                ...csrOperation(m),
              ]),
              ...slowLoad(m),
            ]),
            ...slowStore(m),
          ]),
          ...execute(m, imports),
        ]),
        ...saved(m, [callFor(imports.raiseIllegal, m.base, m.slot)]),
        branch(labels.reload),
      ]),
      ...saved(m, [callFor(imports.heat, m.slot)]),
      branch(labels.next),
    ]),
  ];
}

/** None of these instructions has a short form. */
function runFloat(m: Machine, unit: Prototype): Statements {
  const position = i32.const(at.FLOAT_UNIT);
  return [
    requireFloat(m),
    branchIf(m.labels.illegal, i32.eqz(callIndirect(unit, position, m.base, m.slot, m.opcode))),
    ...advance(m, 4),
  ];
}

function undecoded(m: Machine, imports: HartImports): Statements {
  return [...refund(m), callFor(imports.decodeRun, m.slot), branch(m.labels.next)];
}

/** Stops before the instruction, or runs it as a single one. */
function breakpoint(m: Machine, imports: HartImports): Statements {
  return [
    ...saved(m, [set(m.address, call(imports.breakpoint, m.base))]),
    branchIf(m.labels.reload, i32.eq(m.address, i32.const(at.RELOAD))),
    ...straddling(m),
  ];
}

/**
 * Runs the instruction as a single one; the second half may lie anywhere, and may change at any time. The slot remembers
 * what it was: `DecodedPages.straddlingWord`.
 */
function straddling(m: Machine): Statements {
  return [
    ...refund(m),
    set(m.target, currentPc(m)),
    ...saved(m, [set(m.address, call(m.mmu.fetchSingle, m.base, m.target))]),
    branchIf(m.labels.reload, i32.eq(m.address, i32.const(FETCH_TRAPPED))),
    set(m.address, m.slot),
    ...enterSingle(m),
    store.i32(m.address, i32.load(m.slot, at.SINGLE_WORD), at.SLOT_IMM),
    branch(m.labels.next),
  ];
}

/** On to the next instruction behind a slow path, by way of the fetch TLB if what was decoded may be stale. */
function advanceByLength(m: Machine, onward: Statements = [branch(m.labels.next)]): Statements {
  return [
    set(m.slot, i32.add(m.slot, i32.shl(m.length, i32.const(at.SLOT_SHIFT)))),
    when(i32.eq(m.address, i32.const(at.CONTINUE)), onward),
    set(m.target, currentPc(m)),
    branch(m.labels.jump),
  ];
}

function slowLoad(m: Machine): Statements {
  return [
    ...keepOperands(m),
    ...saved(m, [set(m.address, call(m.mmu.loadSlow, m.base, m.target, m.kind))]),
    branchIf(m.labels.reload, i32.eq(m.address, i32.const(at.RELOAD))),
    store.i64(m.rd, i64.load(m.base, at.VALUE)),
    when(i32.and(m.kind, i32.const(at.KIND_FLOAT)), [store.i32(m.base, i32.const(3), at.FS)]),
    ...advanceByLength(m),
  ];
}

function slowStore(m: Machine): Statements {
  return [
    ...keepOperands(m),
    store.i64(m.base, i64.load(i32.add(m.base, slotField(m, at.SLOT_RS2))), at.VALUE),
    ...saved(m, [set(m.address, call(m.mmu.storeSlow, m.base, m.target, m.kind))]),
    branchIf(m.labels.reload, i32.eq(m.address, i32.const(at.RELOAD))),
    ...advanceByLength(m),
  ];
}

/** CSR and system instructions: TypeScript sees, and may change, everything. */
function execute(m: Machine, imports: HartImports): Statements {
  return [
    store.i32(m.base, readGlobal(m.flags), at.FFLAGS),
    ...keepOperands(m),
    ...saved(m, [set(m.address, call(imports.execute, m.base, m.slot, m.opcode))]),
    writeGlobal(m.flags, i32.load(m.base, at.FFLAGS)),
    branchIf(m.labels.reload, i32.eq(m.address, i32.const(at.RELOAD))),
    ...advanceByLength(m, arrive(m)),
  ];
}
