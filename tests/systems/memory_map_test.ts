import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { DirtyClient } from "../../ecs/dirty_bitmap.ts";
import type { AddressSpace } from "../../ecs/address_space.ts";
import type { Owner } from "../../ecs/owner.ts";
import { createGuestMemory } from "../../ecs/ram_block.ts";
import type { Region } from "../../ecs/region.ts";
import { createWorld, type World } from "../../ecs/world.ts";
import { TopologyError } from "../../systems/admission.ts";
import { addCoalescing } from "../../systems/coalesced.ts";
import { setLog } from "../../systems/dirty_log.ts";
import { drop, reference } from "../../systems/finalize.ts";
import { addIoEvent, createNotifier } from "../../systems/io_event.ts";
import { map } from "../../systems/map.ts";
import { type MemoryMap, memoryMap, type RegionEntry } from "../../systems/memory_map.ts";
import { createResizableRam } from "../../systems/ram_kinds.ts";
import { readScope } from "../../systems/scope.ts";
import { createAddressSpace, registerListener } from "../../systems/address_spaces.ts";
import {
  createAlias,
  createContainer,
  createMmio,
  createOwner,
  createRam,
  createReservation,
  createRom,
  createRomDevice,
} from "../../systems/create_region.ts";
import {
  addSubregion,
  setAddress,
  setEnabled,
  setNonvolatile,
  setReadonly,
  setRomd,
  setUnmergeable,
} from "../../systems/topology.ts";
import { Machine } from "../scenarios/machine.ts";

/** As a program on the other side of a pipe has it. */
function received(world: World): MemoryMap {
  return JSON.parse(JSON.stringify(memoryMap(world)));
}

/** Makes a world with the same topology out of nothing but the map. */
function rebuild(plan: MemoryMap): World {
  assertEquals([plan.format, plan.version], ["freehold memory map", 1]);
  const world = createWorld();
  const made = new Map<number, number>();
  const ownerOf = (id: number | null) => (id === null ? undefined : made.get(id)) as Owner | undefined;
  for (const { id, name, owner } of plan.owners) made.set(id, createOwner(world, { name, owner: ownerOf(owner) }));
  for (const entry of plan.regions) {
    const region = rebuildRegion(world, entry, ownerOf(entry.owner), made);
    made.set(entry.id, region);
    setEnabled(world, region, entry.enabled);
    setReadonly(world, region, entry.readonly);
    setNonvolatile(world, region, entry.nonvolatile);
    setUnmergeable(world, region, entry.unmergeable);
    if (entry.kind === "romd") setRomd(world, region, entry.romd);
  }
  for (const { id, children } of plan.regions) {
    for (const child of children.toReversed()) {
      const { address, priority } = plan.regions.find((entry) => entry.id === child)!;
      addSubregion(world, made.get(id) as Region, BigInt(address!), made.get(child) as Region, { priority });
    }
  }
  for (const { id, name, root, owner } of plan.spaces) {
    made.set(id, createAddressSpace(world, { name, root: made.get(root!) as Region, owner: ownerOf(owner) }));
  }
  return world;
}

function rebuildRegion(
  world: World,
  { kind, name, size: bytes, alias }: RegionEntry,
  owner: Owner | undefined,
  made: ReadonlyMap<number, number>,
): Region {
  const options = { name, size: BigInt(bytes), owner };
  if (alias !== null) {
    return createAlias(world, { ...options, target: made.get(alias.target!) as Region, offset: BigInt(alias.offset) });
  }
  if (kind === "ram") return createRam(world, options);
  if (kind === "rom") return createRom(world, options);
  if (kind === "romd") return createRomDevice(world, { ...options, ops: {}, state: undefined });
  if (kind === "i/o") return createMmio(world, { ...options, ops: {}, state: undefined });
  return kind === "reservation" ? createReservation(world, options) : createContainer(world, options);
}

/** What spaces show, without handles. */
function shown({ views, regions, spaces }: MemoryMap): unknown {
  const name = (id: number) => [...regions, ...spaces].find((entry) => entry.id === id)?.name;
  return spaces.map((space) => [
    space.name,
    views[space.view]?.ranges.map(({ region, ...range }) => ({ ...range, region: name(region) })),
  ]);
}

function twoSpaces(m: Machine): AddressSpace {
  const low = m.container("low", m.owner, 2n ** 63n);
  const ram = m.ram("ram", m.owner, 0x4000);
  addSubregion(m.world, m.root, 2n ** 63n, low);
  addSubregion(m.world, low, 0x1000, ram, { priority: -1 });
  addSubregion(m.world, low, 0x2000, m.mmio("uart", m.owner, { size: 0x800 }), { priority: 2 });
  addSubregion(m.world, low, 0x2000, m.mmio("covered", m.owner, { size: 0x800 }), { priority: 2 });
  const mirror = m.alias("mirror", m.owner, ram, 0x800, 0x1000);
  addSubregion(m.world, m.root, 2n ** 64n - 0x1000n, mirror);
  setReadonly(m.world, mirror, true);
  const all = m.alias("all", m.owner, m.root, 0, 2n ** 64n);
  return createAddressSpace(m.world, { name: "dma", root: all, owner: m.owner });
}

