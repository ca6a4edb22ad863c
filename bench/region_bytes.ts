/** Bytes per region: what attached MMIO regions with shared handlers take, with their ranges in one view. Needs `--expose-gc`. */
import { createWorld } from "../ecs/world.ts";
import { createAddressSpace } from "../systems/address_spaces.ts";
import { createContainer, createMmio, createOwner } from "../systems/create_region.ts";
import { addSubregion } from "../systems/topology.ts";
import { transaction } from "../systems/transaction.ts";

/** Just below a power of two, so that columns, which double, have no room left over. */
const COUNT = 130_000;

function bytesInUse(): { heap: number; columns: number } {
  // Buffers that a collection finds are given back during the next one.
  for (let i = 0; i < 2; i++) (globalThis as { gc?: () => void }).gc?.();
  const { heapUsed, external } = Deno.memoryUsage();
  return { heap: heapUsed, columns: external };
}

const world = createWorld();
const owner = createOwner(world, { name: "machine", device: true });
const root = createContainer(world, { name: "system", size: 2 ** 64, owner });
createAddressSpace(world, { name: "memory", root, owner });
const ops = { read: () => 0 };
const before = bytesInUse();
transaction(world, () => {
  for (let i = 0; i < COUNT; i++) {
    const region = createMmio(world, { name: "registers", size: 0x1000, owner, ops, state: undefined });
    addSubregion(world, root, 0x10000000 + i * 0x2000, region);
  }
});
const after = bytesInUse();
const heap = Math.round((after.heap - before.heap) / COUNT);
const columns = Math.round((after.columns - before.columns) / COUNT);
console.log(`${COUNT} regions: ${heap + columns} bytes each (heap ${heap}, columns ${columns})`);
