/** Coalesced sections: tells listeners in which parts of a range writes may be collected (specification 1.9, M4). */
import { resolve } from "../ecs/handle.ts";
import type { ListenerRecord, Section } from "../ecs/listener.ts";
import { RegionKind, regions } from "../ecs/region.ts";
import type { Extent } from "../ecs/tap.ts";
import type { World } from "../ecs/world.ts";
import { call } from "./call_listener.ts";

/** Tells `listeners`, in their order, of those `extents` of the section's region that the section shows. */
export function tellCoalesced(
  world: World,
  listeners: readonly ListenerRecord[],
  to: "coalescedAdd" | "coalescedDel",
  section: Section,
  extents: readonly Extent[] = extentsOf(world, section),
): void {
  for (const extent of extents) {
    const { from, until } = clip(section, extent);
    if (from >= until) continue;
    const part = { space: section.space, region: section.region, address: from, size: until - from };
    for (const listener of listeners) {
      if (listener.callbacks[to] !== undefined) call(world, listener, () => listener.callbacks[to]?.(part));
    }
  }
}

/** The same to one listener that comes or goes; the compatible side of Q7 stops at an extent that is not shown. */
export function replayCoalesced(
  world: World,
  listener: ListenerRecord,
  to: "coalescedAdd" | "coalescedDel",
  section: Section,
): void {
  const extents = extentsOf(world, section);
  const isHidden = (extent: Extent) => {
    const { from, until } = clip(section, extent);
    return from >= until;
  };
  const gap = world.policy.coalescedReplay === "all" ? -1 : extents.findIndex(isHidden);
  tellCoalesced(world, [listener], to, section, gap < 0 ? extents : extents.slice(0, gap));
}

const NOWHERE: readonly Extent[] = [];

function extentsOf(world: World, section: Section): readonly Extent[] {
  return regions(world).tap[resolve(world, section.region, RegionKind)]?.coalesced ?? NOWHERE;
}

function clip({ address, size, offset }: Section, { start, end }: Extent): { from: number; until: number } {
  return { from: Math.max(address, address + start - offset), until: Math.min(address + size, address + end - offset) };
}
