/**
 * Admission: which edges may be added. A region must not show itself (S76, S77), an alias has no children (S78), and no
 * cycle of counted edges may close, since nothing on it could ever be finalized. All checks precede every write.
 */
import { containers } from "../ecs/container.ts";
import { nameOf } from "../ecs/handle.ts";
import { isOwnerOrAbove, owners } from "../ecs/owner.ts";
import { refCounts } from "../ecs/ref_count.ts";
import { aliasTarget, Flag, regions } from "../ecs/region.ts";
import { formatAddress } from "../ecs/address.ts";
import type { World } from "../ecs/world.ts";

/** A change of topology that the rules of containment refuse. Nothing was changed. */
export class TopologyError extends Error {
  override readonly name: string = "TopologyError";
}

/** An edge that would close a cycle: of rendering, or of ownership. Nothing was changed. */
export class CycleError extends TopologyError {
  override readonly name = "CycleError";
  /** Names along the cycle; the first and the last are the same. */
  readonly path: readonly string[];

  constructor(message: string, path: readonly string[]) {
    super(`${message}: ${path.join(" → ")}`);
    this.path = path;
  }
}

/** Refuses a second container, an alias as container, and a region that would show itself. */
export function admitChild(world: World, container: number, region: number): void {
  const columns = containers(world);
  const names = { container: nameOf(world, container), region: nameOf(world, region) };
  const present = columns.container[region]!;
  if (present !== 0) {
    const at = formatAddress(columns.address[region]!);
    throw new TopologyError(
      `cannot add "${names.region}" to "${names.container}": it is in "${nameOf(world, present)}" at ${at}`,
    );
  }
  if ((regions(world).flags[container]! & Flag.ALIAS) !== 0) {
    throw new TopologyError(`cannot add "${names.region}" to "${names.container}": an alias has no children`);
  }
  const path = showPath(world, container, region);
  if (path !== undefined) {
    throw new CycleError(`cannot add "${names.region}" to "${names.container}": it would show itself`, [
      ...path.map((id) => nameOf(world, id)),
      names.region,
    ]);
  }
  admitEdge(world, names.container, owners(world).owner[container]!, region);
}

/**
 * How `target` shows `seeker` already: through containers and aliases, from `target` to `seeker`. Searched upwards from
 * the seeker, where there are fewer edges.
 */
function showPath(world: World, seeker: number, target: number): number[] | undefined {
  const { container, firstChild } = containers(world);
  const { firstAlias, window } = regions(world);
  // Most regions are leaves, and a leaf shows nothing but itself.
  if (seeker !== target && firstChild[target] === 0 && aliasTarget(world, target) === 0) return undefined;
  const from = new Map<number, number>([[seeker, 0]]);
  for (const id of from.keys()) {
    if (id === target) return trace(from, target);
    if (container[id] !== 0 && !from.has(container[id]!)) from.set(container[id]!, id);
    for (let alias = firstAlias[id]!; alias !== 0; alias = window[alias]!.next) {
      if (!from.has(alias)) from.set(alias, id);
    }
  }
  return undefined;
}

/**
 * The owner that an edge from something of `holder` (0: something static) to a region pins: 0 if the edge is not
 * counted, because the target has no owner, or the same, or one above the holder's (LC4, generalized).
 */
export function countedTarget(world: World, holder: number, region: number): number {
  const target = owners(world).owner[region]!;
  return target === 0 || isOwnerOrAbove(world, target, holder) ? 0 : target;
}

/** Refuses an edge that closes a cycle of counted edges. `bearer` names the container or address space of `holder`. */
export function admitEdge(world: World, bearer: string, holder: number, region: number): void {
  const target = countedTarget(world, holder, region);
  if (target === 0 || holder === 0) return;
  const path = ownershipPath(world, target, holder);
  if (path === undefined) return;
  throw new CycleError(
    `cannot let "${bearer}" of "${nameOf(world, holder)}" hold "${nameOf(world, region)}" of ` +
      `"${nameOf(world, target)}": neither could ever be finalized`,
    [holder, ...path].map((id) => nameOf(world, id)),
  );
}

/**
 * How `holder` is kept alive by `target`: along counted edges and from owners down to what they own. Whoever pins an
 * owner also delays all owners above it that are not above the pinning one, so the search steps up to those.
 */
export function ownershipPath(world: World, target: number, holder: number): number[] | undefined {
  const { firstChild, next } = owners(world);
  const { firstEdge, nextEdge, edgeTarget } = refCounts(world);
  const from = new Map<number, number>();
  const reach = (id: number, by: number) => {
    if (!from.has(id)) from.set(id, by);
  };
  const pin = (pinned: number, by: number, via: number) => {
    let last = via;
    for (let at = pinned; at !== 0 && !isOwnerOrAbove(world, at, by); at = owners(world).owner[at]!) {
      reach(at, last);
      last = at;
    }
  };
  pin(target, holder, 0);
  for (const id of from.keys()) {
    if (id === holder) return trace(from, holder).reverse();
    for (let child = firstChild[id]!; child !== 0; child = next[child]!) reach(child, id);
    for (let edge = firstEdge[id]!; edge !== 0; edge = nextEdge[edge]!) pin(edgeTarget[edge]!, id, id);
  }
  return undefined;
}

/** From the end of a search back to its start. */
function trace(from: ReadonlyMap<number, number>, end: number): number[] {
  const path: number[] = [];
  for (let at: number | undefined = end; at !== undefined && at !== 0; at = from.get(at)) path.push(at);
  return path;
}
