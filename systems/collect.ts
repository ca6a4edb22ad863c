/**
 * Collect: finds what was dropped and is counted on by nobody any more, marks it dying with all that it owns, and
 * unlinks every edge of it. The commit that follows takes it out of all views; `reclaim` ends it after the grace period.
 */
import { AddressSpaceKind, detachAddressSpace, spaceRecord } from "../ecs/address_space.ts";
import { discardWrites } from "../ecs/coalesced_ring.ts";
import { containers, unlinkChild } from "../ecs/container.ts";
import { type Range, rangesOf } from "../ecs/flat_view.ts";
import { kindOf, recordEvent } from "../ecs/handle.ts";
import { holdingsOf, unlinkHolding } from "../ecs/holding.ts";
import { ListenerKind, listenerRecord, listenersOf, unlinkListener } from "../ecs/listener.ts";
import { forgetIoEvent, NotifierKind, notifierRecord, unlinkIoEvent } from "../ecs/io_event.ts";
import { Life, OwnerKind, owners, setLife, unlinkOwned } from "../ecs/owner.ts";
import { countOf, type Pin, refCounts, removeReference, takePins, unlinkEdge } from "../ecs/ref_count.ts";
import { Flag, RegionKind, regions, unlinkAlias } from "../ecs/region.ts";
import { defineState, type World } from "../ecs/world.ts";
import { markRegion } from "./dirty_windows.ts";
import { markIoEvents } from "./io_event_lists.ts";

/** Entities cut off from everything, and the ranges that the last views of dying address spaces show. */
interface Unlinked {
  readonly entities: number[];
  readonly ranges: Range[];
}

const NONE: Unlinked = { entities: [], ranges: [] };

const limbo = defineState(() => ({
  /** Dropped and not yet dying, in the order of dropping. */
  dropped: new Set<number>(),
  /** Something was dropped or released since the last look. */
  isRequested: false,
  /** Waits for the commit that takes it out of sight. */
  unlinked: { entities: [], ranges: [] } as Unlinked,
}));

/** Notes that `id` has given up its creation reference. */
export function noteDropped(world: World, id: number): void {
  setLife(world, id, Life.DROPPED);
  if (world.events !== undefined) recordEvent(world, "dropped", id);
  limbo(world).dropped.add(id);
  requestCollect(world);
}

/** Dropped and still counted on, in the order of dropping. */
export function droppedEntities(world: World): Iterable<number> {
  return limbo(world).dropped;
}

/** Something that dropped entities may have waited for is released. */
export function requestCollect(world: World): void {
  limbo(world).isRequested = true;
}

export function mayCollect(world: World): boolean {
  const { isRequested, dropped } = limbo(world);
  return isRequested && dropped.size > 0;
}

/** Whether unlinked entities wait for the commit that retires them. */
export function hasUnlinked(world: World): boolean {
  return limbo(world).unlinked.entities.length > 0;
}

/** Hands over what was unlinked before this commit, to be retired with it. */
export function takeUnlinked(world: World): Readonly<Unlinked> {
  const state = limbo(world);
  const { unlinked } = state;
  if (unlinked.entities.length === 0) return NONE;
  state.unlinked = { entities: [], ranges: [] };
  return unlinked;
}

/** One batch: everything that is ready now. What it releases in turn is found by the next one, not by recursion. */
export function collect(world: World): void {
  const state = limbo(world);
  if (!mayCollect(world)) return;
  state.isRequested = false;
  const dying: number[] = [];
  for (const id of state.dropped) {
    if (!isUnreferenced(world, id)) continue;
    state.dropped.delete(id);
    if (kindOf(world, id) === OwnerKind) { for (const member of household(world, id)) dying.push(member); }
    else dying.push(id);
  }
  if (dying.length > 0) abandon(world, dying.filter((id) => !orphanIfPinned(world, id)));
}

/** Unlinks entities whoever counts on them; the next commit retires them. */
export function abandon(world: World, ids: readonly number[]): void {
  const { entities } = limbo(world).unlinked;
  const from = entities.length;
  for (const id of ids) {
    // An owner that was dropped below another dropped one comes twice.
    if (owners(world).life[id] === Life.DYING) continue;
    setLife(world, id, Life.DYING);
    entities.push(id);
  }
  for (let at = from; at < entities.length; at++) unlinkEntity(world, entities[at]!);
}

/** All that an owner owns, itself included, by way of a list instead of recursion. */
function household(world: World, root: number): number[] {
  const { firstOwned, next, life } = owners(world);
  const members = ownersBelow(world, root);
  for (const owner of [...members]) {
    for (let id = firstOwned[owner]!; id !== 0; id = next[id]!) {
      // What was dropped on its own before may be dying already.
      if (life[id] !== Life.DYING) members.push(id);
    }
  }
  return members;
}

