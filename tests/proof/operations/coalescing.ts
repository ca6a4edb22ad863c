/** Coalescing: ranges in which writes are collected, and the ring that they wait in. */
import { assertEquals } from "@std/assert";
import { resolve } from "../../../ecs/handle.ts";
import { RegionKind, regions } from "../../../ecs/region.ts";
import { addCoalescing, clearCoalescing, setCoalescing, setFlushCoalesced } from "../../../systems/coalesced.ts";
import { drainCoalesced } from "../../../systems/coalesced_ring.ts";
import type { Machine, Operation, Room, Step } from "../machine.ts";
import { type ExtentModel, guardOf, hasHandlers, type RegionModel } from "../model/facts.ts";
import { matchingEvent } from "./handlers.ts";
import { pickKind } from "../picks.ts";

export const RING = 3;

export const room: Room = {
  anywhere: [
    drained((machine, [, a, b, c]) => coalesce(machine, pickKind(machine, a, "mmio", "romDevice"), b, c)),
    drained((machine, [, a, b]) => flush(machine, pickKind(machine, a, "mmio", "romDevice"), b % 2 === 0)),
  ],
  outside: [(machine, step) => void (step[1] % 2 === 0 && drain(machine))],
};

/** Handlers of collected writes could end what an operation is on, in the middle of it: they come first. */
export function drained(operation: Operation): Operation {
  return (machine, step) => {
    drain(machine);
    operation(machine, step);
  };
}

export function drain(machine: Machine): void {
  if (machine.collected.length === 0) return;
  machine.attempt("deliver what was collected", true, () => {
    const before = machine.collected.length;
    const delivered = drainCoalesced(machine.world);
    // Handlers may have ended a device, with what was written to it.
    if (machine.collected.length > 0) assertEquals(before - machine.collected.length, delivered, "delivered writes");
  });
  machine.after();
}

function coalesce(machine: Machine, region: RegionModel | undefined, b: number, c: number): void {
  if (region === undefined) return;
  const { world } = machine;
  const { handle } = region;
  const become = (extents: readonly ExtentModel[], drains: boolean) => Object.assign(region, { extents, drains });
  if (c % 4 === 0) {
    machine.attempt(`all of ${region.name} is coalesced`, true, () => {
      machine.change(region, () => become([{ start: 0, end: region.size }], true), () => setCoalescing(world, handle));
    });
  } else if (c % 4 === 1) {
    machine.attempt(`nothing of ${region.name} is coalesced`, true, () => {
      machine.change(region, () => become([], false), () => clearCoalescing(world, handle));
    });
  } else {
    const start = (b % 16) * 0x100 + (c % 5);
    const size = 4 + (c % 7) * 0x80;
    const extents = [...region.extents, { start, end: start + size }];
    machine.attempt(`${size} bytes of ${region.name} at ${start} are coalesced`, true, () => {
      machine.change(region, () => become(extents, true), () => addCoalescing(world, handle, start, size));
    });
  }
}

function flush(machine: Machine, region: RegionModel | undefined, value: boolean): void {
  if (region === undefined) return;
  machine.attempt(`accesses to ${region.name} ${value ? "" : "do not "}deliver what was collected`, true, () => {
    const note = () => region.drains = value || region.extents.length > 0;
    machine.change(region, note, () => setFlushCoalesced(machine.world, region.handle, value));
  });
}

/** Whether a write waits in the ring: only one from outside of all accesses does. */
export function isCollectable(
  machine: Machine,
  region: RegionModel,
  offset: number,
  size: number,
  value: number,
): boolean {
  if (machine.depth > 0 || machine.collected.length >= RING) return false;
  return matchingEvent(region, offset, size, value) === undefined &&
    region.extents.some(({ start, end }) => start <= offset && offset + size <= end);
}

export function noteCollected(
  machine: Machine,
  region: RegionModel,
  offset: number,
  value: number,
  step: Step,
): void {
  machine.collected.push({ region, offset, value, guard: guardOf(region), step });
}

/** Who delivers what was collected is known before any access tells. */
export function compareDrains({ world, regions: models }: Machine): void {
  for (const region of models) {
    if (!hasHandlers(region)) continue;
    const drains = regions(world).tap[resolve(world, region.handle, RegionKind)]?.drains ?? false;
    assertEquals(drains, region.drains, `whether accesses to ${region.name} deliver what was collected`);
  }
}
