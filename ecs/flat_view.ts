/**
 * Flat view: what an address space shows, as disjoint ranges by ascending address. A view is an immutable sequence of
 * small chunks of shared, immutable ranges: a commit makes a new sequence in which only the touched chunks are new, and
 * a reader that captured the old one goes on undisturbed.
 */
import { highHalf, lowHalf, TOP } from "./address.ts";
import { Flag, INHERITED, type Mmio } from "./region.ts";
import type { RamBlock } from "./ram_block.ts";

/** A range as the renderer finds it; `base` is where the region's offset 0 would be, and may be negative. */
export interface Piece {
  start: number;
  end: number;
  region: number;
  base: number;
  /** READONLY, NONVOLATILE, UNMERGEABLE of the whole path, and of the region what kind of memory it is. */
  flags: number;
  /** Hash of the aliases that it is seen through. Unmergeable neighbours are one piece only if they have one path. */
  path: number;
}

/** A piece with what an access needs, resolved once. There is one for each range of each view: what can be computed is not kept. */
export class Range implements Piece {
  readonly start: number;
  readonly end: number;
  readonly region: number;
  readonly base: number;
  readonly flags: number;
  /** Not visible to anyone: it is brought up to date where the same range comes to be seen on another path. */
  path: number;
  readonly mmio: Mmio | undefined;
  /** Memory that a read reaches without a handler. */
  readonly ram: RamBlock | undefined;

  constructor(piece: Piece, mmio: Mmio | undefined, ram: RamBlock | undefined) {
    this.start = piece.start;
    this.end = piece.end;
    this.region = piece.region;
    this.base = piece.base;
    this.flags = piece.flags;
    this.path = piece.path;
    this.mmio = mmio;
    this.ram = (piece.flags & (Flag.RAM | Flag.RAM_DEVICE)) === Flag.RAM || (piece.flags & Flag.ROMD) !== 0
      ? ram
      : undefined;
  }
}

/** Whether a write reaches the range's memory without a handler. */
export function isWritable({ flags }: Range): boolean {
  return (flags & (Flag.RAM | Flag.RAM_DEVICE | Flag.READONLY)) === Flag.RAM;
}

/** Attributes that a range carries. */
export const RANGE_FLAGS = INHERITED | Flag.ROMD | Flag.RAM | Flag.RAM_DEVICE;

export interface FlatView {
  /** No chunk is empty. */
  readonly chunks: readonly (readonly Range[])[];
}

export const EMPTY_VIEW: FlatView = { chunks: [] };

/** Ranges per chunk when a chunk is made; one may hold up to twice as many. */
const CHUNK = 32;

/** Whether two pieces are the same range for listeners (1.5). */
export function samePiece(a: Piece, b: Piece): boolean {
  return a.start === b.start && a.end === b.end && a.region === b.region && a.base === b.base && a.flags === b.flags;
}

/** Whether `right` continues `left`, so that both are one range (1.5, simplify). */
export function mergeable(left: Piece, right: Piece): boolean {
  return left.end === right.start && left.region === right.region && left.base === right.base &&
    left.flags === right.flags && ((left.flags & Flag.UNMERGEABLE) === 0 || left.path === right.path);
}

/** Index of the last chunk that starts at or below `address`; -1 if there is none. */
export function chunkAt(chunks: readonly (readonly Range[])[], address: number): number {
  let low = 0;
  let high = chunks.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (chunks[middle]![0]!.start <= address) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** The range at an address that was rounded down to an f64; undefined: unassigned. */
export function rangeAt(view: FlatView, address: number): Range | undefined {
  const at = chunkAt(view.chunks, address);
  if (at < 0) return undefined;
  const chunk = view.chunks[at]!;
  let low = 0;
  let high = chunk.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (chunk[middle]!.start <= address) low = middle + 1;
    else high = middle;
  }
  const range = chunk[low - 1];
  return range !== undefined && address < range.end ? range : undefined;
}

/** Start of the first range above an address; 2^64 if there is none. */
export function startAbove(view: FlatView, address: number): number {
  const at = Math.max(0, chunkAt(view.chunks, address));
  for (const range of view.chunks[at] ?? []) if (range.start > address) return range.start;
  return view.chunks[at + 1]?.[0]?.start ?? TOP;
}

/** Offset in the range's region of an address (hi, lo) in it; rounded above 2^53. */
export function offsetIn(range: Range, hi: number, lo: number): number {
  return hi === 0 ? (lo >>> 0) - range.base : farOffset(range, hi, lo);
}

function farOffset({ base }: Range, hi: number, lo: number): number {
  if (hi >>> 0 < 0x200000) return hi * 0x100000000 + (lo >>> 0) - base;
  return ((hi - highHalf(base)) >>> 0) * 0x100000000 + (lo >>> 0) - (lowHalf(base) >>> 0);
}

/** Offset in the region at which a range ends; exact for memory. */
export function endOffset(range: Range): number {
  return range.end - range.base;
}

/** All ranges by ascending address. */
export function* rangesOf(view: FlatView): Generator<Range> {
  for (const chunk of view.chunks) yield* chunk;
}

export function countRanges(view: FlatView): number {
  let count = 0;
  for (const chunk of view.chunks) count += chunk.length;
  return count;
}

/** Puts `ranges` in place of the chunks `from` to `to` (exclusive) of a draft, in chunks of fair size. */
export function replaceChunks(draft: (readonly Range[])[], from: number, to: number, ranges: readonly Range[]): void {
  if (ranges.length > 0 && ranges.length <= 2 * CHUNK) {
    draft.splice(from, to - from, ranges);
    return;
  }
  const chunks: (readonly Range[])[] = [];
  for (let at = 0; at < ranges.length; at += CHUNK) chunks.push(ranges.slice(at, at + CHUNK));
  draft.splice(from, to - from, ...chunks);
}
