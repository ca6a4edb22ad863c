/**
 * Intercept: what happens to an access before the handlers of a region with a tap: collected writes are delivered, a
 * write to a coalesced range is collected, and one that an io event is for sets its notifier. All this is before the
 * re-entrancy guard (1.8.3).
 */
import { formatAddress } from "../ecs/address.ts";
import { coalescedRing } from "../ecs/coalesced_ring.ts";
import type { Range } from "../ecs/flat_view.ts";
import { nameOf, resolve } from "../ecs/handle.ts";
import { type IoEvent, matchIoEvent, NotifierKind } from "../ecs/io_event.ts";
import type { AccessSize, Mmio } from "../ecs/region.ts";
import type { Tap } from "../ecs/tap.ts";
import type { World } from "../ecs/world.ts";
import { Attrs, MemTx } from "./access.ts";
import { collectWrite, drainCoalesced } from "./coalesced_ring.ts";
import { enterScope, leaveScope, scopeDepth } from "./epoch.ts";
import { isValid } from "./handler.ts";
import { commit } from "./transaction.ts";

/** The access is the handlers' business. */
export const PASS = -1;

/** A notifier's `signal` threw; the write failed. */
export class NotifierError extends Error {
  override readonly name = "NotifierError";
}

/** Before a read: writes that were made before it are delivered before it. */
export function interceptRead(world: World, tap: Tap): void {
  if (tap.drains) drain(world);
}

/** A write on its way to a handler. */
export interface HandlerWrite {
  readonly world: World;
  readonly range: Range;
  readonly mmio: Mmio;
  readonly offset: number;
  readonly size: AccessSize;
  readonly valueLo: number;
  readonly valueHi: number;
  readonly attrs: number;
}

/** A write to be collected or to set a notifier returns its MemTx bits, any other {@linkcode PASS}. */
export function interceptWrite(write: HandlerWrite, tap: Tap, deliver: (write: HandlerWrite) => void): number {
  const { world, range, mmio, offset, size, valueLo, valueHi, attrs } = write;
  const { region } = range;
  const { guard } = mmio;
  let event = matchIoEvent(tap.ioEvents, offset, size, valueLo, valueHi);
  if (event === undefined && isCollectable(world, tap, offset, size, attrs)) {
    if (collectWrite(world, { region, guard, deliver: () => deliver(write) })) return MemTx.OK;
  }
  if (tap.drains && drain(world)) event = matchIoEvent(tap.ioEvents, offset, size, valueLo, valueHi);
  if (event === undefined || !isValid(mmio, offset, size, true, attrs)) return PASS;
  if (guard?.engaged && !world.policy.ioEventBypassesGuard) return PASS;
  return signal(world, range, event);
}

/** Only writes from outside of any access, such as a hart's: what handlers and DMA write must not be overtaken. */
function isCollectable(world: World, tap: Tap, offset: number, size: number, attrs: number): boolean {
  const { capacity, isDraining } = coalescedRing(world);
  if (capacity === 0 || isDraining || scopeDepth(world) > 0 || (attrs & Attrs.DEBUG) !== 0) return false;
  return tap.coalesced.some(({ start, end }) => offset >= start && offset + size <= end);
}

/** Whether anything was delivered. */
function drain(world: World): boolean {
  if (drainCoalesced(world) === 0) return false;
  if (scopeDepth(world) === 0) commit(world);
  return true;
}

function signal(world: World, range: Range, { notifier, offset }: IoEvent): number {
  const state = enterScope(world, range.region);
  try {
    notifier.signal();
    return MemTx.OK;
  } catch (cause) {
    const name = nameOf(world, resolve(world, notifier.handle, NotifierKind));
    const reason = cause instanceof Error ? cause.message : String(cause);
    const where = `at offset ${formatAddress(offset)} of "${nameOf(world, range.region)}"`;
    world.reportFault(new NotifierError(`notifier "${name}" threw when set by a write ${where}: ${reason}`, { cause }));
    return MemTx.ERROR;
  } finally {
    leaveScope(state);
    if (state.depth === 0) commit(world);
  }
}
