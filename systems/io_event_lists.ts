/**
 * Io event lists: which io events each address space shows, kept only for spaces with a listener that asks (E3). A
 * commit that may have changed a list makes it anew and tells the difference, a set difference in the order of the list
 * (E4), which does not depend on how many changes there were.
 */
import { allSpaces, type Space, spaceRecord } from "../ecs/address_space.ts";
import type { Range } from "../ecs/flat_view.ts";
import { compareListed, forgetIoEvent, type IoEvent, type ListedIoEvent } from "../ecs/io_event.ts";
import { type IoEventSection, type ListenerRecord, listenersOf } from "../ecs/listener.ts";
import { regions } from "../ecs/region.ts";
import { defineState, type World } from "../ecs/world.ts";
import { joinBits } from "./access.ts";
import { call } from "./call_listener.ts";
import type { ViewChange } from "./share_views.ts";

const changes = defineState(() => ({
  /** Io events were put in or taken out since the last commit. */
  isMarked: false,
  /** Taken out; listeners have not heard yet. */
  leaving: [] as IoEvent[],
  /** Some listeners know the old lists, some the new ones. */
  isTelling: false,
  /** Lists that were compared, ever. */
  differences: 0,
}));

const NOTHING: readonly ListedIoEvent[] = [];

/** The next commit looks at the lists. */
export function markIoEvents(world: World, leaving?: IoEvent): void {
  const state = changes(world);
  state.isMarked = true;
  if (leaving !== undefined) state.leaving.push(leaving);
}

export function hasIoEventChanges(world: World): boolean {
  return changes(world).isMarked;
}

/** How many times a list of some address space was compared with what it was before (S121). */
export function ioEventDifferences(world: World): number {
  return changes(world).differences;
}

/** ioEventDel and ioEventAdd; the new views are published. */
export function announceIoEvents(world: World, views: readonly ViewChange[]): void {
  const state = changes(world);
  const { isMarked, leaving } = state;
  if (isMarked) {
    state.isMarked = false;
    state.leaving = [];
  } else if (views.length === 0) return;
  const spaces = isMarked
    ? allSpaces(world)
    : views.filter((view) => touchesIoEvents(world, view)).map(({ space }) => space);
  const told = spaces.filter((space) => isWanted(world, space)).map((space) => {
    const before = space.ioEvents ?? NOTHING;
    space.ioEvents = listIoEvents(world, space);
    state.differences++;
    return { space, before, after: space.ioEvents, listeners: listenersOf(world, space.id).filter(asksForIoEvents) };
  });
  state.isTelling = true;
  for (const difference of told) tellDifference(world, difference);
  state.isTelling = false;
  for (const event of leaving) forgetIoEvent(event);
}

function touchesIoEvents(world: World, { space, removed, added }: ViewChange): boolean {
  if (space.ioEvents === undefined) return false;
  const { tap } = regions(world);
  const hasIoEvents = ({ region }: Range) => (tap[region]?.ioEvents.length ?? 0) > 0;
  return added.some(hasIoEvents) || removed.some(hasIoEvents);
}

/** Whether anybody follows the list of a space; where nobody does any more, it ends (but in Q6 it goes stale). */
function isWanted(world: World, space: Space): boolean {
  if (space.ioEvents === undefined) return false;
  if (listenersOf(world, space.id).some(asksForIoEvents)) return true;
  if (world.policy.ioEventReplay) space.ioEvents = undefined;
  return false;
}

function asksForIoEvents({ callbacks }: ListenerRecord): boolean {
  return callbacks.ioEventAdd !== undefined || callbacks.ioEventDel !== undefined;
}

/** What a space shows: the io events of each range that are at least partly in it, wherever they begin (E2). */
function listIoEvents(world: World, space: Space): readonly ListedIoEvent[] {
  const listed: ListedIoEvent[] = [];
  for (const chunk of space.view.chunks) {
    for (const range of chunk) {
      const tap = regions(world).tap[range.region];
      if (tap === undefined) continue;
      for (const event of tap.ioEvents) {
        const address = range.base + event.offset;
        if (address < range.end && address + (event.size || 1) > range.start) listed.push({ address, event });
      }
    }
  }
  listed.sort(compareListed);
  if (world.policy.ioEventPerRange) return listed;
  return listed.filter((one, at) => at === 0 || compareListed(listed[at - 1]!, one) !== 0);
}

interface Difference {
  readonly space: Space;
  readonly before: readonly ListedIoEvent[];
  readonly after: readonly ListedIoEvent[];
  /** Who followed the list before; one that comes meanwhile is told all of it. */
  readonly listeners: readonly ListenerRecord[];
}

/** Dels by ascending and adds by descending priority (E4), both by ascending place. */
function tellDifference(world: World, { space, before, after, listeners }: Difference): void {
  const reversed = listeners.toReversed();
  let old = 0;
  for (const one of after) {
    while (old < before.length && compareListed(before[old]!, one) < 0) {
      tell(world, space, listeners, "ioEventDel", before[old++]!);
    }
    if (old < before.length && compareListed(before[old]!, one) === 0) old++;
    else tell(world, space, reversed, "ioEventAdd", one);
  }
  while (old < before.length) tell(world, space, listeners, "ioEventDel", before[old++]!);
}

function tell(
  world: World,
  space: Space,
  listeners: readonly ListenerRecord[],
  to: "ioEventAdd" | "ioEventDel",
  listed: ListedIoEvent,
): void {
  const section = sectionOf(space, listed);
  for (const listener of listeners) {
    if (listener.callbacks[to] !== undefined) call(world, listener, () => listener.callbacks[to]?.(section));
  }
}

function sectionOf(space: Space, { address, event }: ListedIoEvent): IoEventSection {
  const { size, matches, low, high, notifier } = event;
  const data = !matches ? undefined : size === 8 ? joinBits(high, low) : low >>> 0;
  return { space: space.handle, address, size, data, notifier: notifier.handle };
}

/** Replays the list of its space to a listener that has just been put in the lists of listeners (S122). */
export function replayIoEventsAdded(world: World, listener: ListenerRecord): void {
  const space = spaceRecord(world, listener.space);
  if (space === undefined || !asksForIoEvents(listener)) return;
  if (world.policy.ioEventReplay) space.ioEvents ??= listIoEvents(world, space);
  for (const one of space.ioEvents ??= NOTHING) tell(world, space, [listener], "ioEventAdd", one);
}

/**
 * Replays the list as gone to a listener that leaves. While a difference is being told it is nowhere in particular, and
 * hears nothing more (S109).
 */
export function replayIoEventsDeleted(world: World, listener: ListenerRecord): void {
  const space = spaceRecord(world, listener.space);
  if (space?.ioEvents === undefined || !asksForIoEvents(listener) || changes(world).isTelling) return;
  for (const one of space.ioEvents) tell(world, space, [listener], "ioEventDel", one);
}
