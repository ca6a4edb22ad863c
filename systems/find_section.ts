/** Find: a section of what is visible, pinned until it is released (1.11, S102). */
import { type AddressSpace, allSpaces, type Space, spaceOf } from "../ecs/address_space.ts";
import { exactAddress, formatAddress } from "../ecs/address.ts";
import { containers } from "../ecs/container.ts";
import { type Range, rangeAt, startAbove } from "../ecs/flat_view.ts";
import { resolve } from "../ecs/handle.ts";
import type { Holding } from "../ecs/holding.ts";
import type { Section } from "../ecs/listener.ts";
import type { Pin } from "../ecs/ref_count.ts";
import { type Region, RegionKind } from "../ecs/region.ts";
import type { World } from "../ecs/world.ts";
import { closeHolding, openHolding, resolveHolder } from "./holding.ts";
import { toldMask } from "./log_masks.ts";
import { sectionOf } from "./section.ts";

/** What was found. Its region is pinned until {@linkcode releaseSection}. */
export class FoundSection implements Holding {
  pin: Pin | undefined;
  isOpen = true;

  constructor(
    readonly holder: number,
    readonly space: Space,
    /** Clipped to what was asked for. */
    readonly section: Section,
  ) {}

  describe(): string {
    return `a section found at ${formatAddress(this.section.address)} of "${this.space.name}"`;
  }

  ended(): void {}
}

/**
 * The lowest range of an address space that overlaps `size` bytes at `address`; undefined if nothing is there.
 *
 * @throws {InexactAddressError} if address or size are not exact.
 */
export function findSection(
  world: World,
  space: AddressSpace,
  address: number | bigint,
  size: number | bigint,
  { holder }: { readonly holder?: number } = {},
): FoundSection | undefined {
  const start = exactAddress(address, "address");
  return found(world, spaceOf(world, space), start, start + exactAddress(size, "size"), holder);
}

/**
 * As {@linkcode findSection}, at `offset` of a region: containers are climbed, aliases are not. It is looked up in the
 * oldest address space whose root is the topmost container; undefined also if there is none.
 */
export function findInRegion(
  world: World,
  region: Region,
  offset: number | bigint,
  size: number | bigint,
  { holder }: { readonly holder?: number } = {},
): FoundSection | undefined {
  const { space, base } = spaceAbove(world, resolve(world, region, RegionKind));
  if (space === undefined) return undefined;
  const start = base + exactAddress(offset, "offset");
  return found(world, space, start, start + exactAddress(size, "size"), holder);
}

/** Whether something else than the container itself is visible at an offset of it. */
export function isPresent(world: World, container: Region, offset: number | bigint): boolean {
  const id = resolve(world, container, RegionKind);
  const { space, base } = spaceAbove(world, id);
  const range = space === undefined ? undefined : rangeAt(space.view, base + exactAddress(offset, "offset"));
  return range !== undefined && range.region !== id;
}

/** Ends the pin. @throws {ClosedError} if that was done before, or the section ended with its holder. */
export function releaseSection(world: World, section: FoundSection): void {
  closeHolding(world, section);
}

function spaceAbove(world: World, region: number): { space: Space | undefined; base: number } {
  const { container, address } = containers(world);
  let root = region;
  let base = 0;
  for (; container[root] !== 0; root = container[root]!) base += address[root]!;
  return { space: allSpaces(world).find((space) => space.root === root), base };
}

function found(
  world: World,
  space: Space,
  start: number,
  end: number,
  holder: number | undefined,
): FoundSection | undefined {
  const by = resolveHolder(world, holder);
  if (!(start < end)) return undefined;
  const range = rangeAt(space.view, start) ?? rangeAt(space.view, startAbove(space.view, start));
  if (range === undefined || range.start >= end) return undefined;
  const result = new FoundSection(
    by,
    space,
    clipped(sectionOf(world, space, range, toldMask(world, range.region)), range, start, end),
  );
  openHolding(world, result, "map", range.region);
  return result;
}

function clipped(section: Section, range: Range, start: number, end: number): Section {
  const address = Math.max(start, range.start);
  return { ...section, address, size: Math.min(end, range.end) - address, offset: address - range.base };
}
