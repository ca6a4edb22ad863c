/** Scenarios of IOMMU regions: 1.17, S44, and maps, caches and DMA through them. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import type { AddressSpace } from "../../ecs/address_space.ts";
import { TOP } from "../../ecs/address.ts";
import { type IommuOps, Permission, type Translation } from "../../ecs/iommu.ts";
import { type IommuEvent, NotifierEvent } from "../../ecs/iommu_notifier.ts";
import type { Owner } from "../../ecs/owner.ts";
import type { MmioOps, Region } from "../../ecs/region.ts";
import { Attrs, MemTx } from "../../systems/access.ts";
import { cacheRead, cacheWrite, createCache } from "../../systems/cache.ts";
import { dispatchRead } from "../../systems/dispatch.ts";
import { load, peek, read, store, write } from "../../systems/dma.ts";
import { scopeDepth } from "../../systems/epoch.ts";
import { drop, InUseError } from "../../systems/finalize.ts";
import { ClosedError, closeHoldings } from "../../systems/holding.ts";
import { audit } from "../../systems/inspect.ts";
import {
  addIommuNotifier,
  createIommu,
  IommuError,
  type NotifierOptions,
  notifyIommu,
  removeIommuNotifier,
  replayIommu,
} from "../../systems/iommu.ts";
import { map, unmap } from "../../systems/map.ts";
import { mtree } from "../../systems/mtree.ts";
import { createAddressSpace, destroyAddressSpace } from "../../systems/address_spaces.ts";
import { createAlias, createContainer, createMmio, createRam, ramOf } from "../../systems/create_region.ts";
import { addSubregion, delSubregion } from "../../systems/topology.ts";
import { Stage } from "./machine.ts";

const PAGE = 0x1000;

/** A table from page to page, as a device with one level would have it. */
interface Table {
  readonly pages: Map<number, Translation>;
  readonly asked: [page: number, wanted: number, index: number][];
}

const TABLE_OPS: IommuOps<Table> = {
  translate(table, hi, lo, wanted, index) {
    const page = (hi >>> 0) * 0x100000 + (lo >>> 12);
    table.asked.push([page, wanted, index]);
    return table.pages.get(page);
  },
};

class Machine extends Stage {
  constructor() {
    super({}, 2 ** 32);
  }

  ram(at: number, size = 0x10000): Uint8Array {
    const region = createRam(this.world, { name: "ram", size, owner: this.owner });
    addSubregion(this.world, this.root, at, region);
    return ramOf(this.world, region).bytes;
  }

  mmio(at: number, ops: MmioOps<undefined>, owner = this.owner): Region {
    const region = createMmio(this.world, { name: "registers", size: PAGE, owner, ops, state: undefined });
    addSubregion(this.world, this.root, at, region);
    return region;
  }

  /** An IOMMU with a table, and the address space of what is behind it. */
  iommu(options: { name?: string; owner?: Owner; ops?: IommuOps<Table>; size?: number } = {}) {
    const { name = "vtd", owner = this.owner, ops = TABLE_OPS, size = TOP } = options;
    const table: Table = { pages: new Map(), asked: [] };
    const region = createIommu(this.world, { name, size, owner, ops, state: table });
    const space = createAddressSpace(this.world, { name: `${name} dma`, root: region, owner });
    const enter = (page: number, to: number, permission: number = Permission.READ_WRITE, target = this.space) =>
      table.pages.set(page, { target, hi: 0, lo: to | 0, pageSize: PAGE, permission });
    return { table, region, space, enter };
  }
}

