/**
 * Flatten: renders windows of a root into pieces (specification 1.5), by ascending address. Each container is swept
 * once: at every address the topmost child is rendered, and what it leaves open is offered to the children below it,
 * then to the container's own backing, then to whatever lies below the container. What is left open waits in a list, so
 * that however many siblings lie over each other, the stack is only as deep as regions are nested.
 */
import { roundingError, sumAbove, sumBelow, TOP } from "../ecs/address.ts";
import { childrenIn } from "../ecs/child_index.ts";
import { containers, isOnTop } from "../ecs/container.ts";
import { mergeable, type Piece, RANGE_FLAGS } from "../ecs/flat_view.ts";
import { Flag, INHERITED, regions } from "../ecs/region.ts";
import type { World } from "../ecs/world.ts";

/** Fills a hole `[start, end)` with what lies below. */
type Below = (start: number, end: number) => void;

const NOTHING: Below = () => {};

/** How a region is reached from the root. */
interface Path {
  /** Attributes of the containers and aliases on it. */
  readonly inherited: number;
  /** Hash of the aliases on it. */
  readonly aliases: number;
}

const START: Path = { inherited: 0, aliases: 0 };

interface Rendering {
  readonly world: World;
  readonly regions: ReturnType<typeof regions>;
  readonly containers: ReturnType<typeof containers>;
  readonly pieces: Piece[];
  /** What children left open, to be offered to their siblings below. */
  readonly holes: Hole[];
}

/** `[from, to)` of a container, from the children below `above` on. */
interface Hole {
  readonly container: number;
  /** 0: from the topmost on. */
  readonly above: number;
  /** Where the container's offset 0 is. */
  readonly base: number;
  readonly from: number;
  readonly to: number;
  readonly path: Path;
  readonly bottom: Below;
}

/** Pieces of `[start, end)` of an address space whose root is `root`. */
export function renderWindow(world: World, root: number, start: number, end: number): Piece[] {
  const holes: Hole[] = [];
  const rendering = { world, regions: regions(world), containers: containers(world), pieces: [], holes };
  renderRegion(rendering, root, 0, start, end, START, NOTHING);
  if (holes.length === 0) return rendering.pieces;
  for (const hole of holes) renderChildren(rendering, hole);
  return inOrder(rendering.pieces);
}

/** Pieces by ascending address, those that continue each other as one. */
function inOrder(pieces: Piece[]): Piece[] {
  pieces.sort((a, b) => a.start - b.start);
  let kept = 0;
  for (let at = 1; at < pieces.length; at++) {
    const piece = pieces[at]!;
    const last = pieces[kept]!;
    if (mergeable(last, piece)) last.end = piece.end;
    else pieces[++kept] = piece;
  }
  pieces.length = Math.min(pieces.length, kept + 1);
  return pieces;
}

/**
 * Renders `[start, end)` of the root, with the region's offset 0 at `base`. A region whose base or end an f64 cannot
 * hold renders nothing, unless the end is beyond every address anyway.
 */
function renderRegion(
  r: Rendering,
  region: number,
  base: number,
  start: number,
  end: number,
  path: Path,
  below: Below,
): void {
  const flags = r.regions.flags[region]!;
  const limit = endOf(base, r.regions.size[region]!);
  const from = base > start ? base : start;
  const to = limit < end ? limit : end;
  if ((flags & Flag.ENABLED) === 0 || !(from < to) || Number.isNaN(limit)) return below(start, end);
  if (start < from) below(start, from);
  const inherited = path.inherited | (flags & INHERITED);
  const onward = inherited === path.inherited ? path : { inherited, aliases: path.aliases };
  if ((flags & Flag.ALIAS) !== 0) {
    renderTarget(r, region, base, from, to, onward, below);
  } else if ((flags & Flag.TERMINATES) === 0) {
    renderChildren(r, { container: region, above: 0, base, from, to, path: onward, bottom: below });
  } else if (r.containers.firstChild[region] === 0) {
    emit(r, region, base, from, to, onward, flags);
  } else {
    const backing: Below = (s, e) => emit(r, region, base, s, e, onward, flags);
    renderChildren(r, { container: region, above: 0, base, from, to, path: onward, bottom: backing });
  }
  if (to < end) below(to, end);
}

function renderTarget(
  r: Rendering,
  alias: number,
  base: number,
  from: number,
  to: number,
  path: Path,
  below: Below,
): void {
  const { target, offset } = r.regions.window[alias]!; // it is an alias
  if (target === 0 || roundingError(base, -offset) !== 0) return below(from, to);
  const aliases = (Math.imul(path.aliases, 0x01000193) ^ alias) >>> 0;
  renderRegion(r, target, base - offset, from, to, { inherited: path.inherited, aliases }, below);
}

/** Sweeps over the children; what none of them shows is the bottom's. */
function renderChildren(r: Rendering, hole: Hole): void {
  const { container, base, from, to, path, bottom } = hole;
  const children = candidates(r, hole);
  const { address } = r.containers;
  const { size } = r.regions;
  let open: number[] = [];
  let next = 0;
  let at = from;
  while (at < to) {
    while (next < children.length && base + address[children[next]!]! <= at) open.push(children[next++]!);
    if (open.length > 0) open = open.filter((child) => base + address[child]! + size[child]! > at);
    const top = topmost(r, open);
    let stop = to;
    if (top === 0) {
      if (next < children.length) stop = Math.min(to, base + address[children[next]!]!);
      bottom(at, stop);
    } else {
      stop = Math.min(to, base + address[top]! + size[top]!);
      for (let i = next; i < children.length; i++) {
        const start = base + address[children[i]!]!;
        if (start >= stop) break;
        if (isOnTop(r.world, children[i]!, top)) stop = start;
      }
      const below: Below = (from, to) => r.holes.push({ container, above: top, base, from, to, path, bottom });
      renderRegion(r, top, base + address[top]!, at, stop, path, below);
    }
    at = stop;
  }
}

/** 0: there is none. */
function topmost(r: Rendering, open: readonly number[]): number {
  let top = 0;
  for (const child of open) if (top === 0 || isOnTop(r.world, child, top)) top = child;
  return top;
}

/** Enabled children that can show in `[from, to)`, by ascending address. */
function candidates(r: Rendering, { container, above, base, from, to }: Hole): number[] {
  const { address } = r.containers;
  const { flags, size } = r.regions;
  const found = childrenIn(r.containers, container, sumBelow(from, -base), sumAbove(to, -base), []);
  let kept = 0;
  for (const child of found) {
    if ((flags[child]! & Flag.ENABLED) === 0) continue;
    if (above !== 0 && (child === above || isOnTop(r.world, child, above))) continue;
    const start = base + address[child]!;
    if (roundingError(base, address[child]!) !== 0 || Number.isNaN(endOf(start, size[child]!))) continue;
    found[kept++] = child;
  }
  found.length = kept;
  return found;
}

/** End of a region at `base`; NaN if it is not exact and matters. */
function endOf(base: number, size: number): number {
  const end = base + size;
  const error = roundingError(base, size);
  return error === 0 || end > TOP || (end === TOP && error > 0) ? end : NaN;
}

function emit(
  r: Rendering,
  region: number,
  base: number,
  start: number,
  end: number,
  path: Path,
  own: number,
): void {
  const last = r.pieces[r.pieces.length - 1];
  const flags = path.inherited | (own & RANGE_FLAGS);
  const piece = { start, end, region, base, flags, path: path.aliases };
  if (last !== undefined && mergeable(last, piece)) last.end = end;
  else r.pieces.push(piece);
}
