/** Listener: callbacks that follow one address space through its commits (specification 1.13). */
import type { AddressSpace } from "./address_space.ts";
import { defineKind, newEntity } from "./handle.ts";
import type { Notifier } from "./io_event.ts";
import { linkOwned } from "./owner.ts";
import type { Region } from "./region.ts";
import { defineColumns, type World } from "./world.ts";

declare const listener: unique symbol;
/** Handle of a listener. */
export type Listener = number & { readonly [listener]: true };

export const ListenerKind = defineKind("listener");

/** One range of a view, as callbacks see it. A value: it may be kept, which pins nothing. */
export interface Section {
  readonly space: AddressSpace;
  readonly region: Region;
  /** Bytes from the start of the address space. */
  readonly address: number;
  readonly size: number;
  /** Bytes from the start of the region; rounded where it is not exact as an f64. */
  readonly offset: number;
  readonly readonly: boolean;
  readonly nonvolatile: boolean;
  readonly unmergeable: boolean;
  /** A ROM device that reads as memory. */
  readonly romd: boolean;
  /** Clients that log stores: a set of `1 << client`. */
  readonly logMask: number;
}

/** An io event as a space shows it, unclipped (E2). */
export interface IoEventSection {
  readonly space: AddressSpace;
  /** Bytes from the start of the address space; negative if a window cuts off its beginning there. */
  readonly address: number;
  /** Bytes of the write; 0: any. */
  readonly size: number;
  /** Only a write of this value, zero-extended, sets the notifier; undefined: every one. A bigint iff `size` is 8. */
  readonly data: number | bigint | undefined;
  readonly notifier: Notifier;
}

/** Part of a range in which writes may be collected. */
export interface CoalescedSection {
  readonly space: AddressSpace;
  readonly region: Region;
  /** Bytes from the start of the address space. */
  readonly address: number;
  readonly size: number;
}

/**
 * What a listener is told. `begin` and `commit` enclose the changes of one commit; during `regionDel`, `regionNop` and
 * `regionAdd` the address space still shows the old view (S107), in `commit` the new one.
 */
export interface ListenerCallbacks {
  begin?(): void;
  /**
   * Before anything is announced: a range that this commit is about to add. To throw refuses it (W22): whoever was
   * prepared has `regionCancel`, the transaction is undone, and its end throws `RefusedError`. The topology must not be
   * changed meanwhile. On registration, of each range that is there: to throw refuses the registration.
   */
  regionPrepare?(section: Section): void;
  /** A range that `regionPrepare` accepted does not come: another was refused. The last prepared first. */
  regionCancel?(section: Section): void;
  regionAdd?(section: Section): void;
  regionDel?(section: Section): void;
  /** A range that stays; asking for it makes every commit cost O(ranges). */
  regionNop?(section: Section): void;
  /** After `regionAdd`, and at once when a region that is shown gets a coalesced range (M1, M4). */
  coalescedAdd?(section: CoalescedSection): void;
  /** Before `regionDel`, and at once when a region loses a coalesced range. */
  coalescedDel?(section: CoalescedSection): void;
  /** After publication, before `commit`; alone if nothing else has changed (E5). */
  ioEventAdd?(section: IoEventSection): void;
  ioEventDel?(section: IoEventSection): void;
  commit?(): void;
  /** The masks of clients that log a range; this one gained some. */
  logStart?(section: Section, before: number, after: number): void;
  /** As `logStart`; the mask lost some. */
  logStop?(section: Section, before: number, after: number): void;
  /** Whoever knows of stores that the core did not see reports them with `markDirty`. A logged range. */
  logSync?(section: Section): void;
  /** As `logSync`, for all ranges at once; a listener has one or the other (L3). */
  logSyncGlobal?(): void;
  /** The bits of part of a range were cleared: stores to it are news again. */
  logClear?(section: Section): void;
  /** All memory is tracked from now on. May throw: tracking does not start then (S127). */
  logGlobalStart?(): void;
  logGlobalStop?(): void;
  /** Bits were collected: what was in flight then is to be visible now (G7). */
  afterSync?(): void;
}

