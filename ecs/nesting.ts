/**
 * Nesting: how many levels of containers and aliases are below a region. A bound, not a measure: it grows with what is
 * put below, and is only brought down when it would forbid something.
 */
import { defineColumns, type World } from "./world.ts";

const nesting = defineColumns((capacity) => ({
  /** 0: the region shows at most itself. */
  levels: new Uint8Array(capacity),
}));

export function levelsBelow(world: World, region: number): number {
  return nesting(world).levels[region]!;
}

export function writeLevels(world: World, region: number, levels: number): void {
  nesting(world).levels[region] = levels;
}
