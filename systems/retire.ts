/**
 * Retire and reclaim: what a commit took out of sight stays until every reader has passed its epoch. Then destructors
 * run, ids and ranges of guest memory are freed, and whoever waits in `drain` goes on.
 */
import { AddressSpaceKind, clearAddressSpace } from "../ecs/address_space.ts";
import type { Range } from "../ecs/flat_view.ts";
import { creationOf, freeEntity, kindOf, nameOf, recordEvent } from "../ecs/handle.ts";
import { clearNotifier, NotifierKind } from "../ecs/io_event.ts";
import { clearListener, ListenerKind } from "../ecs/listener.ts";
import { OwnerKind, takeDestructors, unlinkOwned } from "../ecs/owner.ts";
import { freeRamBlock } from "../ecs/ram_block.ts";
import { ramNotifiers } from "../ecs/ram_notifier.ts";
import { clearRegion, RegionKind, regions } from "../ecs/region.ts";
import { defineState, type World } from "../ecs/world.ts";
import { notifyRemoved } from "./tell_ram_notifiers.ts";
import { advanceEpoch, currentEpoch, oldestReader, openReaders } from "./epoch.ts";

/** What went out of sight in one commit. */
export interface Retired {
  /** Epoch in which it went. */
  readonly stamp: number;
  /** Ranges that superseded views still show. */
  readonly ranges: readonly Range[];
  /** Entities that die when the grace period is over. */
  readonly entities: readonly number[];
}

/** A destructor threw; the others ran. */
export class DestructorError extends Error {
  override readonly name = "DestructorError";
}

/** Commits that may wait for readers before the trace names them; again each time that their number has doubled. */
const BACKLOG = 1024;

const graveyards = defineState(() => ({
  /** Ascending stamps. */
  queue: [] as Retired[],
  waiting: [] as { stamp: number; resolve: () => void }[],
  isFinalizing: false,
  /** Length of the queue at which the trace says next who holds it back. */
  tolerated: BACKLOG,
}));

/** Stamps what this commit took out of sight. */
export function retire(world: World, ranges: readonly Range[], entities: readonly number[]): void {
  const stamp = advanceEpoch(world);
  const state = graveyards(world);
  const waiting = state.queue.push({ stamp, ranges, entities });
  if (waiting === state.tolerated) {
    state.tolerated *= 2;
    world.trace(`what ${waiting} commits took out of sight waits for ${openReaders(world).join(", ")}`);
  }
  if (world.events !== undefined) { for (const id of entities) recordEvent(world, "retired", id, 0, `epoch ${stamp}`); }
  noteOldest(world);
}

/** Retired and not yet reclaimed, oldest first. */
export function retiredQueue(world: World): readonly Retired[] {
  return graveyards(world).queue;
}

export function canReclaim(world: World): boolean {
  const { oldestRetired } = world.epochs;
  return oldestRetired !== 0 && oldestRetired < oldestReader(world);
}

/** Where dispatch sees at once, at the end of every access, that there is nothing to do. */
function noteOldest(world: World): void {
  world.epochs.oldestRetired = graveyards(world).queue[0]?.stamp ?? 0;
}

/** Whether destructors run: they may only enqueue. */
export function isFinalizing(world: World): boolean {
  return graveyards(world).isFinalizing;
}

/** Ends the grace period of whatever no reader can see any more. */
export function reclaim(world: World): void {
  const { queue } = graveyards(world);
  const oldest = oldestReader(world);
  let passed = 0;
  while (passed < queue.length && queue[passed]!.stamp < oldest) passed++;
  if (passed === 0) return;
  if (passed === queue.length) graveyards(world).tolerated = BACKLOG;
  const entities: number[] = [];
  for (const retired of queue.splice(0, passed)) for (const id of retired.entities) entities.push(id);
  noteOldest(world);
  if (entities.length > 0) finalizeEntities(world, entities);
  wakeWaiting(world);
}

/** Destructors in reverse creation order, then storage and ids in the same order. */
function finalizeEntities(world: World, entities: number[]): void {
  entities.sort((a, b) => creationOf(world, b) - creationOf(world, a));
  const state = graveyards(world);
  state.isFinalizing = true;
  for (const id of entities) {
    if (kindOf(world, id) === OwnerKind) runDestructors(world, id);
  }
  state.isFinalizing = false;
  for (const id of entities) freeStorage(world, id);
}

function runDestructors(world: World, id: number): void {
  for (const destructor of takeDestructors(world, id).reverse()) {
    try {
      destructor();
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      world.reportFault(new DestructorError(`a destructor of "${nameOf(world, id)}" threw: ${reason}`, { cause }));
    }
  }
}

function freeStorage(world: World, id: number): void {
  const kind = kindOf(world, id);
  if (kind === RegionKind) {
    const block = regions(world).ram[id];
    if (block !== undefined) {
      if (ramNotifiers(world).length > 0) notifyRemoved(world, block);
      freeRamBlock(block);
    }
    clearRegion(world, id);
  } else if (kind === AddressSpaceKind) {
    clearAddressSpace(world, id);
  } else if (kind === ListenerKind) {
    clearListener(world, id);
  } else if (kind === NotifierKind) {
    clearNotifier(world, id);
  }
  unlinkOwned(world, id, kind === OwnerKind);
  freeEntity(world, id);
}

/** Resolves when all that is retired now has been reclaimed. */
export function untilReclaimed(world: World): Promise<void> {
  if (graveyards(world).queue.length === 0) return Promise.resolve();
  return new Promise((resolve) => graveyards(world).waiting.push({ stamp: currentEpoch(world), resolve }));
}

function wakeWaiting(world: World): void {
  const state = graveyards(world);
  const oldest = state.queue[0]?.stamp ?? Infinity;
  const due = state.waiting.filter((waiter) => waiter.stamp <= oldest);
  state.waiting = state.waiting.filter((waiter) => waiter.stamp > oldest);
  for (const { resolve } of due) resolve();
}