Deno.test("an access goes on where its page leads, with what the page allows; elsewhere nothing answers", () => {
  const m = new Machine();
  const ram = m.ram(0);
  const { space, enter, table } = m.iommu();
  enter(5, 0x3000, Permission.READ);
  enter(6, 0x4000, Permission.WRITE);
  ram.set([1, 2, 3, 4], 0x3010);
  assertEquals(load(m.world, space, 0x5010, 4), 0x04030201);
  assertEquals(m.world.access.result, MemTx.OK);
  assertEquals(store(m.world, space, 0x5010, 4, 9), MemTx.DECODE_ERROR);
  assertEquals(store(m.world, space, 0x6020, 8, 0x1122334455667788n), MemTx.OK);
  assertEquals(load(m.world, m.space, 0x4020, 8), 0x1122334455667788n);
  assertEquals([load(m.world, space, 0x6020, 4), m.world.access.result], [0, MemTx.DECODE_ERROR]);
  assertEquals([load(m.world, space, 0x7000, 4), m.world.access.result], [0, MemTx.DECODE_ERROR]);
  assertEquals(table.asked.map(([page, wanted]) => [page, wanted]), [
    [5, Permission.READ],
    [5, Permission.WRITE],
    [6, Permission.WRITE],
    [6, Permission.READ],
    [7, Permission.READ],
  ]);
  assertEquals([m.faults, scopeDepth(m.world)], [[], 0]);
  audit(m.world);
});

Deno.test("what lies over the end of a page is taken apart, for scalars and for buffers", () => {
  const m = new Machine();
  const ram = m.ram(0);
  const { space, enter } = m.iommu();
  enter(1, 0x8000);
  enter(2, 0x2000);
  assertEquals(store(m.world, space, 0x1ffd, 8, 0x8877665544332211n), MemTx.OK);
  assertEquals([...ram.subarray(0x8ffd, 0x9000), ...ram.subarray(0x2000, 0x2005)], [
    0x11,
    0x22,
    0x33,
    0x44,
    0x55,
    0x66,
    0x77,
    0x88,
  ]);
  assertEquals(load(m.world, space, 0x1ffd, 8), 0x8877665544332211n);
  const bytes = new Uint8Array(PAGE * 3).fill(0xee);
  assertEquals(read(m.world, space, 0x1000, bytes), MemTx.DECODE_ERROR, "the third page leads nowhere");
  assertEquals([...bytes.subarray(0xffd, 0x1005)], [0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88]);
  assert(bytes.subarray(2 * PAGE).every((byte) => byte === 0));
  assertEquals(write(m.world, space, 0x1800, new Uint8Array(0x1000).fill(7)), MemTx.OK);
  assertEquals([ram[0x8800], ram[0x27ff], ram[0x2800]], [7, 7, 0]);
});

Deno.test("random tables: DMA of any address and length reads and writes what the table says, byte by byte", () => {
  const pages = fc.array(fc.tuple(fc.nat(7), fc.nat(15), fc.nat(3)), { maxLength: 10 });
  fc.assert(
    fc.property(pages, fc.nat(8 * PAGE), fc.integer({ min: 1, max: 3 * PAGE }), (entries, start, length) => {
      const m = new Machine();
      const ram = m.ram(0);
      for (let i = 0; i < ram.length; i++) ram[i] = (i * 7) ^ (i >> 8);
      const { space, enter, table } = m.iommu();
      for (const [page, to, permission] of entries) enter(page, to * PAGE, permission);
      const before = ram.slice();
      const at = (i: number, permission: number) => {
        const entry = table.pages.get((start + i) >> 12);
        const allowed = entry !== undefined && (entry.permission & permission) !== 0;
        return allowed ? entry.lo + ((start + i) & (PAGE - 1)) : undefined;
      };
      const indices = Array.from({ length }, (_, i) => i);
      const expected = indices.map((i) => before[at(i, Permission.READ) ?? -1] ?? 0);
      const bytes = new Uint8Array(length).fill(1);
      const failing = (permission: number) => indices.some((i) => at(i, permission) === undefined);
      assertEquals(read(m.world, space, start, bytes), failing(Permission.READ) ? MemTx.DECODE_ERROR : MemTx.OK);
      assertEquals([...bytes], expected);
      const data = bytes.map((_, i) => i ^ 0x5a);
      assertEquals(write(m.world, space, start, data), failing(Permission.WRITE) ? MemTx.DECODE_ERROR : MemTx.OK);
      for (const i of indices) before[at(i, Permission.WRITE) ?? before.length] = data[i]!; // as long as the indices
      assertEquals(ram, before);
    }),
    { numRuns: 60 },
  );
});

