/** What a hart needs of its address space, below the TLB: accesses that are not guest memory, and the map of what is. */

/** Physical addresses come as int32 halves. Sizes are 1, 2, 4 or 8 bytes. */
export interface Bus {
  /** Low 32 bits of the value; `high` has the others and `failed` says whether the access succeeded. */
  read(hi: number, lo: number, size: 1 | 2 | 4 | 8): number;
  /** True if the access failed. */
  write(hi: number, lo: number, size: 1 | 2 | 4 | 8, valueLo: number, valueHi: number): boolean;
  readonly high: number;
  readonly failed: boolean;
  /** RAM and ROM in the hart's guest memory, as they are mapped now. */
  ranges(): readonly MemoryRange[];
  /** The hart begins to run: it may keep what it sees. */
  enter(): void;
  /** The hart stops running. Its translations have followed every change that it was told. */
  leave(): void;
  /** The hart is about to store to this byte of guest memory, for the first time since its page was `cleaned`. */
  logStore?(offset: number): void;
  dispose(): void;
}

/** A range of physical addresses that is guest memory. */
export interface MemoryRange {
  readonly first: bigint;
  /** Inclusive. */
  readonly last: bigint;
  /** Of the first byte in guest memory. */
  readonly offset: number;
  /** One of `STORES_*`. */
  readonly stores: number;
}

/** What happened to the map or to memory, told to the hart. */
export interface BusEvents {
  /** Ranges came or went. */
  mapChanged(): void;
  /** Bytes of guest memory are no longer mapped where they were. */
  unmapped(offset: number, length: number): void;
  /** Bytes of guest memory were written by someone other than a hart. */
  stored(offset: number, length: number): void;
  /** Stores to bytes of guest memory are news again: the next to each page is to be told to `logStore`. */
  cleaned(offset: number, length: number): void;
}
