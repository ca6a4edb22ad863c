/**
 * Epochs: when nobody can still see what was retired. Every reader (the open scopes of this thread, a hart with its
 * TLB, a worker) has a slot with the epoch that it has caught up with; what is retired at epoch e may be reclaimed when
 * every slot is above e.
 */
import { nameOf } from "../ecs/handle.ts";
import { type Access, defineState, type World } from "../ecs/world.ts";
import { sharedForm, SLOT_BYTES } from "./published_reader.ts";

/** What reclaim waits for. */
export interface ReaderSlot {
  readonly name: string;
  /** Sees nothing that was retired before this epoch; Infinity: quiescent, sees nothing at all. */
  readonly epoch: number;
  /** The slot is on another thread's account: it changes without a call here. */
  readonly isRemote?: boolean;
  /** Nobody waits for the reader any more. */
  dismiss?(): void;
}

/** A slot of this thread. Harts keep uncounted pins on RAM (TLB entries, decoded pages); announcing says that they were dropped. */
export interface Reader extends ReaderSlot {
  epoch: number;
}

/** Epochs of a world, in one record since every access asks for it. */
export interface Epochs {
  current: number;
  readonly readers: ReaderSlot[];
  /** `current` where workers see it; undefined: there never was one. */
  shared: Int32Array<SharedArrayBuffer> | undefined;
  /** Read scopes that are open on this thread's stack, which close in reverse order. */
  depth: number;
  /** Epoch of the outermost scope, while one is open. */
  scopeEpoch: number;
  /** Who opened each: a name, or the region whose handler runs. */
  readonly openers: (string | number)[];
  /** One access record per depth: a handler's own is not touched by the accesses that it makes. */
  readonly accesses: Access[];
  /** Stamp of the oldest thing that waits to be reclaimed; 0 if nothing does. */
  oldestRetired: number;
}

/** The epochs of a world. */
export const epochs = defineState((): Epochs => ({
  current: 1,
  readers: [],
  shared: undefined,
  depth: 0,
  scopeEpoch: 0,
  openers: [],
  accesses: [],
  oldestRetired: 0,
}));

/** The epoch of now: it moves on with every commit that changes a view. A reader that is behind may hold something stale. */
export function currentEpoch(world: World): number {
  return epochs(world).current;
}

/** Ends the current epoch; returns it, as the stamp of what is retired. */
export function advanceEpoch(world: World): number {
  const state = epochs(world);
  const ended = state.current++;
  if (state.shared !== undefined) Atomics.store(state.shared, 0, sharedForm(state.current));
  return ended;
}

/** The current epoch in its shared form, for workers; kept up to date from now on. */
export function shareEpoch(world: World): SharedArrayBuffer {
  const state = epochs(world);
  state.shared ??= new Int32Array(new SharedArrayBuffer(SLOT_BYTES));
  Atomics.store(state.shared, 0, sharedForm(state.current));
  return state.shared.buffer;
}

/** What was stamped below this is out of everybody's sight. */
export function oldestReader(world: World): number {
  const { depth, scopeEpoch, readers } = epochs(world);
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
  epochs(world).readers.push(slot);
}

export function removeReader(world: World, reader: ReaderSlot): void {
  const { readers } = epochs(world);
  const at = readers.indexOf(reader);
  if (at < 0) return;
  readers.splice(at, 1);
  reader.dismiss?.();
}

/** Whether readers may leave without a call on this thread. */
export function hasRemoteReaders(world: World): boolean {
  return epochs(world).readers.some((reader) => reader.isRemote);
}

/** All readers are gone: nothing that they saw needs to wait for them. */
export function dismissReaders(world: World): void {
  for (const reader of epochs(world).readers.splice(0)) reader.dismiss?.();
}

/** How many read scopes are open on this stack. */
export function scopeDepth(world: World): number {
  return epochs(world).depth;
}

/** Opens a scope: what is visible now stays until it closes. Must be closed in a `finally`. */
export function enterScope(world: World, opener: string | number): Epochs {
  const state = epochs(world);
  if (state.depth === 0) state.scopeEpoch = state.current;
  state.openers[state.depth++] = opener;
  return state;
}

export function leaveScope(state: Epochs): void {
  state.depth--;
}

/** Who keeps the grace period from ending: the openers of scopes and readers that lag behind, for messages. */
export function openReaders(world: World): string[] {
  const { openers, depth, readers, current } = epochs(world);
  const scopes = openers.slice(0, depth).map((by) =>
    typeof by === "string" ? `scope "${by}"` : `handler of "${nameOf(world, by)}"`
  );
  return [...scopes, ...readers.filter((reader) => reader.epoch < current).map((reader) => `reader "${reader.name}"`)];
}
