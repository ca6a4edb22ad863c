/** What published views cost: a commit with and without one, and a reader's steps. 1000 ranges of memory. */
import { createGuestMemory } from "../ecs/ram_block.ts";
import type { Region } from "../ecs/region.ts";
import { createWorld } from "../ecs/world.ts";
import { openPublishedView } from "../systems/published_reader.ts";
import { publish } from "../systems/published_view.ts";
import { createAddressSpace } from "../systems/address_spaces.ts";
import { createContainer, createOwner, createRam } from "../systems/create_region.ts";
import { addSubregion, setAddress } from "../systems/topology.ts";
import { registerWorkerReader } from "../systems/worker_readers.ts";

const RANGES = 1000;
const STRIDE = 0x2000;

function build() {
  const world = createWorld();
  const owner = createOwner(world, { name: "machine" });
  const root = createContainer(world, { name: "system", size: 2 ** 32, owner });
  const space = createAddressSpace(world, { name: "memory", root, owner });
  const memory = createGuestMemory(RANGES * 0x1000);
  const regions: Region[] = [];
  for (let i = 0; i < RANGES; i++) {
    regions.push(createRam(world, { name: "ram", size: 0x1000, owner, memory }));
    addSubregion(world, root, i * STRIDE, regions[i]!);
  }
  let moves = 0;
  const move = () => {
    const at = moves++ % RANGES;
    setAddress(world, regions[at]!, at * STRIDE + (Math.floor(moves / RANGES) % 2) * 0x1000);
  };
  return { world, space, memory, move };
}

const plain = build();
const shown = build();
const { shared } = registerWorkerReader(shown.world, publish(shown.world, shown.space, shown.memory), "worker");
const view = openPublishedView(shared);

Deno.bench("a commit that moves one of 1000 ranges", { group: "commit", baseline: true }, plain.move);
Deno.bench("the same, published", { group: "commit" }, shown.move);

const COUNT = 1000;
const bytes = new Uint8Array(8);
Deno.bench(`${COUNT} × enter and leave`, { group: "reader" }, () => {
  for (let i = 0; i < COUNT; i++) {
    view.enter();
    view.leave();
  }
});
Deno.bench(`${COUNT} × find`, { group: "reader" }, () => {
  view.enter();
  for (let i = 0; i < COUNT; i++) view.find(((i * 0x9e37) % RANGES) * STRIDE);
  view.leave();
});
Deno.bench(`${COUNT} × read of 8 bytes`, { group: "reader" }, () => {
  view.enter();
  for (let i = 0; i < COUNT; i++) view.read(((i * 0x9e37) % RANGES) * STRIDE, bytes);
  view.leave();
});
