/**
 * Notify: tells listeners what a commit changes, in the order of 1.12 and 1.13: begin by ascending priority; per space
 * the ranges that went, by ascending address and descending priority; then those that stayed and came, both ascending;
 * and after publication commit, ascending. Walks go over lists that are never changed in place, so that listeners may
 * be registered and unregistered meanwhile (S109).
 */
import { allSpaces, type Space, spaceRecord } from "../ecs/address_space.ts";
import { type Range, rangesOf } from "../ecs/flat_view.ts";
import { isTracking } from "../ecs/dirty_bitmap.ts";
import {
  allListeners,
  linkListener,
  type ListenerRecord,
  listenersOf,
  oweCommit,
  type Section,
  unlinkListener,
} from "../ecs/listener.ts";
import type { Extent } from "../ecs/tap.ts";
import { defineState, type World } from "../ecs/world.ts";
import { call, callTracking, reportThrown } from "./call_listener.ts";
import { replayCoalesced, tellCoalesced } from "./coalesced_sections.ts";
import { replayIoEventsAdded, replayIoEventsDeleted } from "./io_event_lists.ts";
import { type MaskChange, takeMaskChanges, toldMask } from "./log_masks.ts";
import { prepareReplay } from "./prepare.ts";
import { sectionOf } from "./section.ts";
import type { ViewChange } from "./share_views.ts";
import { beginTelling, endTelling } from "./telling.ts";

const walks = defineState(() => ({
  /** Between `begin` and publication: views are about to change. */
  isWalking: false,
  /** Registered during a walk; told the view when it is published. */
  late: [] as ListenerRecord[],
}));

const NOBODY: readonly ListenerRecord[] = [];

/** begin, regionDel, regionNop, regionAdd; `isTopology`: there was something to render. What is told at once waits from here on until the new views are published. */
export function announceChanges(world: World, changes: readonly ViewChange[], isTopology: boolean): void {
  const state = walks(world);
  beginTelling(world);
  const masks = takeMaskChanges(world);
  state.isWalking = true;
  for (const listener of audience(world, changes, isTopology)) {
    oweCommit(listener, true);
    if (listener.callbacks.begin !== undefined) call(world, listener, () => listener.callbacks.begin?.());
  }
  for (const change of changes) {
    const listeners = listenersOf(world, change.space.id);
    if (listeners.length === 0) continue;
    announceRemoved(world, change.space, listeners, change.removed, masks);
    announceAdded(world, change, listeners, masks);
  }
  state.isWalking = false;
}

/** commit, and the replay to those that registered meanwhile. The new views are published. */
export function announceCommit(world: World, changes: readonly ViewChange[]): void {
  endTelling(world);
  for (const listener of audience(world, changes, true)) payCommit(world, listener);
  const { late } = walks(world);
  if (late.length > 0) { for (const listener of late.splice(0)) startLate(world, listener); }
}

/** Tells a listener that has had `begin` that its commit is over. */
function payCommit(world: World, listener: ListenerRecord): void {
  if (!listener.isOwedCommit) return;
  oweCommit(listener, false);
  if (listener.callbacks.commit !== undefined) call(world, listener, () => listener.callbacks.commit?.());
}

/** Tells of coalesced ranges of a region, wherever it is shown (M1); dels by descending priority. */
export function announceCoalesced(
  world: World,
  region: number,
  to: "coalescedAdd" | "coalescedDel",
  extents: readonly Extent[],
): void {
  if (extents.length === 0) return;
  for (const space of allSpaces(world)) {
    const wanting = listenersOf(world, space.id).filter(({ callbacks }) => callbacks[to] !== undefined);
    if (wanting.length === 0) continue;
    const listeners = to === "coalescedAdd" ? wanting : wanting.reverse();
    for (const range of rangesOf(space.view)) {
      if (range.region === region) tellCoalesced(world, listeners, to, sectionOf(world, space, range, 0), extents);
    }
  }
}

/** Whether listeners are being told of changes that no space shows yet. */
export function isAnnouncing(world: World): boolean {
  return walks(world).isWalking;
}

