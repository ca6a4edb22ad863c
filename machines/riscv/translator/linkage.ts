/** What regions, the interpreter and the regions' module agree on: how a region is called and what it gives back. */
import type { Callee, Prototype } from "../../wasm/expression.ts";
import type { Global } from "../../wasm/module.ts";
import * as at from "../layout.ts";

/**
 * (base, depth, entry's index in the table, pc) → where to go on, in any way, or `INTERPRET` more than the address of an
 * instruction that the interpreter has to run. While regions run, the hart's state has no pc.
 */
export const REGION_SIGNATURE = { params: ["i32", "i32", "i32", "i64"], results: ["i64"] } as const;
export const INTERPRET = 1;

export type RegionFunction = (base: number, depth: number, index: number, pc: bigint) => bigint;

/** Runs a region for somebody to whom the hart's state tells the pc, before and behind it: gives INTERPRET or 0. */
export function runRegion(view: DataView, region: RegionFunction, base: number, depth: number, index: number): number {
  const answer = region(base, depth, index, view.getBigInt64(base + at.PC, true));
  const status = BigInt(INTERPRET) & answer;
  view.setBigInt64(base + at.PC, answer - status, true);
  return Number(status);
}

/** Guest calls that nest as calls on the host's stack. */
export const CALL_DEPTH = 256;

/** What the regions of a module share. Functions: (base, depth, target) → as of a region, after running the region there, if any. */
export interface Linkage {
  readonly region: Prototype;
  /** Base of the only hart. */
  readonly hart: number | undefined;
  /** (address in guest memory): told of every store, if regions are checked. */
  readonly log: Callee | undefined;
  /** Accrued exception flags of the soft-float functions. */
  readonly flags: Global;
  readonly enter: Callee;
  /** The same, and the host's stack does not grow. */
  readonly follow: Callee;
  /** (base, address, page, table) → whether the table's entry for the address is now that of this page. */
  readonly refill: Callee;
  /** (base, value) → whether sstatus was written: `status_code.ts`. */
  readonly writeSstatus: Callee;
  /** (base): empties the windows. */
  readonly forget: Callee;
  /**
   * (base, table, window, slot, first address, last address) → whether the window now serves all of an access, or of
   * several that are made from the slot on. Pages that don't follow each other in guest memory, too, are none.
   */
  readonly claim: Callee;
}
