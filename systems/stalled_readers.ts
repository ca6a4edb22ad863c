/**
 * Stalled readers: who keeps what went out of sight from being reclaimed. `whyAlive` tells the same from the side of a
 * thing that waits, and a line in the trace tells it when too much does.
 */
import { regions } from "../ecs/region.ts";
import type { World } from "../ecs/world.ts";
import { currentEpoch } from "./epoch.ts";
import { retiredQueue } from "./retire.ts";

/** A reader that keeps what went out of sight from being reclaimed. */
export interface StalledReader {
  readonly name: string;
  /** How many epochs ago it announced. */
  readonly behind: number;
  /** Entities that it holds back, and bytes of memory of those that are RAM. */
  readonly entities: number;
  readonly bytes: number;
}

/**
 * The registered readers (workers, harts, open scopes that outlive their stack) that hold something back, the longest
 * first.
 *
 * @param behind Epochs; those that announced more recently are not stalled, but at work.
 */
export function stalledReaders(world: World, behind = 1): StalledReader[] {
  const current = currentEpoch(world);
  return world.epochs.readers
    .map(({ name, epoch }) => ({ name, behind: current - epoch, ...heldBack(world, epoch) }))
    .filter((reader) => reader.behind >= behind && reader.entities > 0)
    .sort((a, b) => b.behind - a.behind);
}

function heldBack(world: World, epoch: number): { entities: number; bytes: number } {
  const { ram } = regions(world);
  let entities = 0;
  let bytes = 0;
  for (const retired of retiredQueue(world)) {
    if (retired.stamp < epoch) continue;
    entities += retired.entities.length;
    for (const id of retired.entities) bytes += ram[id]?.size ?? 0;
  }
  return { entities, bytes };
}
