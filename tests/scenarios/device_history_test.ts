/** Scenarios of family 3.2 (and S22, S85): what devices of the last twenty years did to the memory map. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { spaceOf } from "../../ecs/address_space.ts";
import { EMPTY_VIEW } from "../../ecs/flat_view.ts";
import { isAlive, StaleHandleError } from "../../ecs/handle.ts";
import type { Owner } from "../../ecs/owner.ts";
import { createGuestMemory } from "../../ecs/ram_block.ts";
import type { Region } from "../../ecs/region.ts";
import { MemTx } from "../../systems/access.ts";
import { createBottomHalf, hasBottomHalves, runBottomHalves, scheduleBottomHalf } from "../../systems/bottom_half.ts";
import { read } from "../../systems/dma.ts";
import { currentEpoch } from "../../systems/epoch.ts";
import { drop, InUseError, onFinalize, reference, release } from "../../systems/finalize.ts";
import { dispatchFind } from "../../systems/find.ts";
import { leaks } from "../../systems/leaks.ts";
import { mtreeJson } from "../../systems/mtree.ts";
import { retiredQueue } from "../../systems/retire.ts";
import { announce, closeScope, openScope, registerReader, unregisterReader } from "../../systems/scope.ts";
import {
  createAddressSpace,
  destroyAddressSpace,
  registerListener,
  unregisterListener,
} from "../../systems/address_spaces.ts";
import { createRomDevice, ramOf } from "../../systems/create_region.ts";
import { addSubregion, delSubregion, setAddress, setAliasOffset, setEnabled, setRomd } from "../../systems/topology.ts";
import { transaction } from "../../systems/transaction.ts";
import { Machine } from "./machine.ts";

/** What the machine's memory shows: start, end, region. */
function shown(m: Machine, space = 0) {
  return mtreeJson(m.world)[space]?.ranges.map(({ start, end, region }) => [start, end, region]);
}

Deno.test("S24 an alias is made anew a thousand times under open scopes: ids are told apart, nothing leaks (LC10)", () => {
  const m = new Machine();
  const vga = m.own("vga");
  const planes = m.ram("planes", vga, 0x10000);
  ramOf(m.world, planes).bytes.forEach((_, at, bytes) => bytes[at] = at >> 12);
  let chain4 = m.alias("chain4", vga, planes, 0, 0x1000);
  addSubregion(m.world, m.root, 0xa0000, chain4);
  const before = m.entities();
  let scope = openScope(m.world, "scan-out 0");
  for (let i = 1; i <= 1000; i++) {
    const former = chain4;
    transaction(m.world, () => {
      delSubregion(m.world, m.root, former);
      drop(m.world, former);
      chain4 = m.alias("chain4", vga, planes, (i % 16) * 0x1000, 0x1000);
      addSubregion(m.world, m.root, 0xa0000, chain4);
    });
    assertEquals(m.load(0xa0000, 1), i % 16);
    if (i % 10 !== 0) continue;
    const next = openScope(m.world, `scan-out ${i}`);
    closeScope(m.world, scope);
    scope = next;
    assertThrows(() => delSubregion(m.world, m.root, former), StaleHandleError, '"chain4" is stale');
    assertEquals(m.entities(), before);
  }
  closeScope(m.world, scope);
  m.settle();
});