/** Whom a commit concerns: the listeners of the spaces that were re-rendered, or all ([C], S106 and S115). */
function audience(world: World, changes: readonly ViewChange[], isTopology: boolean): readonly ListenerRecord[] {
  if (changes.length === 0 && !(isTopology && world.policy.notifyAllListeners)) return NOBODY;
  const all = allListeners(world);
  if (world.policy.notifyAllListeners || all.length === 0) return all;
  if (changes.length === 1) return listenersOf(world, changes[0]!.space.id);
  const concerned = new Set(changes.map((change) => change.space.id));
  return all.filter((listener) => concerned.has(listener.space));
}

type MaskChanges = ReadonlyMap<number, MaskChange>;

function announceRemoved(
  world: World,
  space: Space,
  listeners: readonly ListenerRecord[],
  removed: readonly Range[],
  masks: MaskChanges,
): void {
  const wanting = listeners.filter(({ callbacks, told }) =>
    callbacks.regionDel !== undefined || callbacks.coalescedDel !== undefined || callbacks.logStop !== undefined ||
    told !== undefined
  );
  if (wanting.length === 0) return;
  for (const range of removed) {
    const mask = masks.get(range.region)?.before ?? toldMask(world, range.region);
    const section = sectionOf(world, space, range, mask);
    if (mask !== 0 && world.policy.logStartOnAdd) tellMask(world, wanting, section, mask, 0);
    const reversed = wanting.toReversed();
    tellCoalesced(world, reversed, "coalescedDel", section);
    for (const listener of reversed) {
      listener.told?.delete(section.address);
      call(world, listener, () => listener.callbacks.regionDel?.(section));
    }
  }
}

function announceAdded(
  world: World,
  { space, view, added }: ViewChange,
  listeners: readonly ListenerRecord[],
  masks: MaskChanges,
): void {
  const isTold = listeners.some(({ callbacks }) => callbacks.regionNop !== undefined) || masks.size > 0;
  let next = 0;
  for (const range of isTold ? rangesOf(view) : added) {
    const isNew = range === added[next];
    if (isNew) next++;
    const change = masks.get(range.region);
    const mask = change?.after ?? toldMask(world, range.region);
    const section = sectionOf(world, space, range, mask);
    if (isNew) tellAdded(world, listeners, section);
    else {
      for (const listener of listeners) {
        if (listener.callbacks.regionNop !== undefined) {
          call(world, listener, () => listener.callbacks.regionNop?.(section));
        }
      }
      if (change !== undefined) tellMask(world, listeners, section, change.before, change.after);
    }
  }
}

function tellAdded(world: World, listeners: readonly ListenerRecord[], section: Section): void {
  const { logMask } = section;
  const { logStartOnAdd } = world.policy;
  for (const listener of listeners) {
    listener.told?.set(section.address, { section, mask: logStartOnAdd ? 0 : logMask });
    if (listener.callbacks.regionAdd !== undefined) {
      call(world, listener, () => listener.callbacks.regionAdd?.(section));
    }
  }
  tellCoalesced(world, listeners, "coalescedAdd", section);
  if (logMask !== 0 && logStartOnAdd) tellMask(world, listeners, section, 0, logMask);
}

/** logStart by ascending priority, logStop by descending. */
function tellMask(
  world: World,
  listeners: readonly ListenerRecord[],
  section: Section,
  before: number,
  after: number,
): void {
  for (const listener of listeners) listener.told?.set(section.address, { section, mask: after });
  if ((after & ~before) !== 0) {
    for (const listener of listeners) {
      call(world, listener, () => listener.callbacks.logStart?.(section, before, after));
    }
  }
  if ((before & ~after) !== 0) {
    for (const listener of listeners.toReversed()) {
      call(world, listener, () => listener.callbacks.logStop?.(section, before, after));
    }
  }
}

/**
 * Puts a listener in the lists and replays the view to it alone (L4): begin, adds with what is logged, commit.
 *
 * @throws what its `logGlobalStart` throws while memory is tracked, and what `regionPrepare` does; it is in no list then.
 */
