/** Place: shows a region in a container, and counts the edge where edges count. Whoever calls this has admitted it. */
import { linkChild } from "../ecs/container.ts";
import { owners } from "../ecs/owner.ts";
import { linkEdge, type ReferenceKind, writeEdgeSite } from "../ecs/ref_count.ts";
import { regions } from "../ecs/region.ts";
import type { World } from "../ecs/world.ts";
import { countedTarget } from "./admission.ts";
import { callSite } from "./call_site.ts";
import { markRegion } from "./dirty_windows.ts";
import { noteNesting } from "./nesting.ts";

/** `order` undefined: as the newest of its priority. */
export function place(
  world: World,
  container: number,
  region: number,
  at: { address: number; priority: number; order?: number },
): void {
  linkChild(world, container, region, { ...at, size: regions(world).size[region]! });
  noteNesting(world, container, region);
  const holder = owners(world).owner[container]!;
  const target = countedTarget(world, holder, region);
  if (target !== 0) countEdge(world, region, "container", holder, target);
  markRegion(world, region);
}

export function countEdge(world: World, bearer: number, kind: ReferenceKind, holder: number, target: number): void {
  linkEdge(world, bearer, kind, holder, target);
  if (world.debug) writeEdgeSite(world, bearer, callSite());
}
