/**
 * Render: a whole address space from scratch, exactly as 1.5 says it and as simply as possible, in bigint. Nothing runs
 * on it: it is the oracle that the incremental views are compared with, so it shares no code with them.
 */
import { containers } from "../ecs/container.ts";
import { RANGE_FLAGS } from "../ecs/flat_view.ts";
import { Flag, INHERITED, regions } from "../ecs/region.ts";
import type { World } from "../ecs/world.ts";

export interface ExactRange {
  readonly start: bigint;
  readonly end: bigint;
  readonly region: number;
  /** Where the region's offset 0 would be. */
  readonly base: bigint;
  readonly flags: number;
}

interface Clip {
  readonly start: bigint;
  readonly end: bigint;
}

const TOP = 1n << 64n;

/** The ranges that `root` shows, by ascending address. */
export function renderFully(world: World, root: number): ExactRange[] {
  const ranges: ExactRange[] = [];
  renderInto(world, ranges, root, 0n, { start: 0n, end: TOP }, 0);
  return simplify(ranges);
}

/** `base`: where offset 0 of `region` falls. What is in `ranges` already lies above, and wins. */
function renderInto(
  world: World,
  ranges: ExactRange[],
  region: number,
  base: bigint,
  clip: Clip,
  inherited: number,
): void {
  const columns = regions(world);
  const placement = containers(world);
  const flags = columns.flags[region]!;
  const limit = base + BigInt(columns.size[region]!);
  if ((flags & Flag.ENABLED) === 0 || !isExact(base) || (limit <= TOP && !isExact(limit))) return;
  const inner = { start: base > clip.start ? base : clip.start, end: limit < clip.end ? limit : clip.end };
  if (inner.start >= inner.end) return;
  const passedOn = inherited | (flags & INHERITED);
  if ((flags & Flag.ALIAS) !== 0) {
    const { target, offset } = columns.window[region]!; // it is an alias
    if (target !== 0) renderInto(world, ranges, target, base - BigInt(offset), inner, passedOn);
    return;
  }
  for (let child = placement.firstChild[region]!; child !== 0; child = placement.next[child]!) {
    const address = placement.address[child]!;
    if (!Number.isNaN(address)) renderInto(world, ranges, child, base + BigInt(address), inner, passedOn);
  }
  if ((flags & Flag.TERMINATES) === 0) return;
  fillGaps(ranges, inner, { region, base, flags: passedOn | (flags & RANGE_FLAGS) });
}

function fillGaps(ranges: ExactRange[], clip: Clip, backing: Omit<ExactRange, "start" | "end">): void {
  const filled: ExactRange[] = [];
  let at = clip.start;
  for (const range of [...ranges, { start: clip.end, end: clip.end }]) {
    const end = range.start < clip.end ? range.start : clip.end;
    if (at < end) filled.push({ start: at, end, ...backing });
    if (range.end > at) at = range.end;
  }
  ranges.push(...filled);
  ranges.sort((a, b) => (a.start < b.start ? -1 : 1));
}

/** Joins neighbours that continue each other. */
function simplify(ranges: readonly ExactRange[]): ExactRange[] {
  const joined: ExactRange[] = [];
  for (const range of ranges) {
    const last = joined.at(-1);
    const continues = last !== undefined && last.end === range.start && last.region === range.region &&
      last.base === range.base && last.flags === range.flags && (range.flags & Flag.UNMERGEABLE) === 0;
    if (continues) joined[joined.length - 1] = { ...last, end: range.end };
    else joined.push(range);
  }
  return joined;
}

function isExact(value: bigint): boolean {
  return BigInt(Number(value)) === value;
}