Deno.test("S25 all windows of a bridge and a nested one change in one transaction: one commit, BARs seen through", () => {
  const m = new Machine();
  const [bridge, nested] = [m.own("bridge"), m.own("nested")];
  const bus = m.container("bus 1", bridge, 2 ** 32);
  const inner = m.container("bus 2", nested, 2 ** 32);
  const bar = m.mmio("bar", m.own("nic"), { read: () => 0x42 });
  addSubregion(m.world, inner, 0xe0001000, bar);
  addSubregion(m.world, bus, 0xe0000000, m.alias("nested window", nested, inner, 0xe0000000, 0x10000));
  let windows: Region[] = [];
  const program = (bases: readonly number[]) =>
    transaction(m.world, () => {
      for (const window of windows) {
        delSubregion(m.world, m.root, window);
        drop(m.world, window);
      }
      windows = bases.map((base, index) => m.alias(`window ${index}`, bridge, bus, base, 0x100000));
      windows.forEach((window, index) => addSubregion(m.world, m.root, bases[index] ?? 0, window, { priority: index }));
    });
  m.listen();
  program([0xe0000000, 0xd0000000, 0xa0000]);
  assertEquals(m.heard(), ["l begin", "l add e0001000+1000", "l commit"]);
  assertEquals(m.load(0xe0001000), 0x42);
  program([0xe0000000, 0xd0000000, 0xb0000]);
  assertEquals(m.heard().filter((line) => !line.includes("commit") && !line.includes("begin")), [], "the BAR stays");
  program([0xf0000000, 0xd0000000, 0xb0000]);
  assertEquals(m.heard(), ["l begin", "l del e0001000+1000", "l commit"]);
  assertEquals(m.load(0xe0001000), 0);
  m.settle();
});

Deno.test("S26 a BAR that moves in two commits leaves a hole between them; in one it does not", () => {
  const m = new Machine();
  const device = m.own("nic");
  const bar = m.mmio("bar", device, { read: () => 1 });
  addSubregion(m.world, m.root, 0x10000, bar);
  m.listen();
  const holes: number[] = [];
  registerListener(m.world, m.space, {
    name: "reader",
    commit: () => void holes.push(m.load(0x10000) + m.load(0x20000)),
  });
  holes.length = 0;
  delSubregion(m.world, m.root, bar);
  addSubregion(m.world, m.root, 0x20000, bar);
  const twice = m.heard();
  assertEquals(twice, [
    "l begin",
    "l del 10000+1000",
    "l commit",
    "l begin",
    "l add 20000+1000",
    "l commit",
  ]);
  assertEquals(holes, [0, 1]);
  holes.length = 0;
  setAddress(m.world, bar, 0x10000);
  assertEquals(m.heard(), ["l begin", "l del 20000+1000", "l add 10000+1000", "l commit"]);
  assertEquals(holes, [1]);
});

Deno.test("S27 sizing a BAR: silent with decoding off; with decoding on it goes to the top and back", () => {
  const m = new Machine();
  const bar = m.mmio("bar", m.own("nic"), { size: 0x100, read: () => 1 });
  addSubregion(m.world, m.root, 0x10000, bar);
  m.listen();
  setEnabled(m.world, bar, false);
  m.heard();
  setAddress(m.world, bar, 0xffffff00);
  setAddress(m.world, bar, 0x10000);
  assertEquals(m.heard(), []);
  setEnabled(m.world, bar, true);
  m.heard();
  setAddress(m.world, bar, 0xffffff00); // 32-bit BAR
  assertEquals([m.load(0xffffff00), m.load(0xfffffffc), m.load(0x10000)], [1, 1, 0]);
  setAddress(m.world, bar, 2n ** 64n - 0x100n); // 64-bit BAR: no f64 holds it
  assertEquals([m.load(2n ** 64n - 0x100n), m.traces.length], [0, 1]);
  const large = m.mmio("large", m.own("gpu"), { size: 0x1000, read: () => 2 });
  addSubregion(m.world, m.root, 2n ** 64n - 0x1000n, large);
  assertEquals([m.load(2n ** 64n - 4n), m.load(0)], [2, 0], "the last byte of all is inside, and nothing wraps");
  setAddress(m.world, bar, 0x10000);
  assertEquals(m.load(0x100fc), 1);
  m.settle();
});

