/** RAM that is resized. */
import { assertEquals, assertThrows } from "@std/assert";
import { DIRTY_PAGE, DirtyClient } from "../../ecs/dirty_bitmap.ts";
import { createWorld } from "../../ecs/world.ts";
import {
  getDirty,
  markDirty,
  resetDirty,
  setLog,
  snapshotAndClear,
  snapshotGetDirty,
} from "../../systems/dirty_log.ts";
import { drop, LifetimeError, reference } from "../../systems/finalize.ts";
import { createResizableRam, resizeRam } from "../../systems/ram_kinds.ts";
import { addRamNotifier } from "../../systems/ram_notifier.ts";
import { createOwner } from "../../systems/create_region.ts";

const { VGA } = DirtyClient;

Deno.test("RAM that was dropped and is pinned is not resized, and nothing has changed", () => {
  const world = createWorld();
  const owner = createOwner(world, { name: "machine" });
  const options = { name: "ram", size: DIRTY_PAGE, maximum: 2 * DIRTY_PAGE, owner };
  const ram = createResizableRam(world, options);
  const told: number[] = [];
  addRamNotifier(world, { name: "follower", resized: (_, __, after) => told.push(after) });
  resetDirty(world, ram, 0, DIRTY_PAGE, VGA);
  reference(world, ram, "map");
  drop(world, ram);
  assertThrows(() => resizeRam(world, ram, 2 * DIRTY_PAGE), LifetimeError, '"ram"');
  assertEquals(told, []);
  assertEquals(getDirty(world, ram, 0, 2 * DIRTY_PAGE, VGA), false);
});

Deno.test("what is stored beyond the size of resizable RAM is not dirty, in a snapshot neither", () => {
  const world = createWorld();
  const ram = createResizableRam(world, { name: "ram", size: DIRTY_PAGE, maximum: 3 * DIRTY_PAGE });
  setLog(world, ram, VGA, true);
  resetDirty(world, ram, 0, DIRTY_PAGE, VGA);
  markDirty(world, ram, 0, 3 * DIRTY_PAGE);
  const taken = snapshotAndClear(world, ram, 0, 3 * DIRTY_PAGE, VGA);
  assertEquals([0, 1, 2].map((page) => snapshotGetDirty(taken, page * DIRTY_PAGE, 1)), [true, false, false]);
});