Deno.test("W14 the memory map survives JSON, and the same map is made again out of it: 2^64, nesting, aliases, priorities", () => {
  const m = new Machine();
  twoSpaces(m);
  const plan = received(m.world);
  assertEquals(plan, memoryMap(m.world) as MemoryMap);
  const [view, ...others] = plan.views;
  assertEquals(others, [], "both spaces show the same view");
  assertEquals(view?.ranges.map(({ start, size, offset }) => [start, size, offset]), [
    ["0x8000000000001000", "0x1000", "0x0"],
    ["0x8000000000002000", "0x800", "0x0"],
    ["0x8000000000002800", "0x2800", "0x1800"],
    ["0xfffffffffffff000", "0x1000", "0x800"],
  ]);
  assertEquals(plan.regions.find(({ name }) => name === "system")?.size, "0x10000000000000000");
  const rebuilt = rebuild(plan);
  assertEquals(shown(received(rebuilt)), shown(plan));
  m.settle();
});

Deno.test("W14 random maps are made again out of their JSON", () => {
  const n = fc.noBias(fc.nat(0xffff));
  fc.assert(fc.property(fc.array(fc.tuple(n, n, n, n), { minLength: 4, maxLength: 30 }), (seeds) => {
    const m = new Machine();
    const regions = [m.root];
    for (const [a, b, c, d] of seeds) {
      const name = `r${regions.length}`;
      const target = regions[b % regions.length]!;
      const size = 0x10 << (c % 12);
      const region = [
        () => m.container(name, m.owner, size),
        () => m.ram(name, m.owner, size),
        () => m.mmio(name, m.owner, { size }),
        () => m.alias(name, m.owner, target, d % 0x400, c % 7 === 0 ? 2n ** 64n : size),
        () => createRom(m.world, { name, size, owner: m.owner }),
        () => createReservation(m.world, { name, size, owner: m.owner }),
      ][a % 6]!();
      regions.push(region);
      const container = regions[d % regions.length]!;
      try {
        const address = c % 5 === 0 ? 2n ** 64n - 0x800n : (c % 64) * 0x10;
        addSubregion(m.world, container, address, region, { priority: b % 3 - 1 });
      } catch (error) {
        assert(error instanceof TopologyError);
      }
      if (d % 9 === 0) setEnabled(m.world, region, false);
      if (d % 8 === 0) setReadonly(m.world, region, true);
      if (d % 11 === 0) setUnmergeable(m.world, region, true);
    }
    createAddressSpace(m.world, { name: "second", root: regions[seeds.length >> 1]!, owner: m.owner });
    const plan = received(m.world);
    assertEquals(shown(received(rebuild(plan))), shown(plan));
  }));
});

Deno.test("W14 the memory map says who owns, pins, follows and logs", () => {
  const m = new Machine({ debug: true });
  const device = m.own("nic");
  const backend = m.backend("backend");
  const memory = createGuestMemory(0x10000);
  const bar = m.ram("bar", device, 0x2000, memory);
  const store = createResizableRam(m.world, { name: "store", size: 0x1000, maximum: 0x3000, owner: backend, memory });
  const doorbell = m.mmio("doorbell", device);
  const lost = m.mmio("lost", device);
  setAddress(m.world, lost, 2n ** 64n - 1n);
  addSubregion(m.world, m.root, 0, bar);
  addSubregion(m.world, m.root, 0x8000, store);
  addSubregion(m.world, m.root, 0x4000, doorbell);
  const notifier = createNotifier(m.world, { name: "kick", owner: device, signal: () => {} });
  addIoEvent(m.world, doorbell, { offset: 8, size: 8, data: 2n ** 64n - 1n, notifier });
  addCoalescing(m.world, doorbell, 0x100, 0x10);
  setLog(m.world, bar, DirtyClient.VGA, true);
  const listener = registerListener(m.world, m.space, { name: "accel", priority: 10, owner: device, regionAdd() {} });
  const mapping = map(m.world, m.space, 0x10, 0x20, { holder: device });
  assert(mapping !== undefined);
  reference(m.world, backend, "callback", device);
  drop(m.world, device);
  const plan = readScope(m.world, "looker", () => received(m.world));
  const region = (name: string) => plan.regions.find((entry) => entry.name === name);
  const nic = plan.owners.find(({ name }) => name === "nic");
  assertEquals([nic?.isDevice, nic?.life, nic?.references.container], [true, "dropped", 2]);
  assertEquals(nic?.owner, plan.owners.find(({ name }) => name === "machine")?.id);
  assertEquals([region("bar")?.ram, region("store")?.ram], [
    { memory: 0, offset: "0x0", size: "0x2000", used: "0x2000", isBorrowed: false, isMigratable: true, log: ["VGA"] },
    { memory: 0, offset: "0x2000", size: "0x3000", used: "0x1000", isBorrowed: false, isMigratable: true, log: [] },
  ]);
  assertEquals(region("doorbell")?.ioEvents, [{ offset: "0x8", size: 8, data: "0xffffffffffffffff", notifier }]);
  assertEquals(region("doorbell")?.coalesced, [{ offset: "0x100", size: "0x10" }]);
  assertEquals([region("lost")?.address, region("lost")?.shownIn, region("bar")?.shownIn], [null, [], [m.space]]);
  assertEquals(
    plan.listeners.map(({ id, name, space, priority, callbacks }) => [id, name, space, priority, callbacks]),
    [
      [listener, "accel", m.space, 10, ["regionAdd"]],
    ],
  );
  assertEquals([plan.spaces[0]?.listeners, plan.spaces[0]?.bounce], [[listener], { limit: 4096, used: 0 }]);
  assertEquals(plan.pins.map(({ holder, target, kind, what }) => [holder, target, kind, what?.slice(0, 9)]), [
    [device, bar, "map", "a mapping"],
    [device, backend, "callback", undefined],
  ]);
  assert(plan.pins.every(({ site }) => site?.includes("memory_map_test.ts")), JSON.stringify(plan.pins));
  assertEquals(plan.readers.length, 1);
});
