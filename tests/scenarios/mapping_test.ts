/** Scenarios of maps, bounce buffers, caches and finds: S54–S63, S102, LC13, LC14, LC25, LC26, LC29, INV12. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { countEntities, isAlive } from "../../ecs/handle.ts";
import type { Owner } from "../../ecs/owner.ts";
import type { MmioOps, Region } from "../../ecs/region.ts";
import { viewPins } from "../../ecs/view_pin.ts";
import { createWorld, type Policy } from "../../ecs/world.ts";
import { defineDevice } from "../../machines/devices/define.ts";
import { MemTx } from "../../systems/access.ts";
import { cacheRead, cacheWrite, createCache, destroyCache, type TranslationCache } from "../../systems/cache.ts";
import { runBottomHalves } from "../../systems/bottom_half.ts";
import { disposeWorld } from "../../systems/dispose.ts";
import { load, read } from "../../systems/dma.ts";
import { drop, InUseError, LifetimeError, onFinalize, release } from "../../systems/finalize.ts";
import { findInRegion, findSection, isPresent, releaseSection } from "../../systems/find_section.ts";
import { ClosedError, closeHoldings } from "../../systems/holding.ts";
import { audit, AuditError, whyAlive } from "../../systems/inspect.ts";
import { map, type MapOptions, type Mapping, MappingError, setBounceLimit, unmap } from "../../systems/map.ts";
import { cancelWait, waitForBudget } from "../../systems/map_waiter.ts";
import { deviceRegion, plug, unplug } from "../../systems/plug.ts";
import { timeline } from "../../systems/timeline.ts";
import { retiredQueue } from "../../systems/retire.ts";
import { createAddressSpace, destroyAddressSpace, registerListener } from "../../systems/address_spaces.ts";
import {
  createAlias,
  createContainer,
  createMmio,
  createOwner,
  createRam,
  createRom,
  createRomDevice,
  observeStores,
  ramOf,
} from "../../systems/create_region.ts";
import { addSubregion, delSubregion, setAddress, setEnabled } from "../../systems/topology.ts";
import { Stage } from "./machine.ts";

class Machine extends Stage {
  constructor(policy: Partial<Policy> = {}) {
    super({
      policy,
      reportFault(error) {
        throw error;
      },
    });
  }

  ram(at: number, options: { size?: number; owner?: Owner; name?: string } = {}): Region {
    const { size = 0x1000, owner = this.owner, name = "ram" } = options;
    const region = createRam(this.world, { name, size, owner });
    addSubregion(this.world, this.root, at, region);
    return region;
  }

  mmio(at: number, ops: MmioOps<undefined>, { size = 0x1000, owner = this.owner, name = "registers" } = {}): Region {
    const region = createMmio(this.world, { name, size, owner, ops, state: undefined });
    addSubregion(this.world, this.root, at, region);
    return region;
  }

  /** A mapping that there must be. */
  map(address: number, length: number, options: MapOptions = {}): Mapping {
    const mapping = map(this.world, this.space, address, length, options);
    assert(mapping !== undefined, "there is room for a mapping");
    audit(this.world);
    return mapping;
  }

  unmap(mapping: Mapping, accessed?: number): number {
    const result = unmap(this.world, mapping, accessed);
    audit(this.world);
    return result;
  }
}

/** Keeps what is written to it, byte by byte. */
function sink(): { bytes: Map<number, number>; ops: MmioOps<undefined> } {
  const bytes = new Map<number, number>();
  return {
    bytes,
    ops: { impl: { max: 1 }, write: (_, offset, value) => void bytes.set(offset, Number(value)) },
  };
}