Deno.test("S28 bus mastering is a switch between the system's view and the shared empty one, one commit each", () => {
  const m = new Machine();
  addSubregion(m.world, m.root, 0, m.ram("ram", m.owner));
  const nic = m.own("nic");
  const master = m.alias("bus master", nic, m.root, 0, 2n ** 64n);
  const dma = createAddressSpace(m.world, { name: "dma", root: master, owner: nic });
  const view = () => spaceOf(m.world, dma).view;
  assertEquals(view() === spaceOf(m.world, m.space).view, true);
  m.listen("dma", dma);
  m.listen("system");
  setEnabled(m.world, master, false);
  assertEquals(m.heard(), ["dma begin", "dma del 0+1000", "dma commit"]);
  assertEquals([view() === EMPTY_VIEW, read(m.world, dma, 0, new Uint8Array(4))], [true, MemTx.DECODE_ERROR]);
  setEnabled(m.world, master, true);
  assertEquals(m.heard(), ["dma begin", "dma add 0+1000", "dma commit"]);
  assertEquals([view() === spaceOf(m.world, m.space).view, read(m.world, dma, 0, new Uint8Array(4))], [true, 0]);
  m.settle();
});

/** A blob that the host maps into a BAR: memory with an owner of its own. */
function blob(m: Machine, gpu: Owner, bar: Region, offset: number, memory = createGuestMemory(0x20000)) {
  const owner = m.own("blob", gpu, false);
  const ram = m.ram("blob", owner, 0x1000, memory);
  addSubregion(m.world, bar, offset, ram);
  const { bytes, offset: at } = ramOf(m.world, ram);
  bytes.fill(0xb1);
  const unmap = () => {
    delSubregion(m.world, bar, ram);
    drop(m.world, owner);
  };
  return { owner, ram, unmap, byte: () => memory.bytes[at] };
}

Deno.test("S30 a blob is unmapped: the command goes on after its end, however busily readers look", () => {
  const m = new Machine();
  const gpu = m.own("gpu");
  const bar = m.container("hostmem", gpu);
  addSubregion(m.world, m.root, 0x100000, bar);
  const { owner, unmap, byte } = blob(m, gpu, bar, 0);
  let resumed = 0;
  const resume = createBottomHalf(m.world, { name: "resume", owner: gpu, guarded: false, callback: () => resumed++ });
  onFinalize(m.world, owner, () => scheduleBottomHalf(m.world, resume));
  let reader = openScope(m.world, "reader 0");
  unmap();
  let rounds = 0;
  while (!hasBottomHalves(m.world) && rounds < 100) {
    assertEquals([byte(), m.finalized], [0xb1, []], "the memory stays while somebody may read it");
    const next = openScope(m.world, `reader ${++rounds}`); // there is always a reader
    closeScope(m.world, reader);
    reader = next;
  }
  assertEquals([rounds, m.finalized, byte()], [1, ["blob"], 0]);
  assertEquals([runBottomHalves(m.world), resumed], [1, 1]);
  closeScope(m.world, reader);
  m.settle();
});

Deno.test("S31 a blob that is being read keeps its bytes after it is unmapped, until the reader is done", () => {
  const m = new Machine();
  const gpu = m.own("gpu");
  const { unmap, ram, byte } = blob(m, gpu, m.root, 0x100000);
  const seen: (number | undefined)[] = [];
  addSubregion(
    m.world,
    m.root,
    0,
    m.mmio("command", m.owner, {
      read() {
        const { bytes } = ramOf(m.world, ram);
        unmap();
        seen.push(bytes[0], byte(), m.load(0x100000));
        return 0;
      },
    }),
  );
  assertEquals(m.load(0), 0);
  assertEquals([seen, byte(), m.finalized], [[0xb1, 0xb1, 0], 0, ["blob"]]);
  m.settle();
});

Deno.test("S32 freeing a slot at once: refused while it is mapped, deferred while it is pinned", () => {
  const m = new Machine();
  const gpu = m.own("gpu");
  const { owner, ram, byte } = blob(m, gpu, m.root, 0x100000);
  assertThrows(() => drop(m.world, ram), InUseError, 'it is in "system" at 0x100000');
  reference(m.world, ram, "map", gpu);
  delSubregion(m.world, m.root, ram);
  drop(m.world, owner);
  assertEquals([byte(), leaks(m.world)[0]?.name, leaks(m.world)[0]?.holders[0]?.holder], [0xb1, "blob", gpu]);
  release(m.world, ram, "map", gpu);
  assertEquals(byte(), 0);
  m.settle();
});

