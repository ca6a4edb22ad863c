/** Memory tree: the regions of every address space as text and as data, like the monitor's `info mtree`. */
import { allSpaces } from "../ecs/address_space.ts";
import { containers } from "../ecs/container.ts";
import { type Piece, rangesOf } from "../ecs/flat_view.ts";
import { nameOf } from "../ecs/handle.ts";
import { owners } from "../ecs/owner.ts";
import { Flag, regions } from "../ecs/region.ts";
import type { World } from "../ecs/world.ts";

/** What a region is, as QEMU calls it. */
export type RegionKindName =
  | "container"
  | "ram"
  | "rom"
  | "ram device"
  | "romd"
  | "i/o"
  | "reservation"
  | "alias"
  | "iommu";

/** A region and what is in it. */
export interface RegionTree {
  readonly name: string;
  readonly kind: RegionKindName;
  readonly owner: string | undefined;
  /** In its container, in bytes. */
  readonly address: number;
  readonly size: number;
  readonly priority: number;
  readonly enabled: boolean;
  readonly readonly: boolean;
  readonly alias: { readonly target: string | undefined; readonly offset: number } | undefined;
  readonly children: readonly RegionTree[];
}

export interface RangeLine {
  readonly start: number;
  readonly end: number;
  readonly region: string;
  /** In the region, in bytes. */
  readonly offset: number;
  readonly kind: string;
}

export interface SpaceTree {
  readonly name: string;
  readonly root: RegionTree;
  /** What the space shows. */
  readonly ranges: readonly RangeLine[];
}

/** The memory tree of every address space, as data. */
export function mtreeJson(world: World): SpaceTree[] {
  return allSpaces(world).map((space) => ({
    name: nameOf(world, space.id),
    root: regionTree(world, space.root),
    ranges: [...rangesOf(space.view)].map((range) => rangeLine(world, range)),
  }));
}

/** The memory tree of every address space, as text: the tree by priority, then what is visible of it. */
export function mtree(world: World): string {
  const lines: string[] = [];
  for (const { name, root, ranges } of mtreeJson(world)) {
    lines.push(`address-space: ${name}`, ...treeLines(root, 0, 1), "  visible:");
    for (const { start, end, kind, region, offset } of ranges) {
      const at = offset === 0 ? "" : ` @${hex(offset)}`;
      lines.push(`    ${extent(start, end)} (${kind}): ${region}${at}`);
    }
    lines.push("");
  }
  return lines.join("\n");
}

function regionTree(world: World, region: number): RegionTree {
  const { flags, size, window } = regions(world);
  const { address, priority, firstChild, next } = containers(world);
  const bits = flags[region]!;
  const children: RegionTree[] = [];
  for (let child = firstChild[region]!; child !== 0; child = next[child]!) children.push(regionTree(world, child));
  const { target = 0, offset = 0 } = window[region] ?? {};
  const owner = owners(world).owner[region]!;
  return {
    name: nameOf(world, region),
    kind: kindName(bits),
    owner: owner === 0 ? undefined : nameOf(world, owner),
    address: address[region]!,
    size: size[region]!,
    priority: priority[region]!,
    enabled: (bits & Flag.ENABLED) !== 0,
    readonly: (bits & Flag.READONLY) !== 0,
    alias: (bits & Flag.ALIAS) === 0 ? undefined : { target: target === 0 ? undefined : nameOf(world, target), offset },
    children,
  };
}

function rangeLine(world: World, range: Piece): RangeLine {
  const { flags } = regions(world);
  const kind = kindName((flags[range.region]! & ~Flag.READONLY) | (range.flags & Flag.READONLY));
  return {
    start: range.start,
    end: range.end,
    region: nameOf(world, range.region),
    offset: range.start - range.base,
    kind,
  };
}

export function kindName(flags: number): RegionKindName {
  if ((flags & Flag.ALIAS) !== 0) return "alias";
  if ((flags & Flag.IOMMU) !== 0) return "iommu";
  if ((flags & Flag.RAM_DEVICE) !== 0) return "ram device";
  if ((flags & Flag.RAM) !== 0) return (flags & Flag.READONLY) !== 0 ? "rom" : "ram";
  if ((flags & Flag.ROM_DEVICE) !== 0) return "romd";
  if ((flags & Flag.MMIO) !== 0) return "i/o";
  return (flags & Flag.TERMINATES) !== 0 ? "reservation" : "container";
}

/** `base`: where the tree's region is, as far as containers say. */
function treeLines(tree: RegionTree, base: number, depth: number): string[] {
  const start = base + tree.address;
  const off = tree.enabled ? "" : " [disabled]";
  const window = tree.alias === undefined
    ? ""
    : ` @${tree.alias.target ?? "nothing"} ${extent(tree.alias.offset, tree.alias.offset + tree.size)}`;
  const line = `${extent(start, start + tree.size)} (prio ${tree.priority}, ${tree.kind}): ${tree.name}${window}${off}`;
  return ["  ".repeat(depth) + line, ...tree.children.flatMap((child) => treeLines(child, start, depth + 1))];
}

/** First and last address, 16 digits each. */
function extent(start: number, end: number): string {
  if (Number.isNaN(start)) return "nowhere";
  return `${digits(BigInt(start))}-${digits(end > start ? BigInt(end) - 1n : BigInt(start))}`;
}

function digits(address: bigint): string {
  return BigInt.asUintN(64, address).toString(16).padStart(16, "0");
}

function hex(offset: number): string {
  return digits(BigInt(offset));
}