Deno.test("pages of any power of two: the low bits stay, halves and all", () => {
  const m = new Machine();
  const big = createMmio(m.world, {
    name: "big",
    size: TOP,
    owner: m.owner,
    ops: { read: (_, offset) => offset / 0x10 },
    state: undefined,
  });
  const target = createAddressSpace(m.world, { name: "big", root: big, owner: m.owner });
  for (const [bits, expected] of [[12, 0x5670], [32, 0x34567 * 0x1000 + 0x670], [40, 0x1234567670]] as const) {
    const ops = { translate: () => ({ target, hi: 0, lo: 0x5000, pageSize: 2 ** bits, permission: Permission.READ }) };
    const { space } = m.iommu({ name: `iommu ${bits}`, ops });
    const address = 0x1234567670n;
    const exact = bits === 12 ? 0x5670 : expected;
    assertEquals(Number(load(m.world, space, address, 4)) * 0x10 % 2 ** 32, exact % 2 ** 32);
  }
  for (const pageSize of [0, 1.5, 3 * 2 ** 32, 2 ** 32 + PAGE]) {
    const ops = { translate: () => ({ target, hi: 0, lo: 0, pageSize, permission: Permission.READ }) };
    assertEquals(read(m.world, m.iommu({ name: "odd", ops }).space, 0, new Uint8Array(1)), MemTx.ERROR);
  }
  assertEquals(m.faults.length, 4);
  const whole = m.iommu({
    name: "whole",
    ops: { translate: () => ({ target: m.space, hi: -1, lo: -1, pageSize: TOP, permission: Permission.READ }) },
  });
  m.ram(0)[5] = 9;
  assertEquals(load(m.world, whole.space, 5, 1), 9);
});

Deno.test("a model is asked for offsets of its region, wherever and through whatever that is seen", () => {
  const m = new Machine();
  const ram = m.ram(0);
  const { region, enter, table } = m.iommu();
  const bus = createContainer(m.world, { name: "bus", size: TOP, owner: m.owner });
  const window = createAlias(m.world, {
    name: "window",
    target: region,
    offset: 0x1_0000_5000,
    size: 2 ** 33,
    owner: m.owner,
  });
  addSubregion(m.world, bus, 0x7_8000_0000, window);
  const space = createAddressSpace(m.world, { name: "bus", root: bus, owner: m.owner });
  for (const [page, to] of [[0x100005, 0x1000], [0x17fffd + 8, 0x2000], [0x1a0000, 0x3000]] as const) enter(page, to);
  ram.set([1, 0, 0, 0], 0x1010);
  ram.set([2, 0, 0, 0], 0x2010);
  ram.set([3, 0, 0, 0], 0x3010);
  assertEquals(load(m.world, space, 0x7_8000_0010, 4), 1);
  assertEquals(load(m.world, space, 0x8_0000_0010, 4), 2, "the halves borrow");
  assertEquals(load(m.world, space, 0x8_1fff_b010, 4), 3);
  assertEquals(table.asked.map(([page]) => page), [0x100005, 0x180005, 0x1a0000]);
});