Deno.test("S54 bounce buffers share a budget of 4096 bytes; who waits for it is told once, outside of the unmap", () => {
  const m = new Machine();
  m.mmio(0, {}, { size: 0x4000 });
  const first = m.map(0, 3072);
  const second = m.map(0x1000, 2048);
  assertEquals([first.bytes.length, second.bytes.length], [3072, 1024]);
  assertEquals(map(m.world, m.space, 0, 1), undefined);
  let told = 0;
  waitForBudget(m.world, m.space, { name: "dma", owner: m.owner, run: () => told++ });
  runBottomHalves(m.world);
  assertEquals(told, 0, "there is no budget yet");
  m.unmap(first);
  assertEquals(told, 0, "not inside of the unmap");
  runBottomHalves(m.world);
  assertEquals(told, 1);
  m.unmap(second);
  runBottomHalves(m.world);
  assertEquals(told, 1, "once");
  assertEquals(m.map(0, 0x4000).bytes.length, 4096);
});

Deno.test("U5 who waits while there is budget is told soon; a wait that was cancelled, or whose owner died, never", () => {
  const m = new Machine();
  m.mmio(0, {});
  const told: string[] = [];
  const wait = (name: string, owner = m.owner) =>
    waitForBudget(m.world, m.space, { name, owner, run: () => told.push(name) });
  wait("at once");
  runBottomHalves(m.world);
  assertEquals(told, ["at once"]);
  const mapping = m.map(0, 4096);
  const device = m.own("device");
  wait("of the dead", device);
  const cancelled = wait("cancelled");
  wait("waiting");
  cancelWait(m.world, cancelled);
  assertThrows(() => cancelWait(m.world, cancelled), ClosedError, '"cancelled", which waits for');
  drop(m.world, device);
  assertEquals(m.finalized, ["device"]);
  m.unmap(mapping);
  runBottomHalves(m.world);
  assertEquals(told, ["at once", "waiting"]);
});

Deno.test("U3 the budget is a property of the space, and never less than what is taken", () => {
  const m = new Machine();
  m.mmio(0, {}, { size: 0x4000 });
  const mapping = m.map(0, 100);
  assertThrows(() => setBounceLimit(m.world, m.space, 99), MappingError, "100 are in use");
  setBounceLimit(m.world, m.space, 100);
  assertEquals(map(m.world, m.space, 0, 1), undefined);
  setBounceLimit(m.world, m.space, 0x2000);
  assertEquals(m.map(0, 0x4000).bytes.length, 0x2000 - 100);
  m.unmap(mapping);
});

for (const bounceWriteBack of ["mappedRegion", "currentTopology"] as const) {
  Deno.test(`S55, LC25, Q17 what is at the address changes before the unmap: ${bounceWriteBack}`, () => {
    const m = new Machine({ bounceWriteBack });
    const [a, b] = [sink(), sink()];
    const before = m.mmio(0x1000, a.ops, { name: "a" });
    const mapping = m.map(0x1010, 4, { isWrite: true });
    delSubregion(m.world, m.root, before);
    m.mmio(0x1000, b.ops, { name: "b" });
    mapping.bytes.set([1, 2, 3, 4]);
    assertEquals(m.unmap(mapping, 2), MemTx.OK);
    const [written, untouched] = bounceWriteBack === "mappedRegion" ? [a, b] : [b, a];
    assertEquals([...written.bytes], [[0x10, 1], [0x11, 2]]);
    assertEquals(untouched.bytes.size, 0);
  });
}

Deno.test("S55 a device that is unplugged between map and unmap is there for the data, and gone after", () => {
  const m = new Machine();
  const a = sink();
  const device = m.own("device");
  const region = m.mmio(0x1000, a.ops, { owner: device });
  const mapping = m.map(0x1000, 4, { isWrite: true });
  delSubregion(m.world, m.root, region);
  drop(m.world, device);
  assertEquals(m.finalized, []);
  mapping.bytes.set([9, 8, 7, 6]);
  m.unmap(mapping);
  assertEquals([...a.bytes.values()], [9, 8, 7, 6]);
  assertEquals(m.finalized, ["device"]);
});

Deno.test("S56 reading has its side effects once, when it is mapped", () => {
  const m = new Machine();
  let reads = 0;
  m.mmio(0, { impl: { max: 1 }, read: () => ++reads });
  const mapping = m.map(0, 4);
  assertEquals([...mapping.bytes], [1, 2, 3, 4]);
  assertEquals(m.unmap(mapping), MemTx.OK);
  assertEquals(reads, 4);
});

