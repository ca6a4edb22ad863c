/** What regions, the interpreter and the regions' module agree on: how a region is called and what it gives back. */
import type { Callee, Prototype } from "../../wasm/expression.ts";
import type { Global } from "../../wasm/module.ts";

/** What a region gives back: go on at PC in any way, or let the interpreter run the instruction at PC. */
export const LEFT = 0, INTERPRET = 1;
/** (base, depth, entry's index in the table). */
export const REGION_SIGNATURE = { params: ["i32", "i32", "i32"], results: ["i32"] } as const;
/** Guest calls that nest as calls on the host's stack. */
export const CALL_DEPTH = 256;
/** Added to the depth by who is not translated code: the TLB may have changed. */
export const FRESH = 0x10000;

/** What the regions of a module share. Functions: (base, depth, target) → LEFT or INTERPRET, after running the region there, if any. */
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
  /** (base): empties the windows. */
  readonly forget: Callee;
  /**
   * (base, table, window, slot, first address, last address) → whether the window now serves all of an access, or of
   * several that are made from the slot on. Pages that don't follow each other in guest memory, too, are none.
   */
  readonly claim: Callee;
}