Deno.test("nested IOMMUs: each hop is one translation; a cycle is a decode error, traced once", () => {
  const m = new Machine();
  const ram = m.ram(0);
  ram[0x9123] = 42;
  const outer = m.iommu({ name: "outer" });
  const inner = m.iommu({ name: "inner" });
  outer.enter(1, 0x5000, Permission.READ_WRITE, inner.space);
  inner.enter(5, 0x9000);
  assertEquals(load(m.world, outer.space, 0x1123, 1), 42);
  outer.enter(2, 0x6000, Permission.READ_WRITE, inner.space);
  inner.enter(6, 0x2000, Permission.READ_WRITE, outer.space);
  for (let i = 0; i < 2; i++) {
    assertEquals([load(m.world, outer.space, 0x2000, 4), m.world.access.result], [0, MemTx.DECODE_ERROR]);
    assertEquals(write(m.world, outer.space, 0x2000, new Uint8Array(100)), MemTx.DECODE_ERROR);
    assertEquals(map(m.world, outer.space, 0x2000, 4)?.result, MemTx.DECODE_ERROR);
  }
  assert(m.traces.length > 0 && m.traces.every((line) => line.includes("leads to itself: refused")));
  assertEquals(new Set(m.traces).size, m.traces.length, "once per IOMMU");
  assertEquals([scopeDepth(m.world), m.faults], [0, []]);
  audit(m.world);
});

Deno.test("a table walk through the IOMMU itself ends at once, however many loads it tries", () => {
  const m = new Machine();
  m.ram(0);
  let calls = 0;
  const self: { space?: AddressSpace } = {};
  const { space } = m.iommu({
    ops: {
      translate: () => {
        calls++;
        for (let i = 0; i < 8; i++) if (self.space !== undefined) load(m.world, self.space, 0x1000 * i, 8);
        return undefined;
      },
    },
  });
  self.space = space;
  assertEquals([load(m.world, space, 0, 4), m.world.access.result], [0, MemTx.DECODE_ERROR]);
  assertEquals([calls, m.traces.length], [1, 1]);
});

Deno.test("a model that throws, or that leads to a space that is gone, fails the access and is reported", () => {
  const m = new Machine();
  const gone = createAddressSpace(m.world, { name: "gone", root: m.root, owner: m.owner });
  destroyAddressSpace(m.world, gone);
  const { space, enter, table } = m.iommu();
  enter(1, 0, Permission.READ, gone);
  table.pages.set(2, { target: m.space, hi: 0, lo: 0, pageSize: 0x3000, permission: Permission.READ });
  for (const page of [1, 2]) {
    assertEquals([load(m.world, space, page * PAGE, 4), m.world.access.result], [0, MemTx.ERROR]);
    assertEquals(read(m.world, space, page * PAGE, new Uint8Array(4)), MemTx.ERROR);
  }
  assertEquals(m.faults.length, 4);
  assert(m.faults[0]?.message.startsWith('IOMMU "vtd" failed to translate: the handle of address space "gone"'));
  assert(m.faults[2]?.message.includes("a page of 12288 bytes is not a power of two"));
  audit(m.world);
});

Deno.test("attributes choose the context, reach the handler behind, and memory-only goes through to memory", () => {
  const m = new Machine();
  m.ram(0);
  let seen = 0;
  m.mmio(0x20000, {
    read: (_, _offset, _size, access) => {
      seen = access.attrs;
      return 1;
    },
  });
  const ops = { ...TABLE_OPS, indexes: 2, indexOf: (attrs: number) => attrs & Attrs.SECURE };
  const { space, enter, table } = m.iommu({ ops });
  enter(0, 0x20000);
  enter(1, 0);
  dispatchRead(m.world, space, 0, 0, 4, Attrs.SECURE);
  dispatchRead(m.world, space, 0, 0, 4, 0);
  assertEquals(table.asked.map(([, , index]) => index), [1, 0]);
  dispatchRead(m.world, space, 0, 0, 4, Attrs.SECURE | 0x50000);
  assertEquals(seen, Attrs.SECURE | 0x50000);
  dispatchRead(m.world, space, 0, 0, 4, Attrs.MEMORY);
  assertEquals(m.world.access.result, MemTx.ACCESS_ERROR);
  dispatchRead(m.world, space, 0, PAGE, 4, Attrs.MEMORY);
  assertEquals(m.world.access.result, MemTx.OK);
});