Deno.test("S56 a mapping for writing reads nothing, and one for reading writes nothing back", () => {
  const m = new Machine();
  const calls: string[] = [];
  m.mmio(0, { read: () => calls.push("read"), write: () => void calls.push("write") });
  m.unmap(m.map(0, 4, { isWrite: true }), 0);
  assertEquals(calls, []);
  m.unmap(m.map(0, 4));
  assertEquals(calls, ["read"]);
});

Deno.test("S57 a direct mapping goes over the seam of two aliases that continue each other, and stops where they do not", () => {
  const m = new Machine();
  const ram = createRam(m.world, { name: "ram", size: 0x2000, owner: m.owner });
  const bytes = ramOf(m.world, ram).bytes;
  const alias = (name: string, offset: number) =>
    createAlias(m.world, { name, target: ram, offset, size: 0x1000, owner: m.owner });
  const [low, high] = [alias("low", 0), alias("high", 0x1000)];
  for (const [at, swapped] of [[0x10000, false], [0x20000, true]] as const) {
    addSubregion(m.world, m.root, at, swapped ? high : low);
    addSubregion(m.world, m.root, at + 0x1000, swapped ? low : high);
    const mapping = m.map(at + 0x800, 0x1000, { isWrite: true });
    assert(mapping.isDirect);
    assertEquals(mapping.bytes.length, swapped ? 0x800 : 0x1000);
    mapping.bytes.fill(at >> 16);
    assertEquals(bytes[swapped ? 0x1800 : 0x800], at >> 16, "the guest's own memory");
    m.unmap(mapping);
    delSubregion(m.world, m.root, low);
    delSubregion(m.world, m.root, high);
  }
});

Deno.test("S57 ranges that differ in nothing but attributes continue each other for reading; the readonly one bounces", () => {
  const m = new Machine();
  const ram = createRam(m.world, { name: "ram", size: 0x2000, owner: m.owner });
  const rom = createRom(m.world, { name: "rom", size: 0x1000, owner: m.owner });
  addSubregion(m.world, m.root, 0, ram);
  addSubregion(m.world, m.root, 0x2000, rom);
  assertEquals(m.map(0x1800, 0x1000).bytes.length, 0x800, "another region begins");
  const mapping = m.map(0x2000, 0x10, { isWrite: true });
  assert(!mapping.isDirect);
  mapping.bytes.fill(7);
  assertEquals(m.unmap(mapping), MemTx.DECODE_ERROR);
  assertEquals(load(m.world, m.space, 0x2000, 1), 0);
});

Deno.test("U2 a ROM device is mapped directly for reading, and bounces to its handlers for writing", () => {
  const m = new Machine();
  const a = sink();
  const flash = createRomDevice(m.world, { name: "flash", size: 0x1000, owner: m.owner, ops: a.ops, state: undefined });
  addSubregion(m.world, m.root, 0, flash);
  assert(m.map(0, 16).isDirect);
  const mapping = m.map(0, 2, { isWrite: true });
  mapping.bytes.set([5, 6]);
  m.unmap(mapping);
  assertEquals([...a.bytes.values()], [5, 6]);
});

Deno.test("U3 where nothing answers, the buffer is zeros, the result says so, and nothing is pinned", () => {
  const m = new Machine();
  m.ram(0x2000);
  const mapping = m.map(0x1ff0, 0x20);
  assertEquals([mapping.bytes.length, mapping.result], [0x10, MemTx.DECODE_ERROR]);
  assertEquals(mapping.pin, undefined);
  assertEquals(m.unmap(mapping), MemTx.OK);
});

Deno.test("U1 a mapping ends at 2^64", () => {
  const m = new Machine();
  const ram = createRam(m.world, { name: "ram", size: 0x2000, owner: m.owner });
  for (const [at, offset] of [[2n ** 64n - 0x1000n, 0], [0n, 0x1000]] as const) {
    const alias = createAlias(m.world, { name: "half", target: ram, offset, size: 0x1000, owner: m.owner });
    addSubregion(m.world, m.root, at, alias);
  }
  const mapping = map(m.world, m.space, 2n ** 64n - 0x10n, 0x100);
  assertEquals(mapping?.bytes.length, 0x10);
});

