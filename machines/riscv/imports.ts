/** The functions that generated code calls in TypeScript. All operands beyond the hart's base pass through its state. */
import type { Callee, ValueType } from "../wasm/expression.ts";
import type { ModuleBuilder } from "../wasm/module.ts";

const SIGNATURES = {
  /** Decodes a run of instructions that begins at this slot. */
  decodeRun: ["i32"],
  /** (base, slot, word): decodes a word into a slot apart from any page. */
  decodeSingle: ["i32", "i32", "i32"],
  /** A slot whose count has reached the threshold. */
  heat: ["i32"],
  /** (decoded page, bytes' first and last place in it): translated regions were made from these bytes, which change. */
  dropRegions: ["i32", "i32", "i32"],
  /** (base, entry's index) → as the region's function: runs it and checks what it did. */
  checkRegion: ["i32", "i32", "i32"],
  /** (base, page of guest memory) → its decoded page, new and empty. */
  createPage: ["i32", "i32", "i32"],
  /** (base, page of guest memory): forgets its decoded page, since it is data by now. */
  retirePage: ["i32", "i32"],
  /** (base, address in guest memory): a store is about to reach a page that is not in a write TLB for that. */
  logStore: ["i32", "i32"],
  /** (base) → CONTINUE, or RELOAD if the hart stops before the instruction at PC. */
  breakpoint: ["i32", "i32"],
  /** (base, slot, opcode) → CONTINUE or RELOAD. A CSR or system instruction; PC is its address. */
  execute: ["i32", "i32", "i32", "i32"],
  /** (base, cause): takes an exception at PC with TVAL. */
  raise: ["i32", "i32"],
  /** (base, slot, opcode) → as the floating-point unit: makes it, and has it run the instruction. */
  firstFloat: ["i32", "i32", "i32", "i32"],
  /** (base, slot): takes an illegal-instruction exception at PC. */
  raiseIllegal: ["i32", "i32"],
  /** (base, bytes) → CONTINUE, RELOAD (an access fault was taken) or FETCH_AGAIN; PHYSICAL to VALUE, zero-extended. */
  load: ["i32", "i32", "i32"],
  /** The same from VALUE. */
  store: ["i32", "i32", "i32"],
  /** (base, access, context, answer): a page walk has ended. Called only in machines that are watched. */
  walked: ["i32", "i32", "i32", "i32"],
  /** (base) → 0, or 1 if the access failed: a page table entry outside of guest memory. */
  loadPhysical: ["i32", "i32"],
  storePhysical: ["i32", "i32"],
  /** (base) → halfword at PHYSICAL, or −1: code outside of guest memory. */
  fetchHalfword: ["i32", "i32"],
} as const satisfies Record<string, readonly ValueType[]>;

/** Those that give nothing back; of the others the last type is the result's. */
const SILENT: ReadonlySet<string> = new Set([
  "decodeRun",
  "heat",
  "dropRegions",
  "decodeSingle",
  "retirePage",
  "logStore",
  "raise",
  "raiseIllegal",
  "walked",
]);

export type HartImportName = keyof typeof SIGNATURES;
export type HartImports = Readonly<Record<HartImportName, Callee>>;
/** The TypeScript side. */
export type HartImportFunctions = Readonly<Record<HartImportName, (...operands: number[]) => number | void>>;

export function importHartFunctions(module: ModuleBuilder): HartImports {
  const entries = Object.entries(SIGNATURES).map(([name, types]: [string, readonly ValueType[]]) => {
    const silent = SILENT.has(name);
    const params = silent ? types : types.slice(0, -1);
    return [name, module.importFunction(name, { params, results: silent ? [] : ["i32"] })];
  });
  return Object.fromEntries(entries);
}