Deno.test("a debugger only looks: it asks for nothing, and no handler runs", () => {
  const m = new Machine();
  const ram = m.ram(0);
  ram[3] = 4;
  let reads = 0;
  m.mmio(0x20000, { read: () => ++reads, peek: () => 0x77 });
  const { space, enter, table } = m.iommu();
  enter(0, 0);
  enter(1, 0x20000);
  enter(2, 0, Permission.WRITE);
  const bytes = new Uint8Array(4);
  assertEquals([peek(m.world, space, 0, bytes), bytes[3]], [MemTx.OK, 4]);
  assertEquals([peek(m.world, space, PAGE, bytes), bytes[0], reads], [MemTx.OK, 0x77, 0]);
  assertEquals(peek(m.world, space, 2 * PAGE, bytes), MemTx.DECODE_ERROR);
  assert(table.asked.every(([, wanted]) => wanted === Permission.NONE));
});

Deno.test("a mapping goes on over pages that continue each other, and bounces off devices behind the IOMMU", () => {
  const m = new Machine();
  const ram = m.ram(0);
  const written: number[] = [];
  m.mmio(0x20000, { impl: { max: 1 }, write: (_, offset) => void written.push(offset) });
  const { space, enter } = m.iommu();
  for (const [page, to] of [[4, 0x1000], [5, 0x2000], [6, 0x8000], [7, 0x20000]] as const) enter(page, to);
  const mapping = map(m.world, space, 0x4800, 0x3000, { isWrite: true });
  assertEquals([mapping?.isDirect, mapping?.bytes.length], [true, 0x1800]);
  mapping?.bytes.fill(3);
  assertEquals([ram[0x1800], ram[0x2fff], ram[0x3000]], [3, 3, 0]);
  const bounce = map(m.world, space, 0x7010, 0x10, { isWrite: true });
  assert(bounce !== undefined && mapping !== undefined && !bounce.isDirect);
  enter(7, 0);
  assertEquals(unmap(m.world, bounce, 2), MemTx.OK);
  assertEquals(written, [0x10, 0x11], "the device that was mapped, not what the page leads to by now");
  unmap(m.world, mapping);
  audit(m.world);
});

Deno.test("a cache behind an IOMMU translates each access", () => {
  const m = new Machine();
  const ram = m.ram(0);
  const { space, enter } = m.iommu();
  enter(0, 0x3000);
  const cache = createCache(m.world, space, 0x10, 0x10);
  assertEquals(cacheWrite(m.world, cache, 0, new Uint8Array([5])), MemTx.OK);
  assertEquals(ram[0x3010], 5);
  enter(0, 0x4000);
  const bytes = new Uint8Array(1);
  assertEquals([cacheRead(m.world, cache, 0, bytes), bytes[0]], [MemTx.OK, 0]);
});

Deno.test("a device behind the IOMMU that is unplugged by its own handler is there until the access is over", () => {
  const m = new Machine();
  const device = m.own("device");
  const order: string[] = [];
  const region = m.mmio(0x20000, {
    write: () => {
      delSubregion(m.world, m.root, region);
      drop(m.world, device);
      order.push(`handler, finalized: ${m.finalized.length}`);
    },
  }, device);
  const { space, enter } = m.iommu();
  enter(0, 0x20000);
  assertEquals(store(m.world, space, 0, 4, 1), MemTx.OK);
  assertEquals([order, m.finalized], [["handler, finalized: 0"], ["device"]]);
  assertEquals(store(m.world, space, 0, 4, 1), MemTx.DECODE_ERROR);
  audit(m.world);
});

Deno.test("S44 an IOMMU with notifiers is not destroyed, nor its space with listeners: the error names them", () => {
  const m = new Machine();
  const region = createIommu(m.world, {
    name: "vtd",
    size: TOP,
    owner: m.owner,
    ops: TABLE_OPS,
    state: { pages: new Map(), asked: [] },
  });
  const vfio = m.own("vfio");
  const notifier = addIommuNotifier(m.world, region, {
    name: "vfio",
    events: NotifierEvent.MAP,
    holder: vfio,
    notify: () => {},
  });
  assertThrows(() => drop(m.world, region), InUseError, 'cannot drop region "vtd": notifier "vfio"');
  audit(m.world);
  removeIommuNotifier(m.world, notifier);
  assertThrows(() => removeIommuNotifier(m.world, notifier), ClosedError);
  drop(m.world, region);
  audit(m.world);
});