export function startListener(world: World, listener: ListenerRecord): void {
  const state = walks(world);
  if (state.isWalking) {
    state.late.push(listener);
    return;
  }
  linkListener(world, listener);
  beginTelling(world);
  try {
    replayAdded(world, listener);
  } finally {
    endTelling(world);
  }
}

function replayAdded(world: World, listener: ListenerRecord): void {
  if (listener.callbacks.regionPrepare !== undefined) prepareJoining(world, listener);
  call(world, listener, () => listener.callbacks.begin?.());
  if (isTracking(world)) joinTracking(world, listener);
  for (const section of sectionsShownTo(world, listener)) {
    const { logMask } = section;
    listener.told?.set(section.address, { section, mask: logMask });
    call(world, listener, () => listener.callbacks.regionAdd?.(section));
    replayCoalesced(world, listener, "coalescedAdd", section);
    if (logMask !== 0) call(world, listener, () => listener.callbacks.logStart?.(section, 0, logMask));
  }
  replayIoEventsAdded(world, listener);
  call(world, listener, () => listener.callbacks.commit?.());
}

function prepareJoining(world: World, listener: ListenerRecord): void {
  try {
    prepareReplay(world, listener, sectionsShownTo(world, listener));
  } catch (refusal) {
    unlinkListener(world, listener);
    throw refusal;
  }
}

function joinTracking(world: World, listener: ListenerRecord): void {
  try {
    callTracking(listener);
  } catch (cause) {
    unlinkListener(world, listener);
    throw cause;
  }
}

/** A listener that came during a walk joins when it is over; who could have caught what it throws is gone. */
function startLate(world: World, listener: ListenerRecord): void {
  try {
    startListener(world, listener);
  } catch (cause) {
    reportThrown(world, listener, cause);
  }
}

/**
 * Takes a listener out (L5): begin, what was logged and what was there, commit, to it alone. In the middle of a walk what
 * it was told is neither the old view nor the new one, so it simply hears nothing more (S109). After the walk, while
 * others have their commit, its own comes first.
 */
export function stopListener(world: World, listener: ListenerRecord): void {
  const state = walks(world);
  state.late = state.late.filter((other) => other !== listener);
  if (!listener.isRegistered) return;
  beginTelling(world);
  if (!state.isWalking) {
    payCommit(world, listener);
    replayDeleted(world, listener);
  }
  unlinkListener(world, listener);
  endTelling(world);
}

function replayDeleted(world: World, listener: ListenerRecord): void {
  call(world, listener, () => listener.callbacks.begin?.());
  for (const section of sectionsShownTo(world, listener)) {
    const { logMask } = section;
    if (logMask !== 0) call(world, listener, () => listener.callbacks.logStop?.(section, logMask, 0));
    replayCoalesced(world, listener, "coalescedDel", section);
    call(world, listener, () => listener.callbacks.regionDel?.(section));
  }
  replayIoEventsDeleted(world, listener);
  call(world, listener, () => listener.callbacks.commit?.());
}

const NO_SECTIONS: readonly Section[] = [];

/** What the listener's space shows, by ascending address; nothing for one that wants to hear of no range. */
export function sectionsShownTo(world: World, { space: id, callbacks, told }: ListenerRecord): Iterable<Section> {
  const space = spaceRecord(world, id);
  const { regionPrepare, regionAdd, regionDel, coalescedAdd, coalescedDel, logStart, logStop, logSync, logClear } =
    callbacks;
  const wants = [
    regionPrepare,
    regionAdd,
    regionDel,
    coalescedAdd,
    coalescedDel,
    logStart,
    logStop,
    logSync,
    logClear,
    told,
  ];
  const isWanted = wants.some((one) => one !== undefined);
  return space === undefined || !isWanted ? NO_SECTIONS : sectionsOf(world, space);
}

function* sectionsOf(world: World, space: Space): Generator<Section> {
  for (const range of rangesOf(space.view)) yield sectionOf(world, space, range, toldMask(world, range.region));
}