for (const refRule of ["ramSelf", "owner"] as const) {
  Deno.test(`S58, S07b, S08, LC14 a mapping of RAM across the unplug of its device: ${refRule}`, () => {
    const m = new Machine({ refRule });
    const baseline = countEntities(m.world);
    for (let round = 0; round < 5; round++) {
      const device = m.own(`ivshmem ${round}`);
      const bar = m.ram(0x8000, { owner: device, name: "bar2" });
      const mapping = m.map(0x8000, 8, { isWrite: true });
      const stored: number[][] = [];
      observeStores(m.world, bar, (offset, length) => stored.push([offset, length]));
      delSubregion(m.world, m.root, bar);
      drop(m.world, device);
      assertEquals(m.finalized.length, refRule === "ramSelf" ? round + 1 : round);
      assert(isAlive(m.world, bar));
      mapping.bytes.set([1, 2, 3, 4]);
      assertEquals([...ramOf(m.world, bar).bytes.subarray(0, 4)], [1, 2, 3, 4], "storage stays");
      m.unmap(mapping, 4);
      assertEquals(stored, [[0, 4]]);
      assertEquals([isAlive(m.world, bar), m.finalized.length], [false, round + 1]);
      assertEquals(countEntities(m.world), baseline);
    }
  });
}

Deno.test("S59 no bytes: no mapping and no pin", () => {
  const m = new Machine();
  m.ram(0);
  assertEquals(map(m.world, m.space, 0, 0), undefined);
  assertThrows(() => map(m.world, m.space, 0, -1), MappingError, "cannot map -1 bytes");
  assertThrows(() => map(m.world, m.space, 0, 1.5), MappingError);
  audit(m.world);
});

Deno.test("S60 what is not mapped cannot be unmapped: twice, in another world, with more bytes than it has", () => {
  const [m, other] = [new Machine(), new Machine()];
  m.ram(0);
  const mapping = m.map(0x10, 16);
  assertThrows(() => unmap(other.world, mapping), ClosedError);
  assertThrows(
    () => unmap(m.world, mapping, 17),
    MappingError,
    "17 bytes were not accessed in a mapping of 16 bytes at 0x10",
  );
  m.unmap(mapping);
  assertThrows(() => unmap(m.world, mapping), ClosedError, 'a mapping of 16 bytes at 0x10 of "memory" is not open');
});

Deno.test("S61, LC13 a device that maps its own registers keeps itself; whyAlive says by what; unrealize would drop it", () => {
  for (const end of ["unmap", "unrealize"] as const) {
    const m = new Machine();
    const device = m.own("nic");
    const bar = m.mmio(0x4000, {}, { owner: device, name: "bar0" });
    const mapping = m.map(0x4010, 4, { isWrite: true, holder: device });
    delSubregion(m.world, m.root, bar);
    drop(m.world, device);
    assertEquals(m.finalized, []);
    const { text, chain } = whyAlive(m.world, device);
    assertEquals(chain[0]?.kind, "map");
    assert(text.includes('"nic" holds a mapping of 4 bytes at 0x4010 of "memory", which pins "bar0"'), text);
    if (end === "unmap") m.unmap(mapping);
    else closeHoldings(m.world, device);
    assertEquals(m.finalized, ["nic"]);
    audit(m.world);
  }
});

Deno.test("a mapping ends with its holder: its pin, its budget and itself; nothing is written back", () => {
  const m = new Machine();
  const a = sink();
  const registers = m.own("registers");
  m.mmio(0, a.ops, { owner: registers });
  const nic = m.own("nic");
  const mapping = m.map(0, 4096, { isWrite: true, holder: nic });
  assertEquals(map(m.world, m.space, 0, 1), undefined);
  drop(m.world, nic);
  assertEquals(m.finalized, ["nic"]);
  assertEquals([a.bytes.size, mapping.isOpen], [0, false]);
  assertThrows(() => unmap(m.world, mapping), ClosedError);
  assertEquals(m.map(0, 4096).bytes.length, 4096, "the budget is back");
});

