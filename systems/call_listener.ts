/** Call listener: one callback, whatever it does. */
import { nameOf } from "../ecs/handle.ts";
import { type ListenerRecord, writeTracked } from "../ecs/listener.ts";
import type { World } from "../ecs/world.ts";

/** A listener's callback threw; the others were served. */
export class ListenerError extends Error {
  override readonly name = "ListenerError";
}

/** A listener that was unregistered hears nothing; one that throws is reported and does not keep the others waiting. */
export function call(world: World, listener: ListenerRecord, callback: () => void): void {
  if (!listener.isRegistered) return;
  try {
    callback();
  } catch (cause) {
    reportThrown(world, listener, cause);
  }
}

export function reportThrown(world: World, listener: ListenerRecord, cause: unknown): void {
  const reason = cause instanceof Error ? cause.message : String(cause);
  world.reportFault(new ListenerError(`listener "${nameOf(world, listener.id)}" threw: ${reason}`, { cause }));
}

/** Tells a listener, once, that memory is tracked. @throws what the listener throws: it was not told then. */
export function callTracking(listener: ListenerRecord): void {
  if (listener.isTracking) return;
  writeTracked(listener, true); // it may end tracking at once
  try {
    listener.callbacks.logGlobalStart?.();
  } catch (refusal) {
    writeTracked(listener, false);
    throw refusal;
  }
}

/** Tells a listener that memory is tracked no longer, if it was told that it is. */
export function callTracked(world: World, listener: ListenerRecord): void {
  if (!listener.isTracking) return;
  writeTracked(listener, false);
  call(world, listener, () => listener.callbacks.logGlobalStop?.());
}
