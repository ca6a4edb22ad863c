/**
 * Io event: a write at some offset of a region that sets a notifier instead of reaching a handler (ioeventfd;
 * specification 1.9). Notifiers are entities; an io event is a value in the lists of its region and of its notifier.
 */
import { creationOf, defineKind, handleOf, newEntity } from "./handle.ts";
import { linkOwned } from "./owner.ts";
import { tapOf, trimTap } from "./tap.ts";
import { defineColumns, type World } from "./world.ts";

declare const notifier: unique symbol;
/** Handle of a notifier. */
export type Notifier = number & { readonly [notifier]: true };

export const NotifierKind = defineKind("notifier");

export interface NotifierRecord {
  readonly handle: Notifier;
  /** Creation order: what breaks ties between io events (the strict side of Q20). */
  readonly order: number;
  readonly signal: () => void;
  /** Io events that set it, and those taken out whose removal no commit has told yet. */
  readonly events: IoEvent[];
}

export interface IoEvent {
  /** Entity id of the region. */
  readonly region: number;
  /** Bytes from the region's start. */
  readonly offset: number;
  /** Bytes of the write; 0: any. */
  readonly size: number;
  /** Whether only writes of this value count. */
  readonly matches: boolean;
  /** The value as int32 halves, zero-extended from `size`. */
  readonly low: number;
  readonly high: number;
  readonly notifier: NotifierRecord;
}

/** An io event where an address space shows it. */
export interface ListedIoEvent {
  /** Bytes from the start of the address space; below 0 if the space cuts the event off there. */
  readonly address: number;
  readonly event: IoEvent;
}

const notifiers = defineColumns(() => ({ record: [] as (NotifierRecord | undefined)[] }));

export function newNotifier(world: World, name: string, owner: number, signal: () => void): number {
  const id = newEntity(world, NotifierKind, name);
  linkOwned(world, id, owner);
  notifiers(world).record[id] = { handle: handleOf(world, id), order: creationOf(world, id), signal, events: [] };
  return id;
}

/** Record of a notifier by entity id. */
export function notifierRecord(world: World, id: number): NotifierRecord | undefined {
  return notifiers(world).record[id];
}

export function clearNotifier(world: World, id: number): void {
  notifiers(world).record[id] = undefined;
}

/** By size, whether a value counts, the value, and the notifier: the order of io events at one place (E1). */
function compareConditions(a: IoEvent, b: IoEvent): number {
  if (a.size !== b.size) return a.size - b.size;
  if (a.matches !== b.matches) return a.matches ? 1 : -1;
  if (a.high !== b.high) return (a.high >>> 0) - (b.high >>> 0);
  if (a.low !== b.low) return (a.low >>> 0) - (b.low >>> 0);
  return a.notifier.order - b.notifier.order;
}

/** Order of the io events of a region; 0: the same one. */
export function compareIoEvents(a: IoEvent, b: IoEvent): number {
  return a.offset !== b.offset ? a.offset - b.offset : compareConditions(a, b);
}

/** Order of the io events of an address space; 0: listeners cannot tell them apart. */
export function compareListed(a: ListedIoEvent, b: ListedIoEvent): number {
  return a.address !== b.address ? a.address - b.address : compareConditions(a.event, b.event);
}

/** Index of the first io event that `holds` is false for; it must be true of the ones before. */
function partition(events: readonly IoEvent[], holds: (event: IoEvent) => boolean): number {
  let low = 0;
  let high = events.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (holds(events[middle]!)) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Puts the event in its place. False if the region has the same one already; nothing has changed then. */
export function linkIoEvent(world: World, event: IoEvent): boolean {
  const { ioEvents } = tapOf(world, event.region);
  const at = partition(ioEvents, (other) => compareIoEvents(other, event) < 0);
  const present = ioEvents[at];
  if (present !== undefined && compareIoEvents(present, event) === 0) return false;
  ioEvents.splice(at, 0, event);
  event.notifier.events.push(event);
  return true;
}

/** The event of a sorted list that equals `event`. */
export function findIoEvent(events: readonly IoEvent[], event: IoEvent): IoEvent | undefined {
  const present = events[partition(events, (other) => compareIoEvents(other, event) < 0)];
  return present !== undefined && compareIoEvents(present, event) === 0 ? present : undefined;
}

/** Takes an event out of its region. Its notifier lists it until {@linkcode forgetIoEvent}. */
export function unlinkIoEvent(world: World, event: IoEvent): void {
  const { ioEvents } = tapOf(world, event.region);
  const at = partition(ioEvents, (other) => compareIoEvents(other, event) < 0);
  if (ioEvents[at] === event) ioEvents.splice(at, 1);
  trimTap(world, event.region);
}

/** Nobody is due to hear of the event any more. */
export function forgetIoEvent(event: IoEvent): void {
  const { events } = event.notifier;
  const at = events.indexOf(event);
  if (at >= 0) events.splice(at, 1);
}

/** The first io event that a write sets: at one place, one for any size goes before the others. */
export function matchIoEvent(
  events: readonly IoEvent[],
  offset: number,
  size: number,
  low: number,
  high: number,
): IoEvent | undefined {
  const mask = size < 4 ? 2 ** (8 * size) - 1 : -1;
  for (let at = partition(events, (event) => event.offset < offset); at < events.length; at++) {
    const event = events[at]!;
    if (event.offset !== offset) return undefined;
    if (event.size === 0) return event;
    if (event.size !== size) continue;
    if (!event.matches || (event.low === (low & mask) && (size < 8 || event.high === high))) return event;
  }
  return undefined;
}
