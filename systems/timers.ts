/** Timers: armed on a clock, fired when due, cancelled when their owner goes. */
import {
  type Clock,
  dueTimers,
  enterTimer,
  leaveTimer,
  markTimerDeleted,
  newClock,
  newTimer,
  type Timer,
} from "../ecs/clock.ts";
import type { DeviceRow, Instance } from "../ecs/device.ts";
import { DeviceError } from "../ecs/device.ts";
import type { Owner } from "../ecs/owner.ts";
import type { World } from "../ecs/world.ts";
import { reference, release } from "./finalize.ts";

/** A clock for the timers of `world`. `now` counts nanoseconds since the machine started and never goes back. */
export function createClock(
  _world: World,
  clock: { readonly name: string; readonly now: () => number; readonly onDeadlineChange?: () => void },
): Clock {
  return newClock(clock.name, clock.now, clock.onDeadlineChange);
}

/** A timer of `owner`; devices declare theirs in their type instead. */
export function createTimer(
  _world: World,
  timer: { readonly name: string; readonly owner: Owner; readonly clock: Clock; readonly callback: () => void },
): Timer {
  return newTimer(timer.name, timer.owner, timer.clock, timer.callback);
}

/** Sets the timer to fire at `deadline`, in nanoseconds on its clock, instead of when it was to fire. Pins its owner until then. */
export function setTimer(world: World, timer: Timer, deadline: number): void {
  const { clock } = timer;
  if (timer.deleted) throw new DeviceError(`Timer "${timer.name}" is deleted and can't be armed`);
  const before = nextDeadline(world, clock);
  if (timer.position >= 0) leaveTimer(clock, timer);
  else reference(world, timer.owner, "callback");
  enterTimer(clock, timer, deadline);
  if (deadline < before) clock.onDeadlineChange?.();
}

/** Unsets the timer, if it is armed. */
export function clearTimer(world: World, timer: Timer): void {
  if (timer.position < 0) return;
  leaveTimer(timer.clock, timer);
  release(world, timer.owner, "callback");
}

/** Unsets the timer for good. Legal within its own callback (S11). */
export function deleteTimer(world: World, timer: Timer): void {
  clearTimer(world, timer);
  markTimerDeleted(timer);
}

/** When the next timer is due, in nanoseconds on `clock`; Infinity if none is armed. */
export function nextDeadline(_world: World, clock: Clock): number {
  return clock.armed[0]?.deadline ?? Infinity;
}

/**
 * Fires every timer that is due now, in order of deadline, then of arming. A timer armed meanwhile waits for the next call,
 * so that no callback can hold the caller here. The owner is pinned until the callback has returned (LC24).
 *
 * @returns how many fired.
 */
export function runDueTimers(world: World, clock: Clock): number {
  const time = clock.now();
  const { armings } = clock;
  let fired = 0;
  for (const timer of dueTimers(clock, time)) {
    if (timer.position < 0 || timer.order >= armings) continue; // an earlier callback unset or moved it
    leaveTimer(clock, timer);
    fired++;
    try {
      timer.callback();
    } catch (error) {
      world.reportFault(new DeviceError(`Timer "${timer.name}" failed: ${(error as Error).message}`, { cause: error }));
    } finally {
      release(world, timer.owner, "callback");
    }
  }
  return fired;
}

/** Nanoseconds of the device's clock. */
export function now(d: Instance<object, object>): number {
  return d.clock.now();
}

/** Arms the declared timer `name` of a running device; ignored once the device is being unrealized (S11). */
export function armTimer(d: Instance<object, object>, name: string, deadline: number, index = 0): void {
  const row = d as DeviceRow;
  if (row.stage !== "realized" && row.stage !== "realizing") return;
  setTimer(d.world, timerOf(row, name, index), deadline);
}

/** Unsets the declared timer `name`. */
export function cancelTimer(d: Instance<object, object>, name: string, index = 0): void {
  clearTimer(d.world, timerOf(d as DeviceRow, name, index));
}

function timerOf(row: DeviceRow, name: string, index: number): Timer {
  const timer = row.timers[name]?.[index];
  if (timer === undefined) {
    throw new DeviceError(`Device "${row.id}" (${row.type.type}) has no timer ${name}[${index}]`);
  }
  return timer;
}
