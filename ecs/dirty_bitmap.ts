/**
 * Dirty bitmap: which pages of a RAM block were stored to, for each client that asked (specification 1.15, G1). A client
 * that never cleared a bit has no bitmap: all of its pages are dirty, as those of a new block are (G9).
 */
import { defineState, type World } from "./world.ts";

/** Who wants to know which pages were stored to. */
export const DirtyClient = { VGA: 0, CODE: 1, MIGRATION: 2 } as const;
export type DirtyClient = typeof DirtyClient[keyof typeof DirtyClient];

export const DIRTY_CLIENTS: readonly DirtyClient[] = [DirtyClient.VGA, DirtyClient.CODE, DirtyClient.MIGRATION];

/** Bytes that one bit stands for. */
export const DIRTY_PAGE = 0x1000;
const PAGE_SHIFT = 12;
/** Up to so many pages, integers of 32 bits count the bytes. */
const SHORT_LOG = 2 ** 32 / DIRTY_PAGE;

/** Dirty bits of one RAM block. */
export interface DirtyLog {
  /** Pages of the block; the last may be partial. */
  pages: number;
  /** Clients (`1 << client`) whose bits stores set. */
  mask: number;
  /** The mask that listeners were told. */
  told: number;
  /** How often VGA and CODE were switched on; MIGRATION follows the tracking of the world. */
  readonly counts: [vga: number, code: number];
  /** By client, from bit 0 of word 0; bits beyond the last page mean nothing. undefined: every page is dirty. */
  readonly bits: [Uint32Array | undefined, Uint32Array | undefined, Uint32Array | undefined];
  /** The bitmaps that a store has to set: those in the mask that exist. */
  active: readonly Uint32Array[];
  /** The active bitmap, if there is one alone and the block is at most 4 GiB: the quick way to mark. */
  single: Uint32Array | undefined;
}

/** Why all of a world's memory is tracked for MIGRATION (G3). */
export type TrackingReason = "migration" | "dirty rate" | "dirty limit";

/** Global tracking of a world. */
export const tracking = defineState(() => ({
  reasons: new Set<TrackingReason>(),
  /** Reasons that end when the guest runs again (G4). */
  postponed: new Set<TrackingReason>(),
  isGuestRunning: true,
  /** Guests that were started or stopped, by the handle of their owner (0: the only one), and whether each runs. */
  guests: new Map<number, boolean>(),
}));

/** The log of a new block: all dirty. */
export function newDirtyLog(bytes: number): DirtyLog {
  return {
    pages: pagesOf(bytes),
    mask: 0,
    told: 0,
    counts: [0, 0],
    bits: [undefined, undefined, undefined],
    active: [],
    single: undefined,
  };
}

function pagesOf(bytes: number): number {
  return Math.ceil(bytes / DIRTY_PAGE);
}

/** Sets or clears a client's place in the mask. */
export function writeLogMask(log: DirtyLog, client: DirtyClient, on: boolean): void {
  log.mask = on ? log.mask | (1 << client) : log.mask & ~(1 << client);
  chooseActive(log);
}

/** Listeners have been told the mask. */
export function noteTold(log: DirtyLog): void {
  log.told = log.mask;
}

export function addLogCount(log: DirtyLog, client: 0 | 1, by: 1 | -1): void {
  log.counts[client] += by;
}

function chooseActive(log: DirtyLog): void {
  log.active = DIRTY_CLIENTS.flatMap((client) => {
    const bits = log.bits[client];
    return bits !== undefined && (log.mask & (1 << client)) !== 0 ? [bits] : [];
  });
  log.single = log.active.length === 1 && log.pages <= SHORT_LOG ? log.active[0] : undefined;
}

/** The block has another size: all of it is dirty, and nothing beyond it is (G9, S134). */
export function resizeDirtyLog(log: DirtyLog, bytes: number): void {
  log.pages = pagesOf(bytes);
  for (const client of DIRTY_CLIENTS) log.bits[client] = undefined;
  chooseActive(log);
}