/** Mappings that a backend process asks for, each an owner of its own below the device. */
class SharedWindow {
  readonly mappings = new Map<number, { owner: Owner; ram: Region; size: number }>();

  constructor(readonly m: Machine, readonly device: Owner, readonly window: Region) {}

  map(offset: number, size: number): boolean {
    for (const [start, other] of this.mappings) if (offset < start + other.size && start < offset + size) return false;
    const owner = this.m.own(`mapping ${offset.toString(16)}`, this.device, false);
    const ram = this.m.ram("shmem", owner, size);
    addSubregion(this.m.world, this.window, offset, ram);
    this.mappings.set(offset, { owner, ram, size });
    return true;
  }

  unmap(offset: number): boolean {
    const mapping = this.mappings.get(offset);
    if (mapping === undefined || !this.mappings.delete(offset)) return false;
    delSubregion(this.m.world, this.window, mapping.ram);
    drop(this.m.world, mapping.owner);
    return true;
  }

  disconnect(): void {
    transaction(this.m.world, () => {
      for (const offset of [...this.mappings.keys()]) this.unmap(offset);
    });
  }
}

function sharedWindow() {
  const m = new Machine();
  const device = m.own("vhost-user");
  const window = m.container("shmem", device, 0x100000);
  addSubregion(m.world, m.root, 0x100000, window);
  return { m, device, window, shmem: new SharedWindow(m, device, window) };
}

Deno.test("S33 a backend's mappings: overlap and unknown are refused, reads go on during unmap, disconnect ends all", () => {
  const { m, shmem } = sharedWindow();
  const before = m.entities();
  assertEquals([0, 0x2000, 0x800, 0x4000].map((offset) => shmem.map(offset, 0x1000)), [true, true, false, true]);
  assertEquals([shmem.unmap(0x1000), shmem.unmap(0x2000), shmem.unmap(0x2000)], [false, true, false]);
  m.store(0x100010, 0x77);
  const scope = openScope(m.world, "peer");
  const mapping = shmem.mappings.get(0);
  assert(mapping !== undefined);
  const { bytes } = ramOf(m.world, mapping.ram);
  m.listen();
  shmem.disconnect();
  assertEquals([bytes[0x10], m.load(0x100010), m.heard().filter((line) => line.includes("commit")).length], [
    0x77,
    0,
    1,
  ]);
  assertEquals(m.finalized, ["mapping 2000"], "those that the peer may see wait for it");
  closeScope(m.world, scope);
  assertEquals(m.finalized, ["mapping 2000", "mapping 4000", "mapping 0"]);
  assertEquals(m.entities(), before + 1, "the listener of this test");
  m.settle();
});

Deno.test("S34 a device with live mappings ends: the mappings first, the latest first, then the device", () => {
  for (let i = 0; i < 3; i++) {
    const { m, device, window, shmem } = sharedWindow();
    for (const offset of [0x3000, 0, 0x8000]) shmem.map(offset, 0x1000);
    delSubregion(m.world, m.root, window);
    drop(m.world, device);
    assertEquals(m.finalized, ["mapping 8000", "mapping 0", "mapping 3000", "vhost-user"]);
    m.settle();
  }
});

/** Aliases on one RAM, slot by slot, that are shown in batches. */
function slots(container: (m: Machine, device: Owner) => Region) {
  const m = new Machine();
  const device = m.own("memory device");
  const ram = m.ram("backend", m.backend("backend"), 0x40000);
  const into = container(m, device);
  const aliases = Array.from({ length: 16 }, (_, i) => {
    const alias = m.alias(`slot ${i}`, device, ram, i * 0x4000, 0x4000);
    setEnabled(m.world, alias, false);
    addSubregion(m.world, into, i * 0x4000, alias);
    return alias;
  });
  m.listen();
  return {
    m,
    aliases,
    enable: (from: number, to: number, on: boolean) =>
      transaction(m.world, () => {
        for (const alias of aliases.slice(from, to)) setEnabled(m.world, alias, on);
      }),
  };
}

