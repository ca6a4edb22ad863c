/** Living: which entities may be given something new, and the reference that each begins with. */
import { type Kind, nameOf, resolve, resolveAny } from "../ecs/handle.ts";
import { Life, type Owner, OwnerKind, owners } from "../ecs/owner.ts";
import { addReference, addSite } from "../ecs/ref_count.ts";
import type { World } from "../ecs/world.ts";
import { callSite } from "./call_site.ts";
import { LifetimeError } from "./finalize.ts";
import { isAsking, refuseWhileAsked } from "./prepare.ts";
import { isFinalizing } from "./retire.ts";

/** Entity id of an owner, as {@linkcode resolveLiving} finds it; 0 for none. */
export function resolveOwner(world: World, owner: Owner | undefined): number {
  return owner === undefined ? 0 : resolveLiving(world, owner, OwnerKind);
}

/**
 * A dropped owner may still be used by what runs in its handlers; a dropped region or space has no new use.
 *
 * @throws {LifetimeError} if the entity was dropped or is being finalized, or a destructor of any other is running.
 */
export function resolveLiving(world: World, handle: number, kind: Kind): number {
  const id = resolve(world, handle, kind);
  const life = owners(world).life[id]!;
  if (life === Life.DYING || (life === Life.DROPPED && kind !== OwnerKind)) {
    throw new LifetimeError(`${kind.name} "${nameOf(world, id)}" ${whatBecameOf(world, id)}`);
  }
  refuseMeanwhile(world, handle);
  return id;
}

/** Why something that still exists takes nothing new. */
function whatBecameOf(world: World, id: number): string {
  if (owners(world).life[id] === Life.DYING) return "is being finalized: it only waits for its readers";
  return "was dropped: it is there only for those who still count on it, and takes nothing new";
}

/** @throws {LifetimeError} while destructors run, and TopologyError while listeners are asked what they accept. */
export function refuseMeanwhile(world: World, handle: number): void {
  if (!isFinalizing(world) && !isAsking(world)) return;
  const name = nameOf(world, resolveAny(world, handle));
  refuseWhileAsked(world, name);
  throw new LifetimeError(`a destructor must not change the topology ("${name}"): it may only enqueue`);
}

/** The reference that every entity begins with: its owner's, or its creator's. */
export function addCreationReference(world: World, id: number, owner: Owner | undefined): void {
  const kind = owner === undefined ? "external" : "parent";
  addReference(world, id, kind);
  if (world.debug) addSite(world, id, kind, callSite());
}
