/** Section: a range of a view as listeners see it. */
import type { Space } from "../ecs/address_space.ts";
import type { Range } from "../ecs/flat_view.ts";
import { handleOf } from "../ecs/handle.ts";
import type { Section } from "../ecs/listener.ts";
import { Flag } from "../ecs/region.ts";
import type { World } from "../ecs/world.ts";

export function sectionOf(world: World, space: Space, range: Range, logMask: number): Section {
  return {
    space: space.handle,
    region: handleOf(world, range.region),
    address: range.start,
    size: range.end - range.start,
    offset: range.start - range.base,
    readonly: (range.flags & Flag.READONLY) !== 0,
    nonvolatile: (range.flags & Flag.NONVOLATILE) !== 0,
    unmergeable: (range.flags & Flag.UNMERGEABLE) !== 0,
    romd: (range.flags & Flag.ROMD) !== 0,
    logMask,
  };
}
