/**
 * Epochs: when nobody can still see what was retired. Every reader (the open scopes of this thread, a hart with its
 * TLB, a worker) has a slot with the epoch that it has caught up with; what is retired at epoch e may be reclaimed when
 * every slot is above e.
 */
import { type Epochs, openInner, openOutermost, type Reader, type ReaderSlot } from "../ecs/epochs.ts";
import { nameOf } from "../ecs/handle.ts";
import type { World } from "../ecs/world.ts";
import { sharedForm, SLOT_BYTES } from "./published_reader.ts";

export type { Reader, ReaderSlot };

/** The epoch of now: it moves on with every commit that changes a view. A reader that is behind may hold something stale. */
export function currentEpoch(world: World): number {
  return world.epochs.current;
}

/** Ends the current epoch; returns it, as the stamp of what is retired. */
export function advanceEpoch(world: World): number {
  const state = world.epochs;
  const ended = state.current++;
  if (state.shared !== undefined) Atomics.store(state.shared, 0, sharedForm(state.current));
  return ended;
}

/** The current epoch in its shared form, for workers; kept up to date from now on. */
export function shareEpoch(world: World): SharedArrayBuffer {
  const state = world.epochs;
  state.shared ??= new Int32Array(new SharedArrayBuffer(SLOT_BYTES));
  Atomics.store(state.shared, 0, sharedForm(state.current));
  return state.shared.buffer;
}

/** What was stamped below this is out of everybody's sight. */
export function oldestReader(world: World): number {
  const { depth, scopeEpoch, readers } = world.epochs;
  let oldest = depth > 0 ? scopeEpoch : Infinity;
  for (const reader of readers) if (reader.epoch < oldest) oldest = reader.epoch;
  return oldest;
}

export function addReader(world: World, name: string, epoch: number): Reader {
  const reader = { name, epoch };
  addSlot(world, reader);
  return reader;
}

export function addSlot(world: World, slot: ReaderSlot): void {
  world.epochs.readers.push(slot);
}

export function removeReader(world: World, reader: ReaderSlot): void {
  const { readers } = world.epochs;
  const at = readers.indexOf(reader);
  if (at < 0) return;
  readers.splice(at, 1);
  reader.dismiss?.();
}

/** Whether readers may leave without a call on this thread. */
export function hasRemoteReaders(world: World): boolean {
  return world.epochs.readers.some((reader) => reader.isRemote);
}

/** All readers are gone: nothing that they saw needs to wait for them. */
export function dismissReaders(world: World): void {
  for (const reader of world.epochs.readers.splice(0)) reader.dismiss?.();
}

/** How many read scopes are open on this stack. */
export function scopeDepth(world: World): number {
  return world.epochs.depth;
}

/** Opens a scope: what is visible now stays until it closes. Must be closed in a `finally`. */
export function enterScope(world: World, opener: string | number): Epochs {
  const state = world.epochs;
  const frame = state.depth === 0 ? openOutermost(state) : openInner(state);
  frame.opener = opener;
  return state;
}

export function leaveScope(state: Epochs): void {
  state.depth--;
}

/** Who keeps the grace period from ending: the openers of scopes and readers that lag behind, for messages. */
export function openReaders(world: World): string[] {
  const { outermost, inner, depth, readers, current } = world.epochs;
  const open = depth === 0 ? [] : [outermost, ...inner.slice(0, depth - 1)];
  const scopes = open.map(({ opener }) =>
    typeof opener === "string" ? `scope "${opener}"` : `handler of "${nameOf(world, opener)}"`
  );
  return [...scopes, ...readers.filter((reader) => reader.epoch < current).map((reader) => `reader "${reader.name}"`)];
}
