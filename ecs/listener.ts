/** Listener: callbacks that follow one address space through its commits (specification 1.13). */
import type { AddressSpace } from "./address_space.ts";
import { defineKind, newEntity } from "./handle.ts";
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
}

/**
 * What a listener is told. `begin` and `commit` enclose the changes of one commit; during `regionDel`, `regionNop` and
 * `regionAdd` the address space still shows the old view (S107), in `commit` the new one.
 */
export interface ListenerCallbacks {
  begin?(): void;
  regionAdd?(section: Section): void;
  regionDel?(section: Section): void;
  /** A range that stays; asking for it makes every commit cost O(ranges). */
  regionNop?(section: Section): void;
  commit?(): void;
}

export interface ListenerRecord {
  readonly id: number;
  /** Entity id of the address space. */
  readonly space: number;
  readonly priority: number;
  readonly callbacks: ListenerCallbacks;
  /** Whether it has been told the view of its space, so that it is due the changes. */
  isRegistered: boolean;
}

const listeners = defineColumns(() => ({
  record: [] as (ListenerRecord | undefined)[],
  /** Ascending priority, then registration. Replaced, never changed in place: a walk keeps the list that it began. */
  all: [] as readonly ListenerRecord[],
  bySpace: [] as (readonly ListenerRecord[] | undefined)[],
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
  const record = { id, space, priority, callbacks, isRegistered: false };
  listeners(world).record[id] = record;
  return record;
}

/** Puts the listener behind all of its priority. */
export function linkListener(world: World, record: ListenerRecord): void {
  const columns = listeners(world);
  record.isRegistered = true;
  columns.all = inserted(columns.all, record);
  columns.bySpace[record.space] = inserted(columns.bySpace[record.space] ?? NONE, record);
}

/** The listener gets no callback any more, in walks that are under way neither. */
export function unlinkListener(world: World, record: ListenerRecord): void {
  const columns = listeners(world);
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

export function listenersOf(world: World, space: number): readonly ListenerRecord[] {
  return listeners(world).bySpace[space] ?? NONE;
}

/** Record of a listener by entity id. */
export function listenerRecord(world: World, id: number): ListenerRecord | undefined {
  return listeners(world).record[id];
}