export interface ListenerRecord {
  readonly id: number;
  /** Entity id of the address space. */
  readonly space: number;
  readonly priority: number;
  readonly callbacks: ListenerCallbacks;
  /** Whether it has been told the view of its space, so that it is due the changes. */
  isRegistered: boolean;
  /** It has had `begin`, and is owed `commit`. */
  isOwedCommit: boolean;
  /** It has had `logGlobalStart`, and is owed `logGlobalStop`. */
  isTracking: boolean;
  /** In a debug world: what the callbacks add up to, by address, with the log mask (INV6). */
  readonly told: Map<number, { section: Section; mask: number }> | undefined;
}

const listeners = defineColumns(() => ({
  record: [] as (ListenerRecord | undefined)[],
  /** Ascending priority, then registration. Replaced, never changed in place: a walk keeps the list that it began. */
  all: [] as readonly ListenerRecord[],
  bySpace: [] as (readonly ListenerRecord[] | undefined)[],
  /** How many of them have `regionPrepare`. */
  refusing: 0,
}));

const NONE: readonly ListenerRecord[] = [];

/** A listener that is in no list yet. */
export function newListener(
  world: World,
  name: string,
  owner: number,
  space: number,
  priority: number,
  callbacks: ListenerCallbacks,
): ListenerRecord {
  const id = newEntity(world, ListenerKind, name);
  linkOwned(world, id, owner);
  const told = world.debug ? new Map() : undefined;
  const flags = { isRegistered: false, isOwedCommit: false, isTracking: false };
  const record = { id, space, priority, callbacks, ...flags, told };
  listeners(world).record[id] = record;
  return record;
}

/** Puts the listener behind all of its priority. */
export function linkListener(world: World, record: ListenerRecord): void {
  const columns = listeners(world);
  record.isRegistered = true;
  if (record.callbacks.regionPrepare !== undefined) columns.refusing++;
  columns.all = inserted(columns.all, record);
  columns.bySpace[record.space] = inserted(columns.bySpace[record.space] ?? NONE, record);
}

/** Notes that the listener was told of a commit's begin, or of its end. */
export function oweCommit(record: ListenerRecord, isOwed: boolean): void {
  record.isOwedCommit = isOwed;
}

/** Notes that the listener was told that memory is tracked, or no longer. */
export function writeTracked(record: ListenerRecord, isTracking: boolean): void {
  record.isTracking = isTracking;
}

/** The listener gets no callback any more, in walks that are under way neither. */
export function unlinkListener(world: World, record: ListenerRecord): void {
  const columns = listeners(world);
  if (record.isRegistered && record.callbacks.regionPrepare !== undefined) columns.refusing--;
  record.isRegistered = false;
  columns.all = columns.all.filter((other) => other !== record);
  const left = (columns.bySpace[record.space] ?? NONE).filter((other) => other !== record);
  columns.bySpace[record.space] = left.length > 0 ? left : undefined;
}

export function clearListener(world: World, id: number): void {
  listeners(world).record[id] = undefined;
}

function inserted(list: readonly ListenerRecord[], record: ListenerRecord): readonly ListenerRecord[] {
  const after = list.findIndex((other) => other.priority > record.priority);
  return list.toSpliced(after < 0 ? list.length : after, 0, record);
}

export function allListeners(world: World): readonly ListenerRecord[] {
  return listeners(world).all;
}

/** Whether some listener may refuse what a commit adds. */
export function mayRefuse(world: World): boolean {
  return listeners(world).refusing > 0;
}

export function listenersOf(world: World, space: number): readonly ListenerRecord[] {
  return listeners(world).bySpace[space] ?? NONE;
}

/** Record of a listener by entity id. */
export function listenerRecord(world: World, id: number): ListenerRecord | undefined {
  return listeners(world).record[id];
}
