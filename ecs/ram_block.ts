/**
 * RAM block: the bytes behind a RAM-kind region. A machine's blocks are ranges of one shared WebAssembly.Memory, which
 * compiled guest code addresses directly; a block without a guest memory has an ArrayBuffer of its own.
 */

import { type DirtyLog, markBytes, newDirtyLog } from "./dirty_bitmap.ts";

const WASM_PAGE = 0x10000;
const WASM_PAGES_MAX = 0x10000;

/** No gap of the guest memory is large enough. */
export class OutOfGuestMemoryError extends Error {
  override readonly name = "OutOfGuestMemoryError";
}

interface Gap {
  start: number;
  end: number;
}

/** The one memory of a machine: created at its final size and never grown, so that its views stay valid. */
export interface GuestMemory {
  readonly memory: WebAssembly.Memory;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Free ranges, ascending, none touching another. */
  readonly gaps: Gap[];
  /** No range is given out any more: see {@linkcode closeGuestMemory}. */
  closed: boolean;
}

/**
 * Shared memory of a machine.
 *
 * @param byteLength Rounded up to 64 KiB; at most 4 GiB.
 * @throws {OutOfGuestMemoryError} if the host refuses.
 */
export function createGuestMemory(byteLength: number): GuestMemory {
  const pages = Math.ceil(byteLength / WASM_PAGE);
  if (!(pages >= 0 && pages <= WASM_PAGES_MAX)) {
    throw new OutOfGuestMemoryError(`a guest memory of ${byteLength} bytes is not between 0 and 4 GiB`);
  }
  try {
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    const bytes = new Uint8Array(memory.buffer);
    return { memory, bytes, view: new DataView(memory.buffer), gaps: [{ start: 0, end: bytes.length }], closed: false };
  } catch (cause) {
    throw new OutOfGuestMemoryError(`the host refuses a guest memory of ${byteLength} bytes`, { cause });
  }
}

/**
 * Takes the smallest gap that fits, among equals the lowest (S136). All bytes of it are zero.
 *
 * @param align A power of two, in bytes.
 * @returns Offset in the memory.
 * @throws {OutOfGuestMemoryError} if no gap is large enough.
 */
export function allocateRange(memory: GuestMemory, size: number, align: number): number {
  const { gaps } = memory;
  if (memory.closed) throw new OutOfGuestMemoryError("the guest memory is closed: its machine is being disposed of");
  const startIn = (gap: Gap) => Math.ceil(gap.start / align) * align;
  let best: Gap | undefined;
  for (const gap of gaps) {
    if (startIn(gap) + size > gap.end) continue;
    if (best === undefined || gap.end - gap.start < best.end - best.start) best = gap;
  }
  if (best === undefined) {
    throw new OutOfGuestMemoryError(
      `no gap of ${size} bytes is left in a guest memory of ${memory.bytes.length} bytes`,
    );
  }
  const start = startIn(best);
  const end = start + size;
  const rest: Gap[] = [];
  if (best.start < start) rest.push({ start: best.start, end: start });
  if (end < best.end) rest.push({ start: end, end: best.end });
  gaps.splice(gaps.indexOf(best), 1, ...rest);
  return start;
}

/**
 * The machine ends: no range is given out any more, so what is given back need not be zeroed. For a large guest that is the
 * difference between nothing and seconds, and the host would commit every page that the guest never touched.
 */
export function closeGuestMemory(memory: GuestMemory): void {
  memory.closed = true;
}

/**
 * Gives a range back, zeroed unless the memory is closed. The caller has waited for every reader: a guest could see the
 * next owner's bytes.
 */
export function freeRange(memory: GuestMemory, offset: number, size: number): void {
  if (size === 0) return;
  const end = offset + size;
  if (!memory.closed) memory.bytes.fill(0, offset, end);
  const { gaps } = memory;
  let index = gaps.findIndex((gap) => gap.start >= end);
  if (index < 0) index = gaps.length;
  const below = gaps[index - 1];
  const above = gaps[index];
  const start = below?.end === offset ? below.start : offset;
  const stop = above?.start === end ? above.end : end;
  const first = start === offset ? index : index - 1;
  gaps.splice(first, (start === offset ? 0 : 1) + (stop === end ? 0 : 1), { start, end: stop });
}

/** Told of stores that reach a block through dispatch or DMA: bytes from the block's start, and how many. */
export type StoreObserver = (offset: number, length: number) => void;

/** How much of a block is in use. */
export interface Resizable {
  /** Bytes, up to the block's size. */
  used: number;
  /** Called last, with the new size. */
  readonly resized: ((size: number) => void) | undefined;
}

