/** The statements of `cbo.zero`, by which kernels clear pages: the twin of the interpreter's handler. */
import { i32, i64, tee } from "../../wasm/expression.ts";
import { set, type Statements, store } from "../../wasm/statement.ts";
import * as at from "../layout.ts";
import { page, tlbOffset } from "../translate.ts";
import type { Step } from "./discovery.ts";
import type { RegionState } from "./region_state.ts";

/** `left` is how many instructions of the block of code have not begun, this one included. */
export function zeroBlockCode(region: RegionState, { offset, decoded }: Step, left: number): Statements {
  const { base, entry, tlb } = region;
  const address = i64.and(region.read("x", decoded.rs1), i64.const(-at.BLOCK_BYTES));
  const isAllowed = i32.and(i32.load(base, at.BLOCK_ACTIONS), i32.const(at.BLOCK_ZERO));
  const tag = i64.load(tee(entry, i32.add(tlb, tlbOffset(address))), at.WRITE_TABLE);
  const doublewords = Array.from({ length: at.BLOCK_BYTES / 8 }, (_, i) => 8 * i);
  return [
    ...region.exitIf(i32.eqz(isAllowed), offset, left),
    ...region.exitIf(i64.ne(tag, page(address)), offset, left),
    set(entry, i32.add(i32.wrap_i64(address), i32.load(entry, at.WRITE_TABLE + 8))),
    ...logBlock(region, doublewords.length),
    ...doublewords.map((place) => store.i64(entry, i64.const(0), place)),
  ];
}

/** What is in the block may have to be restored. */
function logBlock(region: RegionState, doublewords: number): Statements {
  const { entry } = region;
  const log = region.logStore();
  if (log.length === 0) return [];
  const all = Array.from({ length: doublewords }, () => [...log, set(entry, i32.add(entry, i32.const(8)))]);
  return [...all.flat(), set(entry, i32.sub(entry, i32.const(at.BLOCK_BYTES)))];
}
