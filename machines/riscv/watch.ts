/**
 * What a machine tells whoever watches its harts: the source of logs. It is chosen when the machine is built; a machine
 * that nobody watches runs code without any of these calls, except one look for each trap.
 */
import type { DecodedPages } from "./decoded_pages.ts";
import type { HartState, Mode } from "./hart_state.ts";
import type { HartImportFunctions } from "./imports.ts";
import * as at from "./layout.ts";
import { Tlb } from "./tlb.ts";
import type { RegionPlan, ShownBatch } from "./translator/batch.ts";

export interface WatchedHart {
  /** mhartid. */
  readonly id: number;
  readonly state: HartState;
  readonly mode: Mode;
  /** Instructions retired. */
  readonly instret: number;
}

export interface Trap {
  readonly cause: number;
  readonly isInterrupt: boolean;
  /** What goes into xepc and xtval. */
  readonly pc: bigint;
  readonly value: bigint;
  readonly from: Mode;
}

/** A page walk that has ended: its virtual address is in TVAL, what it found in PHYSICAL. */
export interface Walk {
  /** READ, WRITE or EXECUTE of `page_walk.ts`. */
  readonly access: number;
  /** A TLB context of `layout.ts`. */
  readonly context: number;
  /** FOUND, PAGE_FAULT or ACCESS_FAULT of `page_walk.ts`. */
  readonly answer: number;
}

/** Each is told only if it is there. */
export interface ExecutionWatch {
  /** A run of instructions is about to be decoded from this slot on. */
  decoding?(hart: WatchedHart, pages: DecodedPages, slot: number): void;
  /** An instruction at PC that runs apart from any page was decoded. */
  decodedSingle?(hart: WatchedHart, word: number): void;
  /** A module was made; region `i` is its exported function `region<i>`. */
  translated?(
    regions: readonly RegionPlan[],
    batch: ShownBatch,
    pages: DecodedPages,
    harts: readonly WatchedHart[],
  ): void;
  /** Where control is: it is told of every region that the interpreter enters, and regions do not call each other. */
  readonly flow?: Flow;
  trapped?(hart: WatchedHart, trap: Trap): void;
  walked?(hart: WatchedHart, walk: Walk): void;
  /** Translations were dropped; `what` says which. */
  flushed?(hart: WatchedHart, what: string): void;
}

/** PC and instret of the hart are exact at each of these. */
export interface Flow {
  /** A stretch begins in the interpreter. */
  began(hart: WatchedHart): void;
  entered(hart: WatchedHart): void;
  left(hart: WatchedHart): void;
  ended(hart: WatchedHart): void;
}

/** The functions that generated code calls, which tell the watch what it wants to know. */
export function watchImports(
  imports: HartImportFunctions,
  watch: ExecutionWatch,
  pages: DecodedPages,
  running: () => WatchedHart,
): HartImportFunctions {
  const { flow } = watch;
  return {
    ...imports,
    ...(watch.decoding && {
      decodeRun: (slot: number) => {
        watch.decoding?.(running(), pages, slot >>> 0);
        imports.decodeRun(slot);
      },
    }),
    ...(watch.decodedSingle && {
      decodeSingle: (base: number, slot: number, word: number) => {
        imports.decodeSingle(base, slot, word);
        watch.decodedSingle?.(running(), word >>> 0);
      },
    }),
    ...(flow && {
      checkRegion: (base: number, index: number) => {
        flow.entered(running());
        const answer = imports.checkRegion(base, index);
        flow.left(running());
        return answer;
      },
    }),
  };
}

/** TLBs that tell when they are emptied. */
export class WatchedTlb extends Tlb {
  readonly #flushed: (what: string) => void;

  constructor(hart: WatchedHart, watch: ExecutionWatch, ...parts: ConstructorParameters<typeof Tlb>) {
    super(...parts);
    this.#flushed = (what) => watch.flushed?.(hart, what);
  }

  override flush(contexts: number): void {
    super.flush(contexts);
    this.#flushed?.(contexts === at.CONTEXTS ? "all" : "all below machine mode");
  }

  override flushFetches(): void {
    super.flushFetches();
    this.#flushed("fetches");
  }

  override flushWrites(): void {
    super.flushWrites();
    this.#flushed("stores");
  }
}