/** Which parts of a block are populated (1.2, RamDiscardManager). */
export interface DiscardState {
  /** Bytes; all changes are multiples of it. */
  readonly granularity: number;
  /** One byte per granule: 1 if it is populated. */
  readonly populated: Uint8Array;
  /** Replaced, never changed in place: a walk keeps the list that it began. */
  listeners: readonly DiscardCallbacks[];
}

/** Follows the populated parts of `[start, end)` of a block. Each call is one run of granules. */
export interface DiscardCallbacks {
  readonly start: number;
  readonly end: number;
  /** Throws to refuse. */
  populated(offset: number, size: number): void;
  discarded(offset: number, size: number): void;
}

/** Storage of one RAM-kind region. */
export interface RamBlock {
  readonly memory: GuestMemory | undefined;
  readonly buffer: ArrayBufferLike;
  /** Of the block in `buffer`, in bytes. */
  readonly offset: number;
  readonly size: number;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly dirty: DirtyLog;
  /** Whether MIGRATION logs it (1.3). */
  readonly isMigratable: boolean;
  /** The bytes are the caller's, and stay when the block ends. */
  readonly isBorrowed: boolean;
  /** Of RAM that can be resized: `size` is its maximum. */
  resizable: Resizable | undefined;
  /** Which parts of it are there; undefined: all. */
  discard: DiscardState | undefined;
  /** Whoever asked for the stores: see {@linkcode setObserver}. */
  watcher: StoreObserver | undefined;
  /** Told of bytes that became clean, which it may have stored to without a word before. */
  cleaned: StoreObserver | undefined;
  /** To be called after each store: tells the watcher, and sets dirty bits. undefined while there is nothing to do. */
  observer: StoreObserver | undefined;
}

/** Blocks in a guest memory start at pages, so that a page table of the host or a TLB can map them. */
const BLOCK_ALIGNMENT = 0x1000;

/**
 * Zeroed storage of `size` bytes.
 *
 * @throws {OutOfGuestMemoryError} if there is no room, in the memory or in the host.
 */
export function newRamBlock(size: number, memory: GuestMemory | undefined, isMigratable = true): RamBlock {
  let buffer: ArrayBufferLike;
  let offset = 0;
  if (memory !== undefined) {
    offset = allocateRange(memory, size, BLOCK_ALIGNMENT);
    buffer = memory.bytes.buffer;
  } else {
    try {
      buffer = new ArrayBuffer(size);
    } catch (cause) {
      throw new OutOfGuestMemoryError(`the host refuses a RAM block of ${size} bytes`, { cause });
    }
  }
  return blockOf(new Uint8Array(buffer, offset, size), memory, isMigratable, false);
}

/** A block of the caller's bytes. `memory`: the guest memory that they are in, so that harts reach them directly. */
export function borrowRamBlock(bytes: Uint8Array, memory: GuestMemory | undefined, isMigratable = true): RamBlock {
  return blockOf(bytes, memory, isMigratable, true);
}

function blockOf(
  bytes: Uint8Array,
  memory: GuestMemory | undefined,
  isMigratable: boolean,
  isBorrowed: boolean,
): RamBlock {
  const { buffer, byteOffset: offset, length: size } = bytes;
  return {
    memory,
    buffer,
    offset,
    size,
    bytes,
    view: new DataView(buffer, offset, size),
    isBorrowed,
    resizable: undefined,
    discard: undefined,
    dirty: newDirtyLog(size),
    isMigratable,
    watcher: undefined,
    cleaned: undefined,
    observer: undefined,
  };
}

/** Ends the block; a range of a guest memory is zeroed and free again. */
export function freeRamBlock(block: RamBlock): void {
  if (block.memory !== undefined && !block.isBorrowed) freeRange(block.memory, block.offset, block.size);
}

/** `watcher` is told of every store, `cleaned` of every byte whose dirty bit is cleared. */
export function setObserver(
  block: RamBlock,
  watcher: StoreObserver | undefined,
  cleaned: StoreObserver | undefined,
): void {
  block.watcher = watcher;
  block.cleaned = cleaned;
  connectObserver(block);
}

/** To be called when the watcher or the active bitmaps of the block change. */
export function connectObserver(block: RamBlock): void {
  const { dirty, watcher } = block;
  if (dirty.active.length === 0) block.observer = watcher;
  else if (watcher === undefined) block.observer = (offset, length) => markBytes(dirty, offset, length);
  else {
    block.observer = (offset, length) => {
      markBytes(dirty, offset, length);
      watcher(offset, length);
    };
  }
}
