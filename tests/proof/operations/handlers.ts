/** Handlers: what devices and notifiers hear of writes; each is heard by whom it is for, once, in its turn. */
import { assert } from "@std/assert";
import type { MmioOps } from "../../../ecs/region.ts";
import type { Machine, Pending, Step } from "../machine.ts";
import { guardOf, type IoEventModel, type NotifierModel, type RegionModel } from "../model/facts.ts";
import { registerValue } from "./places.ts";

/** Runs `body`, which makes writes to handlers; returns those that were not seen. */
export function whileWriting(machine: Machine, pending: Pending, body: () => void): Pending["writes"] {
  machine.pending.push(pending);
  body();
  assert(machine.pending.pop() === pending, "writes end in the order in which they began");
  return pending.writes;
}

/** The handlers of a region; there is none before the region is. */
export function handlersOf(machine: Machine, region: () => RegionModel | undefined): MmioOps<unknown> {
  return {
    read: (_, offset) => registerValue(offset),
    write(_, offset, value, size) {
      const written = region();
      assert(written !== undefined);
      handle(machine, written, offset, Number(value), size);
    },
  };
}

/** A handler is called: for a write that is under way, or for the first in the ring that may be delivered. */
function handle(machine: Machine, region: RegionModel, offset: number, value: number, size: number): void {
  const guard = guardOf(region);
  assert(!machine.engaged.has(guard), `${region.name} is entered again`);
  const direct = takePending(machine, region, offset, value);
  const step = direct?.step ?? takeCollected(machine, region, offset, value);
  if (direct !== undefined) {
    assert(matchingEvent(region, offset, size, value) === undefined, `a write is ${region.name}'s, not a notifier's`);
  }
  if (guard !== undefined) machine.engaged.add(guard);
  machine.depth++;
  machine.inside(direct === undefined ? "callback" : "handler", step);
  machine.depth--;
  machine.engaged.delete(guard);
}

/** A notifier is set. */
export function signalled(machine: Machine, notifier: NotifierModel): void {
  const pending = machine.pending.at(-1);
  const write = pending?.writes[0];
  assert(pending !== undefined && write !== undefined, `${notifier.name} is set by nothing`);
  const event = matchingEvent(pending.region, write.offset, write.size, write.value);
  assert(event?.notifier === notifier, `${notifier.name} is set instead of ${event?.notifier.name}`);
  pending.writes.shift();
  machine.depth++;
  machine.inside("handler", pending.step);
  machine.depth--;
}

function takePending(machine: Machine, region: RegionModel, offset: number, value: number): Pending | undefined {
  const pending = machine.pending.at(-1);
  const write = pending?.writes[0];
  if (pending?.region !== region || write?.offset !== offset || write.value !== value) return undefined;
  pending.writes.shift();
  return pending;
}

function takeCollected(machine: Machine, region: RegionModel, offset: number, value: number): Step {
  const first = machine.collected.find(({ guard }) => !machine.engaged.has(guard));
  const isFirst = first?.region === region && first.offset === offset && first.value === value;
  assert(first !== undefined && isFirst, `${region.name} hears of ${value} at ${offset}, which is not its turn`);
  machine.collected.splice(machine.collected.indexOf(first), 1);
  return first.step;
}
/** Which io event a write sets: at one place first those for any size, then for any value, then the oldest notifier. */
export function matchingEvent(
  region: RegionModel,
  offset: number,
  size: number,
  value: number,
): IoEventModel | undefined {
  const matching = region.events.filter((event) =>
    event.offset === offset && (event.size === 0 || event.size === size) &&
    (event.data === undefined || event.data === value)
  );
  const rank = ({ size, data, notifier }: IoEventModel) => [size, data === undefined ? 0 : 1, notifier.order];
  return matching.sort((a, b) => compareRanks(rank(a), rank(b)))[0];
}

function compareRanks(a: readonly number[], b: readonly number[]): number {
  for (const [at, value] of a.entries()) if (value !== b[at]) return value - (b[at] ?? 0);
  return 0;
}