Deno.test("S35 memory slots are enabled in batches: one commit each, neighbours are one range", () => {
  const { m, enable } = slots((m) => m.root);
  enable(0, 8, true);
  assertEquals(m.heard(), ["l begin", "l add 0+20000", "l commit"]);
  enable(8, 16, true);
  assertEquals(m.heard(), ["l begin", "l del 0+20000", "l add 0+40000", "l commit"]);
  enable(4, 6, false);
  assertEquals(m.heard(), ["l begin", "l del 0+40000", "l add 0+10000", "l add 18000+28000", "l commit"]);
  m.store(0x18000, 3);
  enable(4, 6, true);
  assertEquals([m.load(0x18000), m.load(0x10000)], [3, 0]);
  m.settle();
});

Deno.test("S36 the same in a container that moves and goes with its device", () => {
  let balloon: Region | undefined;
  const { m, enable } = slots((m, device) => {
    balloon = m.container("balloon", device, 0x40000);
    addSubregion(m.world, m.root, 0x100000, balloon);
    return balloon;
  });
  assert(balloon !== undefined);
  enable(0, 16, true);
  m.heard();
  setAddress(m.world, balloon, 0x200000);
  assertEquals(m.heard(), ["l begin", "l del 100000+40000", "l add 200000+40000", "l commit"]);
  delSubregion(m.world, m.root, balloon);
  assertEquals(m.heard(), ["l begin", "l del 200000+40000", "l commit"]);
  enable(0, 16, false);
  assertEquals(m.heard(), [], "nobody sees it");
  m.settle();
});

Deno.test("S37 a list of port ranges with private owners: a commit for each, or one in a transaction", () => {
  const m = new Machine();
  const ports = [0x3b4, 0x3ba, 0x3c0, 0x3d4].map((offset) => {
    const region = m.mmio(`port ${offset}`, m.own(`ports ${offset}`, m.owner, false), { size: 2 });
    addSubregion(m.world, m.root, offset, region);
    return { region, offset };
  });
  m.listen();
  const commits = () => m.heard().filter((line) => line === "l commit").length;
  for (const { region, offset } of ports) setAddress(m.world, region, offset + 0x1000);
  assertEquals(commits(), 4);
  transaction(m.world, () => {
    for (const { region, offset } of ports) setAddress(m.world, region, offset);
  });
  assertEquals(commits(), 1);
  assertEquals(shown(m)?.map(([start]) => start), [0x3b4, 0x3ba, 0x3c0, 0x3d4]);
  m.settle();
});

Deno.test("S38 a page that its handler frees: refused while contained, deferred to the end of the access otherwise", () => {
  const m = new Machine();
  const smmu = m.own("smmu");
  const page = m.ram("vintf page", smmu);
  addSubregion(m.world, m.root, 0x10000, page);
  const inHandler: unknown[] = [];
  const { bytes } = ramOf(m.world, page);
  const write = (_: number, how: number) => {
    if (how === 2) delSubregion(m.world, m.root, page);
    drop(m.world, page);
    inHandler.push(isAlive(m.world, page), bytes[4]);
  };
  addSubregion(m.world, m.root, 0, m.mmio("registers", smmu, { write }));
  m.store(0x10004, 0x5a);
  assertEquals(m.store(0, 1), MemTx.ERROR);
  assert(m.faults.pop()?.message.includes('cannot drop region "vintf page": it is in "system" at 0x10000'));
  assertEquals([m.load(0x10004), m.store(0, 2)], [0x5a, MemTx.OK]);
  assertEquals([inHandler, isAlive(m.world, page), m.load(0x10004)], [[true, 0x5a], false, 0]);
  m.settle();
});

