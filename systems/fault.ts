/** Fault: what goes wrong inside of handlers, said in one sentence that names device, region and offset. */
import { formatAddress } from "../ecs/address.ts";
import type { Range } from "../ecs/flat_view.ts";
import { nameOf } from "../ecs/handle.ts";
import { owners } from "../ecs/owner.ts";
import type { World } from "../ecs/world.ts";

/** A handler threw. The access failed; guard, scopes and transactions are as before (LC30). */
export class HandlerFaultError extends Error {
  override readonly name = "HandlerFaultError";
}

export function handlerFault(
  world: World,
  range: Range,
  offset: number,
  size: number,
  written: number | undefined,
  cause: unknown,
): HandlerFaultError {
  const doing = written === undefined
    ? `a read of ${size} bytes`
    : `a write of ${formatAddress(written >>> 0)} in ${size} bytes`;
  const reason = cause instanceof Error ? cause.message : String(cause);
  const message = `${describeRegion(world, range.region)} threw at ${doing} at ${formatAddress(offset)}: ${reason}`;
  return new HandlerFaultError(message, { cause });
}

/** S46: one line per device, ever. */
export function warnReentry(world: World, range: Range): void {
  const guard = range.mmio?.guard;
  if (guard === undefined || guard.warned) return;
  guard.warned = true;
  world.trace(`${describeRegion(world, range.region)} was accessed while a handler of the same device runs: refused`);
}

function describeRegion(world: World, region: number): string {
  const above = owners(world).owner[region]!;
  const name = `region "${nameOf(world, region)}"`;
  return above === 0 ? name : `${name} of "${nameOf(world, above)}"`;
}
