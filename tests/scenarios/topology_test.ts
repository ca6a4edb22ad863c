/** Scenarios of family 3.4, core topology: what is visible where. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import type { AddressSpace } from "../../ecs/address_space.ts";
import type { Owner } from "../../ecs/owner.ts";
import type { Region } from "../../ecs/region.ts";
import { createWorld, type World } from "../../ecs/world.ts";
import { MemTx } from "../../systems/access.ts";
import { CycleError, TopologyError } from "../../systems/admission.ts";
import { load, read, store, write, writeRom } from "../../systems/dma.ts";
import { audit } from "../../systems/inspect.ts";
import { mtree, mtreeJson, type RangeLine } from "../../systems/mtree.ts";
import { createAddressSpace } from "../../systems/address_spaces.ts";
import {
  createAlias,
  createContainer,
  createMmio,
  createOwner,
  createRam,
  createReservation,
  createRom,
  createRomDevice,
  ramOf,
} from "../../systems/create_region.ts";
import {
  addSubregion,
  delSubregion,
  setAddress,
  setAliasOffset,
  setEnabled,
  setNonvolatile,
  setReadonly,
  setRomd,
  setUnmergeable,
} from "../../systems/topology.ts";
import { transaction } from "../../systems/transaction.ts";

interface Machine {
  readonly world: World;
  readonly owner: Owner;
  readonly root: Region;
  readonly space: AddressSpace;
}

function machine(): Machine {
  const world = createWorld();
  const owner = createOwner(world, { name: "machine" });
  const root = createContainer(world, { name: "system", size: 2n ** 64n, owner });
  const space = createAddressSpace(world, { name: "memory", root, owner });
  return { world, owner, root, space };
}

/** MMIO that answers every byte with `id`. */
function answering({ world, owner }: Machine, name: string, id: number, size: number | bigint = 0x1000): Region {
  const ops = { read: () => id * 0x01010101 };
  return createMmio(world, { name, size, owner, ops, state: undefined });
}

function byteAt({ world, space }: Machine, address: number | bigint): number {
  return load(world, space, address, 1);
}

function ranges({ world }: Machine, space = 0): readonly RangeLine[] {
  const tree = mtreeJson(world)[space];
  assert(tree !== undefined);
  return tree.ranges;
}

Deno.test("S64 equal priority: the last one added wins; S65: a move goes to the top; S66: a toggle keeps the order", () => {
  const m = machine();
  const [a, b] = [answering(m, "a", 1), answering(m, "b", 2)];
  addSubregion(m.world, m.root, 0, a);
  addSubregion(m.world, m.root, 0, b);
  assertEquals(byteAt(m, 0), 2);
  transaction(m.world, () => {
    setAddress(m.world, a, 0x8000);
    setAddress(m.world, a, 0);
  });
  assertEquals(byteAt(m, 0), 1);
  setEnabled(m.world, a, false);
  assertEquals(byteAt(m, 0), 2);
  setEnabled(m.world, a, true);
  assertEquals(byteAt(m, 0), 1);
  audit(m.world);
});

Deno.test("S64, S65 with the policy turned round: the first one added wins, and a move keeps its place", () => {
  const world = createWorld({ policy: { equalPriority: "firstWins", moveReorders: false } });
  const root = createContainer(world, { name: "system", size: 0x10000 });
  const m = {
    world,
    owner: createOwner(world, { name: "o" }),
    root,
    space: createAddressSpace(world, { name: "s", root }),
  };
  const [a, b] = [answering(m, "a", 1), answering(m, "b", 2)];
  addSubregion(world, root, 0, a);
  addSubregion(world, root, 0, b);
  assertEquals(byteAt(m, 0), 1);
  setAddress(world, a, 0x2000);
  setAddress(world, a, 0);
  assertEquals(byteAt(m, 0), 1);
  audit(world);
});

Deno.test("S67 priority is local to the container", () => {
  const m = machine();
  const inner = createContainer(m.world, { name: "inner", size: 0x1000, owner: m.owner });
  addSubregion(m.world, inner, 0, answering(m, "x", 1), { priority: 100 });
  addSubregion(m.world, m.root, 0, inner, { priority: 1 });
  addSubregion(m.world, m.root, 0, answering(m, "y", 2), { priority: 2 });
  assertEquals(byteAt(m, 0), 2);
});

