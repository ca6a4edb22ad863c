/**
 * Call handler: an access that has come to a region's handlers. What stands before them (a tap, validity), then the
 * device's re-entrancy guard and a read scope around the call. A handler that throws is a fault of the model: the access
 * fails, and guard and scope are as before.
 */
import { type Frame, openInner, openOutermost, resetFrame } from "../ecs/epochs.ts";
import type { Range } from "../ecs/flat_view.ts";
import { resolve } from "../ecs/handle.ts";
import { guardAbove, type Owner, OwnerKind } from "../ecs/owner.ts";
import { type AccessSize, type Mmio, regions } from "../ecs/region.ts";
import type { Access, World } from "../ecs/world.ts";
import { lowBytes, MemTx } from "./access.ts";
import { handlerFault, warnReentry } from "./fault.ts";
import { isValid, readAdjusted, writeAdjusted } from "./handler.ts";
import { type HandlerWrite, interceptRead, interceptWrite, PASS } from "./intercept.ts";
import { commit } from "./transaction.ts";

const { ERROR, DECODE_ERROR, ACCESS_ERROR } = MemTx;

/**
 * Reads at an offset of a region by its handlers, if they may be called. What is rare is elsewhere: the engine inlines all
 * of an access into its caller while this, with what it calls, stays below 460 bytes of its code (11 ns instead of 17).
 */
export function readHandler(
  world: World,
  range: Range,
  mmio: Mmio,
  offset: number,
  size: AccessSize,
  attrs: number,
): number {
  if ((mmio.direct & size) === 0 || (offset & (size - 1)) !== 0) return readFitted(world, range, offset, size, attrs);
  const frame = enterHandler(world, range, mmio, attrs);
  if (frame === undefined) return 0;
  let low: number;
  try {
    low = lowBytes(mmio.ops.read!(mmio.state, offset, size, frame), size); // nothing is direct where there is none
  } catch (cause) {
    return failHandler(world, range, offset, size, cause);
  }
  leaveHandler(world, mmio);
  const { access } = world;
  access.hi = frame.hi;
  access.result = frame.result;
  return low;
}

/** As {@linkcode readHandler}, for a read that is not handed on as it is. */
function readFitted(world: World, range: Range, offset: number, size: AccessSize, attrs: number): number {
  const mmio = range.mmio!; // as the caller has it
  const tap = regions(world).tap[range.region];
  if (tap !== undefined) interceptRead(world, tap);
  if (!isValid(mmio, offset, size, false, attrs)) return fail(world.access, DECODE_ERROR);
  const frame = enterHandler(world, range, mmio, attrs);
  if (frame === undefined) return 0;
  let low: number;
  try {
    low = readAdjusted(mmio, offset, size, frame);
  } catch (cause) {
    return failHandler(world, range, offset, size, cause);
  }
  leaveHandler(world, mmio);
  world.access.hi = frame.hi;
  world.access.result = frame.result;
  return low;
}

/** A read that failed gives 0. */
export function fail(access: Access, result: number): number {
  access.hi = 0;
  access.result = result;
  return 0;
}

/** As {@linkcode readHandler}, for a write. Returns MemTx bits. */
export function writeHandler(
  world: World,
  range: Range,
  mmio: Mmio,
  offset: number,
  size: AccessSize,
  valueLo: number,
  valueHi: number,
  attrs: number,
): number {
  const isDirect = (mmio.direct & size) !== 0 && (offset & (size - 1)) === 0;
  if (!isDirect) {
    const outcome = admitWrite(world, range, mmio, offset, size, valueLo, valueHi, attrs);
    if (outcome !== PASS) return outcome;
  }
  const frame = enterHandler(world, range, mmio, attrs);
  if (frame === undefined) return world.access.result;
  try {
    if (isDirect) mmio.ops.write?.(mmio.state, offset, lowBytes(valueLo, size) >>> 0, size, frame);
    else writeAdjusted(mmio, offset, size, valueLo, valueHi, frame);
  } catch (cause) {
    failHandler(world, range, offset, size, cause, valueLo);
    return ERROR;
  }
  leaveHandler(world, mmio);
  return frame.result;
}

/** Writes that are not handed on as they are: PASS, or the outcome of one that goes no further. */
function admitWrite(
  world: World,
  range: Range,
  mmio: Mmio,
  offset: number,
  size: AccessSize,
  valueLo: number,
  valueHi: number,
  attrs: number,
): number {
  const tap = regions(world).tap[range.region];
  if (tap !== undefined) {
    const write = { world, range, mmio, offset, size, valueLo, valueHi, attrs };
    const result = interceptWrite(write, tap, deliver);
    if (result !== PASS) return result;
  }
  return isValid(mmio, offset, size, true, attrs) ? PASS : DECODE_ERROR;
}

/** A write that was collected reaches its handler; nobody is left to hear of its outcome. */
function deliver({ world, range, mmio, offset, size, valueLo, valueHi, attrs }: HandlerWrite): void {
  writeHandler(world, range, mmio, offset, size, valueLo, valueHi, attrs);
}

/**
 * Sets the re-entrancy flag of the range's device and opens a scope, as `enterScope` does; returns the access for the
 * handler that runs in it. undefined: a handler of the device runs already, and the access is refused (1.8.4).
 */
function enterHandler(world: World, range: Range, { guard }: Mmio, attrs: number): Frame | undefined {
  if (guard !== undefined) {
    if (guard.engaged) return refuse(world, range);
    guard.engaged = true;
  }
  const { epochs } = world;
  const frame = epochs.depth === 0 ? openOutermost(epochs) : openInner(epochs);
  return resetFrame(frame, range.region, attrs);
}

function refuse(world: World, range: Range): undefined {
  fail(world.access, ACCESS_ERROR);
  warnReentry(world, range);
}

/** The guard is alive here even if the handler dropped its device: the scope is still open (LC20). */
function leaveHandler(world: World, { guard }: Mmio): void {
  if (guard !== undefined) guard.engaged = false;
  const { epochs } = world;
  if (--epochs.depth === 0 && epochs.oldestRetired !== 0) commit(world);
}

/** A handler threw. What is wrong is said when guard and scope are as before (LC30). */
function failHandler(
  world: World,
  range: Range,
  offset: number,
  size: number,
  cause: unknown,
  written?: number,
): number {
  const fault = handlerFault(world, range, offset, size, written, cause);
  leaveHandler(world, range.mmio!); // it has a handler
  world.reportFault(fault);
  return fail(world.access, ERROR);
}

/** Sets the re-entrancy flag of a device outside of an access, for guarded bottom halves (S47). Returns what it was. */
export function engageGuard(world: World, owner: Owner): boolean {
  const guard = guardAbove(world, resolve(world, owner, OwnerKind));
  if (guard === undefined) return false;
  const former = guard.engaged;
  guard.engaged = true;
  return former;
}

/** Puts the flag back to what {@linkcode engageGuard} returned. */
export function restoreGuard(world: World, owner: Owner, former: boolean): void {
  const guard = guardAbove(world, resolve(world, owner, OwnerKind));
  if (guard !== undefined) guard.engaged = former;
}
