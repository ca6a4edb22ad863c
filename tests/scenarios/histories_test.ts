/** Scenarios of family 3.1: the histories that the rules come from, on devices of the same shape. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { allSpaces, lookup, spaceOf } from "../../ecs/address_space.ts";
import { isAlive, StaleHandleError } from "../../ecs/handle.ts";
import { listenersOf } from "../../ecs/listener.ts";
import { createGuestMemory } from "../../ecs/ram_block.ts";
import type { Region } from "../../ecs/region.ts";
import type { World } from "../../ecs/world.ts";
import { atUnrealize, defineDevice, DeviceError, type Instance, link } from "../../machines/devices/define.ts";
import { MemTx } from "../../systems/access.ts";
import { readRange, writeRange } from "../../systems/dispatch.ts";
import { load, store } from "../../systems/dma.ts";
import { drop, InUseError, LifetimeError, reference, release } from "../../systems/finalize.ts";
import { whyAlive } from "../../systems/inspect.ts";
import { leaks } from "../../systems/leaks.ts";
import { createDevice } from "../../systems/create_device.ts";
import { isRealized, plug, realize, unplug } from "../../systems/plug.ts";
import { drain, readScope } from "../../systems/scope.ts";
import { createTimer, setTimer } from "../../systems/timers.ts";
import { createClock, runDueTimers } from "../../systems/timers.ts";
import {
  createAddressSpace,
  destroyAddressSpace,
  registerListener,
  unregisterListener,
} from "../../systems/address_spaces.ts";
import { createAlias, ramOf } from "../../systems/create_region.ts";
import { addSubregion, delSubregion } from "../../systems/topology.ts";
import { Machine } from "./machine.ts";

const MEMORY = 0x100000;

/** Where a shared-memory device is to show its memory, and the memory. */
interface Backend {
  readonly ram: Region;
  readonly container: Region;
  readonly offset: number;
}
type SharedMemory = Instance<{ mask: number; status: number }, { readonly memdev: Backend }>;

/** The shape of ivshmem-plain: registers of 256 bytes, and a BAR that is the backend's memory through an alias of its own. */
const sharedMemory = defineDevice<SharedMemory["state"], { memdev: ReturnType<typeof memdev> }>({
  type: "shared-memory",
  description: "registers and a window on a memory backend",
  properties: { memdev: memdev() },
  state: () => ({ mask: 0, status: 0 }),
  regions: {
    registers: {
      size: 0x100,
      registers: [
        { name: "IntrMask", offset: 0, bytes: 4, field: "mask" },
        { name: "IntrStatus", offset: 4, bytes: 4, field: "status", afterRead: (d) => d.state.status = 0 },
        { name: "IVPosition", offset: 8, bytes: 4, access: "ro", read: () => 0 },
      ],
    },
  },
  realize(d) {
    const { ram, container, offset } = d.properties.memdev;
    const bar = createAlias(d.world, { name: `${d.id}.bar2`, target: ram, offset: 0, size: MEMORY, owner: d.device });
    addSubregion(d.world, container, offset, bar);
    reference(d.world, ram, "external", d.device);
    atUnrealize(d, () => {
      release(d.world, ram, "external", d.device);
      delSubregion(d.world, container, bar);
      drop(d.world, bar);
    });
  },
});

function memdev() {
  return link<Backend>("the memory behind the BAR", { shared: true });
}

function shared(m: Machine, id: string, backend: Region, registers: number, offset: number, container = m.root) {
  return plug(m.world, sharedMemory, {
    id,
    owner: m.owner,
    properties: { memdev: { ram: backend, container, offset } },
    at: [{ region: "registers", container, offset: registers }],
  });
}

Deno.test("S03 shared memory: registers answer, and BAR2 is the backend's memory", () => {
  const m = new Machine();
  const backend = m.ram("backend", m.backend("backend"), MEMORY);
  const device = shared(m, "ivshmem", backend, 0x1000, 0x200000);
  assertEquals([m.store(0x1000, 0xffff), m.load(0x1000)], [MemTx.OK, 0xffff]);
  m.store(0x1004, 1);
  assertEquals([m.load(0x1004), m.load(0x1004), m.load(0x1008)], [1, 0, 0], "status clears when read");
  m.store(0x1008, 7);
  assertEquals(m.load(0x1008), 0, "IVPosition is read-only");
  for (const offset of [0, 1, 0xffc, 0x7fff1, MEMORY - 4]) {
    m.store(0x200000 + offset, 0x12340000 + offset);
    const { bytes } = ramOf(m.world, backend);
    assertEquals(new DataView(bytes.buffer, bytes.byteOffset).getUint32(offset, true), 0x12340000 + offset);
  }
  unplug(m.world, device);
  m.settle();
});