Deno.test("S68 a negative priority is a background", () => {
  const m = machine();
  addSubregion(m.world, m.root, 0, answering(m, "background", 9, 2n ** 64n), { priority: -1 });
  addSubregion(m.world, m.root, 0x1000, answering(m, "device", 1));
  assertEquals([byteAt(m, 0xfff), byteAt(m, 0x1000), byteAt(m, 0x2000)], [9, 1, 9]);
});

Deno.test("S69 children lie above the backing; S70 a hole of a container shows what is below", () => {
  const m = machine();
  const ram = createRam(m.world, { name: "ram", size: 0x4000, owner: m.owner });
  ramOf(m.world, ram).bytes.fill(7);
  addSubregion(m.world, ram, 0x1000, answering(m, "child", 1));
  addSubregion(m.world, m.root, 0, ram);
  assertEquals([byteAt(m, 0xfff), byteAt(m, 0x1000), byteAt(m, 0x2000)], [7, 1, 7]);
  const container = createContainer(m.world, { name: "holes", size: 0x4000, owner: m.owner });
  addSubregion(m.world, container, 0x3000, answering(m, "partial", 3));
  addSubregion(m.world, m.root, 0, container, { priority: 1 });
  assertEquals([byteAt(m, 0x2000), byteAt(m, 0x3000)], [7, 3]);
  audit(m.world);
});

Deno.test("S71 a region of 2^64 is one range, and its last byte answers", () => {
  const m = machine();
  const seen: number[] = [];
  const all = createMmio(m.world, {
    name: "all",
    size: 2n ** 64n,
    owner: m.owner,
    state: undefined,
    ops: { read: (_, offset) => (seen.push(offset), 5) },
  });
  addSubregion(m.world, m.root, 0, all);
  assertEquals(ranges(m).map((range) => [range.start, range.end]), [[0, 2 ** 64]]);
  assertEquals(byteAt(m, 2n ** 64n - 1n), 5);
  assertEquals(seen.length, 1);
});

Deno.test("S72 what runs over 2^64 is clipped", () => {
  const m = machine();
  addSubregion(m.world, m.root, 2n ** 64n - 0x1000n, answering(m, "top", 4, 0x2000));
  assertEquals(ranges(m).map(({ start, end, offset }) => [start, end - start, offset]), [[
    2 ** 64 - 0x1000,
    0x1000,
    0,
  ]]);
  assertEquals(byteAt(m, 2n ** 64n - 1n), 4);
  audit(m.world);
});

Deno.test("a region programmed to an address that a float cannot hold shows nothing, and comes back", () => {
  const m = machine();
  const lines: string[] = [];
  m.world.trace = (line) => lines.push(line);
  const bar = answering(m, "bar", 4, 0x100);
  addSubregion(m.world, m.root, 0x1000, bar);
  setAddress(m.world, bar, 2n ** 64n - 256n);
  assertEquals(ranges(m), []);
  assertEquals(lines.length, 1);
  audit(m.world);
  setAddress(m.world, bar, 0x2000);
  assertEquals(byteAt(m, 0x2000), 4);
  audit(m.world);
});

Deno.test("S73 an alias may show from the middle; S74 chained aliases add their offsets and clip", () => {
  const m = machine();
  const ram = createRam(m.world, { name: "ram", size: 0x8000, owner: m.owner });
  const { bytes } = ramOf(m.world, ram);
  bytes.forEach((_, at) => bytes[at] = at >> 8);
  const alias = (target: Region, offset: number, size: number) =>
    createAlias(m.world, { name: `+${offset}`, target, offset, size, owner: m.owner });
  addSubregion(m.world, m.root, 0, alias(ram, 0x1000, 0x1000));
  assertEquals(byteAt(m, 0), 0x10);
  addSubregion(m.world, m.root, 0x10000, alias(alias(alias(ram, 0x100, 0x6000), 0x200, 0x5000), 0x400, 0x800));
  assertEquals(byteAt(m, 0x10000), 0x7);
  assertEquals(ranges(m).map(({ end, start }) => end - start), [0x1000, 0x800]);
});

