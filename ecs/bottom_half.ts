/** Bottom half: work that a device hands to itself for after the current access. A queued one pins its owner (callback reference). */
import type { Owner } from "./owner.ts";
import { defineState, type World } from "./world.ts";

export interface BottomHalf {
  readonly name: string;
  readonly owner: Owner;
  /** Guarded: runs with the owner's re-entrancy flag set, so that its DMA can't reach the owner's own registers (S47). */
  readonly guarded: boolean;
  readonly callback: () => void;
  queued: boolean;
}

const queueOf = defineState(() => ({ halves: [] as BottomHalf[] }));

/** A bottom half that is not queued. */
export function newBottomHalf(name: string, owner: Owner, guarded: boolean, callback: () => void): BottomHalf {
  return { name, owner, guarded, callback, queued: false };
}

/** Queued bottom halves of the world, first come first. */
export function bottomHalfQueue(world: World): readonly BottomHalf[] {
  return queueOf(world).halves;
}

/** Appends to the queue. */
export function enqueueBottomHalf(world: World, half: BottomHalf): void {
  queueOf(world).halves.push(half);
  half.queued = true;
}

/** Takes `half` out of the queue. */
export function dequeueBottomHalf(world: World, half: BottomHalf): void {
  const { halves } = queueOf(world);
  const at = halves.indexOf(half);
  if (at >= 0) halves.splice(at, 1);
  half.queued = false;
}
