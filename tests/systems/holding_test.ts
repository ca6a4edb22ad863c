/** What is open between two calls, and what pins beside it: each ends on its own. */
import { assert, assertEquals } from "@std/assert";
import { isAlive } from "../../ecs/handle.ts";
import { DIRTY_PAGE, DirtyClient } from "../../ecs/dirty_bitmap.ts";
import { createWorld } from "../../ecs/world.ts";
import { getDirty, resetDirty, setLog } from "../../systems/dirty_log.ts";
import { drop, reference, release } from "../../systems/finalize.ts";
import { audit } from "../../systems/inspect.ts";
import { map, unmap } from "../../systems/map.ts";
import { createAddressSpace, destroyAddressSpace } from "../../systems/address_spaces.ts";
import { createContainer, createMmio, createOwner, createRam } from "../../systems/create_region.ts";

Deno.test("a pin that a holder gives back is its own, not that of what it has mapped of the same region", () => {
  const world = createWorld();
  const owner = createOwner(world, { name: "device" });
  const region = createMmio(world, { name: "registers", size: 16, owner, ops: {}, state: undefined });
  const space = createAddressSpace(world, { name: "memory", root: region, owner });
  reference(world, region, "map", owner);
  const mapping = map(world, space, 0, 4, { holder: owner });
  assert(mapping !== undefined);
  release(world, region, "map", owner);
  audit(world);
  unmap(world, mapping);
  drop(world, owner);
  assert(!isAlive(world, owner), "nothing is pinned any more");
});

Deno.test("a mapping outlives its address space, and is none of the next space that has its id", () => {
  const world = createWorld();
  const owner = createOwner(world, { name: "device" });
  const root = createContainer(world, { name: "root", size: 16 });
  const dma = createAddressSpace(world, { name: "dma", root, owner });
  const mapping = map(world, dma, 0, 4);
  assert(mapping !== undefined);
  drop(world, owner);
  const spaces = Array.from({ length: 3 }, (_, at) => createAddressSpace(world, { name: `space ${at}`, root }));
  audit(world);
  for (const space of spaces) destroyAddressSpace(world, space);
  assertEquals(mapping.describe(), 'a mapping of 4 bytes at 0x0 of "dma"');
  unmap(world, mapping);
  audit(world);
});

Deno.test("what is written through a mapping is logged when it is unmapped, as far as it was written", () => {
  const world = createWorld();
  const owner = createOwner(world, { name: "machine" });
  const ram = createRam(world, { name: "ram", size: 3 * DIRTY_PAGE, owner });
  const space = createAddressSpace(world, { name: "memory", root: ram, owner });
  setLog(world, ram, DirtyClient.VGA, true);
  resetDirty(world, ram, 0, 3 * DIRTY_PAGE, DirtyClient.VGA);
  const mapping = map(world, space, 0, 3 * DIRTY_PAGE, { isWrite: true });
  assert(mapping !== undefined);
  unmap(world, mapping, DIRTY_PAGE + 1);
  const isDirty = (page: number) => getDirty(world, ram, page * DIRTY_PAGE, 1, DirtyClient.VGA);
  assertEquals([0, 1, 2].map(isDirty), [true, true, false]);
});