Deno.test("S39 direct windows on top of slow registers: toggled, the slow path shows, and comes back at its place", () => {
  const m = new Machine();
  const vfio = m.own("vfio");
  let slow = 0;
  const bar = m.mmio("bar", vfio, { size: 0x4000, read: () => ++slow && 0x51 });
  const fast = [0, 0x2000].map((offset, index) => {
    const ram = m.ram(`mmap ${index}`, vfio);
    addSubregion(m.world, bar, offset, ram);
    return ram;
  });
  addSubregion(m.world, m.root, 0, bar);
  m.listen();
  const toggle = (on: boolean) => transaction(m.world, () => fast.forEach((region) => setEnabled(m.world, region, on)));
  m.store(0x2000, 0xfa57);
  assertEquals([m.load(0x2000), m.load(0x1000), slow], [0xfa57, 0x51, 1]);
  toggle(false);
  assertEquals([m.load(0x2000), m.load(0), slow, shown(m)], [0x51, 0x51, 3, [[0, 0x4000, "bar"]]]);
  toggle(true);
  assertEquals([m.load(0x2000), slow], [0xfa57, 3]);
  assertEquals(shown(m)?.map(([, , name]) => name), ["mmap 0", "bar", "mmap 1", "bar"]);
  m.settle();
});

Deno.test("S41 a legacy hole in RAM is toggled: RAM splits in two and joins again, told as such", () => {
  const m = new Machine();
  const ram = m.ram("ram", m.owner, 0x200000);
  addSubregion(m.world, m.root, 0, ram);
  const vga = m.mmio("vga", m.own("vga"), { size: 0x20000 });
  const hole = m.alias("hole", m.owner, vga, 0, 0x20000);
  setEnabled(m.world, hole, false);
  addSubregion(m.world, m.root, 0xa0000, hole, { priority: 1 });
  m.listen();
  setEnabled(m.world, hole, true);
  assertEquals(m.heard(), [
    "l begin",
    "l del 0+200000",
    "l add 0+a0000",
    "l add a0000+20000",
    "l add c0000+140000",
    "l commit",
  ]);
  setEnabled(m.world, hole, false);
  assertEquals(m.heard().filter((line) => line.includes("add")), ["l add 0+200000"]);
  m.settle();
});

Deno.test("S42 a processor's second address space sees the memory that the first does not", () => {
  const m = new Machine();
  const cpu = m.own("cpu");
  addSubregion(m.world, m.root, 0xa0000, m.mmio("vga", m.own("vga"), { size: 0x20000, read: () => 0x76 }));
  const smram = m.ram("smram", m.owner, 0x20000);
  const root = m.container("smm root", cpu, 2n ** 64n);
  addSubregion(m.world, root, 0, m.alias("system", cpu, m.root, 0, 2n ** 64n));
  const window = m.alias("smram window", cpu, smram, 0, 0x20000);
  addSubregion(m.world, root, 0xa0000, window, { priority: 1 });
  const smm = createAddressSpace(m.world, { name: "smm", root, owner: cpu });
  ramOf(m.world, smram).bytes[0] = 0x55;
  const both = () => {
    const byte = new Uint8Array(1);
    read(m.world, smm, 0xa0000, byte);
    return [m.load(0xa0000, 1), byte[0]];
  };
  assertEquals(both(), [0x76, 0x55]);
  setEnabled(m.world, window, false);
  assertEquals(both(), [0x76, 0x76]);
  setAliasOffset(m.world, window, 0x1000);
  setEnabled(m.world, window, true);
  assertEquals(both(), [0x76, 0]);
  m.settle();
});

