/** What the two sides of the stress of worker readers agree on. */

/** Words of the counters that the workers keep. */
export const Count = { STOP: 0, READS: 1, INVALID: 2, SCOPES: 3 } as const;

export interface Job {
  readonly counts: SharedArrayBuffer;
  readonly seed: number;
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
