/**
 * Published reader: how a worker looks at an address space without asking the main thread. It imports nothing, so that a
 * worker of any kind can load it by URL. The layout of the shared pages is defined here, for the writer too
 * (`published_view.ts`).
 *
 * A reader that has entered sees one immutable view, and nothing that the view shows is freed before it leaves. Entering
 * is safe against a commit at the same moment because the reader announces first and only then looks for the view, while
 * the writer changes the view first and only then looks for readers: at least one of them sees the other (all four are
 * sequentially consistent).
 */

/** What a worker is sent: memory shared with the main thread, and nothing else. */
export interface SharedView {
  /** Pages of the published view; the first holds the root. */
  readonly pages: SharedArrayBuffer;
  /** The guest memory that the ranges lie in. */
  readonly memory: SharedArrayBuffer;
  /** The epoch of the world, in its shared form. */
  readonly epoch: SharedArrayBuffer;
  /** The reader's slot, of which it is the only writer. */
  readonly slot: SharedArrayBuffer;
}

/** Words of a slot. */
export const Slot = {
  /** Shared form of the epoch that the reader announced, or QUIESCENT. */
  EPOCH: 0,
  /** Not 0: the main thread has ended the registration and waits for this reader no more. */
  DISMISSED: 1,
} as const;

export const QUIESCENT = 0;

/** Bytes of a slot or an epoch: a cache line, so that readers do not slow each other. */
export const SLOT_BYTES = 64;

/** Epochs are counted in 31 bits; an odd number is never QUIESCENT. */
export function sharedForm(epoch: number): number {
  return (epoch * 2) | 1;
}

/**
 * A page is a node of a tree: the number of entries, then columns of f64. A leaf has a column each for start, end, region
 * handle and place; an inner node has the start of what is below each entry, and its page. Page 0 holds the root.
 */
export const Page = {
  /** f64 in a page. */
  WORDS: 264,
  /** f64 before the first column: the number of entries, and padding. */
  HEAD: 8,
  LEAF_ENTRIES: 64,
  INNER_ENTRIES: 128,
} as const;

/** Words, as int32, of page 0. The root is the page of the top node + 2^24 · levels above the leaves; 0: nothing is shown. */
export const ROOT = 0;
export const LEVEL = 2 ** 24;

/** The place of a range: byte offset in the guest memory · 2 + whether the range is readonly. */
export function placeOf(offset: number, isReadonly: boolean): number {
  return offset * 2 + (isReadonly ? 1 : 0);
}

/** The reader used the view without having entered, or after it was dismissed. */
export class PublishedReaderError extends Error {
  override readonly name = "PublishedReaderError";
}

/** Opens what the main thread sent. The reader is quiescent. */
export function openPublishedView(shared: SharedView): PublishedReader {
  return new PublishedReader(shared);
}

/** A worker's window on an address space. The fields from `start` on are about the range that `find` found last. */
export class PublishedReader {
  /** First address of the range, and the first behind it. */
  start = 0;
  end = 0;
  /** Handle of the region: generation · 2^24 + id. */
  region = 0;
  /** Of the address that was looked for, in `bytes`. */
  offset = 0;
  readonly = false;
  /** The whole guest memory. Only ranges that were found may be touched, and only until `leave`. */
  readonly bytes: Uint8Array;
  readonly #words: Float64Array;
  readonly #head: Int32Array;
  readonly #epoch: Int32Array;
  readonly #slot: Int32Array;
  /** -1: not entered. */
  #root = -1;

  constructor({ pages, memory, epoch, slot }: SharedView) {
    this.bytes = new Uint8Array(memory);
    this.#words = new Float64Array(pages);
    this.#head = new Int32Array(pages, 0, 1);
    this.#epoch = new Int32Array(epoch);
    this.#slot = new Int32Array(slot);
  }

  /**
   * Takes the newest view. A reader that has entered already moves on: what it found before may be freed.
   *
   * @throws {PublishedReaderError} if the main thread has dismissed it.
   */
  enter(): void {
    let epoch = Atomics.load(this.#epoch, 0);
    while (true) {
      Atomics.store(this.#slot, Slot.EPOCH, epoch);
      // An old epoch would be safe, but would hold back what went out of sight since.
      const now = Atomics.load(this.#epoch, 0);
      if (now === epoch) break;
      epoch = now;
    }
    if (Atomics.load(this.#slot, Slot.DISMISSED) !== 0) {
      this.leave();
      throw new PublishedReaderError("the reader was dismissed: nobody waits for it, so it must not read");
    }
    this.#root = Atomics.load(this.#head, ROOT);
  }

  /** Sees nothing any more; what it held back may be freed. */
  leave(): void {
    this.#root = -1;
    Atomics.store(this.#slot, Slot.EPOCH, QUIESCENT);
  }

  /**
   * Whether memory is at an address (rounded down to an f64, if it is above 2^53); if so, the fields say which.
   *
   * @throws {PublishedReaderError} if the reader has not entered.
   */
  find(address: number): boolean {
    const words = this.#words;
    if (this.#root <= 0) return this.#findNothing();
    let level = Math.floor(this.#root / LEVEL);
    let node = (this.#root % LEVEL) * Page.WORDS;
    let at = this.#lastAtOrBelow(node, address);
    for (; level > 0 && at >= 0; level--) {
      node = words[node + Page.HEAD + Page.INNER_ENTRIES + at]! * Page.WORDS;
      at = this.#lastAtOrBelow(node, address);
    }
    const entry = node + Page.HEAD + at;
    if (at < 0 || address >= words[entry + Page.LEAF_ENTRIES]!) return false;
    const place = words[entry + 3 * Page.LEAF_ENTRIES]!;
    this.start = words[entry]!;
    this.end = words[entry + Page.LEAF_ENTRIES]!;
    this.region = words[entry + 2 * Page.LEAF_ENTRIES]!;
    this.readonly = place % 2 === 1;
    this.offset = Math.floor(place / 2) + (address - this.start);
    return true;
  }

  /**
   * Copies memory, across ranges.
   *
   * @returns How many bytes were copied: less than all if something else than memory comes in between.
   * @throws {PublishedReaderError} if the reader has not entered.
   */
  read(address: number, into: Uint8Array): number {
    let done = 0;
    while (done < into.length && this.find(address + done)) {
      const piece = Math.min(into.length - done, this.end - (address + done));
      into.set(this.bytes.subarray(this.offset, this.offset + piece), done);
      done += piece;
    }
    return done;
  }

  #findNothing(): false {
    if (this.#root < 0) throw new PublishedReaderError("the reader has not entered: what it finds could be freed");
    return false;
  }

  /** Entry of the node at word `node` that starts last at or below `address`; -1 if none does. */
  #lastAtOrBelow(node: number, address: number): number {
    const words = this.#words;
    const first = node + Page.HEAD;
    let low = 0;
    let high = words[node]!;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (words[first + middle]! <= address) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}