Deno.test("S44 the address space of an IOMMU that is unplugged with listeners on it: refused, the listener named", () => {
  const m = new Machine();
  const iommu = m.own("iommu");
  const space = createAddressSpace(m.world, { name: "iommu", root: m.container("iova", iommu), owner: iommu });
  const listener = registerListener(m.world, space, { name: "vfio container" });
  const error = assertThrows(() => destroyAddressSpace(m.world, space), InUseError);
  assertEquals(error.message, 'cannot destroy address space "iommu": listener "vfio container" is registered');
  assertEquals(isAlive(m.world, space), true);
  unregisterListener(m.world, listener);
  destroyAddressSpace(m.world, space);
  assertEquals(isAlive(m.world, space), false);
  m.settle();
});

Deno.test("S45 a hart that keeps what it found is told by the epoch that it is stale; until it drops it, it is not freed", () => {
  const m = new Machine();
  const memory = createGuestMemory(0x20000);
  const owner = m.own("dimm");
  const ram = m.ram("dimm", owner, 0x1000, memory);
  addSubregion(m.world, m.root, 0, ram);
  const hart = registerReader(m.world, "hart 0");
  announce(m.world, hart);
  const { ramOffset, memory: found } = dispatchFind(m.world, m.space, 0, 0x10);
  memory.bytes[ramOffset] = 0x99;
  assertEquals(hart.epoch, currentEpoch(m.world));
  delSubregion(m.world, m.root, ram); // another hart commits
  drop(m.world, owner);
  assert(hart.epoch < currentEpoch(m.world), "the hart sees that it is behind");
  assertEquals([found?.bytes[ramOffset], m.finalized, retiredQueue(m.world).length > 0], [0x99, [], true]);
  assertEquals(dispatchFind(m.world, m.space, 0, 0x10).region, undefined);
  announce(m.world, hart);
  assertEquals([memory.bytes[ramOffset], m.finalized], [0, ["dimm"]]);
  unregisterReader(m.world, hart);
  m.settle();
});

Deno.test("S22 a bank is switched by a port handler while the window is read: one read, one bank", () => {
  const m = new Machine();
  const vga = m.own("cirrus");
  const memory = m.ram("vram", vga, 0x4000);
  ramOf(m.world, memory).bytes.forEach((_, at, bytes) => bytes[at] = at >> 12);
  const bank = m.alias("bank", vga, memory, 0, 0x1000);
  const window = m.container("window", vga, 0x2000);
  let calls = 0;
  const port = m.mmio("port", vga, {
    size: 4,
    read() {
      calls++;
      setAliasOffset(m.world, bank, 0x3000);
      return 0xee;
    },
  });
  addSubregion(m.world, window, 0, port);
  addSubregion(m.world, window, 4, bank);
  addSubregion(m.world, m.root, 0, window);
  const bytes = new Uint8Array(8);
  assertEquals(read(m.world, m.space, 0, bytes), MemTx.OK);
  assertEquals([[...bytes], calls], [[0xee, 0, 0, 0, 0, 0, 0, 0], 1]);
  assertEquals([m.load(4, 1), calls], [3, 1]);
  m.settle();
});

Deno.test("S85 ROM mode comes on while a read goes on: its other pieces stay calls, the next read is direct", () => {
  const m = new Machine();
  let calls = 0;
  const read4 = () => {
    if (calls++ === 0) setRomd(m.world, flash, true);
    return 0xcccccccc;
  };
  const flash = createRomDevice(m.world, {
    name: "flash",
    size: 0x3000,
    owner: m.own("flash"),
    ops: { read: read4 },
    state: undefined,
  });
  setRomd(m.world, flash, false);
  addSubregion(m.world, m.root, 0, flash);
  m.listen();
  const bytes = new Uint8Array(0x3000);
  assertEquals(read(m.world, m.space, 0, bytes), MemTx.OK);
  assertEquals([bytes.every((byte) => byte === 0xcc), calls], [true, 0xc00]);
  assertEquals(m.heard(), ["l begin", "l del 0+3000", "l add 0+3000", "l commit"]);
  assertEquals([m.load(0), calls], [0, 0xc00]);
  m.settle();
});