Deno.test("a mapping that ends with its holder may have been written anywhere, and followers of stores are told so", () => {
  const m = new Machine();
  const stored: number[][] = [];
  observeStores(m.world, m.ram(0), (offset, length) => stored.push([offset, length]));
  for (const isWrite of [true, false]) {
    const nic = m.own("nic");
    m.map(0x10, 0x20, { isWrite, holder: nic });
    drop(m.world, nic);
  }
  assertEquals(stored, [[0x10, 0x20]]);
});

Deno.test("INV12 the audit finds a budget that does not add up, and a pin that is not counted", () => {
  const m = new Machine();
  const region = m.mmio(0, {});
  const { space } = m.map(0, 16);
  space.bounce.used++;
  assertThrows(() => audit(m.world), AuditError, "INV12");
  space.bounce.used--;
  audit(m.world);
  release(m.world, region, "map");
  assertThrows(() => audit(m.world), AuditError, "a mapping of 16 bytes at 0x0");
});

Deno.test("LC29 an address space with a mapping is not destroyed: the error names it", () => {
  const m = new Machine();
  const region = m.mmio(0, {});
  const space = createAddressSpace(m.world, { name: "dma", root: region, owner: m.owner });
  const mapping = map(m.world, space, 0x20, 4);
  assert(mapping !== undefined);
  assertThrows(() => destroyAddressSpace(m.world, space), InUseError, "a mapping of 4 bytes at 0x20");
  unmap(m.world, mapping);
  destroyAddressSpace(m.world, space);
  audit(m.world);
});

Deno.test("LC29 a mapping outlives the device whose address space it went through; the data arrives", () => {
  const m = new Machine();
  const a = sink();
  m.mmio(0, a.ops);
  const nic = m.own("nic");
  const space = createAddressSpace(m.world, { name: "nic dma", root: m.root, owner: nic });
  const mapping = map(m.world, space, 0, 2, { isWrite: true });
  assert(mapping !== undefined);
  drop(m.world, nic);
  assertEquals(m.finalized, ["nic"]);
  mapping.bytes.set([3, 4]);
  assertEquals(m.unmap(mapping), MemTx.OK);
  assertEquals([...a.bytes.values()], [3, 4]);
});

Deno.test("S61 unrealize ends what a device of the kit holds itself, and then the device", () => {
  const m = new Machine();
  const held: (Mapping | TranslationCache)[] = [];
  const nic = defineDevice({
    type: "nic",
    description: "maps its own registers",
    state: () => ({}),
    regions: { registers: { size: 16, ops: {} } },
    realize(d) {
      addSubregion(m.world, m.root, 0x4000, deviceRegion(m.world, d.device, "registers"));
      const mapping = map(m.world, m.space, 0x4000, 4, { holder: d.device });
      assert(mapping !== undefined);
      held.push(mapping, createCache(m.world, m.space, 0x4000, 4, { holder: d.device }));
    },
  });
  const device = plug(m.world, nic, { id: "nic", owner: m.owner });
  onFinalize(m.world, device, () => m.finalized.push("nic"));
  assertEquals(held.map(({ isOpen }) => isOpen), [true, true]);
  unplug(m.world, device);
  assertEquals([held.map(({ isOpen }) => isOpen), m.finalized], [[false, false], ["nic"]]);
  audit(m.world);
});

Deno.test("the end of a world ends what is open, whoever holds it", () => {
  const m = new Machine();
  m.ram(0);
  const mapping = m.map(0, 4);
  const cache = createCache(m.world, m.space, 0, 4, { holder: m.owner });
  disposeWorld(m.world);
  assertThrows(() => unmap(m.world, mapping), ClosedError);
  assertThrows(() => destroyCache(m.world, cache), ClosedError);
  assertEquals([countEntities(m.world), mapping.isOpen], [0, false]);
});