/** The owners in the tree below `root`, itself first. */
export function ownersBelow(world: World, root: number): number[] {
  const { firstChild, next, life } = owners(world);
  const members = [root];
  for (let at = 0; at < members.length; at++) {
    for (let child = firstChild[members[at]!]!; child !== 0; child = next[child]!) {
      if (life[child] !== Life.DYING) members.push(child);
    }
  }
  return members;
}

/**
 * Whether every reference to a dropped entity, and to the owners below it, comes from inside: parents, and container
 * and address-space edges among them, which end together.
 */
function isUnreferenced(world: World, id: number): boolean {
  const { total, firstEdge, nextEdge, edgeTarget } = refCounts(world);
  const { firstChild } = owners(world);
  if (kindOf(world, id) !== OwnerKind || firstChild[id] === 0) return total[id] === 0;
  const members = ownersBelow(world, id);
  const outside = new Map(members.map((owner) => [owner, total[owner]! - countOf(world, owner, "parent")]));
  for (const owner of members) {
    for (let edge = firstEdge[owner]!; edge !== 0; edge = nextEdge[edge]!) {
      const target = edgeTarget[edge]!;
      const left = outside.get(target);
      if (left !== undefined) outside.set(target, left - 1);
    }
  }
  return members.every((owner) => outside.get(owner) === 0);
}

/** RAM that somebody still reaches leaves the dying house: ownerless from now on, and dropped. */
function orphanIfPinned(world: World, id: number): boolean {
  if (kindOf(world, id) !== RegionKind || (regions(world).flags[id]! & Flag.RAM) === 0) return false;
  const parents = countOf(world, id, "parent");
  if (refCounts(world).total[id] === parents) return false;
  unlinkRegion(world, id);
  unlinkOwned(world, id);
  if (parents > 0) removeReference(world, id, "parent");
  noteDropped(world, id);
  return true;
}

/** Cuts every edge from and to a dying entity. */
function unlinkEntity(world: World, id: number): void {
  limbo(world).dropped.delete(id);
  const kind = kindOf(world, id);
  if (kind === RegionKind) {
    unlinkRegion(world, id);
  } else if (kind === AddressSpaceKind) {
    unlinkSpace(world, id);
  } else if (kind === ListenerKind) {
    const record = listenerRecord(world, id);
    if (record !== undefined) unlinkListener(world, record);
  } else if (kind === NotifierKind) {
    unlinkNotifier(world, id);
  }
  for (const holding of holdingsOf(world, id)) if (unlinkHolding(world, holding)) holding.ended(world);
  for (const pin of takePins(world, id)) {
    if (world.events !== undefined) recordEvent(world, "released", pin.target, id, pin.kind);
    releasePin(world, pin);
  }
}

function unlinkRegion(world: World, region: number): void {
  const columns = regions(world);
  const { container, firstChild } = containers(world);
  markRegion(world, region);
  if (container[region] !== 0) unlinkContained(world, region);
  while (firstChild[region] !== 0) unlinkContained(world, firstChild[region]!);
  while (columns.firstAlias[region] !== 0) unlinkAlias(world, columns.firstAlias[region]!);
  unlinkAlias(world, region);
  // Its io events stay in sight until its ranges go; the notifiers may be closed at once.
  for (const event of columns.tap[region]?.ioEvents ?? []) forgetIoEvent(event);
  discardWrites(world, region);
}

function unlinkNotifier(world: World, id: number): void {
  for (const event of notifierRecord(world, id)?.events ?? []) {
    unlinkIoEvent(world, event);
    markIoEvents(world, event);
  }
}

/** Takes a region out of its container, with the reference that the edge may hold. */
export function unlinkContained(world: World, region: number): void {
  unlinkChild(world, region);
  if (unlinkEdge(world, region, "container") !== 0) requestCollect(world);
}

function unlinkSpace(world: World, id: number): void {
  const space = spaceRecord(world, id);
  if (space === undefined) return;
  for (const range of rangesOf(space.view)) limbo(world).unlinked.ranges.push(range);
  if (unlinkEdge(world, id, "addressSpace") !== 0) requestCollect(world);
  for (const listener of listenersOf(world, id)) unlinkListener(world, listener);
  detachAddressSpace(world, space);
}

/**
 * Entity that stands for `id` where lifetimes are concerned: owners and RAM for themselves, others through their owner.
 * With the older rule RAM stands for its owner, too (LC14).
 */
export function anchorOf(world: World, id: number): number {
  const kind = kindOf(world, id);
  if (kind === OwnerKind) return id;
  const isRam = kind === RegionKind && (regions(world).flags[id]! & Flag.RAM) !== 0;
  if (isRam && world.policy.refRule === "ramSelf") return id;
  return owners(world).owner[id]! || id;
}

/** Takes back what a pin counts: on its target, and on the anchor. */
export function releasePin(world: World, pin: Pin): void {
  removeReference(world, pin.target, pin.kind);
  const anchor = anchorOf(world, pin.target);
  if (anchor !== pin.target) removeReference(world, anchor, pin.kind);
  requestCollect(world);
}