Deno.test("S04 two machines on one backend see each other's bytes, through regions of their own", () => {
  const m = new Machine();
  const other = m.backend("machine B");
  const system = m.container("system B", other, 2 ** 32);
  const space = createAddressSpace(m.world, { name: "memory B", root: system, owner: other });
  const backend = m.ram("backend", m.backend("backend"), MEMORY);
  const [a, b] = [
    shared(m, "a", backend, 0x1000, 0x200000),
    plug(m.world, sharedMemory, {
      id: "b",
      owner: other,
      properties: { memdev: { ram: backend, container: system, offset: 0x400000 } },
    }),
  ];
  m.store(0x200010, 0xcafe);
  store(m.world, space, 0x400020, 4, 0xbeef);
  assertEquals([load(m.world, space, 0x400010, 4), m.load(0x200020)], [0xcafe, 0xbeef]);
  unplug(m.world, a);
  assertEquals([m.load(0x200010), load(m.world, space, 0x400010, 4)], [0, 0xcafe], "B still sees it");
  unplug(m.world, b);
  m.settle();
});

Deno.test("S06 the backend survives the device's unplug, and cannot go before it", () => {
  const m = new Machine();
  const owner = m.backend("backend");
  const backend = m.ram("ram", owner, MEMORY);
  const device = shared(m, "ivshmem", backend, 0x1000, 0x200000);
  assertThrows(() => drop(m.world, backend), InUseError, 'target of alias "ivshmem.bar2"');
  m.store(0x200000, 0x77);
  drop(m.world, owner);
  assertEquals([isAlive(m.world, backend), m.load(0x200000)], [true, 0], "its owner is gone, so no alias shows it");
  assertEquals(leaks(m.world).map(({ name, holders }) => [name, holders[0]?.holder]), [["ram", device]]);
  assert(whyAlive(m.world, backend).text.includes('"ivshmem" holds a external pin on "ram"'));
  unplug(m.world, device);
  assertEquals(isAlive(m.world, backend), false);
  m.settle();
});

Deno.test("S07 memory outlives each device on it, one unplugged while its BAR is mapped, five times over", () => {
  const m = new Machine();
  const backend = m.ram("backend", m.backend("backend"), MEMORY);
  shared(m, "second", backend, 0x2000, 0x400000);
  const first = shared(m, "first", backend, 0x1000, 0x200000);
  m.store(0x200000, 0x12345678);
  m.store(0x400004, 0xdeadbeef);
  assertEquals([m.load(0x200000), m.load(0x200004)], [0x12345678, 0xdeadbeef]);
  reference(m.world, backend, "map");
  unplug(m.world, first);
  assertEquals(m.load(0x400004), 0xdeadbeef);
  release(m.world, backend, "map");
  const before = [m.entities(), allSpaces(m.world).length];
  for (let i = 0; i < 5; i++) {
    const device = shared(m, "first", backend, 0x1000, 0x200000);
    m.store(0x200000, 0x1000 + i);
    assertEquals(m.load(0x400000), 0x1000 + i);
    unplug(m.world, device);
    assertEquals([m.entities(), allSpaces(m.world).length], before);
    m.settle();
  }
});

Deno.test("S08 a device's own RAM that is mapped outlives the device until it is unmapped", () => {
  const m = new Machine();
  const memory = createGuestMemory(0x20000);
  const device = m.own("ivshmem");
  const bar = m.ram("bar2", device, 0x1000, memory);
  addSubregion(m.world, m.root, 0, bar);
  m.store(8, 0xabcd);
  const { bytes, offset } = ramOf(m.world, bar);
  reference(m.world, bar, "map");
  delSubregion(m.world, m.root, bar);
  drop(m.world, device);
  bytes[9] = 0x11;
  assertEquals([m.finalized, isAlive(m.world, bar), bytes[8], bytes[9]], [["ivshmem"], true, 0xcd, 0x11]);
  release(m.world, bar, "map");
  assertEquals([isAlive(m.world, bar), memory.bytes[offset + 8]], [false, 0]);
  m.settle();
});

