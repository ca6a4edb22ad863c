/** Bottom halves: queued by handlers, run by the machine's loop outside of any access. */
import {
  type BottomHalf,
  bottomHalfQueue,
  dequeueBottomHalf,
  enqueueBottomHalf,
  newBottomHalf,
} from "../ecs/bottom_half.ts";
import { DeviceError, type DeviceRow, type Instance } from "../ecs/device.ts";
import type { Owner } from "../ecs/owner.ts";
import type { World } from "../ecs/world.ts";
import { engageGuard, restoreGuard } from "./call_handler.ts";
import { reference, release } from "./finalize.ts";

/** A bottom half of `owner`; devices declare theirs in their type instead. */
export function createBottomHalf(
  _world: World,
  half: { readonly name: string; readonly owner: Owner; readonly guarded: boolean; readonly callback: () => void },
): BottomHalf {
  return newBottomHalf(half.name, half.owner, half.guarded, half.callback);
}

/** Queues `half`, if it is not queued yet. Pins its owner until it has run. */
export function scheduleBottomHalf(world: World, half: BottomHalf): void {
  if (half.queued) return;
  reference(world, half.owner, "callback");
  enqueueBottomHalf(world, half);
}

/** Takes `half` out of the queue, if it is there. */
export function cancelBottomHalf(world: World, half: BottomHalf): void {
  if (!half.queued) return;
  dequeueBottomHalf(world, half);
  release(world, half.owner, "callback");
}

export function hasBottomHalves(world: World): boolean {
  return bottomHalfQueue(world).length > 0;
}

/**
 * Runs what is queued now; what is queued meanwhile waits for the next call. A guarded one runs with its owner's
 * re-entrancy flag set, and leaves the flag as it was (S47).
 *
 * @returns how many ran.
 */
export function runBottomHalves(world: World): number {
  let ran = 0;
  for (let left = bottomHalfQueue(world).length; left > 0; left--) {
    const half = bottomHalfQueue(world)[0];
    if (half === undefined) break;
    dequeueBottomHalf(world, half);
    ran++;
    const former = half.guarded && engageGuard(world, half.owner);
    try {
      half.callback();
    } catch (error) {
      world.reportFault(
        new DeviceError(`Bottom half "${half.name}" failed: ${(error as Error).message}`, { cause: error }),
      );
    } finally {
      if (half.guarded) restoreGuard(world, half.owner, former);
      release(world, half.owner, "callback");
    }
  }
  return ran;
}

/** Queues the declared bottom half `name` of a running device; ignored once the device is being unrealized. */
export function schedule(d: Instance<object, object>, name: string): void {
  const row = d as DeviceRow;
  if (row.stage !== "realized" && row.stage !== "realizing") return;
  const half = row.bottomHalves[name];
  if (half === undefined) throw new DeviceError(`Device "${row.id}" (${row.type.type}) has no bottom half "${name}"`);
  scheduleBottomHalf(d.world, half);
}
