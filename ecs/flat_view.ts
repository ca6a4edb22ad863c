/**
 * Flat view: what an address space shows, as disjoint ranges by ascending address. A view is an immutable sequence of
 * small chunks of shared, immutable ranges: a commit makes a new sequence in which only the touched chunks are new, and
 * a reader that captured the old one goes on undisturbed.
 */
import { highHalf, lowHalf, TOP } from "./address.ts";
import type { Iommu } from "./iommu.ts";
import type { Guard } from "./owner.ts";
import { Flag, INHERITED, type Mmio } from "./region.ts";
import type { RamBlock } from "./ram_block.ts";

/** A range as the renderer finds it; `base` is where the region's offset 0 would be, and may be negative. */
export interface Piece {
  start: number;
  end: number;
  region: number;
  base: number;
  /** READONLY, NONVOLATILE, UNMERGEABLE of the whole path, and ROMD of the region. */
  flags: number;
  /** Hash of the aliases that it is seen through. Unmergeable neighbours are one piece only if they have one path. */
  path: number;
}

/** A piece with what an access needs, resolved once. */
export class Range implements Piece {
  readonly start: number;
  readonly end: number;
  readonly region: number;
  readonly base: number;
  readonly flags: number;
  /** Not visible to anyone: it is brought up to date where the same range comes to be seen on another path. */
  path: number;
  /** Halves of `start`, and how many bytes from there are surely inside: lookups compare integers. */
  readonly startLow: number;
  readonly startHigh: number;
  readonly reach: number;
  /** Halves of `base`, two's complement: offsets are computed from halves, and so are exact. */
  readonly baseLow: number;
  readonly baseHigh: number;
  readonly mmio: Mmio | undefined;
  readonly iommu: Iommu | undefined;
  /** Memory that a read reaches without a handler. */
  readonly ram: RamBlock | undefined;
  /** Whether a write reaches `ram` without a handler. */
  readonly isWritable: boolean;
  /** undefined: unguarded. */
  readonly guard: Guard | undefined;
  /** Offset in the region at which the range ends; exact for memory. */
  readonly limit: number;

  constructor(
    piece: Piece,
    backing: {
      flags: number;
      mmio: Mmio | undefined;
      iommu: Iommu | undefined;
      ram: RamBlock | undefined;
      guard: Guard | undefined;
    },
  ) {
    this.start = piece.start;
    this.end = piece.end;
    this.region = piece.region;
    this.base = piece.base;
    this.flags = piece.flags;
    this.path = piece.path;
    this.startLow = lowHalf(piece.start);
    this.startHigh = highHalf(piece.start);
    this.reach = Math.min(piece.end - piece.start, 0x7fffffff);
    this.baseLow = lowHalf(piece.base);
    this.baseHigh = highHalf(piece.base);
    this.limit = piece.end - piece.base;
    this.mmio = backing.mmio;
    this.iommu = backing.iommu;
    const isRam = (backing.flags & (Flag.RAM | Flag.RAM_DEVICE)) === Flag.RAM;
    this.ram = isRam || (piece.flags & Flag.ROMD) !== 0 ? backing.ram : undefined;
    this.isWritable = isRam && (piece.flags & Flag.READONLY) === 0;
    this.guard = (backing.flags & (Flag.ROM_DEVICE | Flag.UNGUARDED)) === 0 ? backing.guard : undefined;
  }
}

/** Attributes that a range carries. */
export const RANGE_FLAGS = INHERITED | Flag.ROMD;

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

/** Offset in the range's region of the address (hi, lo), from integer halves; above 2^53 it is rounded. */
export function offsetIn(range: Range, hi: number, lo: number): number {
  const low = (lo - range.baseLow) >>> 0;
  const borrow = (lo >>> 0) < (range.baseLow >>> 0) ? 1 : 0;
  const high = (hi - range.baseHigh - borrow) >>> 0;
  return high === 0 ? low : high * 0x100000000 + low;
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
