/**
 * Epochs: when nobody can still see what was retired. Every reader (the open scopes of this thread, a hart with its
 * TLB, a worker) has a slot with the epoch that it has caught up with; what is retired at epoch e may be reclaimed when
 * every slot is above e.
 */
import { nameOf } from "../ecs/handle.ts";
import { defineState, type World } from "../ecs/world.ts";

/** A slot. Harts keep uncounted pins on RAM (TLB entries, decoded pages); announcing says that they were dropped. */
export interface Reader {
  readonly name: string;
  /** Sees nothing that was retired before this epoch; Infinity: quiescent, sees nothing at all. */
  epoch: number;
}

/** The read scopes that are open on this thread's stack, which close in reverse order. */
export interface ScopeStack {
  depth: number;
  /** Epoch of the outermost; Infinity if none is open. */
  epoch: number;
  /** Who opened each: a name, or the region whose handler runs. */
  readonly openers: (string | number)[];
}

const epochs = defineState(() => ({
  current: 1,
  readers: [] as Reader[],
  stack: { depth: 0, epoch: Infinity, openers: [] } as ScopeStack,
}));

export const scopeStack = (world: World): ScopeStack => epochs(world).stack;

/** The epoch of now. A reader whose own is lower may hold something stale. */
export function currentEpoch(world: World): number {
  return epochs(world).current;
}

/** Ends the current epoch; returns it, as the stamp of what is retired. */
export function advanceEpoch(world: World): number {
  return epochs(world).current++;
}

/** What was stamped below this is out of everybody's sight. */
export function oldestReader(world: World): number {
  const { stack, readers } = epochs(world);
  let oldest = stack.epoch;
  for (const reader of readers) if (reader.epoch < oldest) oldest = reader.epoch;
  return oldest;
}

export function addReader(world: World, name: string, epoch: number): Reader {
  const reader = { name, epoch };
  epochs(world).readers.push(reader);
  return reader;
}

export function removeReader(world: World, reader: Reader): void {
  const { readers } = epochs(world);
  const at = readers.indexOf(reader);
  if (at >= 0) readers.splice(at, 1);
}

/** All readers are gone: nothing that they saw needs to wait for them. */
export function dismissReaders(world: World): void {
  epochs(world).readers.length = 0;
}

/** Opens a scope: what is visible now stays until it closes. Must be closed in a `finally`. */
export function enterScope(world: World, opener: string | number): ScopeStack {
  const { stack, current } = epochs(world);
  if (stack.depth === 0) stack.epoch = current;
  stack.openers[stack.depth++] = opener;
  return stack;
}

export function leaveScope(stack: ScopeStack): void {
  if (--stack.depth === 0) stack.epoch = Infinity;
}

/** Who keeps the grace period from ending: the openers of scopes and readers that lag behind, for messages. */
export function openReaders(world: World): string[] {
  const { stack, readers, current } = epochs(world);
  const scopes = stack.openers.slice(0, stack.depth).map((by) =>
    typeof by === "string" ? `scope "${by}"` : `handler of "${nameOf(world, by)}"`
  );
  return [...scopes, ...readers.filter((reader) => reader.epoch < current).map((reader) => `reader "${reader.name}"`)];
}