Deno.test("S76 an alias cannot come to show itself", () => {
  const m = machine();
  const container = createContainer(m.world, { name: "c", size: 0x1000, owner: m.owner });
  const alias = createAlias(m.world, { name: "a", target: container, offset: 0, size: 0x1000, owner: m.owner });
  const outer = createAlias(m.world, { name: "b", target: alias, offset: 0, size: 0x1000, owner: m.owner });
  const before = mtree(m.world);
  const error = assertThrows(() => addSubregion(m.world, container, 0, outer), CycleError);
  assertEquals(error.path, ["b", "a", "c", "b"]);
  assertEquals(mtree(m.world), before);
  audit(m.world);
});

Deno.test("S77 a container cannot come to contain itself; the refusal names the path and changes nothing", () => {
  const m = machine();
  const [c1, c2] = ["c1", "c2"].map((name) => createContainer(m.world, { name, size: 0x1000, owner: m.owner }));
  assert(c1 !== undefined && c2 !== undefined);
  addSubregion(m.world, c1, 0, c2);
  const error = assertThrows(() => addSubregion(m.world, c2, 0, c1), CycleError);
  assertEquals(error.path, ["c1", "c2", "c1"]);
  assertThrows(() => addSubregion(m.world, c1, 0, c1), CycleError, "c1 → c1");
  audit(m.world);
});

Deno.test("S78 an alias has no children; a second container is refused (C1)", () => {
  const m = machine();
  const ram = createRam(m.world, { name: "ram", size: 0x1000, owner: m.owner });
  const alias = createAlias(m.world, { name: "alias", target: ram, offset: 0, size: 0x1000, owner: m.owner });
  const region = answering(m, "x", 1);
  assertThrows(() => addSubregion(m.world, alias, 0, region), TopologyError, "an alias has no children");
  addSubregion(m.world, m.root, 0x4000, region);
  const other = createContainer(m.world, { name: "other", size: 0x1000, owner: m.owner });
  assertThrows(
    () => addSubregion(m.world, other, 0, region),
    TopologyError,
    '"x" to "other": it is in "system" at 0x4000',
  );
  assertThrows(() => delSubregion(m.world, other, region), TopologyError);
});

Deno.test("S79 an alias of a disabled target is a hole; S80 the target's own container does not matter", () => {
  const m = machine();
  const region = answering(m, "x", 6);
  const container = createContainer(m.world, { name: "c", size: 0x1000, owner: m.owner });
  addSubregion(m.world, container, 0, region);
  addSubregion(m.world, m.root, 0, container);
  setEnabled(m.world, container, false);
  addSubregion(
    m.world,
    m.root,
    0x8000,
    createAlias(m.world, { name: "a", target: region, offset: 0, size: 0x1000, owner: m.owner }),
  );
  assertEquals(byteAt(m, 0x8000), 6);
  setEnabled(m.world, region, false);
  load(m.world, m.space, 0x8000, 1);
  assertEquals(m.world.access.result, MemTx.DECODE_ERROR);
});

Deno.test("S81 readonly belongs to the path; S82 and is inherited from containers", () => {
  const m = machine();
  const ram = createRam(m.world, { name: "ram", size: 0x1000, owner: m.owner });
  addSubregion(m.world, m.root, 0, ram);
  const alias = createAlias(m.world, { name: "ro", target: ram, offset: 0, size: 0x1000, owner: m.owner });
  setReadonly(m.world, alias, true);
  const container = createContainer(m.world, { name: "c", size: 0x1000, owner: m.owner });
  addSubregion(m.world, container, 0, alias);
  addSubregion(m.world, m.root, 0x8000, container);
  assertEquals(store(m.world, m.space, 0, 4, 0x11223344), MemTx.OK);
  assertEquals(store(m.world, m.space, 0x8000, 4, 0), MemTx.DECODE_ERROR);
  assertEquals(load(m.world, m.space, 0x8000, 4), 0x11223344);
  setReadonly(m.world, alias, false);
  setReadonly(m.world, container, true);
  assertEquals(store(m.world, m.space, 0x8000, 4, 0), MemTx.DECODE_ERROR);
  setReadonly(m.world, container, false);
  assertEquals(store(m.world, m.space, 0x8000, 4, 9), MemTx.OK);
  assertEquals(load(m.world, m.space, 0, 4), 9);
});

