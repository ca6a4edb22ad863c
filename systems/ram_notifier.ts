/** RAM notifiers: who follows guest memory in the host hears of every block (1.16). */
import { entitiesOf, nameOf } from "../ecs/handle.ts";
import type { Holding } from "../ecs/holding.ts";
import { type RamCallbacks, ramNotifiers, writeRamNotifiers } from "../ecs/ram_notifier.ts";
import { RegionKind, regions } from "../ecs/region.ts";
import type { World } from "../ecs/world.ts";
import { closeHolding, openHolding, resolveHolder } from "./holding.ts";
import { tell } from "./tell_ram_notifiers.ts";

/** A registered notifier. */
export class RamNotifier implements Holding {
  pin = undefined;
  isOpen = true;

  constructor(readonly name: string, readonly holder: number, readonly callbacks: RamCallbacks) {}

  describe(world: World): string {
    const by = this.holder === 0 ? "" : ` of "${nameOf(world, this.holder)}"`;
    return `RAM notifier "${this.name}"${by}`;
  }

  ended(world: World): void {
    writeRamNotifiers(world, ramNotifiers(world).filter((other) => other !== this.callbacks));
  }
}

/** Tells the callbacks of all blocks that there are, and of what becomes of them, until it is removed or the holder ends. */
export function addRamNotifier(
  world: World,
  { name, holder, ...callbacks }: RamCallbacks & { readonly name: string; readonly holder?: number },
): RamNotifier {
  const notifier = new RamNotifier(name, resolveHolder(world, holder), callbacks);
  openHolding(world, notifier, "listener", 0);
  writeRamNotifiers(world, [...ramNotifiers(world), callbacks]);
  for (const region of entitiesOf(world, RegionKind)) {
    const block = regions(world).ram[region];
    if (block !== undefined) tell(world, () => callbacks.added?.(block));
  }
  return notifier;
}

/** @throws {ClosedError} if it was removed before, or ended with its holder. */
export function removeRamNotifier(world: World, notifier: RamNotifier): void {
  closeHolding(world, notifier);
}
