/**
 * Finalize: the verbs on lifetimes. What is dropped and no longer counted on dies in batches, in a fixed order, once
 * every reader has passed; nothing is freed earlier, and nothing dies twice.
 */
import { containers } from "../ecs/container.ts";
import { formatAddress } from "../ecs/address.ts";
import { kindOf, nameOf, recordEvent, resolve, resolveAny } from "../ecs/handle.ts";
import { NotifierKind, notifierRecord } from "../ecs/io_event.ts";
import { addDestructor, type Destructor, Life, type Owner, OwnerKind, owners } from "../ecs/owner.ts";
import {
  addPin,
  addReference,
  addSite,
  countOf,
  type ReferenceKind,
  removePin,
  removeReference,
  removeSite,
  UnbalancedReleaseError,
} from "../ecs/ref_count.ts";
import { Flag, RegionKind, regions } from "../ecs/region.ts";
import type { World } from "../ecs/world.ts";
import { callSite } from "./call_site.ts";
import { anchorOf, noteDropped, releasePin } from "./collect.ts";
import { commit } from "./transaction.ts";

/** A new reference to something that is being finalized (S142), or a second drop. */
export class LifetimeError extends Error {
  override readonly name = "LifetimeError";
}

/** Something is still in use where it must not be. */
export class InUseError extends Error {
  override readonly name = "InUseError";
}

/**
 * Pins an entity: it, and every owner above it, is not finalized before the matching {@linkcode release}. A pin on a
 * region that is not RAM keeps its owner alive (LC3), one on RAM only the RAM (LC14). Static regions are never counted.
 *
 * @param holder Who holds the pin: named by `whyAlive`, and released with the holder at the latest.
 * @throws {LifetimeError} if the entity is being finalized.
 */
export function reference(world: World, entity: number, kind: ReferenceKind, holder?: number): void {
  const id = resolveAny(world, entity);
  if (owners(world).life[id] === Life.DYING) {
    throw new LifetimeError(`cannot reference "${nameOf(world, id)}": it is being finalized`);
  }
  if (isStatic(world, id)) return;
  const by = holder === undefined ? undefined : resolveAny(world, holder);
  addReference(world, id, kind);
  const anchor = anchorOf(world, id);
  if (anchor !== id) addReference(world, anchor, kind);
  const site = world.debug ? callSite() : undefined;
  if (by !== undefined) addPin(world, by, { target: id, kind, site });
  else if (site !== undefined) addSite(world, id, kind, site);
  if (world.events !== undefined) recordEvent(world, "pinned", id, by, kind);
}

/** Gives a pin back. @throws {UnbalancedReleaseError} if there is no such pin, or not of this holder. */
export function release(world: World, entity: number, kind: ReferenceKind, holder?: number): void {
  const id = resolveAny(world, entity);
  if (isStatic(world, id)) return;
  const by = holder === undefined ? undefined : resolveAny(world, holder);
  if (countOf(world, id, kind) === 0 || (by !== undefined && !removePin(world, by, id, kind))) {
    const who = by === undefined ? "" : ` by "${nameOf(world, by)}"`;
    throw new UnbalancedReleaseError(`"${nameOf(world, id)}" has no ${kind} reference${who}`);
  }
  if (by === undefined && world.debug) removeSite(world, id, kind);
  if (world.events !== undefined) recordEvent(world, "released", id, by, kind);
  releasePin(world, { target: id, kind, site: undefined });
  commit(world);
}

/**
 * Gives up the creation reference: the owner's (parent), or the creator's (external) where there is no owner. The entity,
 * with all that it owns, is finalized when nothing counts on it any more.
 *
 * @throws {LifetimeError} if it was dropped before or is static.
 * @throws {InUseError} if it is a region that is contained, the root of an address space or the target of an alias, or a
 * notifier that an io event sets.
 */
export function drop(world: World, entity: number): void {
  const id = resolveAny(world, entity);
  if (owners(world).life[id] !== Life.LIVE) throw new LifetimeError(`"${nameOf(world, id)}" was dropped before`);
  if (isStatic(world, id)) {
    throw new LifetimeError(`"${nameOf(world, id)}" is static: it has no owner, and lives as long as its world`);
  }
  if (kindOf(world, id) === RegionKind) refuseIfUsed(world, id);
  if (kindOf(world, id) === NotifierKind) refuseIfRegistered(world, id);
  const kind = owners(world).owner[id] === 0 ? "external" : "parent";
  if (countOf(world, id, kind) > 0) removeReference(world, id, kind);
  if (world.debug) removeSite(world, id, kind);
  noteDropped(world, id);
  commit(world);
}

/** Runs `destructor` when the owner is finalized, the last registered first. It may drop and release, nothing else. */
export function onFinalize(world: World, owner: Owner, destructor: Destructor): void {
  addDestructor(world, resolve(world, owner, OwnerKind), destructor);
}

/** S120: what listeners gave to an accelerator is there until they have taken it back. */
function refuseIfRegistered(world: World, notifier: number): void {
  const event = notifierRecord(world, notifier)?.events[0];
  if (event === undefined) return;
  const where = `offset ${formatAddress(event.offset)} of "${nameOf(world, event.region)}"`;
  const until = regions(world).tap[event.region]?.ioEvents.includes(event) ? "" : " until the transaction ends";
  throw new InUseError(`cannot close notifier "${nameOf(world, notifier)}": it is registered at ${where}${until}`);
}

/** LC11, LC28: a region that dies before its owner must be out of everybody's sight first. */
function refuseIfUsed(world: World, region: number): void {
  const columns = regions(world);
  const { container, address } = containers(world);
  const name = nameOf(world, region);
  const above = container[region]!;
  if (above !== 0) {
    const at = formatAddress(address[region]!);
    throw new InUseError(`cannot drop region "${name}": it is in "${nameOf(world, above)}" at ${at}`);
  }
  const root = columns.spaces[region]?.[0];
  if (root !== undefined) {
    throw new InUseError(`cannot drop region "${name}": it is the root of address space "${nameOf(world, root)}"`);
  }
  const notifiers = columns.iommu[region]?.notifiers ?? [];
  if (notifiers.length > 0) {
    const by = notifiers.map((notifier) => `notifier "${notifier.name}"`).join(", ");
    throw new InUseError(`cannot drop region "${name}": ${by} would hear nothing any more`);
  }
  const aliases: string[] = [];
  for (let alias = columns.firstAlias[region]!; alias !== 0; alias = columns.window[alias]!.next) {
    aliases.push(`"${nameOf(world, alias)}"`);
  }
  if (aliases.length > 0) {
    throw new InUseError(`cannot drop region "${name}": it is the target of alias ${aliases.join(", ")}`);
  }
}

/** Whether an entity is a region that lives as long as its world, and is never counted (LC8). */
export function isStatic(world: World, id: number): boolean {
  return kindOf(world, id) === RegionKind && (regions(world).flags[id]! & Flag.STATIC) !== 0;
}
