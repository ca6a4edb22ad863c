/** Soak: plugging and unplugging for ever costs nothing that stays. */
import { assert, assertEquals } from "@std/assert";
import { allSpaces } from "../../ecs/address_space.ts";
import { countRanges } from "../../ecs/flat_view.ts";
import { countEntities } from "../../ecs/handle.ts";
import type { Region } from "../../ecs/region.ts";
import { createWorld, type World } from "../../ecs/world.ts";
import { drop } from "../../systems/finalize.ts";
import { audit } from "../../systems/inspect.ts";
import { retiredQueue } from "../../systems/retire.ts";
import { createAddressSpace, registerListener } from "../../systems/address_spaces.ts";
import { createContainer, createMmio, createOwner } from "../../systems/create_region.ts";
import { addSubregion, delSubregion } from "../../systems/topology.ts";

const CYCLES = 20_000;
/** Bytes; the heap of the same cycles swings by less. */
const HEAP_NOISE = 8 * 2 ** 20;

/** Everything that could grow. */
function footprint(world: World) {
  const views = allSpaces(world).map((space) => countRanges(space.view));
  return { entities: countEntities(world), capacity: world.capacity, retired: retiredQueue(world).length, views };
}

Deno.test(`${CYCLES} plug and unplug cycles of a device with 10 regions leave no trace after the first 1000`, () => {
  const world = createWorld();
  const machine = createOwner(world, { name: "machine" });
  const root = createContainer(world, { name: "system", size: 2 ** 32, owner: machine });
  const space = createAddressSpace(world, { name: "memory", root, owner: machine });
  let shown = 0;
  registerListener(world, space, { name: "l", regionAdd: () => shown++, regionDel: () => shown-- });
  const cycle = () => {
    const device = createOwner(world, { name: "device", owner: machine, device: true });
    const regions: Region[] = [];
    for (let i = 0; i < 10; i++) {
      const region = createMmio(world, { name: "bar", size: 0x100, owner: device, ops: {}, state: undefined });
      addSubregion(world, root, i * 0x1000, region);
      regions.push(region);
    }
    for (const region of regions) delSubregion(world, root, region);
    drop(world, device);
  };
  for (let i = 0; i < 1000; i++) cycle();
  const before = footprint(world);
  const heap = Deno.memoryUsage().heapUsed;
  for (let i = 1000; i < CYCLES; i++) cycle();
  assertEquals(footprint(world), before);
  const growth = Deno.memoryUsage().heapUsed - heap;
  assert(growth < HEAP_NOISE, `the heap grew by ${growth} bytes`);
  assertEquals(shown, 0);
  audit(world);
});
