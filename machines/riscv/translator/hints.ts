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
  /** Accesses that were found to be in other pages than what follows them. */
  readonly apart: ReadonlySet<number>;
}

const NONE: PageHints = { seen: new Map(), apart: new Set() };

export class Hints {
  readonly #byPage: Map<number, { seen: Map<number, Set<number>>; apart: Set<number> }> = new Map();

  of(page: number): PageHints {
    return this.#byPage.get(page) ?? NONE;
  }

  /** A jump by register went there. False if too much is known already. */
  jumped(page: number, jump: number, target: number): boolean {
    const { seen } = this.#open(page);
    const targets = seen.get(jump) ?? new Set();
    if (targets.size >= TARGET_LIMIT || (!seen.has(jump) && seen.size >= JUMP_LIMIT)) return false;
    seen.set(jump, targets.add(target));
    return true;
  }

  split(page: number, access: number): void {
    this.#open(page).apart.add(access);
  }

  /** These pieces of the page change. */
  changed(page: number, granules: bigint): void {
    const hints = this.#byPage.get(page);
    if (!hints) return;
    const isGone = (place: number) => (granulesOf(place, place) & granules) !== 0n;
    for (const jump of hints.seen.keys()) if (isGone(jump)) hints.seen.delete(jump);
    for (const access of hints.apart) if (isGone(access)) hints.apart.delete(access);
    if (granules === ALL_GRANULES) this.#byPage.delete(page);
  }

  clear(): void {
    this.#byPage.clear();
  }

  #open(page: number): { seen: Map<number, Set<number>>; apart: Set<number> } {
    const known = this.#byPage.get(page);
    if (known) return known;
    const opened = { seen: new Map(), apart: new Set<number>() };
    this.#byPage.set(page, opened);
    return opened;
  }
}