Deno.test("S144 in a debug world the line that mapped is known; the timeline has both ends", () => {
  const world = createWorld({ debug: true, timeline: 100 });
  const owner = createOwner(world, { name: "machine" });
  const root = createRam(world, { name: "ram", size: 0x1000, owner });
  const space = createAddressSpace(world, { name: "memory", root, owner });
  const nic = createOwner(world, { name: "nic", owner });
  for (const holder of [nic, undefined]) {
    const mapping = map(world, space, 0x10, 4, { holder });
    assert(mapping !== undefined);
    assert(whyAlive(world, root).text.includes("mapping_test.ts"), whyAlive(world, root).text);
    unmap(world, mapping);
    assertEquals(whyAlive(world, root).text.includes("map reference"), false);
  }
  const kinds = timeline(world, root).map(({ kind }) => kind).filter((kind) =>
    kind === "pinned" || kind === "released"
  );
  assertEquals(kinds, ["pinned", "released", "pinned", "released"]);
});

Deno.test("S138 data of a bounce buffer goes to the handler, and is stored in no memory", () => {
  const m = new Machine();
  const a = sink();
  m.mmio(0, a.ops);
  const stored: number[] = [];
  observeStores(m.world, m.ram(0x1000), (offset) => stored.push(offset));
  m.unmap(m.map(0, 4, { isWrite: true }));
  assertEquals([a.bytes.size, stored], [4, []]);
});

Deno.test("handlers that map, unmap and unplug while a buffer is filled", () => {
  const m = new Machine();
  const nic = m.own("nic");
  const inner: (number | undefined)[] = [];
  const region = m.mmio(0, {
    read: () => {
      inner.push(map(m.world, m.space, 0x8000, 4096)?.bytes.length);
      if (isAlive(m.world, nic)) drop(m.world, nic);
      return 1;
    },
  });
  assertEquals(map(m.world, m.space, 0, 4, { holder: nic }), undefined, "its holder is gone");
  assertEquals(inner, [4092]);
  assertEquals(m.finalized, ["nic"]);
  delSubregion(m.world, m.root, region);
  audit(m.world);
});

Deno.test("S62, LC26 a cache reaches what was there when it was made, until it is made anew", () => {
  const m = new Machine();
  const ram = m.ram(0x1000);
  const cache = createCache(m.world, m.space, 0x1100, 0x100);
  assertEquals(cacheWrite(m.world, cache, 4, new Uint8Array([1, 2])), MemTx.OK);
  setAddress(m.world, ram, 0x9000);
  m.mmio(0x1000, { impl: { max: 1 }, read: () => 7 });
  const bytes = new Uint8Array(2);
  assertEquals([cacheRead(m.world, cache, 4, bytes), ...bytes], [MemTx.OK, 1, 2]);
  cacheWrite(m.world, cache, 4, new Uint8Array([3]));
  assertEquals(load(m.world, m.space, 0x9104, 1), 3);
  destroyCache(m.world, cache);
  const again = createCache(m.world, m.space, 0x1100, 0x100);
  assertEquals([cacheRead(m.world, again, 4, bytes), ...bytes], [MemTx.OK, 7, 7]);
  assertThrows(() => cacheRead(m.world, cache, 0, bytes), ClosedError, "a cache of 256 bytes at 0x1100");
  assertThrows(() => cacheRead(m.world, again, 0xff, bytes), MappingError, "2 bytes at 255 are not in");
  assertThrows(() => cacheWrite(m.world, again, -1, bytes), MappingError);
  assertThrows(() => createCache(m.world, m.space, 0, 0), MappingError);
  audit(m.world);
});

