/**
 * What was learned about code while it ran, by decoded page: it makes for better regions, and is forgotten with the bytes
 * that it was learned from. All places are offsets from the start of their page.
 */
import { ALL_GRANULES, granulesOf } from "./granules.ts";

/** Targets of a register jump, which are translated with it; a large switch has more. */
const TARGET_LIMIT = 64;
/** Jumps of a page whose targets are known. */
const JUMP_LIMIT = 64;

export interface PageHints {
  /** Where jumps by register were seen to go, by their places. */
  readonly seen: ReadonlyMap<number, ReadonlySet<number>>;
  /** Base registers by which accesses of one block were found to be in different pages. */
  readonly apart: ReadonlySet<number>;
}

const NONE: PageHints = { seen: new Map(), apart: new Set() };

interface Learned {
  readonly seen: Map<number, Set<number>>;
  readonly apart: Set<number>;
  /** How often accesses were found to be in other pages than what follows them, by their places. */
  readonly straddles: Map<number, number>;
}

export class Hints {
  readonly #byPage: Map<number, Learned> = new Map();

  of(page: number): PageHints {
    return this.#byPage.get(page) ?? NONE;
  }

  /** A jump by register went there. False if that, or too much, is known already. */
  jumped(page: number, jump: number, target: number): boolean {
    const { seen } = this.#open(page);
    const targets = seen.get(jump) ?? new Set();
    if (targets.has(target)) return false;
    if (targets.size >= TARGET_LIMIT || (!seen.has(jump) && seen.size >= JUMP_LIMIT)) return false;
    seen.set(jump, targets.add(target));
    return true;
  }

  /**
   * An access by this base register, and what follows it in its block, are in different pages. True if that has been so
   * `limit` times: from then on the page's accesses by the register are apart.
   */
  straddled(page: number, access: number, register: number, limit: number): boolean {
    const { apart, straddles } = this.#open(page);
    const count = (straddles.get(access) ?? 0) + 1;
    straddles.set(access, count);
    if (count < limit) return false;
    straddles.delete(access);
    apart.add(register);
    return true;
  }

  /** These pieces of the page change. */
  changed(page: number, granules: bigint): void {
    const hints = this.#byPage.get(page);
    if (!hints) return;
    const isGone = (place: number) => (granulesOf(place, place) & granules) !== 0n;
    for (const jump of hints.seen.keys()) if (isGone(jump)) hints.seen.delete(jump);
    for (const access of hints.straddles.keys()) if (isGone(access)) hints.straddles.delete(access);
    if (granules === ALL_GRANULES) this.#byPage.delete(page);
  }

  clear(): void {
    this.#byPage.clear();
  }

  #open(page: number): Learned {
    const known = this.#byPage.get(page);
    if (known) return known;
    const opened = { seen: new Map(), apart: new Set<number>(), straddles: new Map() };
    this.#byPage.set(page, opened);
    return opened;
  }
}
