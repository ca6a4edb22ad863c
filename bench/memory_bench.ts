/**
 * Numbers of the memory core. The machine's speed changes from run to run: compare with the calibration loop, which is
 * a fixed piece of integer work, of the same run.
 */
import type { AddressSpace } from "../ecs/address_space.ts";
import type { Owner } from "../ecs/owner.ts";
import type { Region } from "../ecs/region.ts";
import { createWorld, type World } from "../ecs/world.ts";
import { dispatchRead } from "../systems/dispatch.ts";
import { drop } from "../systems/finalize.ts";
import { readScope } from "../systems/scope.ts";
import { transaction } from "../systems/transaction.ts";
import { createAddressSpace, registerListener } from "../systems/address_spaces.ts";
import { createAlias, createContainer, createMmio, createOwner, createRam } from "../systems/create_region.ts";
import { addSubregion, delSubregion, setAddress, setAliasOffset, setEnabled } from "../systems/topology.ts";

interface Machine {
  world: World;
  owner: Owner;
  root: Region;
  space: AddressSpace;
  regions: Region[];
}

const STRIDE = 0x2000;

/** Regions per measurement where the clock is too coarse for one. */
const BATCH = 100;

/** Commits before the first that counts, so that what is measured is compiled. */
const WARM = 20_000;

const NO_HANDLERS = {};

/** A machine with RAM at the bottom and `count` device registers above it; listeners of add and del. */
function machineOf(count: number): Machine {
  const world = createWorld();
  const owner = createOwner(world, { name: "machine" });
  const root = createContainer(world, { name: "system", size: 2 ** 64, owner });
  addSubregion(world, root, 0, createRam(world, { name: "ram", size: 0x100000, owner }));
  const regions: Region[] = [];
  for (let i = 0; i < count; i++) {
    const device = createOwner(world, { name: `device ${i}`, owner, device: true });
    const state = { value: i };
    const ops = handlersOf(i);
    const region = createMmio(world, { name: "registers", size: 0x1000, owner: device, ops, state });
    addSubregion(world, root, 0x10000000 + i * STRIDE, region);
    regions.push(region);
  }
  const space = createAddressSpace(world, { name: "memory", root, owner });
  let told = 0;
  registerListener(world, space, { name: "slots", regionAdd: () => told++, regionDel: () => told++ });
  return { world, owner, root, space, regions };
}

/** Four different handlers, as four kinds of device have. */
function handlersOf(i: number) {
  const handlers = [
    { read: (s: { value: number }, offset: number) => s.value + offset },
    { read: (s: { value: number }, offset: number) => s.value ^ offset },
    { read: (s: { value: number }, offset: number) => (s.value << 1) | (offset & 1) },
    { read: (s: { value: number }, offset: number) => s.value - offset },
  ];
  return handlers[i % 4]!; // the index is in range
}

function attach(world: World, root: Region, owner: Owner, address: number): Region {
  const region = createMmio(world, { name: "hot", size: 0x1000, owner, ops: NO_HANDLERS, state: undefined });
  addSubregion(world, root, address, region);
  return region;
}

function detach(world: World, root: Region, region: Region): void {
  delSubregion(world, root, region);
  drop(world, region);
}

let seed = 1;
Deno.bench("calibration: 1000 steps of a 32-bit generator", { group: "calibration" }, () => {
  for (let i = 0; i < 1000; i++) seed = (Math.imul(seed, 1664525) + 1013904223) | 0;
});

for (const count of [500, 10_000]) {
  const group = `one commit among ${count} regions, old view alive`;
  const machine = machineOf(count);
  const { world, owner, root, regions } = machine;
  const bar = regions[count >> 1]!; // there are at least two
  const bank = createAlias(world, { name: "bank", target: regions[1]!, offset: 0, size: 0x800, owner });
  addSubregion(world, root, 0x8000000, bank);
  let turn = 0;
  const changes = {
    "BAR move": () => setAddress(world, bar, (turn++ & 1) === 0 ? 0xf0000000 : 0x10000000 + (count >> 1) * STRIDE),
    "bank switch": () => setAliasOffset(world, bank, (turn++ & 1) * 0x800),
    "enable toggle": () => setEnabled(world, bar, (turn++ & 1) === 1),
  };
  for (const [name, change] of Object.entries(changes)) {
    const commit = () => readScope(world, "handler", change);
    for (let i = 0; i < WARM; i++) commit();
    Deno.bench(`${name}, ${count}`, { group }, commit);
  }
}

{
  const { world, space } = machineOf(500);
  const addresses = Array.from({ length: 4 }, (_, i) => 0x10000000 + i * STRIDE + 4);
  Deno.bench("100 MMIO reads, same device", { group: "dispatch" }, () => {
    for (let i = 0; i < 100; i++) dispatchRead(world, space, 0, 0x10000004, 4);
  });
  Deno.bench("100 MMIO reads, 4 devices mixed", { group: "dispatch" }, () => {
    for (let i = 0; i < 100; i++) dispatchRead(world, space, 0, addresses[(i * 7 + (i >> 3)) & 3]!, 4); // masked to 4
  });
}

{
  const { world, owner, root, regions } = machineOf(1000);
  const device = createOwner(world, { name: "batch", owner, device: true });
  let turn = 0;
  Deno.bench("64 moves in one transaction at 1000 regions", { group: "batches" }, () => {
    const to = (turn++ & 1) === 0 ? 0xf0000000 : 0x10000000;
    transaction(world, () => {
      for (let i = 0; i < 64; i++) setAddress(world, regions[i]!, to + i * STRIDE); // there are 1000
    });
  });
  for (const count of [1000, 100_000]) {
    Deno.bench(`finalize ${count} regions of one device`, { group: "batches", n: 3, warmup: 1 }, (bench) => {
      const doomed = createOwner(world, { name: "doomed", owner: device });
      const regions = Array.from({ length: count }, (_, i) => attach(world, root, doomed, 0x100000000 + i * STRIDE));
      transaction(world, () => regions.forEach((region) => delSubregion(world, root, region)));
      bench.start();
      drop(world, doomed);
      bench.end();
    });
  }
}

{
  const { world, owner, root } = machineOf(10_000);
  Deno.bench(`create and attach ${BATCH}, at 10 000 regions`, { group: "life" }, (bench) => {
    bench.start();
    const regions = Array.from({ length: BATCH }, (_, i) => attach(world, root, owner, 0xe0000000 + i * STRIDE));
    bench.end();
    for (const region of regions) detach(world, root, region);
  });
  Deno.bench(`detach and destroy ${BATCH}, at 10 000 regions`, { group: "life" }, (bench) => {
    const regions = Array.from({ length: BATCH }, (_, i) => attach(world, root, owner, 0xe0000000 + i * STRIDE));
    bench.start();
    for (const region of regions) detach(world, root, region);
    bench.end();
  });
}

{
  const { world, owner, root } = machineOf(100);
  Deno.bench("plug and unplug a device of 10 regions", { group: "life" }, () => {
    const device = createOwner(world, { name: "hot", owner, device: true });
    const regions: Region[] = [];
    for (let i = 0; i < 10; i++) {
      const region = createMmio(world, { name: "hot", size: 0x100, owner: device, ops: {}, state: undefined });
      addSubregion(world, root, 0xe0000000 + i * 0x1000, region);
      regions.push(region);
    }
    for (const region of regions) delSubregion(world, root, region);
    drop(world, device);
  });
}