Deno.test("S09 a controller with two buses is unplugged in its bmdma handler: all is valid until it returns", () => {
  const m = new Machine();
  const ide = m.own("ide");
  const buses = [m.own("bus 0", ide, false), m.own("bus 1", ide, false)];
  const bmdma = m.container("bmdma", ide, 16);
  const during: unknown[] = [];
  for (const channel of [0, 1]) {
    const write = () => {
      delSubregion(m.world, m.root, bmdma);
      drop(m.world, ide);
      during.push(m.finalized.length, ...buses.map((bus) => isAlive(m.world, bus)));
      assertThrows(() => addSubregion(m.world, m.root, 0, bmdma), LifetimeError, 'region "bmdma" is being finalized');
    };
    addSubregion(m.world, bmdma, channel * 8, m.mmio(`extra ${channel}`, ide, { size: 4, write }));
    addSubregion(m.world, bmdma, channel * 8 + 4, m.mmio(`address ${channel}`, ide, { size: 4 }));
  }
  const before = m.entities() - 8;
  addSubregion(m.world, m.root, 0xc000, bmdma);
  assertEquals(m.store(0xc000, 1), MemTx.OK);
  assertEquals([during, m.finalized], [[0, true, true], ["bus 1", "bus 0", "ide"]]);
  assertEquals(m.entities(), before);
  m.settle();
});

Deno.test("S10 what was found before it was taken out is called on living state", () => {
  const m = new Machine();
  const device = m.own("ide");
  const state = { value: 1 };
  const region = m.mmio("bmdma", device, { read: () => state.value, write: (_, value) => state.value = value });
  addSubregion(m.world, m.root, 0xc000, region);
  readScope(m.world, "between lookup and call", () => {
    const record = spaceOf(m.world, m.space);
    const { view } = record;
    const range = lookup(record, 0, 0xc000);
    delSubregion(m.world, m.root, region);
    state.value = 0; // reset
    drop(m.world, device);
    assertEquals(m.load(0xc000), 0, "a new access finds nothing");
    assertEquals(m.world.access.result, MemTx.DECODE_ERROR);
    assertEquals([readRange(m.world, view, range, 0, 0xc000, 4, 0), m.world.access.result], [0, MemTx.OK]);
    assertEquals(writeRange(m.world, view, range, 0, 0xc000, 4, 5, 0, 0), MemTx.OK);
    assertEquals([state.value, m.finalized], [5, []]);
  });
  assertEquals(m.finalized, ["ide"]);
  m.settle();
});

Deno.test("S11 a timer that unplugs its device in its callback ends on living memory and is not armed again", () => {
  const m = new Machine();
  let now = 0;
  const clock = createClock(m.world, { name: "c", now: () => now });
  const device = m.own("piix");
  const steps: string[] = [];
  const timer = createTimer(m.world, {
    name: "t",
    owner: device,
    clock,
    callback() {
      drop(m.world, device);
      steps.push(isAlive(m.world, device) ? "alive" : "dead");
    },
  });
  setTimer(m.world, timer, 5);
  now = 10;
  assertEquals([runDueTimers(m.world, clock), steps, m.finalized], [1, ["alive"], ["piix"]]);
  now = 100;
  assertEquals(runDueTimers(m.world, clock), 0);
  m.settle();
});

/** A device with a DMA space of its own that it listens to, like a virtio device behind a bridge. */
function listening(m: Machine, heard: string[]) {
  return defineDevice({
    type: "virtio-net",
    description: "listens to its DMA space",
    state: () => ({}),
    regions: { registers: { size: 0x100, registers: [] } },
    realize(d) {
      const root = createAlias(d.world, { name: "dma", target: m.root, offset: 0, size: 2n ** 64n, owner: d.device });
      const space = createAddressSpace(d.world, { name: "dma", root, owner: d.device });
      const listener = registerListener(d.world, space, {
        name: "rings",
        owner: d.device,
        commit: () => void heard.push("commit"),
        regionDel: () => void heard.push("del"),
      });
      atUnrealize(d, () => {
        unregisterListener(d.world, listener);
        destroyAddressSpace(d.world, space);
        drop(d.world, root);
      });
    },
  });
}

Deno.test("S14 eject: the listener that unrealize takes out inside of the access is not called again", () => {
  const m = new Machine();
  const heard: string[] = [];
  const net = plug(m.world, listening(m, heard), {
    id: "net",
    owner: m.owner,
    at: [{ region: "registers", container: m.root, offset: 0x1000 }],
  });
  const spaces = allSpaces(m.world).length;
  let atReturn = -1;
  const eject = m.mmio("eject", m.own("hotplug"), {
    write() {
      unplug(m.world, net);
      atReturn = heard.length;
      addSubregion(m.world, m.root, 0x9000, m.ram("elsewhere", m.owner));
      assertEquals(isAlive(m.world, net), true, "kept by the scope of this access");
    },
  });
  addSubregion(m.world, m.root, 0x5000, eject);
  heard.length = 0;
  assertEquals(m.store(0x5000, 1), MemTx.OK);
  assertEquals(heard.length, atReturn, "nothing after unregister returned");
  assert(heard.includes("del"), "it was told the end of its view");
  assertEquals([isAlive(m.world, net), allSpaces(m.world).length], [false, spaces - 1]);
  m.settle();
});

