import { assertEquals } from "@std/assert";
import { createGuestMemory } from "../../ecs/ram_block.ts";
import { createWorld } from "../../ecs/world.ts";
import { dispatchFind } from "../../systems/find.ts";
import { createAddressSpace } from "../../systems/address_spaces.ts";
import { createAlias, createContainer, createMmio, createRam, createRom, ramOf } from "../../systems/create_region.ts";
import { addSubregion } from "../../systems/topology.ts";

Deno.test("a TLB fill learns where in the guest memory an address is, and whether its whole page may be mapped", () => {
  const world = createWorld();
  const memory = createGuestMemory(0x100000);
  const root = createContainer(world, { name: "system", size: 2n ** 64n });
  const space = createAddressSpace(world, { name: "memory", root });
  const rom = createRom(world, { name: "rom", size: 0x1000, memory });
  const ram = createRam(world, { name: "ram", size: 0x4000, memory });
  addSubregion(world, root, 0x80000000, ram);
  addSubregion(world, root, 2n ** 64n - 0x1000n, rom);
  const registers = createMmio(world, { name: "x", size: 0x100, ops: {}, state: undefined });
  addSubregion(world, root, 0x80002000, registers, { priority: 1 });
  const odd = createAlias(world, { name: "odd", target: ram, offset: 0x10, size: 0x1000 });
  addSubregion(world, root, 0x1000, odd);
  const find = (hi: number, lo: number) => ({ ...dispatchFind(world, space, hi, lo) });
  const base = ramOf(world, ram).offset;

  const inside = { region: ram, isRam: true, readonly: false, memory, ramOffset: base + 0x1234, pageInsideRange: true };
  assertEquals(find(0, 0x80001234 | 0), inside);
  assertEquals(find(0, 0x80002204 | 0), { ...inside, ramOffset: base + 0x2204, pageInsideRange: false });
  assertEquals(find(0, 0x1008), { ...inside, ramOffset: base + 0x18, pageInsideRange: false });
  const last = find(-1, -1);
  assertEquals([last.region, last.isRam, last.readonly, last.pageInsideRange], [rom, true, true, true]);
  assertEquals(last.ramOffset, ramOf(world, rom).offset + 0xfff);
  assertEquals([find(0, 0x80002000 | 0).region, find(0, 0x80002000 | 0).isRam], [registers, false]);
  assertEquals(find(1, 0).region, undefined);
});
