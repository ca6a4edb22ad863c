/**
 * Owner: whose life bounds mine. A forest, set at creation and never changed, except that RAM which outlives its owner
 * becomes ownerless. An owner keeps two lists in creation order: the owners and the other entities that it owns.
 */
import { defineKind, newEntity } from "./handle.ts";
import { clearCounts } from "./ref_count.ts";
import { defineColumns, type World } from "./world.ts";

declare const owner: unique symbol;
/** Handle of an entity that may own others: machine, device, backend. */
export type Owner = number & { readonly [owner]: true };

declare const device: unique symbol;
/** Handle of a device: an owner that models a piece of hardware (`device.ts`). */
export type Device = Owner & { readonly [device]: true };

export const OwnerKind = defineKind("owner");

/** Where an entity stands in its life (specification 2.3). */
export const Life = {
  /** Held by its creation reference. */
  LIVE: 0,
  /** Dropped; finalizes when nothing counts on it any more. */
  DROPPED: 1,
  /** Chosen by finalize: unlinked from everything, waits for the readers. No new reference is possible. */
  DYING: 2,
} as const;

/** Re-entrancy guard of a device, or of a region that belongs to none (1.8.4). */
export interface Guard {
  /** A handler is on the stack (INV11). */
  engaged: boolean;
  /** A refusal was traced: once, ever (S46). */
  warned: boolean;
}

/** What an owner does at its end. It may only enqueue. */
export type Destructor = () => void;

export const owners = defineColumns((capacity) => ({
  owner: new Int32Array(capacity),
  life: new Uint8Array(capacity),
  firstChild: new Int32Array(capacity),
  lastChild: new Int32Array(capacity),
  firstOwned: new Int32Array(capacity),
  lastOwned: new Int32Array(capacity),
  next: new Int32Array(capacity),
  previous: new Int32Array(capacity),
  /** Of devices. */
  guard: [] as (Guard | undefined)[],
  destructors: [] as (Destructor[] | undefined)[],
}));

/** An entity that may own others. `above` 0: a root of the forest. */
export function newOwner(world: World, name: string, above: number, isDevice: boolean): number {
  const id = newEntity(world, OwnerKind, name);
  const columns = owners(world);
  columns.guard[id] = isDevice ? newGuard() : undefined;
  columns.firstChild[id] =
    columns.lastChild[id] =
    columns.firstOwned[id] =
    columns.lastOwned[id] =
      0;
  columns.destructors[id] = undefined;
  linkOwned(world, id, above, true);
  return id;
}

/** Starts the life of a new entity, at the end of its owner's list. */
export function linkOwned(world: World, id: number, above: number, isOwner = false): void {
  clearCounts(world, id);
  const columns = owners(world);
  columns.owner[id] = above;
  columns.life[id] = Life.LIVE;
  columns.next[id] = columns.previous[id] = 0;
  if (above === 0) return;
  const first = isOwner ? columns.firstChild : columns.firstOwned;
  const last = isOwner ? columns.lastChild : columns.lastOwned;
  const tail = last[above]!;
  columns.previous[id] = tail;
  if (tail === 0) first[above] = id;
  else columns.next[tail] = id;
  last[above] = id;
}

/** Takes an entity out of its owner's list: it dies, or it is RAM that outlives its owner. */
export function unlinkOwned(world: World, id: number, isOwner = false): void {
  const columns = owners(world);
  const above = columns.owner[id]!;
  if (above === 0) return;
  const first = isOwner ? columns.firstChild : columns.firstOwned;
  const last = isOwner ? columns.lastChild : columns.lastOwned;
  const next = columns.next[id]!;
  const previous = columns.previous[id]!;
  if (previous === 0) first[above] = next;
  else columns.next[previous] = next;
  if (next === 0) last[above] = previous;
  else columns.previous[next] = previous;
  columns.owner[id] = columns.next[id] = columns.previous[id] = 0;
}

export function setLife(world: World, id: number, life: number): void {
  owners(world).life[id] = life;
}

export function addDestructor(world: World, id: number, run: Destructor): void {
  (owners(world).destructors[id] ??= []).push(run);
}

/** The destructors of an owner, in the order of registration; they are taken out. */
export function takeDestructors(world: World, id: number): Destructor[] {
  const { destructors } = owners(world);
  const taken = destructors[id] ?? [];
  destructors[id] = undefined;
  return taken;
}

export function newGuard(): Guard {
  return { engaged: false, warned: false };
}

/** Whether `above` is `id` or an owner above it. 0 is above nothing. */
export function isOwnerOrAbove(world: World, above: number, id: number): boolean {
  if (above === 0) return false;
  const { owner } = owners(world);
  for (let at = id; at !== 0; at = owner[at]!) if (at === above) return true;
  return false;
}

/** Guard of an owner that is a device. */
export function guardOf(world: World, id: number): Guard | undefined {
  return id === 0 ? undefined : owners(world).guard[id];
}

/** Guard of the nearest device at or above an owner; undefined if there is none. */
export function guardAbove(world: World, id: number): Guard | undefined {
  const { guard, owner } = owners(world);
  for (let at = id; at !== 0; at = owner[at]!) if (guard[at] !== undefined) return guard[at];
  return undefined;
}