Deno.test("S15 eject of the bridge that the eject register belongs to, with the device behind it", () => {
  const m = new Machine();
  const heard: string[] = [];
  const bridge = m.own("bridge");
  const window = m.container("window", bridge);
  const net = plug(m.world, listening(m, heard), {
    id: "net",
    owner: bridge,
    at: [{ region: "registers", container: window, offset: 0 }],
  });
  const before = m.entities();
  addSubregion(
    m.world,
    window,
    0x4000,
    m.mmio("eject", bridge, {
      write() {
        unplug(m.world, net);
        delSubregion(m.world, m.root, window);
        drop(m.world, bridge);
        assertEquals([isAlive(m.world, net), isAlive(m.world, bridge), m.finalized], [true, true, []]);
      },
    }),
  );
  addSubregion(m.world, m.root, 0x10000, window);
  assertEquals([m.store(0x14000, 1), m.finalized, isAlive(m.world, net)], [MemTx.OK, ["bridge"], false]);
  assertEquals(m.store(0x14000, 1), MemTx.DECODE_ERROR);
  assert(m.entities() < before);
  m.settle();
});

Deno.test("S16 a processor is ejected by another through a register; with a listener, as its own, it is refused", () => {
  const m = new Machine();
  const ram = m.ram("ram", m.owner);
  addSubregion(m.world, m.root, 0, ram);
  const harts = ["hart 0", "hart 1"].map((name) => {
    const owner = m.own(name);
    const space = createAddressSpace(m.world, { name, root: m.root, owner });
    const listener = registerListener(m.world, space, { name: `TLB of ${name}`, owner });
    return { owner, space, listener };
  });
  const [first, second] = harts;
  assert(first !== undefined && second !== undefined);
  const eject = m.mmio("eject", m.own("hotplug"), {
    write(_, which) {
      const hart = harts[which];
      if (hart === undefined) return;
      destroyAddressSpace(m.world, hart.space);
      drop(m.world, hart.owner);
    },
  });
  addSubregion(m.world, m.root, 0x2000, eject);
  for (const which of [0, 1]) {
    assertEquals(store(m.world, first.space, 0x2000, 4, which), MemTx.ERROR);
    assert(m.faults.pop()?.message.includes(`listener "TLB of hart ${which}" is registered`));
  }
  unregisterListener(m.world, second.listener);
  assertEquals(store(m.world, first.space, 0x2000, 4, 1), MemTx.OK);
  assertEquals([m.finalized, isAlive(m.world, second.space)], [["hart 1"], false]);
  assertThrows(() => load(m.world, second.space, 0, 4), StaleHandleError);
  store(m.world, first.space, 4, 4, 9);
  assertEquals([load(m.world, first.space, 4, 4), m.load(4)], [9, 9]);
  m.settle();
});

/** A device whose realize takes something at each step and then fails. */
function failing(world: World, m: Machine) {
  return defineDevice({
    type: "failing",
    description: "fails after it registered a listener",
    state: () => ({}),
    regions: { registers: { size: 0x100, registers: [] } },
    realize(d) {
      const listener = registerListener(world, m.space, { name: "probe", owner: d.device });
      atUnrealize(d, () => unregisterListener(world, listener));
      throw new DeviceError("the backend is not there");
    },
  });
}

Deno.test("S19 after a plug that failed and a drain, the id is free", async () => {
  const m = new Machine();
  const type = failing(m.world, m);
  const before = m.entities();
  for (let i = 0; i < 3; i++) {
    assertThrows(() => plug(m.world, type, { id: "disk0", owner: m.owner }), DeviceError, "the backend is not there");
    await drain(m.world);
    assertEquals(m.entities(), before);
  }
  const device = shared(m, "disk0", m.ram("backend", m.backend("backend"), MEMORY), 0x1000, 0x200000);
  assertEquals(isRealized(m.world, device), true);
  unplug(m.world, device);
  m.settle();
});

Deno.test("S43 a realize that fails leaves no listener, and the device can be dropped or tried again (LC16)", () => {
  const m = new Machine();
  const id = spaceOf(m.world, m.space).id;
  const device = createDevice(m.world, failing(m.world, m), { id: "net", owner: m.owner });
  for (let i = 0; i < 2; i++) {
    assertThrows(() => realize(m.world, device), DeviceError);
    assertEquals([listenersOf(m.world, id).length, isRealized(m.world, device)], [0, false]);
  }
  unplug(m.world, device);
  assertEquals(isAlive(m.world, device), false);
  m.settle();
});
