/** Holding: opens and closes what pins something between two calls of the API; see `ecs/holding.ts`. */
import { nameOf, recordEvent, resolveAny } from "../ecs/handle.ts";
import { type Holding, holdingsOf, linkHolding, unlinkHolding } from "../ecs/holding.ts";
import { Life, owners } from "../ecs/owner.ts";
import { addPin, addReference, addSite, forgetPin, type ReferenceKind, removeSite } from "../ecs/ref_count.ts";
import type { World } from "../ecs/world.ts";
import { callSite } from "./call_site.ts";
import { anchorOf, releasePin } from "./collect.ts";
import { isStatic, LifetimeError } from "./finalize.ts";
import { commit } from "./transaction.ts";

/** Something that is not open: it was closed before, ended with its holder, or belongs to another world (S60). */
export class ClosedError extends Error {
  override readonly name = "ClosedError";
}

/** Entity id of a holder that may open something; 0 for none. @throws {LifetimeError} if it is being finalized. */
export function resolveHolder(world: World, holder: number | undefined): number {
  if (holder === undefined) return 0;
  const id = resolveAny(world, holder);
  if (owners(world).life[id] === Life.DYING) {
    throw new LifetimeError(`"${nameOf(world, id)}" is being finalized: it cannot hold anything`);
  }
  return id;
}

/**
 * Opens `holding`, which pins `target` (an entity id; 0: nothing).
 *
 * @throws {LifetimeError} if the target is being finalized.
 */
export function openHolding(world: World, holding: Holding, kind: ReferenceKind, target: number): void {
  if (target !== 0 && owners(world).life[target] === Life.DYING) {
    throw new LifetimeError(`"${nameOf(world, target)}" is being finalized: ${holding.describe(world)} cannot pin it`);
  }
  linkHolding(world, holding);
  if (target === 0 || isStatic(world, target)) return;
  const site = world.debug ? callSite() : undefined;
  holding.pin = { target, kind, site, of: holding };
  addReference(world, target, kind);
  const anchor = anchorOf(world, target);
  if (anchor !== target) addReference(world, anchor, kind);
  if (holding.holder !== 0) addPin(world, holding.holder, holding.pin);
  else if (site !== undefined) addSite(world, target, kind, site);
  if (world.events !== undefined) recordEvent(world, "pinned", target, holding.holder, kind);
}

/**
 * Closes `holding`. What `last` does happens while the target is still pinned, but nobody can close it a second time.
 *
 * @throws {ClosedError} if it is not open in this world.
 */
export function closeHolding(world: World, holding: Holding, last?: () => void): void {
  if (!unlinkHolding(world, holding)) throw new ClosedError(`${holding.describe(world)} is not open`);
  try {
    last?.();
  } finally {
    holding.ended(world);
    releaseHeld(world, holding);
    commit(world);
  }
}

/** Closes everything that an entity holds, the last opened first: it is withdrawn. */
export function closeHoldings(world: World, holder: number): void {
  for (const holding of holdingsOf(world, resolveAny(world, holder)).reverse()) {
    if (holding.isOpen) closeHolding(world, holding);
  }
}

/** The holder may have died meanwhile, and its pins with it. */
function releaseHeld(world: World, { holder, pin }: Holding): void {
  if (pin === undefined) return;
  if (holder !== 0 && !forgetPin(world, holder, pin)) return;
  if (holder === 0 && world.debug) removeSite(world, pin.target, pin.kind);
  if (world.events !== undefined) recordEvent(world, "released", pin.target, holder, pin.kind);
  releasePin(world, pin);
}
