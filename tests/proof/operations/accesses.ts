/** Accesses: reads and writes through spaces and IOMMUs, and the handlers and notifiers that they reach. */
import { assertEquals } from "@std/assert";
import { Permission } from "../../../ecs/iommu.ts";
import { Attrs, MemTx } from "../../../systems/access.ts";
import { dispatchRead, dispatchWrite } from "../../../systems/dispatch.ts";
import type { Machine, Room, Step } from "../machine.ts";
import { guardOf, hasHandlers, type SpaceModel } from "../model/facts.ts";
import { isCollectable, noteCollected } from "./coalescing.ts";
import { whileWriting } from "./handlers.ts";
import { bytesOf, expectedRead, locate, storeModel } from "./places.ts";
import { addressOf, living, nested, pick } from "../picks.ts";

export type AccessWidth = 1 | 2 | 4;
const WIDTHS: readonly AccessWidth[] = [4, 1, 4, 2];

export const room: Room = {
  anywhere: [
    (machine, [, a, b, c]) => {
      read(machine, pick(living(machine), a), accessed(b, c), pick(WIDTHS, b) ?? 4, b % 3 === 0 ? Attrs.MEMORY : 0);
    },
    (machine, [, a, b, c]) => {
      write(machine, pick(living(machine), a), accessed(b, c), pick(WIDTHS, b) ?? 4, nested([0, a, b, c]));
    },
  ],
  outside: [
    (machine, [, a, b, c]) => write(machine, pick(living(machine), a), accessed(b, c), 4, nested([0, a, b, c])),
    (machine, [, a, b, c]) => write(machine, pick(living(machine), a), accessed(b, c), 4, nested([1, a, b, c])),
  ],
};

function accessed(b: number, c: number): number {
  return addressOf(c) + (b >> 4) % 4 * 4;
}

function read(
  machine: Machine,
  space: SpaceModel | undefined,
  address: number,
  size: AccessWidth,
  attrs: number,
): void {
  if (space === undefined) return;
  machine.attempt(`read ${size} bytes of ${space.name} at ${address}`, true, () => {
    const place = locate(machine, machine.view(space), address, Permission.READ);
    const [value, result] = expectedRead(machine, place, size, attrs);
    const found = dispatchRead(machine.world, space.handle, 0, address, size, attrs);
    assertEquals([found >>> 0, machine.world.access.result], [value, result], `${size} bytes at ${address}`);
  });
}

function write(machine: Machine, space: SpaceModel | undefined, address: number, size: AccessWidth, step: Step): void {
  if (space === undefined) return;
  const value = ++machine.values % 2 ** (8 * size);
  machine.attempt(`write ${size} bytes to ${space.name} at ${address}`, true, () => {
    const place = locate(machine, machine.view(space), address, Permission.WRITE);
    const { range, offset, hops } = place;
    if (range === undefined || !hasHandlers(range.region)) {
      const result = dispatchWrite(machine.world, space.handle, 0, address, size, value);
      return assertEquals(result, storeModel(machine, place, bytesOf(value, size)), `write at ${address}`);
    }
    const { region } = range;
    const isCollected = hops === 0 && isCollectable(machine, region, offset, size, value);
    const expected = isCollected || !machine.engaged.has(guardOf(region)) ? MemTx.OK : MemTx.ACCESS_ERROR;
    const writes = [{ offset, size, value }];
    const left = whileWriting(machine, { region, writes, step }, () => {
      assertEquals(
        dispatchWrite(machine.world, space.handle, 0, address, size, value),
        expected,
        `write at ${address}`,
      );
    });
    assertEquals(left.length, isCollected || expected !== MemTx.OK ? 1 : 0, "writes that nobody saw");
    if (isCollected) noteCollected(machine, region, offset, value, step);
  });
}