Deno.test("a notifier keeps the IOMMU's device, and ends with its holder or when that is unrealized", () => {
  for (const end of ["drop", "unrealize"] as const) {
    const m = new Machine();
    const vtd = m.own("vtd");
    const changes: number[][] = [];
    const ops = { ...TABLE_OPS, notifiersChanged: (_: Table, ...sets: number[]) => void changes.push(sets) };
    const region = createIommu(m.world, {
      name: "vtd",
      size: TOP,
      owner: vtd,
      ops,
      state: { pages: new Map(), asked: [] },
    });
    const vfio = m.own("vfio");
    addIommuNotifier(m.world, region, { name: "vfio", events: 3, holder: vfio, notify: () => {} });
    drop(m.world, vtd);
    assertEquals(m.finalized, []);
    if (end === "drop") drop(m.world, vfio);
    else closeHoldings(m.world, vfio);
    assertEquals([m.finalized.includes("vtd"), changes], [true, [[0, 3], [3, 0]]]);
    audit(m.world);
  }
});

Deno.test("notifiers hear what they asked for, of their context, within what they follow", () => {
  const m = new Machine();
  const { region } = m.iommu({ ops: { ...TABLE_OPS, indexes: 2 } });
  const heard: [string, IommuEvent][] = [];
  const add = (name: string, options: Partial<NotifierOptions>) =>
    addIommuNotifier(m.world, region, { name, events: 7, notify: (event) => heard.push([name, event]), ...options });
  add("all", {});
  add("unmap", { events: NotifierEvent.UNMAP });
  add("low", { end: 0x4000 });
  add("secure", { index: 1 });
  const names = (event: IommuEvent, index?: number) => {
    heard.length = 0;
    notifyIommu(m.world, region, event, index);
    return heard.map(([name]) => name);
  };
  assertEquals(names({ event: NotifierEvent.MAP, start: 0x1000, end: 0x2000 }), ["all", "low"]);
  assertEquals(names({ event: NotifierEvent.UNMAP, start: 0x8000, end: 0x9000 }), ["all", "unmap"]);
  assertEquals(names({ event: NotifierEvent.UNMAP, start: 0, end: 0x1000 }, 1), ["secure"]);
  assertEquals(names({ event: NotifierEvent.DEVICE_UNMAP, start: 0x3000, end: 0x5000 }), ["all", "low"]);
  assertEquals(heard.map(([, { start, end }]) => [start, end]), [[0x3000, 0x5000], [0x3000, 0x4000]]);
  assertEquals(names({ event: NotifierEvent.DEVICE_UNMAP, start: 0x9000, end: 0xa000 }), ["all"]);
  const high = add("high", { start: 0x9800 });
  names({ event: NotifierEvent.DEVICE_UNMAP, start: 0x9000, end: 0xa000 });
  assertEquals(heard.map(([name, { start, end }]) => [name, start, end]), [["all", 0x9000, 0xa000], [
    "high",
    0x9800,
    0xa000,
  ]]);
  removeIommuNotifier(m.world, high);
  heard.length = 0;
  const across = { event: NotifierEvent.UNMAP, start: 0x3000, end: 0x5000 };
  assertThrows(() => notifyIommu(m.world, region, across), IommuError, 'partly outside of what "low" follows');
  assertEquals(heard, [], "nobody was told");
  add("throws", {
    notify: () => {
      throw new Error("no");
    },
  });
  add("last", {});
  assertEquals(names({ event: NotifierEvent.MAP, start: 0, end: 0x1000 }), ["all", "low", "last"]);
  assertEquals(m.faults.length, 1);
});

