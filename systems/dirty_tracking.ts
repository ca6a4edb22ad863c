/**
 * Dirty tracking: MIGRATION logs all memory of a world while there is a reason to (specification 1.15, G3 and G4). The
 * listeners learn of it before the first store is logged, and of its end after the last.
 */
import { isTracking, tracking, type TrackingReason } from "../ecs/dirty_bitmap.ts";
import { nameOf } from "../ecs/handle.ts";
import { allListeners, type ListenerRecord } from "../ecs/listener.ts";
import type { Owner } from "../ecs/owner.ts";
import type { World } from "../ecs/world.ts";
import { DirtyLogError } from "./dirty_log.ts";
import { writeTracking } from "./log_masks.ts";
import { callTracked, callTracking } from "./call_listener.ts";
import { refuseWhileAsked } from "./prepare.ts";
import { transaction } from "./transaction.ts";

/**
 * Tracks stores to all migratable memory until this reason, and every other, is stopped. A reason that is on already
 * stays on, and is no longer about to stop.
 *
 * @throws {DirtyLogError} if a listener's `logGlobalStart` throws: those started before it are stopped again, in reverse
 * order, and nothing has changed (S127).
 */
export function startDirtyTracking(world: World, reason: TrackingReason): void {
  refuseWhileAsked(world, "dirty tracking");
  const { reasons, postponed } = tracking(world);
  postponed.delete(reason);
  if (reasons.has(reason)) return;
  const isFirst = reasons.size === 0;
  reasons.add(reason);
  if (!isFirst) return;
  try {
    startListeners(world);
  } catch (error) {
    reasons.delete(reason);
    throw error;
  }
  if (isTracking(world)) logMigration(world, true);
}

function startListeners(world: World): void {
  const started: ListenerRecord[] = [];
  for (const listener of allListeners(world)) {
    if (!isTracking(world)) return; // a callback has ended it
    if (!listener.isRegistered || listener.isTracking) continue;
    try {
      callTracking(listener);
      started.push(listener);
    } catch (cause) {
      stopListeners(world, started);
      const reason = cause instanceof Error ? cause.message : String(cause);
      const name = nameOf(world, listener.id);
      throw new DirtyLogError(`memory is not tracked: listener "${name}" refuses: ${reason}`, { cause });
    }
  }
}

function stopListeners(world: World, listeners: readonly ListenerRecord[]): void {
  for (const listener of listeners.toReversed()) callTracked(world, listener);
}

/**
 * Ends a reason. While the guest is stopped that waits until it runs again, since ending costs time in which it could
 * have run (G4).
 *
 * @throws {DirtyLogError} if the reason is not on.
 */
export function stopDirtyTracking(world: World, reason: TrackingReason): void {
  refuseWhileAsked(world, "dirty tracking");
  const { reasons, postponed, isGuestRunning } = tracking(world);
  if (!reasons.has(reason)) throw new DirtyLogError(`memory is not tracked for ${reason}, so that cannot stop`);
  if (isGuestRunning) endReason(world, reason);
  else postponed.add(reason);
}

function endReason(world: World, reason: TrackingReason): void {
  const { reasons } = tracking(world);
  reasons.delete(reason);
  if (isTracking(world)) return;
  logMigration(world, false);
  stopListeners(world, allListeners(world));
}

/**
 * Whether a guest runs; it does from the start. What was postponed happens as the first of the world's guests goes on.
 *
 * @param guest Owner of the machine that it runs on, if the world has several.
 */
export function setGuestRunning(world: World, isRunning: boolean, guest?: Owner): void {
  tracking(world).guests.set(guest ?? 0, isRunning);
  noteRunning(world);
}

/** The guest is gone. Without any guest nobody waits for one. */
export function forgetGuest(world: World, guest: Owner): void {
  if (tracking(world).guests.delete(guest)) noteRunning(world);
}

function noteRunning(world: World): void {
  const state = tracking(world);
  const { guests } = state;
  const isRunning = guests.size === 0 || [...guests.values()].includes(true);
  if (state.isGuestRunning === isRunning) return;
  state.isGuestRunning = isRunning;
  if (!isRunning) return;
  const due = [...state.postponed];
  state.postponed.clear();
  for (const reason of due) endReason(world, reason);
}

/** Why memory is tracked now. */
export function trackingReasons(world: World): TrackingReason[] {
  return [...tracking(world).reasons];
}

/** Every view is told, in one commit. */
function logMigration(world: World, on: boolean): void {
  transaction(world, () => writeTracking(world, on));
}
