/** Map waiters: whoever found no budget for a bounce buffer is told once when there is some again (U5). */
import { type AddressSpace, type Space, spaceOf } from "../ecs/address_space.ts";
import { type Holding, openHoldings, unlinkHolding } from "../ecs/holding.ts";
import { Life, type Owner, owners } from "../ecs/owner.ts";
import type { World } from "../ecs/world.ts";
import { createBottomHalf, scheduleBottomHalf } from "./bottom_half.ts";
import { closeHolding, openHolding, resolveHolder } from "./holding.ts";

/** Somebody who waits for budget. */
export class MapWaiter implements Holding {
  pin = undefined;
  isOpen = true;

  constructor(
    readonly name: string,
    readonly holder: number,
    readonly space: Space,
    /** Queues `run`. */
    readonly wake: () => void,
  ) {}

  describe(): string {
    return `"${this.name}", which waits for bounce buffers of "${this.space.name}"`;
  }

  ended(): void {}
}

/**
 * Calls `run` once, from the queue of bottom halves and so outside of any access, when bounce buffers of `space` have
 * been given back; soon, if there is budget now. The wait ends with its owner.
 */
export function waitForBudget(
  world: World,
  space: AddressSpace,
  { name, owner, run }: { readonly name: string; readonly owner: Owner; readonly run: () => void },
): MapWaiter {
  const record = spaceOf(world, space);
  const half = createBottomHalf(world, { name, owner, guarded: false, callback: run });
  const waiter = new MapWaiter(name, resolveHolder(world, owner), record, () => scheduleBottomHalf(world, half));
  openHolding(world, waiter, "map", 0);
  if (record.bounce.used < record.bounce.limit) wake(world, waiter);
  return waiter;
}

/** Ends the wait. Too late once budget was given back. @throws {ClosedError} then. */
export function cancelWait(world: World, waiter: MapWaiter): void {
  closeHolding(world, waiter);
}

/** Wakes all who wait for budget of `space`, in the order in which they began. */
export function notifyBudget(world: World, space: Space): void {
  for (const holding of [...openHoldings(world)]) {
    if (holding instanceof MapWaiter && holding.space === space) wake(world, holding);
  }
}

function wake(world: World, waiter: MapWaiter): void {
  unlinkHolding(world, waiter);
  if (owners(world).life[waiter.holder] !== Life.DYING) waiter.wake();
}
