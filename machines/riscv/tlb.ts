/**
 * A hart's TLBs and its table of guest memory, as TypeScript empties and fills them. Generated code fills the TLBs
 * (`mmu.ts`); their contexts have the numbers of modes, and one more for supervisor mode with SUM.
 */
import type { MemoryRange } from "./bus.ts";
import type { HartState } from "./hart_state.ts";
import * as at from "./layout.ts";

/** Fills guest memory with a byte. */
export type FillBytes = (start: number, value: number, length: number) => void;

export class Tlb {
  readonly #fill: FillBytes;
  readonly #state: HartState;

  constructor(fill: FillBytes, state: HartState) {
    this.#fill = fill;
    this.#state = state;
  }

  /** Empties the first contexts: those below machine mode, or all. */
  flush(contexts: number): void {
    const { base } = this.#state;
    this.#fill(base + at.TLB, 0xff, contexts * at.TLB_CONTEXT_BYTES);
    this.#fill(base + at.SUPERPAGES, 0, at.SUPERPAGE_BITS / 8);
  }

  /** Forgets which decoded pages belong to addresses. */
  flushFetches(): void {
    for (let context = 0; context < at.CONTEXTS; context++) {
      const table = this.#state.base + at.TLB + context * at.TLB_CONTEXT_BYTES + at.FETCH_TABLE;
      this.#fill(table, 0xff, at.TLB_TABLE_BYTES);
    }
  }

  /** Stores have to be translated again. */
  flushWrites(): void {
    for (let context = 0; context < at.CONTEXTS; context++) {
      const table = this.#state.base + at.TLB + context * at.TLB_CONTEXT_BYTES + at.WRITE_TABLE;
      this.#fill(table, 0xff, at.TLB_TABLE_BYTES);
    }
  }

  /** Publishes what is guest memory, the likeliest first; what does not fit is reached through the bus. */
  setRanges(ranges: readonly MemoryRange[]): void {
    const published = ranges.slice(0, at.RANGE_LIMIT);
    for (const [i, { first, last, offset, stores }] of published.entries()) {
      const entry = at.RANGES + i * at.RANGE_BYTES;
      this.#state.set(entry, first);
      this.#state.set(entry + 8, last);
      this.#state.set32(entry + 16, offset);
      this.#state.set32(entry + 20, stores);
    }
    this.#state.set32(at.RANGE_COUNT, published.length);
    this.flush(at.CONTEXTS);
  }
}