Deno.test("S83 a readonly root that is looked through stays readonly (Q1)", () => {
  const m = machine();
  const ram = createRam(m.world, { name: "ram", size: 0x1000, owner: m.owner });
  const root = createAlias(m.world, { name: "ro", target: ram, offset: 0, size: 0x1000, owner: m.owner });
  setReadonly(m.world, root, true);
  const space = createAddressSpace(m.world, { name: "ro", root, owner: m.owner });
  assertEquals(store(m.world, space, 0, 4, 1), MemTx.DECODE_ERROR);
  setReadonly(m.world, root, false);
  assertEquals(store(m.world, space, 0, 4, 1), MemTx.OK);
  audit(m.world);
});

Deno.test("S83 [C] rootKeepsAttributes off: a readonly root that is looked through is forgotten, one that is not is kept", () => {
  const world = createWorld({ policy: { rootKeepsAttributes: false } });
  const owner = createOwner(world, { name: "machine" });
  const ram = createRam(world, { name: "ram", size: 0x1000, owner });
  const [whole, half] = [0x1000, 0x800].map((size) => {
    const root = createAlias(world, { name: `alias of ${size}`, target: ram, offset: 0, size, owner });
    setReadonly(world, root, true);
    return createAddressSpace(world, { name: "space", root, owner });
  });
  assertEquals([store(world, whole!, 0, 4, 1), store(world, half!, 0, 4, 1)], [MemTx.OK, MemTx.DECODE_ERROR]);
  audit(world);
});

Deno.test("S84 the root of a space is at 0, wherever it is contained (Q2)", () => {
  const m = machine();
  const region = answering(m, "x", 3);
  addSubregion(m.world, m.root, 0x1000, region);
  const space = createAddressSpace(m.world, { name: "own", root: region, owner: m.owner });
  assertEquals(load(m.world, space, 0, 1), 3);
  assertEquals(byteAt(m, 0x1000), 3);
});

Deno.test("S86 a ROM device in ROM mode reads as memory and writes through its handler; out of it both call handlers", () => {
  const m = machine();
  const writes: unknown[] = [];
  const flash = createRomDevice(m.world, {
    name: "flash",
    size: 0x1000,
    owner: m.owner,
    state: undefined,
    ops: { read: () => 0x55, write: (_, offset, value) => void writes.push([offset, value]) },
  });
  ramOf(m.world, flash).bytes.fill(0xee);
  addSubregion(m.world, m.root, 0, flash);
  assertEquals(store(m.world, m.space, 4, 1, 9), MemTx.OK);
  assertEquals([byteAt(m, 4), writes], [0xee, [[4, 9]]]);
  setRomd(m.world, flash, false);
  assertEquals(byteAt(m, 4), 0x55);
});

Deno.test("S87 neighbours are one range only if everything is equal, contiguous and mergeable", () => {
  const m = machine();
  const ram = createRam(m.world, { name: "ram", size: 0x4000, owner: m.owner });
  const [a, b] = [0, 0x1000].map((offset) =>
    createAlias(m.world, { name: `+${offset}`, target: ram, offset, size: 0x1000, owner: m.owner })
  );
  assert(a !== undefined && b !== undefined);
  addSubregion(m.world, m.root, 0, a);
  addSubregion(m.world, m.root, 0x1000, b);
  const count = () => ranges(m).length;
  assertEquals(count(), 1);
  for (const set of [setReadonly, setNonvolatile, setUnmergeable]) {
    set(m.world, b, true);
    assertEquals(count(), 2, set.name);
    set(m.world, b, false);
    assertEquals(count(), 1, set.name);
  }
  setUnmergeable(m.world, ram, true);
  assertEquals(count(), 2, "both unmergeable: equal, but seen through two aliases");
  setUnmergeable(m.world, ram, false);
  setAliasOffset(m.world, b, 0x2000);
  assertEquals(count(), 2);
  audit(m.world);
});

