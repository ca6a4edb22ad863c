/**
 * Speed of the dirty logs: marking pages, and taking the bits of 1 GiB (262,144 pages, 32 KiB of bits).
 *
 *     deno bench bench/dirty_bench.ts
 */
import { DIRTY_PAGE, DirtyClient, markBytes } from "../ecs/dirty_bitmap.ts";
import { createWorld } from "../ecs/world.ts";
import { dispatchWrite } from "../systems/dispatch.ts";
import { markDirty, snapshotAndClear } from "../systems/dirty_log.ts";
import { startDirtyTracking } from "../systems/dirty_tracking.ts";
import { createAddressSpace } from "../systems/address_spaces.ts";
import { createContainer, createOwner, createRam, ramOf } from "../systems/create_region.ts";
import { addSubregion } from "../systems/topology.ts";

const GIB = 2 ** 30;
const MARKS = 1 << 16;
/** Bytes that stores go to: few enough that the host's caches hold them. */
const NEAR = 2 ** 18;
/** Stride that reaches all pages in no simple order. */
const STRIDE = 40_503 * DIRTY_PAGE;

function machine() {
  const world = createWorld();
  const owner = createOwner(world, { name: "machine" });
  const root = createContainer(world, { name: "system", size: 2n ** 64n, owner });
  const space = createAddressSpace(world, { name: "memory", root, owner });
  const ram = createRam(world, { name: "ram", size: GIB, owner });
  addSubregion(world, root, 0, ram);
  return { world, space, ram };
}

const clean = machine();
const tracked = machine();
startDirtyTracking(tracked.world, "migration");
const take = () => snapshotAndClear(tracked.world, tracked.ram, 0, GIB, DirtyClient.MIGRATION);
take();
const log = ramOf(tracked.world, tracked.ram).dirty;

Deno.bench(`mark ${MARKS} pages`, { group: "mark" }, () => {
  for (let i = 0, offset = 0; i < MARKS; i++) {
    markBytes(log, offset, 8);
    offset += STRIDE;
    if (offset >= GIB) offset -= GIB;
  }
});

for (const [name, { world, space }] of Object.entries({ clean, tracked })) {
  Deno.bench(`store to ${MARKS} pages, ${name}`, { group: "mark" }, () => {
    for (let i = 0, offset = 0; i < MARKS; i++) {
      dispatchWrite(world, space, 0, offset, 4, i);
      offset = (offset + STRIDE) & (NEAR - 1);
    }
  });
}

Deno.bench("snapshot and clear 1 GiB, all clean", { group: "snapshot" }, () => {
  take();
});

Deno.bench("snapshot and clear 1 GiB, all dirty", { group: "snapshot" }, () => {
  markDirty(tracked.world, tracked.ram, 0, GIB);
  take();
});

Deno.bench("snapshot and clear 1 GiB, every other page dirty", { group: "snapshot" }, (b) => {
  for (let offset = 0; offset < GIB; offset += 2 * DIRTY_PAGE) markBytes(log, offset, 1);
  b.start();
  take();
  b.end();
});