Deno.test("a notifier that is removed by another one's callback hears nothing more", () => {
  const m = new Machine();
  const { region } = m.iommu();
  const heard: string[] = [];
  const add = (name: string, notify: () => void = () => {}) =>
    addIommuNotifier(m.world, region, {
      name,
      events: NotifierEvent.UNMAP,
      notify() {
        heard.push(name);
        notify();
      },
    });
  add("first", () => removeIommuNotifier(m.world, second));
  const second = add("second");
  add("third");
  notifyIommu(m.world, region, { event: NotifierEvent.UNMAP, start: 0, end: PAGE });
  assertEquals(heard, ["first", "third"]);
});

Deno.test("a notifier that the model refuses is not there; one on an alias goes to the IOMMU behind", () => {
  const m = new Machine();
  const told: number[] = [];
  const { region } = m.iommu({
    ops: {
      ...TABLE_OPS,
      notifiersChanged(_, _before, after) {
        if ((after & NotifierEvent.MAP) !== 0) throw new Error("needs caching mode");
        told.push(after);
      },
    },
  });
  const alias = createAlias(m.world, { name: "window", target: region, offset: 0, size: PAGE, owner: m.owner });
  const heard: string[] = [];
  const add = (events: number, start = 0) =>
    addIommuNotifier(m.world, alias, { name: "vhost", events, start, notify: () => heard.push("vhost") });
  assertThrows(() => add(NotifierEvent.MAP), IommuError, "needs caching mode");
  add(NotifierEvent.UNMAP);
  assertThrows(() => add(NotifierEvent.MAP | NotifierEvent.UNMAP), IommuError);
  notifyIommu(m.world, alias, { event: NotifierEvent.UNMAP, start: 0, end: PAGE });
  assertEquals([heard, told], [["vhost"], [NotifierEvent.UNMAP]]);
  assertThrows(() => add(0), IommuError, "would hear nothing");
  assertThrows(() => add(NotifierEvent.UNMAP, TOP), IommuError);
  assertThrows(() => notifyIommu(m.world, m.root, { event: 1, start: 0, end: 1 }), IommuError, "does not translate");
  audit(m.world);
});

Deno.test("replay tells one notifier all that is mapped: page by page, over large pages at once, or as the model does", () => {
  const m = new Machine();
  const { region, table, enter } = m.iommu({ size: 0x100000 });
  enter(2, 0x3000);
  enter(3, 0, Permission.NONE);
  for (let page = 16; page < 32; page++) {
    table.pages.set(page, { target: m.space, hi: 0, lo: 0, pageSize: 0x10000, permission: Permission.READ });
  }
  const heard: number[][] = [];
  const notify = ({ start, end }: IommuEvent) => void heard.push([start, end]);
  const notifier = addIommuNotifier(m.world, region, { name: "n", events: 1, notify, start: 0x1800, end: 0x18000 });
  replayIommu(m.world, notifier);
  assertEquals(heard, [[0x2000, 0x3000], [0x10000, 0x18000]]);
  assert(table.asked.every(([, wanted]) => wanted === Permission.NONE));
  const large = m.iommu({ name: "large" });
  const all = addIommuNotifier(m.world, large.region, { name: "n", events: 1, notify });
  assertThrows(() => replayIommu(m.world, all), IommuError, "too large to be replayed page by page");
  const own = m.iommu({
    name: "own",
    ops: { ...TABLE_OPS, replay: ({ pages }, _, tell) => pages.forEach((to, page) => tell(page * PAGE, to)) },
  });
  own.enter(2 ** 40, 0x3000);
  heard.length = 0;
  replayIommu(m.world, addIommuNotifier(m.world, own.region, { name: "n", events: 1, notify }));
  assertEquals(heard, [[2 ** 52, 2 ** 52 + PAGE]]);
});

Deno.test("an IOMMU is what the memory tree says it is", () => {
  const m = new Machine();
  m.iommu();
  assert(mtree(m.world).includes("(prio 0, iommu): vtd"));
});
