/** RAM notifier: somebody who keeps track of where guest memory is in the host, for all blocks of a world (1.16). */
import type { RamBlock } from "./ram_block.ts";
import { defineState, type World } from "./world.ts";

export interface RamCallbacks {
  added?(block: RamBlock): void;
  /** The bytes are still there. */
  removed?(block: RamBlock): void;
  /** Sizes in bytes. Called before anything has changed. */
  resized?(block: RamBlock, before: number, after: number): void;
}

const notifiers = defineState(() => ({ list: [] as readonly RamCallbacks[] }));

/** In the order of registration; replaced, never changed in place. */
export function ramNotifiers(world: World): readonly RamCallbacks[] {
  return notifiers(world).list;
}

export function writeRamNotifiers(world: World, list: readonly RamCallbacks[]): void {
  notifiers(world).list = list;
}