/** Sets the bits of the bytes `[offset, offset + length)`, for the clients in the mask. `length` is at least 1. */
export function markBytes(log: DirtyLog, offset: number, length: number): void {
  const { single } = log;
  if (single !== undefined) {
    const page = offset >>> PAGE_SHIFT;
    if (page === (offset + length - 1) >>> PAGE_SHIFT) {
      single[page >>> 5]! |= 1 << page;
      return;
    }
  }
  const first = Math.floor(offset / DIRTY_PAGE);
  const end = Math.ceil((offset + length) / DIRTY_PAGE);
  for (const bits of log.active) setBits(bits, first, end);
}

/** Whether any page in `[first, end)` is dirty; those that the block does not have are not. */
export function anyDirty(log: DirtyLog, client: DirtyClient, first: number, end: number): boolean {
  const bits = log.bits[client];
  const stop = Math.min(end, log.pages);
  return bits === undefined ? first < stop : anyBit(bits, first, stop);
}

/** Clears the bits of the pages `[first, end)`. Returns whether any of them was set. */
export function clearPages(log: DirtyLog, client: DirtyClient, first: number, end: number): boolean {
  const stop = Math.min(end, log.pages);
  if (first >= stop) return false;
  const bits = log.bits[client] ?? newBits(log, client);
  const wasDirty = anyBit(bits, first, stop);
  if (wasDirty) clearBits(bits, first, stop);
  return wasDirty;
}

/** The words of the bits of the pages `[first, end)`, so that bit 0 is page `first` rounded down to 32. */
export function copyWords(log: DirtyLog, client: DirtyClient, first: number, end: number): Uint32Array {
  const bits = log.bits[client];
  const origin = first >>> 5;
  const words = new Uint32Array(((end + 31) >>> 5) - origin);
  const last = Math.min(end, log.pages) - 32 * origin;
  if (bits === undefined) setBits(words, first - 32 * origin, last);
  else {
    words.set(bits.subarray(origin, origin + words.length));
    if (last < 32 * words.length) clearBits(words, Math.max(0, last), 32 * words.length);
  }
  return words;
}

function newBits(log: DirtyLog, client: DirtyClient): Uint32Array {
  const bits = new Uint32Array((log.pages + 31) >>> 5);
  setBits(bits, 0, log.pages);
  log.bits[client] = bits;
  chooseActive(log);
  return bits;
}

/** Bits of the word of `first` from `first` on, and of the word of `end - 1` below `end`. */
function edges(first: number, end: number): [head: number, tail: number] {
  return [-1 << first, -1 >>> (31 - ((end - 1) & 31))];
}

export function setBits(bits: Uint32Array, first: number, end: number): void {
  if (first >= end) return;
  const [head, tail] = edges(first, end);
  const low = first >>> 5, high = (end - 1) >>> 5;
  if (low === high) {
    bits[low]! |= head & tail;
    return;
  }
  bits[low]! |= head;
  bits.fill(0xffffffff, low + 1, high);
  bits[high]! |= tail;
}

function clearBits(bits: Uint32Array, first: number, end: number): void {
  const [head, tail] = edges(first, end);
  const low = first >>> 5, high = (end - 1) >>> 5;
  if (low === high) {
    bits[low]! &= ~(head & tail);
    return;
  }
  bits[low]! &= ~head;
  bits.fill(0, low + 1, high);
  bits[high]! &= ~tail;
}

export function anyBit(bits: Uint32Array, first: number, end: number): boolean {
  if (first >= end) return false;
  const [head, tail] = edges(first, end);
  const low = first >>> 5, high = (end - 1) >>> 5;
  if (low === high) return (bits[low]! & head & tail) !== 0;
  if ((bits[low]! & head) !== 0 || (bits[high]! & tail) !== 0) return true;
  for (let at = low + 1; at < high; at++) if (bits[at] !== 0) return true;
  return false;
}

/** Whether a new block is tracked from its start. */
export function isTracking(world: World): boolean {
  return tracking(world).reasons.size > 0;
}
