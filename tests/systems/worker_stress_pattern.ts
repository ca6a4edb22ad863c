/** What the two sides of the stress of worker readers agree on. */

import type { SharedView } from "../../systems/published_reader.ts";

/** Words of the counters that the workers keep. `WARD_READS` are those in the space that dies again and again. */
export const Count = { STOP: 0, READS: 1, INVALID: 2, SCOPES: 3, WARD_READS: 4, SEEN: 8 } as const;

/** What a worker is sent: first its job, then each new publication of the space that dies. */
export type Message =
  | { readonly shared: SharedView; readonly job: Job }
  | { readonly ward: SharedView; readonly generation: number };

/** Blocks of the space that dies, from slot 0 on. */
export const WARD_BLOCKS = 16;

export interface Job {
  readonly counts: SharedArrayBuffer;
  readonly seed: number;
  /** Of this worker: `counts[Count.SEEN + index]` is the last generation that it has taken over. */
  readonly index: number;
  /** Blocks are shown at multiples of `stride`, below `slots · stride`. */
  readonly slots: number;
  readonly stride: number;
}

/** A block is full of words that tell its region, with its generation, and the place in the block. */
export function wordOf(region: number, at: number): number {
  const low = Math.imul(region % 2 ** 32, 0x9e3779b1);
  const high = Math.imul(Math.floor(region / 2 ** 32) + 1, 0x85ebca6b);
  return ((low ^ high) + at) >>> 0;
}