Deno.test("U7 a cache keeps to attributes and seams: ROM is not written, handlers are called, followers are told", () => {
  const m = new Machine();
  const a = sink();
  const rom = createRom(m.world, { name: "rom", size: 0x1000, owner: m.owner });
  addSubregion(m.world, m.root, 0, rom);
  m.mmio(0x1000, a.ops);
  const cache = createCache(m.world, m.space, 0xffe, 4);
  assertEquals(cacheWrite(m.world, cache, 0, new Uint8Array([1, 2, 3, 4])), MemTx.DECODE_ERROR);
  assertEquals([load(m.world, m.space, 0xfff, 1), ...a.bytes.values()], [0, 3, 4]);
  const inRom = createCache(m.world, m.space, 0, 16);
  assertEquals(cacheWrite(m.world, inRom, 0, new Uint8Array([1])), MemTx.DECODE_ERROR);
  const stored: number[][] = [];
  observeStores(m.world, m.ram(0x2000), (offset, length) => stored.push([offset, length]));
  cacheWrite(m.world, createCache(m.world, m.space, 0x2010, 16), 4, new Uint8Array(3));
  assertEquals(stored, [[0x14, 3]]);
});

Deno.test("S63 a cache keeps one old view alive, and none of a hundred others", () => {
  const m = new Machine();
  const device = m.own("old");
  const old = m.mmio(0x1000, { read: () => 5 }, { owner: device });
  const caches = [createCache(m.world, m.space, 0x1000, 4), createCache(m.world, m.space, 0x1004, 4)];
  delSubregion(m.world, m.root, old);
  drop(m.world, device);
  const entities = countEntities(m.world);
  for (let i = 0; i < 100; i++) {
    const passing = m.own(`passing ${i}`);
    const region = m.mmio(0x2000, {}, { owner: passing });
    delSubregion(m.world, m.root, region);
    drop(m.world, passing);
    assertEquals([m.finalized.length, retiredQueue(m.world).length, viewPins(m.world).length], [i + 1, 0, 1]);
  }
  assertEquals(countEntities(m.world), entities);
  assertEquals(m.finalized.includes("old"), false);
  const { text, chain } = whyAlive(m.world, device);
  assertEquals(chain[0]?.kind, "cache");
  assert(text.includes('a cache of 4 bytes at 0x1000 of "memory", whose view shows "registers"'), text);
  for (const cache of caches) {
    const bytes = new Uint8Array(1);
    assertEquals([cacheRead(m.world, cache, 0, bytes), bytes[0]], [MemTx.OK, 5]);
    audit(m.world);
    assertEquals(m.finalized.includes("old"), false);
    destroyCache(m.world, cache);
  }
  assertEquals([m.finalized.includes("old"), viewPins(m.world).length], [true, 0]);
});

Deno.test("S29, S26 a ring cache is made anew in commit; with bus mastering off it reads nothing", () => {
  const m = new Machine();
  m.ram(0);
  const nic = m.own("nic");
  const root = createContainer(m.world, { name: "bus master", size: 2 ** 32, owner: nic });
  const window = createAlias(m.world, { name: "window", target: m.root, offset: 0, size: 2 ** 32, owner: nic });
  addSubregion(m.world, root, 0, window);
  const space = createAddressSpace(m.world, { name: "dma", root, owner: nic });
  let ring: TranslationCache | undefined;
  registerListener(m.world, space, {
    name: "rings",
    owner: nic,
    commit() {
      if (ring !== undefined) destroyCache(m.world, ring);
      ring = createCache(m.world, space, 0x100, 16, { holder: nic });
    },
  });
  const ringRead = () => ring === undefined ? -1 : cacheRead(m.world, ring, 0, new Uint8Array(2));
  assertEquals(ringRead(), MemTx.OK);
  setEnabled(m.world, window, false);
  assertEquals(ringRead(), MemTx.DECODE_ERROR);
  setEnabled(m.world, window, true);
  assertEquals(ringRead(), MemTx.OK);
  const bar = m.mmio(0x8000, {}, { owner: m.own("bridge") });
  for (const address of [0xf0000000, 0x8000]) setAddress(m.world, bar, address);
  assertEquals(viewPins(m.world).length, 1, "of the latest view");
  audit(m.world);
  drop(m.world, nic);
  assertEquals([m.finalized, ring?.isOpen, viewPins(m.world).length], [["nic"], false, 0]);
  audit(m.world);
});

