/**
 * View update: makes the next flat view out of the current one by re-rendering windows, and tells by construction which
 * ranges went and which came. Ranges that a window merely cuts through are stitched together again at its borders.
 */
import {
  chunkAt,
  type FlatView,
  mergeable,
  type Piece,
  Range,
  rangesOf,
  replaceChunks,
  samePiece,
} from "../ecs/flat_view.ts";
import { regions } from "../ecs/region.ts";
import type { World } from "../ecs/world.ts";
import { renderWindow } from "./flatten.ts";

/** Ranges that went and came, both by ascending address. */
export interface ViewDifference {
  readonly view: FlatView;
  readonly removed: readonly Range[];
  readonly added: readonly Range[];
}

/** Re-renders merged windows (start, end, …) of the view of `root`. */
export function updateView(world: World, root: number, view: FlatView, windows: readonly number[]): ViewDifference {
  const draft = view.chunks.slice();
  const removed: Range[] = [];
  const added: Range[] = [];
  const joined = windows.length > MANY ? joinWithinChunks(view, windows) : windows;
  for (let at = 0; at < joined.length; at += 2) {
    replaceWindow(world, root, draft, joined[at]!, joined[at + 1]!, removed, added);
  }
  return { view: removed.length + added.length > 0 ? { chunks: draft } : view, removed, added };
}

/** Above this, windows (start, end, …) that cut the same chunk are rendered as one: a chunk is made anew for each. */
const MANY = 8;

/** Joins windows that end and start in the same chunk: 64 moves among 1000 ranges then take a third of the time. */
function joinWithinChunks({ chunks }: FlatView, windows: readonly number[]): number[] {
  const joined = [windows[0]!, windows[1]!];
  for (let at = 2; at < windows.length; at += 2) {
    const last = joined.length - 1;
    const isNear = chunkAt(chunks, windows[at]!) === chunkAt(chunks, joined[last]!);
    if (isNear) joined[last] = windows[at + 1]!;
    else joined.push(windows[at]!, windows[at + 1]!);
  }
  return joined;
}

function replaceWindow(
  world: World,
  root: number,
  draft: (readonly Range[])[],
  start: number,
  end: number,
  removed: Range[],
  added: Range[],
): void {
  // What meets or touches the window: a rendered piece may continue its neighbours.
  const from = Math.max(0, countWhile(draft.length, (at) => draft[at]![0]!.start < start) - 1);
  const last = Math.max(from, chunkAt(draft, end));
  const head = draft[from] ?? NO_RANGES;
  const tail = draft[last] ?? NO_RANGES;
  const first = countWhile(head.length, (at) => head[at]!.end < start);
  const behind = countWhile(tail.length, (at) => tail[at]!.start <= end);
  const old = from === last
    ? head.slice(first, behind)
    : head.slice(first).concat(...draft.slice(from + 1, last), tail.slice(0, behind));
  const pieces = stitch(old, renderWindow(world, root, start, end), start, end);
  const ranges = realize(world, old, pieces, removed, added);
  if (ranges === undefined) return;
  const chunk = head.slice(0, first);
  for (const range of ranges) chunk.push(range);
  for (let at = behind; at < tail.length; at++) chunk.push(tail[at]!);
  // A chunk that has become small takes in its neighbour, so that their number follows that of the ranges.
  const next = last + 1;
  const isSmall = chunk.length < 16 && next < draft.length;
  if (isSmall) replaceChunks(draft, from, next + 1, chunk.concat(draft[next]!));
  else replaceChunks(draft, from, next, chunk);
}

const NO_RANGES: readonly Range[] = [];

/** How many of the first `count` things in ascending order it holds for. */
function countWhile(count: number, holds: (at: number) => boolean): number {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (holds(middle)) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** `rendered` in place of what `old` shows in `[start, end)`, merged where pieces continue each other. */
function stitch(old: readonly Range[], rendered: readonly Piece[], start: number, end: number): Piece[] {
  const pieces: Piece[] = [];
  for (const range of old) {
    if (range.end <= start) pieces.push(range);
    else if (range.start < start) pieces.push(part(range, range.start, start));
    else break;
  }
  for (const piece of rendered) append(pieces, piece);
  for (const range of old) {
    if (range.end <= end) continue;
    append(pieces, range.start >= end ? range : part(range, end, range.end));
  }
  return pieces;
}

function part(of: Piece, start: number, end: number): Piece {
  return { start, end, region: of.region, base: of.base, flags: of.flags, path: of.path };
}

function append(pieces: Piece[], piece: Piece): void {
  const last = pieces[pieces.length - 1];
  if (last !== undefined && mergeable(last, piece)) pieces[pieces.length - 1] = part(last, last.start, piece.end);
  else pieces.push(piece);
}

/** The pieces as ranges, those of `old` where they are the same; undefined if nothing changed. */
function realize(
  world: World,
  old: readonly Range[],
  pieces: readonly Piece[],
  removed: Range[],
  added: Range[],
): Range[] | undefined {
  const ranges: Range[] = [];
  const before = removed.length + added.length;
  let touched = false;
  let at = 0;
  for (const piece of pieces) {
    while (at < old.length && old[at]!.start < piece.start) touched = remove(old[at++]!, removed, added);
    const same = old[at];
    if (same !== undefined && samePiece(same, piece)) {
      same.path = piece.path;
      ranges.push(same);
      at++;
    } else {
      if (same !== undefined && same.start === piece.start) touched = remove(old[at++]!, removed, added);
      const range = newRange(world, piece);
      added.push(range);
      ranges.push(range);
    }
  }
  while (at < old.length) touched = remove(old[at++]!, removed, added);
  return touched || removed.length + added.length > before ? ranges : undefined;
}

/** A range that an earlier window of the same commit made was never seen by anyone; it can only be the last. */
function remove(range: Range, removed: Range[], added: Range[]): true {
  if (added[added.length - 1] === range) added.pop();
  else removed.push(range);
  return true;
}

function newRange(world: World, piece: Piece): Range {
  const { mmio, ram } = regions(world);
  return new Range(piece, mmio[piece.region], ram[piece.region]);
}

/** What a space that goes from one view to another sees change. */
export function compareViews(before: FlatView, after: FlatView): ViewDifference {
  const removed: Range[] = [];
  const added: Range[] = [];
  const old = [...rangesOf(before)];
  let at = 0;
  for (const range of rangesOf(after)) {
    while (at < old.length && old[at]!.start < range.start) removed.push(old[at++]!);
    const other = old[at];
    if (other?.start === range.start) at++;
    if (other !== undefined && samePiece(other, range)) continue;
    if (other?.start === range.start) removed.push(other);
    added.push(range);
  }
  while (at < old.length) removed.push(old[at++]!);
  return { view: after, removed, added };
}
