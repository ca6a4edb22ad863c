/**
 * Notify: tells listeners what a commit changes, in the order of 1.12 and 1.13: begin by ascending priority; per space
 * the ranges that went, by ascending address and descending priority; then those that stayed and came, both ascending;
 * and after publication commit, ascending. Walks go over lists that are never changed in place, so that listeners may
 * be registered and unregistered meanwhile (S109).
 */
import { type Space, spaceRecord } from "../ecs/address_space.ts";
import { type Range, rangesOf } from "../ecs/flat_view.ts";
import { handleOf, nameOf } from "../ecs/handle.ts";
import {
  allListeners,
  linkListener,
  type ListenerRecord,
  listenersOf,
  type Section,
  unlinkListener,
} from "../ecs/listener.ts";
import { Flag } from "../ecs/region.ts";
import { defineState, type World } from "../ecs/world.ts";
import type { ViewChange } from "./share_views.ts";

/** A listener's callback threw; the others were served. */
export class ListenerError extends Error {
  override readonly name = "ListenerError";
}

const walks = defineState(() => ({
  /** Between `begin` and publication: views are about to change. */
  isWalking: false,
  /** Registered during a walk; told the view when it is published. */
  late: [] as ListenerRecord[],
}));

const NOBODY: readonly ListenerRecord[] = [];

/** begin, regionDel, regionNop, regionAdd. */
export function announceChanges(world: World, changes: readonly ViewChange[]): void {
  const state = walks(world);
  state.isWalking = true;
  for (const listener of audience(world, changes)) {
    if (listener.callbacks.begin !== undefined) call(world, listener, () => listener.callbacks.begin?.());
  }
  for (const change of changes) {
    const listeners = listenersOf(world, change.space.id);
    if (listeners.length === 0) continue;
    announceRemoved(world, change.space, listeners, change.removed);
    announceAdded(world, change, listeners);
  }
  state.isWalking = false;
}

/** commit, and the replay to those that registered meanwhile. The new views are published. */
export function announceCommit(world: World, changes: readonly ViewChange[]): void {
  for (const listener of audience(world, changes)) {
    if (listener.callbacks.commit !== undefined) call(world, listener, () => listener.callbacks.commit?.());
  }
  const { late } = walks(world);
  if (late.length > 0) { for (const listener of late.splice(0)) startListener(world, listener); }
}

/** Whom a commit concerns: the listeners of the spaces that were re-rendered, or all ([C], S115). */
function audience(world: World, changes: readonly ViewChange[]): readonly ListenerRecord[] {
  if (changes.length === 0) return NOBODY;
  const all = allListeners(world);
  if (world.policy.notifyAllListeners || all.length === 0) return all;
  if (changes.length === 1) return listenersOf(world, changes[0]!.space.id);
  const concerned = new Set(changes.map((change) => change.space.id));
  return all.filter((listener) => concerned.has(listener.space));
}

function announceRemoved(
  world: World,
  space: Space,
  listeners: readonly ListenerRecord[],
  removed: readonly Range[],
): void {
  const wanting = listeners.filter((listener) => listener.callbacks.regionDel !== undefined).reverse();
  if (wanting.length === 0) return;
  for (const range of removed) {
    const section = sectionOf(world, space, range);
    for (const listener of wanting) call(world, listener, () => listener.callbacks.regionDel?.(section));
  }
}

function announceAdded(world: World, change: ViewChange, listeners: readonly ListenerRecord[]): void {
  const { space, view, added } = change;
  const wantsNops = listeners.some((listener) => listener.callbacks.regionNop !== undefined);
  let next = 0;
  for (const range of wantsNops ? rangesOf(view) : added) {
    const isNew = range === added[next];
    if (isNew) next++;
    const section = sectionOf(world, space, range);
    for (const listener of listeners) {
      const { callbacks } = listener;
      if (isNew) {
        if (callbacks.regionAdd !== undefined) call(world, listener, () => callbacks.regionAdd?.(section));
      } else if (callbacks.regionNop !== undefined) {
        call(world, listener, () => callbacks.regionNop?.(section));
      }
    }
  }
}

/** Puts a listener in the lists and replays the view to it alone (L4): begin, adds, commit. */
export function startListener(world: World, listener: ListenerRecord): void {
  const state = walks(world);
  if (state.isWalking) {
    state.late.push(listener);
    return;
  }
  linkListener(world, listener);
  call(world, listener, () => listener.callbacks.begin?.());
  replay(world, listener, "regionAdd");
  call(world, listener, () => listener.callbacks.commit?.());
}

/**
 * Takes a listener out (L5): begin, dels, commit, to it alone. In the middle of a walk what it was told is neither the
 * old view nor the new one, so it simply hears nothing more (S109).
 */
export function stopListener(world: World, listener: ListenerRecord): void {
  const state = walks(world);
  state.late = state.late.filter((other) => other !== listener);
  if (!listener.isRegistered) return;
  if (!state.isWalking) {
    call(world, listener, () => listener.callbacks.begin?.());
    replay(world, listener, "regionDel");
    call(world, listener, () => listener.callbacks.commit?.());
  }
  unlinkListener(world, listener);
}

function replay(world: World, listener: ListenerRecord, to: "regionAdd" | "regionDel"): void {
  const space = spaceRecord(world, listener.space);
  const callback = listener.callbacks[to];
  if (space === undefined || callback === undefined) return;
  for (const range of rangesOf(space.view)) {
    call(world, listener, () => callback.call(listener.callbacks, sectionOf(world, space, range)));
  }
}

/** A listener that was unregistered hears nothing; one that throws is reported and does not keep the others waiting. */
function call(world: World, listener: ListenerRecord, callback: () => void): void {
  if (!listener.isRegistered) return;
  try {
    callback();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    world.reportFault(new ListenerError(`listener "${nameOf(world, listener.id)}" threw: ${reason}`, { cause }));
  }
}

function sectionOf(world: World, space: Space, range: Range): Section {
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
  };
}
