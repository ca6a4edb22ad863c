/** Numbers of mappings, caches and IOMMU regions. Compare with the calibration loop of `memory_bench.ts` in the same run. */
import { Permission } from "../ecs/iommu.ts";
import { createWorld } from "../ecs/world.ts";
import { cacheRead, createCache, destroyCache } from "../systems/cache.ts";
import { dispatchRead } from "../systems/dispatch.ts";
import { createIommu } from "../systems/iommu.ts";
import { map, unmap } from "../systems/map.ts";
import { createAddressSpace } from "../systems/address_spaces.ts";
import { createAlias, createContainer, createMmio, createOwner, createRam } from "../systems/create_region.ts";
import { addSubregion } from "../systems/topology.ts";

const world = createWorld();
const owner = createOwner(world, { name: "machine" });
const root = createContainer(world, { name: "system", size: 2 ** 64, owner });
addSubregion(world, root, 0, createRam(world, { name: "ram", size: 0x100000, owner }));
for (let i = 0; i < 500; i++) {
  const ops = { read: (state: { value: number }, offset: number) => state.value + offset };
  const region = createMmio(world, { name: `registers ${i}`, size: 0x1000, owner, ops, state: { value: i } });
  addSubregion(world, root, 0x10000000 + i * 0x2000, region);
}
const memory = createAddressSpace(world, { name: "memory", root, owner });

/** A device whose table has one level, as an IOTLB that hits. */
const pages = new Map<
  number,
  { target: typeof memory; hi: number; lo: number; pageSize: number; permission: number }
>();
for (let page = 0; page < 256; page++) {
  const lo = page < 128 ? page * 0x1000 : 0x10000000 + page * 0x2000;
  pages.set(page, { target: memory, hi: 0, lo, pageSize: 0x1000, permission: Permission.READ_WRITE });
}
const iommu = createIommu(world, {
  name: "iommu",
  size: 2 ** 64,
  owner,
  ops: { translate: (table: typeof pages, _hi, lo) => table.get(lo >>> 12) },
  state: pages,
});
const behind = createAddressSpace(world, { name: "behind", root: iommu, owner });

Deno.bench("100 reads of RAM", { group: "iommu" }, () => {
  for (let i = 0; i < 100; i++) dispatchRead(world, memory, 0, i * 0x400, 4);
});
Deno.bench("100 reads of RAM through an IOMMU", { group: "iommu" }, () => {
  for (let i = 0; i < 100; i++) dispatchRead(world, behind, 0, i * 0x400, 4);
});
Deno.bench("100 MMIO reads", { group: "iommu" }, () => {
  for (let i = 0; i < 100; i++) dispatchRead(world, memory, 0, 0x10000000 + i * 0x2000, 4);
});
Deno.bench("100 MMIO reads through an IOMMU", { group: "iommu" }, () => {
  for (let i = 0; i < 100; i++) dispatchRead(world, behind, 0, (128 + i) * 0x1000, 4);
});

Deno.bench("map and unmap RAM", { group: "map" }, () => {
  const mapping = map(world, memory, 0x1000, 0x1000, { isWrite: true });
  if (mapping !== undefined) unmap(world, mapping);
});
Deno.bench("map and unmap RAM for a holder", { group: "map" }, () => {
  const mapping = map(world, memory, 0x1000, 0x1000, { isWrite: true, holder: owner });
  if (mapping !== undefined) unmap(world, mapping);
});
Deno.bench("map and unmap 64 bytes of a device", { group: "map" }, () => {
  const mapping = map(world, memory, 0x10000000, 64);
  if (mapping !== undefined) unmap(world, mapping);
});

const window = createAlias(world, { name: "window", target: root, offset: 0, size: 2 ** 63, owner });
const other = createAddressSpace(world, { name: "other", root: window, owner });
Deno.bench("make and destroy the first cache on a view of 501 ranges", { group: "cache" }, () => {
  destroyCache(world, createCache(world, other, 0, 64));
});
const held = createCache(world, memory, 0x2000, 0x1000);
Deno.bench("make and destroy another cache on it", { group: "cache" }, () => {
  destroyCache(world, createCache(world, memory, 0, 64));
});
const bytes = new Uint8Array(16);
Deno.bench("read 16 bytes through a cache", { group: "cache" }, () => {
  cacheRead(world, held, 64, bytes);
});
