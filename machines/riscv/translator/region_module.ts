/** Assembles regions into a WebAssembly module: one function each, and what they share. */
import { type Callee, callIndirect, i32, i64, type Local } from "../../wasm/expression.ts";
import { type FunctionBuilder, ModuleBuilder, type Signature } from "../../wasm/module.ts";
import { giveBack, set, type Statements, tailCallIndirect, when } from "../../wasm/statement.ts";
import { collectIntrinsics } from "../../wasm/rewrite.ts";
import * as at from "../layout.ts";
import { fetchEntry } from "../translate.ts";
import { defineMultiply, MULTIPLY } from "../multiply.ts";
import { FIRST_ENTRY } from "../opcodes.ts";
import { parameter } from "../page_walk.ts";
import type { Shape } from "./discovery.ts";
import { type Linkage, REGION_SIGNATURE } from "./linkage.ts";
import { regionCode } from "./region_code.ts";
import { defineClaim, FORGET } from "./windows.ts";

export const WASM_PAGE_BYTES = 65536;
const CALLEE = { params: ["i32", "i32", "i64"], results: ["i64"] } as const;

/**
 * The module's bytes, for a memory of this size and the hart at this base, or any of several harts; it exports the
 * regions' functions as `region0`, `region1` … in the order given.
 */
export function regionModule(
  regions: readonly Shape[],
  memoryBytes: number,
  hart: number | undefined,
  isChecked: boolean,
): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder();
  module.importMemory(memoryBytes / WASM_PAGE_BYTES);
  module.importTable();
  const flags = module.importGlobal("flags", "i32");
  const intrinsics = new Map<string, Callee>();
  for (const [name, signature] of intrinsicsOf(regions)) {
    if (!MULTIPLY.has(name)) intrinsics.set(name, module.importFunction(name, signature));
  }
  const log = isChecked ? module.importFunction("logStore", { params: ["i32"] }) : undefined;
  const forget = module.importFunction("forget", FORGET);
  const straddles = module.importFunction("straddles", { params: ["i32"] });
  const refill = module.importFunction("refill", { params: ["i32", "i64", "i64", "i32"], results: ["i32"] });
  const writeSstatus = module.importFunction("writeSstatus", { params: ["i32", "i64"], results: ["i32"] });
  // Multiplications are the module's own, so that the engine can inline them.
  for (const [name, callee] of defineMultiply(module)) intrinsics.set(name, callee);
  const claim = defineClaim(module, refill, straddles);
  const linkage = { flags, hart, log, refill, writeSstatus, forget, claim, ...defineLinkage(module, hart) };
  const meaning = {
    operand: (name: string) => {
      throw new Error(`operand "${name}" was left unbound`);
    },
    intrinsic: (name: string) => {
      const callee = intrinsics.get(name);
      if (!callee) throw new Error(`intrinsic "${name}" is not known to the translator`);
      return callee;
    },
  };
  for (const [i, shape] of regions.entries()) {
    const signature = { ...REGION_SIGNATURE, exported: true };
    module.function(`region${i}`, signature, (f) => regionCode(f, shape, linkage), meaning);
  }
  return module.finish();
}

function intrinsicsOf(regions: readonly Shape[]): ReadonlyMap<string, Signature> {
  const found = new Map<string, Signature>();
  for (const { steps } of regions.flatMap(({ blocks }) => blocks)) {
    for (const { decoded } of steps) {
      const s = decoded.instruction.semantics;
      if (s.shape === "compute" || s.shape === "float") collectIntrinsics(s.result, found);
    }
  }
  return found;
}

function defineLinkage(module: ModuleBuilder, hart: number | undefined): Pick<Linkage, "region" | "enter" | "follow"> {
  const region = module.prototype("region", REGION_SIGNATURE);
  const enter = module.function("enter", CALLEE, (f) => {
    const base = parameter(f, 0), depth = parameter(f, 1), target = parameter(f, 2);
    const found = findRegion(f, hart);
    return [
      when(i32.eqz(depth), [giveBack(target)]),
      ...found.code,
      giveBack(callIndirect(region, found.index, base, i32.sub(depth, i32.const(1)), found.index, target)),
    ];
  });
  const follow = module.function("follow", CALLEE, (f) => {
    const base = parameter(f, 0), depth = parameter(f, 1), target = parameter(f, 2);
    const found = findRegion(f, hart);
    return [...found.code, tailCallIndirect(region, found.index, base, depth, found.index, target)];
  });
  return { region, enter, follow };
}

/** Gives the target back unless the fetch TLB knows the target's page and a region begins there. */
function findRegion(f: FunctionBuilder, hart: number | undefined): { code: Statements; index: Local } {
  const base = hart === undefined ? parameter(f, 0) : i32.const(hart), target = parameter(f, 2);
  const entry = f.local("i32"), index = f.local("i32");
  const place = i32.and(i32.wrap_i64(target), i32.const(at.PAGE_BYTES - 2));
  const slot = i32.add(i32.load(entry, at.FETCH_TABLE + 8), i32.shl(place, i32.const(at.SLOT_SHIFT)));
  const code = [
    set(entry, fetchEntry(base, target)),
    when(i64.ne(i64.load(entry, at.FETCH_TABLE), i64.and(target, i64.const(-at.PAGE_BYTES))), [
      giveBack(target),
    ]),
    set(index, i32.sub(i32.load16_u(slot, at.SLOT_OPCODE), i32.const(FIRST_ENTRY))),
    when(i32.lt_s(index, i32.const(0)), [giveBack(target)]),
  ];
  return { code, index };
}