Deno.test("LC15 what is being finalized gets no mapping, cache or find, though it can still be seen through an alias", () => {
  const m = new Machine();
  const device = m.own("device");
  const region = createMmio(m.world, { name: "bar", size: 0x100, owner: device, ops: {}, state: undefined });
  const alias = createAlias(m.world, { name: "window", target: region, offset: 0, size: 0x100, owner: m.owner });
  addSubregion(m.world, m.root, 0x1000, alias);
  let refused = 0;
  registerListener(m.world, m.space, {
    name: "late",
    regionDel() {
      assertThrows(() => createCache(m.world, m.space, 0, 4), LifetimeError, 'shows "bar"');
      assertThrows(() => map(m.world, m.space, 0x1000, 4), LifetimeError, "a mapping of 4 bytes at 0x1000");
      assertThrows(() => findSection(m.world, m.space, 0x1000, 4), LifetimeError);
      refused++;
    },
  });
  drop(m.world, device);
  assertEquals([refused, m.finalized], [1, ["device"]]);
  audit(m.world);
});

Deno.test("a handler that data is written back to ends the holder: its pin is released once", () => {
  const m = new Machine();
  const nic = m.own("nic");
  const target = m.own("target");
  m.mmio(0, { write: () => isAlive(m.world, nic) && drop(m.world, nic) }, { owner: target });
  const mapping = m.map(0, 4, { isWrite: true, holder: nic });
  const other = m.map(0, 4);
  assertEquals(m.unmap(mapping), MemTx.OK);
  assertEquals(m.finalized, ["nic"]);
  m.unmap(other);
});

Deno.test("S102 find gives the lowest range that overlaps, clipped, and pins it until it is released", () => {
  const m = new Machine();
  const device = m.own("device");
  const low = m.mmio(0x1000, {}, { owner: device, name: "low" });
  m.mmio(0x2000, {}, { name: "high" });
  const found = findSection(m.world, m.space, 0x800, 0x1000);
  assert(found !== undefined);
  assertEquals([found.section.region, found.section.address, found.section.size, found.section.offset], [
    low,
    0x1000,
    0x800,
    0,
  ]);
  const inside = findInRegion(m.world, low, 0x10, 0x2000);
  assert(inside !== undefined);
  assertEquals([inside.section.address, inside.section.size, inside.section.offset], [0x1010, 0xff0, 0x10]);
  delSubregion(m.world, m.root, low);
  drop(m.world, device);
  assertEquals(m.finalized, []);
  assert(whyAlive(m.world, device).text.length > 0);
  releaseSection(m.world, found);
  assertEquals(m.finalized, []);
  releaseSection(m.world, inside);
  assertEquals(m.finalized, ["device"]);
  assertThrows(() => releaseSection(m.world, found), ClosedError, 'a section found at 0x1000 of "memory"');
  assertEquals(findSection(m.world, m.space, 0, 0x2000), undefined);
  assertEquals(findSection(m.world, m.space, 0x2000, 0), undefined);
});

Deno.test("1.11 a region below no address space is found nowhere; presence is of something else than the container", () => {
  const m = new Machine();
  const bus = createContainer(m.world, { name: "bus", size: 0x1000, owner: m.owner });
  const child = createMmio(m.world, { name: "child", size: 0x100, owner: m.owner, ops: {}, state: undefined });
  addSubregion(m.world, bus, 0x200, child);
  assertEquals(findInRegion(m.world, bus, 0, 0x1000), undefined);
  addSubregion(m.world, m.root, 0x5000, bus);
  assertEquals(findInRegion(m.world, bus, 0, 0x1000)?.section.address, 0x5200);
  assertEquals([isPresent(m.world, bus, 0), isPresent(m.world, bus, 0x2ff), isPresent(m.world, child, 0)], [
    false,
    true,
    false,
  ]);
  assertEquals(read(m.world, m.space, 0x5200, new Uint8Array(1)), MemTx.OK);
});