Deno.test("S88, S89 every byte of a mixed page, and of an unaligned span, is what the tree says", () => {
  const m = machine();
  addSubregion(m.world, m.root, 0, answering(m, "a", 1, 8));
  addSubregion(m.world, m.root, 0x100, answering(m, "b", 2, 0x100));
  const ram = createRam(m.world, { name: "ram", size: 0x800, owner: m.owner });
  ramOf(m.world, ram).bytes.fill(3);
  addSubregion(m.world, m.root, 0x800, ram);
  addSubregion(m.world, m.root, 0x1234, answering(m, "span", 4, 0x5000));
  const expected = (at: number) =>
    at < 8 ? 1 : at >= 0x100 && at < 0x200 ? 2 : at >= 0x800 && at < 0x1000 ? 3 : at >= 0x1234 && at < 0x6234 ? 4 : 0;
  for (let at = 0; at < 0x6400; at++) assertEquals(byteAt(m, at), expected(at), `byte ${at}`);
});

Deno.test("S90 5000 disjoint regions have no section limit", () => {
  const m = machine();
  transaction(m.world, () => {
    for (let i = 0; i < 5000; i++) addSubregion(m.world, m.root, i * 0x20, answering(m, `r${i}`, i & 0xff, 0x10));
  });
  assertEquals(ranges(m).length, 5000);
  assertEquals(byteAt(m, 4321 * 0x20 + 0xf), 4321 & 0xff);
});

Deno.test("S92 a buffer that runs from RAM into MMIO gets the bytes of both, and one view serves all pieces", () => {
  const m = machine();
  const ram = createRam(m.world, { name: "ram", size: 0x1000, owner: m.owner });
  ramOf(m.world, ram).bytes.fill(7);
  addSubregion(m.world, m.root, 0, ram);
  addSubregion(m.world, m.root, 0x1000, answering(m, "x", 2));
  const bytes = new Uint8Array(8);
  assertEquals(read(m.world, m.space, 0xffc, bytes), MemTx.OK);
  assertEquals([...bytes], [7, 7, 7, 7, 2, 2, 2, 2]);
});

Deno.test("S93 unassigned memory reads 0 and S94 a reservation hides RAM, both with a decode error", () => {
  const m = machine();
  addSubregion(m.world, m.root, 0, createRam(m.world, { name: "ram", size: 0x1000, owner: m.owner }));
  store(m.world, m.space, 0, 4, -1 >>> 0);
  addSubregion(m.world, m.root, 0, createReservation(m.world, { name: "hole", size: 0x100, owner: m.owner }));
  for (const address of [0, 0x5000]) {
    assertEquals(load(m.world, m.space, address, 4), 0);
    assertEquals(m.world.access.result, MemTx.DECODE_ERROR);
    assertEquals(store(m.world, m.space, address, 4, 1), MemTx.DECODE_ERROR);
  }
  assertEquals(load(m.world, m.space, 0x100, 4), 0);
  assertEquals(m.world.access.result, MemTx.OK);
});

Deno.test("S95 a guest's write leaves ROM as it is; writeRom changes it", () => {
  const m = machine();
  addSubregion(m.world, m.root, 0, createRom(m.world, { name: "rom", size: 0x1000, owner: m.owner }));
  assertEquals(write(m.world, m.space, 0, Uint8Array.of(1, 2)), MemTx.DECODE_ERROR);
  assertEquals(load(m.world, m.space, 0, 2), 0);
  assertEquals(writeRom(m.world, m.space, 0, Uint8Array.of(1, 2)), MemTx.OK);
  assertEquals(load(m.world, m.space, 0, 2), 0x201);
});

Deno.test("S101 spaces with one physical root share one view; a disabled root shows nothing", () => {
  const m = machine();
  addSubregion(m.world, m.root, 0x1000, answering(m, "x", 1));
  const alias = createAlias(m.world, { name: "dma", target: m.root, offset: 0, size: 2n ** 64n, owner: m.owner });
  const dma = createAddressSpace(m.world, { name: "dma", root: alias, owner: m.owner });
  assertEquals(load(m.world, dma, 0x1000, 1), 1);
  setEnabled(m.world, alias, false);
  assertEquals(load(m.world, dma, 0x1000, 1), 0);
  assertEquals(ranges(m, 1), []);
  addSubregion(m.world, m.root, 0x2000, answering(m, "y", 2));
  setEnabled(m.world, alias, true);
  assertEquals([load(m.world, dma, 0x1000, 1), load(m.world, dma, 0x2000, 1)], [1, 2]);
  assertEquals(ranges(m, 1), ranges(m, 0));
  audit(m.world);
});
