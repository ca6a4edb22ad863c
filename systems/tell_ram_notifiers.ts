/** Tell RAM notifiers: what becomes of a block of guest memory, told to all who follow it. */
import type { RamBlock } from "../ecs/ram_block.ts";
import { ramNotifiers } from "../ecs/ram_notifier.ts";
import type { World } from "../ecs/world.ts";

/** A RAM notifier threw; the others were served. */
export class RamNotifierError extends Error {
  override readonly name = "RamNotifierError";
}

export function notifyResized(world: World, block: RamBlock, before: number, after: number): void {
  for (const callbacks of ramNotifiers(world)) tell(world, () => callbacks.resized?.(block, before, after));
}

export function notifyAdded(world: World, block: RamBlock): void {
  for (const callbacks of ramNotifiers(world)) tell(world, () => callbacks.added?.(block));
}

export function notifyRemoved(world: World, block: RamBlock): void {
  for (const callbacks of ramNotifiers(world)) tell(world, () => callbacks.removed?.(block));
}

/** Whatever the callback does, the others are served. */
export function tell(world: World, callback: () => void): void {
  try {
    callback();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    world.reportFault(new RamNotifierError(`a RAM notifier threw: ${reason}`, { cause }));
  }
}
