/** Scenarios of RAM kinds and blocks: S03, S04, S07b, S38, S39, S134–S137, LC8, LC27, and RAM that is discarded. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { DirtyClient } from "../../ecs/dirty_bitmap.ts";
import { countEntities, isAlive } from "../../ecs/handle.ts";
import type { Owner } from "../../ecs/owner.ts";
import { createGuestMemory, OutOfGuestMemoryError } from "../../ecs/ram_block.ts";
import type { AccessSize, Region } from "../../ecs/region.ts";
import { MemTx } from "../../systems/access.ts";
import {
  addDiscardListener,
  createDiscardManager,
  discard,
  DiscardError,
  isPopulated,
  populate,
  removeDiscardListener,
} from "../../systems/discard.ts";
import { getDirty, resetDirty, setLog } from "../../systems/dirty_log.ts";
import { load, peek, read, store, write } from "../../systems/dma.ts";
import { drop } from "../../systems/finalize.ts";
import { dispatchFind } from "../../systems/find.ts";
import { ClosedError } from "../../systems/holding.ts";
import { audit } from "../../systems/inspect.ts";
import { map, unmap } from "../../systems/map.ts";
import { createRamDevice, createRamPointer, createResizableRam, RamError, resizeRam } from "../../systems/ram_kinds.ts";
import { addRamNotifier, removeRamNotifier } from "../../systems/ram_notifier.ts";
import { readScope } from "../../systems/scope.ts";
import { registerListener } from "../../systems/address_spaces.ts";
import { createMmio, createRam, createRomDevice, observeStores, ramOf } from "../../systems/create_region.ts";
import { addSubregion, delSubregion, setEnabled } from "../../systems/topology.ts";
import { transaction } from "../../systems/transaction.ts";
import { Stage } from "./machine.ts";

class Machine extends Stage {
  constructor() {
    super({}, 2 ** 32);
  }

  show(at: number, region: Region): Region {
    addSubregion(this.world, this.root, at, region);
    return region;
  }
}

Deno.test("S03, S04, S07 two machines show the same bytes as RAM of their own; one ends, the other goes on", () => {
  const backend = new Uint8Array(0x1000);
  const machines = [new Machine(), new Machine()];
  const devices = machines.map((m) => {
    const device = m.own("ivshmem");
    m.show(0x8000, createRamPointer(m.world, { name: "bar2", owner: device, bytes: backend }));
    return device;
  });
  const [a, b] = machines;
  assert(a !== undefined && b !== undefined);
  store(a.world, a.space, 0x8000, 4, 0x12345678);
  assertEquals(load(b.world, b.space, 0x8000, 4), 0x12345678);
  store(b.world, b.space, 0x8004, 4, 0xdeadbeef);
  drop(a.world, a.owner);
  assertEquals(a.finalized, ["ivshmem"]);
  assertEquals(load(b.world, b.space, 0x8004, 4), 0xdeadbeef);
  drop(b.world, devices[1] ?? b.owner);
  assertEquals(new DataView(backend.buffer).getUint32(4, true), 0xdeadbeef, "the bytes are the caller's");
});

Deno.test("S07b five times: two devices on one backend, one unplugged while the other's BAR is mapped", () => {
  const m = new Machine();
  const memory = createGuestMemory(0x10000);
  const backend = memory.bytes.subarray(0x3000, 0x4000);
  const baseline = countEntities(m.world);
  for (let i = 0; i < 5; i++) {
    const [first, second] = ["first", "second"].map((name, at) => {
      const device = m.own(name);
      const bar = createRamPointer(m.world, { name: "bar2", owner: device, bytes: backend, memory });
      return { device, bar: m.show(0x8000 * (at + 1), bar) };
    });
    assert(first !== undefined && second !== undefined);
    const found = dispatchFind(m.world, m.space, 0, 0x8010);
    assertEquals([found.memory, found.ramOffset, found.pageInsideRange], [memory, 0x3010, true]);
    const mapping = map(m.world, m.space, 0x8000, 8, { isWrite: true, holder: m.owner });
    assert(mapping !== undefined);
    delSubregion(m.world, m.root, first.bar);
    drop(m.world, first.device);
    mapping.bytes.fill(0x10 + i);
    assertEquals(load(m.world, m.space, 0x10000, 1), 0x10 + i);
    unmap(m.world, mapping);
    delSubregion(m.world, m.root, second.bar);
    drop(m.world, second.device);
    assertEquals(countEntities(m.world), baseline);
    audit(m.world);
  }
  assertEquals(m.finalized.length, 10);
  assertEquals(memory.gaps, [{ start: 0, end: 0x10000 }], "what is borrowed is not given back");
  assertEquals(backend[0], 0x14);
  const bytes = new Uint8Array(16);
  assertThrows(
    () => createRamPointer(m.world, { name: "x", owner: m.owner, bytes, memory }),
    RamError,
    'the bytes of "x" are not in its guest memory',
  );
});

Deno.test("1.2 RAM of a device is reached one access at a time, of any size and alignment, and never directly", () => {
  const sizes = fc.constantFrom<AccessSize>(1, 2, 4, 8);
  fc.assert(
    fc.property(sizes, fc.nat(20), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (size, offset, value) => {
      const m = new Machine();
      const bytes = new Uint8Array(16);
      const stored: number[][] = [];
      const region = createRamDevice(m.world, { name: "bar", owner: m.owner, bytes });
      observeStores(m.world, region, (...store) => stored.push(store));
      m.show(0x1000, region);
      const fits = offset + size <= 16;
      const expected = BigInt.asUintN(8 * size, value);
      const isIn = offset < 16;
      const result = store(m.world, m.space, 0x1000 + offset, size, expected);
      assertEquals(result, fits ? MemTx.OK : MemTx.DECODE_ERROR);
      assertEquals(stored, fits ? [[offset, size]] : []);
      assertEquals(BigInt(load(m.world, m.space, 0x1000 + offset, size as 4)), fits ? expected : 0n);
      if (isIn && fits) assertEquals(BigInt(bytes[offset] ?? 0), expected & 0xffn);
      assertEquals(m.faults, []);
    }),
  );
});

Deno.test("1.2 a mapping of RAM of a device is a bounce buffer; buffers, debuggers and pins treat it as RAM", () => {
  const m = new Machine();
  const device = m.own("device");
  const bytes = new Uint8Array(64);
  const region = m.show(0x1000, createRamDevice(m.world, { name: "bar", owner: device, bytes }));
  const data = Uint8Array.from({ length: 64 }, (_, i) => i);
  assertEquals(write(m.world, m.space, 0x1003, data.subarray(3)), MemTx.OK);
  const back = new Uint8Array(64);
  assertEquals(read(m.world, m.space, 0x1001, back.subarray(1)), MemTx.OK);
  assertEquals([...back.subarray(3)], [...data.subarray(3)]);
  assertEquals([peek(m.world, m.space, 0x1000, back), back[63]], [MemTx.OK, 63]);
  assertEquals(dispatchFind(m.world, m.space, 0, 0x1000).isRam, false);
  const mapping = map(m.world, m.space, 0x1010, 8, { isWrite: true });
  assert(mapping !== undefined && !mapping.isDirect);
  delSubregion(m.world, m.root, region);
  drop(m.world, device);
  assertEquals([m.finalized, isAlive(m.world, region)], [["device"], true], "a pin on it keeps it, not the device");
  mapping.bytes.fill(0xaa);
  unmap(m.world, mapping, 4);
  assertEquals([...bytes.subarray(0x10, 0x15)], [0xaa, 0xaa, 0xaa, 0xaa, 0x14]);
  assertEquals(isAlive(m.world, region), false);
  audit(m.world);
});

Deno.test("S39 windows onto a device's memory are switched off and on over its slow registers", () => {
  const m = new Machine();
  const device = m.own("vfio");
  let slow = 0;
  const ops = { read: () => ++slow };
  const bar = createMmio(m.world, { name: "bar0", size: 0x3000, owner: device, ops, state: undefined });
  const bytes = new Uint8Array(0x1000);
  const window = createRamDevice(m.world, { name: "bar0 mmap", owner: device, bytes });
  addSubregion(m.world, bar, 0x1000, window);
  m.show(0x8000, bar);
  const seen: string[] = [];
  registerListener(m.world, m.space, {
    name: "slots",
    regionAdd: ({ address, size }) => seen.push(`+${address.toString(16)}/${size.toString(16)}`),
    regionDel: ({ address, size }) => seen.push(`-${address.toString(16)}/${size.toString(16)}`),
  });
  seen.length = 0;
  bytes[4] = 99;
  assertEquals([load(m.world, m.space, 0x9004, 4), slow], [99, 0]);
  setEnabled(m.world, window, false);
  assertEquals([load(m.world, m.space, 0x9004, 4), slow], [1, 1]);
  setEnabled(m.world, window, true);
  assertEquals([load(m.world, m.space, 0x9004, 4), slow], [99, 1]);
  assertEquals(seen, [
    "-8000/1000",
    "-9000/1000",
    "-a000/1000",
    "+8000/3000",
    "-8000/3000",
    "+8000/1000",
    "+9000/1000",
    "+a000/1000",
  ]);
});

Deno.test("S38 a page that a handler takes away and drops stays until the access is over, and its id is not taken over (LC9)", () => {
  const m = new Machine();
  const device = m.own("cmdqv");
  const page = createRamDevice(m.world, { name: "vintf page", owner: device, bytes: new Uint8Array(0x1000) });
  const states: boolean[] = [];
  const config = createMmio(m.world, {
    name: "config",
    size: 0x1000,
    owner: device,
    ops: {
      write() {
        delSubregion(m.world, m.root, page);
        drop(m.world, page);
        states.push(isAlive(m.world, page));
      },
    },
    state: undefined,
  });
  m.show(0x1000, config);
  m.show(0x2000, page);
  const mapping = map(m.world, m.space, 0x2000, 4);
  assert(mapping !== undefined);
  store(m.world, m.space, 0x1000, 4, 0);
  states.push(isAlive(m.world, page));
  assertEquals(load(m.world, m.space, 0x2000, 4), 0);
  assertEquals(m.world.access.result, MemTx.DECODE_ERROR);
  unmap(m.world, mapping);
  states.push(isAlive(m.world, page));
  assertEquals(states, [true, true, false]);
  audit(m.world);
});

Deno.test("S134 resizing: notifiers, then dirty bits, then the region, then its callback; beyond the maximum nothing", () => {
  const m = new Machine();
  const order: string[] = [];
  const MIB = 0x100000;
  const ram: Region = createResizableRam(m.world, {
    name: "acpi tables",
    size: MIB,
    maximum: 2 * MIB,
    owner: m.owner,
    resized: (size) => order.push(`callback ${size}, dirty ${getDirty(m.world, ram, 0, 1, DirtyClient.VGA)}`),
  });
  setLog(m.world, ram, DirtyClient.VGA, true);
  m.show(0, ram);
  registerListener(m.world, m.space, { name: "view", regionAdd: ({ size }) => order.push(`region ${size}`) });
  addRamNotifier(m.world, {
    name: "map",
    resized: (_, before, after) => {
      const dirty = getDirty(m.world, ram, 0, 1, DirtyClient.VGA);
      order.push(`notified ${before} to ${after}, dirty ${dirty}`);
    },
  });
  ramOf(m.world, ram).bytes[2 * MIB - 1] = 5;
  for (const size of [2 * MIB, MIB / 2 + 123]) {
    order.length = 0;
    resetDirty(m.world, ram, 0, MIB / 2, DirtyClient.VGA);
    const before = size === 2 * MIB ? MIB : 2 * MIB;
    resizeRam(m.world, ram, size);
    assertEquals(order, [
      `notified ${before} to ${size}, dirty false`,
      `region ${size}`,
      `callback ${size}, dirty true`,
    ]);
    resizeRam(m.world, ram, size);
    assertEquals(order.length, 3, "the same size: nothing");
  }
  order.length = 0;
  assertThrows(() => resizeRam(m.world, ram, 2 * MIB + 1), RamError, "its maximum is 2097152");
  assertEquals(order, []);
  assertEquals(load(m.world, m.space, MIB / 2 + 122, 1), 0);
  assertEquals(m.world.access.result, MemTx.OK);
  load(m.world, m.space, MIB / 2 + 123, 1);
  assertEquals(m.world.access.result, MemTx.DECODE_ERROR);
  const plain = createRam(m.world, { name: "plain", size: 16, owner: m.owner });
  assertThrows(() => resizeRam(m.world, plain, 8), RamError, "is not resizable");
  assertThrows(
    () => createResizableRam(m.world, { name: "x", size: 2, maximum: 1, owner: m.owner }),
    RamError,
    "its maximum is 1",
  );
  audit(m.world);
});

Deno.test("S134 a resize inside of a transaction is seen when that ends", () => {
  const m = new Machine();
  const ram = m.show(0, createResizableRam(m.world, { name: "ram", size: 0x1000, maximum: 0x2000, owner: m.owner }));
  transaction(m.world, () => {
    resizeRam(m.world, ram, 0x2000);
    assertEquals(store(m.world, m.space, 0x1000, 4, 1), MemTx.DECODE_ERROR);
  });
  assertEquals(store(m.world, m.space, 0x1000, 4, 1), MemTx.OK);
});

Deno.test("1.16 RAM notifiers hear of every block, of those that were there, and of ends while the bytes are there", () => {
  const m = new Machine();
  const heard: string[] = [];
  const device = m.own("device");
  const host = m.own("host");
  createRam(m.world, { name: "first", size: 0x1000, owner: device });
  const notifier = addRamNotifier(m.world, {
    name: "vfio",
    holder: host,
    added: ({ size }) => heard.push(`+${size}`),
    removed: ({ size, bytes }) => heard.push(`-${size} ${bytes[0]}`),
  });
  addRamNotifier(m.world, {
    name: "broken",
    added: () => {
      throw new Error("no");
    },
  });
  const second = createRamPointer(m.world, { name: "second", owner: device, bytes: new Uint8Array([7]) });
  drop(m.world, second);
  drop(m.world, device);
  assertEquals(heard, ["+4096", "+1", "-1 7", "-4096 0"]);
  assertEquals(m.faults.length, 2);
  drop(m.world, host);
  assertThrows(() => removeRamNotifier(m.world, notifier), ClosedError);
  createRam(m.world, { name: "third", size: 1, owner: m.owner });
  assertEquals(heard.length, 4);
  audit(m.world);
});

Deno.test("S135, LC27 destroyed RAM is readable until the scope closes; then whoever asks for it is told", () => {
  const m = new Machine();
  const memory = createGuestMemory(0x10000);
  const device = m.own("device");
  const ram = createRam(m.world, { name: "ram", size: 0x1000, owner: device, memory });
  const { bytes } = ramOf(m.world, ram);
  readScope(m.world, "host view", () => {
    bytes.fill(3);
    m.show(0, ram);
    delSubregion(m.world, m.root, ram);
    drop(m.world, device);
    assertEquals([bytes[0], ramOf(m.world, ram).size], [3, 0x1000]);
  });
  assertThrows(() => ramOf(m.world, ram), Error, '"ram" is stale');
  assertEquals(bytes[0], 0, "given back, zeroed");
});

Deno.test("S136 the smallest gap that fits is used again, at a page", () => {
  const m = new Machine();
  const memory = createGuestMemory(0x40000);
  const sizes = [0x3000, 0x1000, 0x5000, 0x1000, 0x2000, 0x1000];
  const blocks = sizes.map((size, i) => createRam(m.world, { name: `block ${i}`, size, owner: m.owner, memory }));
  const offsets = blocks.map((block) => ramOf(m.world, block).offset);
  assertEquals(offsets, [0, 0x3000, 0x4000, 0x9000, 0xa000, 0xc000]);
  for (const freed of [0, 2, 4]) drop(m.world, blocks[freed] ?? m.owner);
  const again = (size: number) =>
    ramOf(m.world, createRam(m.world, { name: "again", size, owner: m.owner, memory })).offset;
  assertEquals([again(0x1800), again(0x2800), again(0x4000), again(0x1000)], [0xa000, 0, 0x4000, 0x8000]);
  assertEquals(again(0x6000), 0xd000);
  audit(m.world);
});

Deno.test("S137 there is no room: no region, no block, no name", () => {
  const m = new Machine();
  const memory = createGuestMemory(0x10000);
  const entities = countEntities(m.world);
  const heard: unknown[] = [];
  addRamNotifier(m.world, { name: "n", added: (block) => heard.push(block) });
  const options = { name: "ram", size: 0x20000, maximum: 0x20000, owner: m.owner, memory };
  assertThrows(() => createRam(m.world, options), OutOfGuestMemoryError);
  assertThrows(() => createResizableRam(m.world, options), OutOfGuestMemoryError);
  assertThrows(() => createRam(m.world, { name: "ram", size: 2 ** 52, owner: m.owner }), OutOfGuestMemoryError);
  assertEquals([countEntities(m.world), heard.length, memory.gaps], [entities, 0, [{ start: 0, end: 0x10000 }]]);
  createRam(m.world, { ...options, size: 0x10000 });
  audit(m.world);
});

Deno.test("Q3 a ROM device that is seen in part is read in part: nothing beyond its window", () => {
  const m = new Machine();
  const flash = createRomDevice(m.world, { name: "flash", size: 0x20, owner: m.owner, ops: {}, state: undefined });
  ramOf(m.world, flash).bytes.fill(9);
  m.show(0, flash);
  const over = createMmio(m.world, { name: "over", size: 8, owner: m.owner, ops: {}, state: undefined });
  addSubregion(m.world, m.root, 0x10, over, { priority: 1 });
  assertEquals(load(m.world, m.space, 0x0c, 8), 0x09090909n);
  const bytes = new Uint8Array(0x20);
  read(m.world, m.space, 0, bytes);
  assertEquals([...bytes.subarray(0xe, 0x1a)], [9, 9, 0, 0, 0, 0, 0, 0, 0, 0, 9, 9]);
});

const GRANULE = 0x1000;

function discardable(m: Machine): Region {
  const ram = createRam(m.world, { name: "memory device", size: 8 * GRANULE, owner: m.owner });
  createDiscardManager(m.world, ram, { granularity: GRANULE });
  return ram;
}

/** Keeps the granules that it was told of. */
function follower(refuse: (offset: number) => boolean = () => false) {
  const granules = new Set<number>();
  return {
    granules,
    callbacks: {
      populated(offset: number, size: number) {
        if (refuse(offset)) throw new Error("no slot is left");
        for (let at = 0; at < size; at += GRANULE) granules.add((offset + at) / GRANULE);
      },
      discarded(offset: number, size: number) {
        for (let at = 0; at < size; at += GRANULE) granules.delete((offset + at) / GRANULE);
      },
    },
  };
}

Deno.test("S35 a discard manager tells its listeners what is there, as runs, and takes the bytes of what is not", () => {
  const m = new Machine();
  const ram = discardable(m);
  m.show(0, ram);
  const calls: string[] = [];
  const options = {
    populated: (offset: number, size: number) => void calls.push(`+${offset / GRANULE}/${size / GRANULE}`),
    discarded: (offset: number, size: number) => void calls.push(`-${offset / GRANULE}/${size / GRANULE}`),
  };
  populate(m.world, ram, GRANULE, 2 * GRANULE);
  const all = addDiscardListener(m.world, ram, { name: "all", ...options });
  populate(m.world, ram, 0, 5 * GRANULE);
  assertEquals(calls, ["+1/2", "+0/1", "+3/2"]);
  assertEquals([isPopulated(m.world, ram, 0, 5 * GRANULE), isPopulated(m.world, ram, 0, 5 * GRANULE + 1)], [
    true,
    false,
  ]);
  calls.length = 0;
  addDiscardListener(m.world, ram, { name: "part", offset: GRANULE / 2, size: GRANULE, ...options });
  assertEquals(calls, ["+0.5/1"]);
  calls.length = 0;
  const { bytes } = ramOf(m.world, ram);
  bytes.fill(1);
  discard(m.world, ram, 0, 2 * GRANULE);
  assertEquals(calls, ["-0/2", "-0.5/1"]);
  assertEquals([bytes[0], bytes[2 * GRANULE - 1], bytes[2 * GRANULE]], [0, 0, 1]);
  discard(m.world, ram, 0, 2 * GRANULE);
  assertEquals(calls.length, 2, "they were not there");
  calls.length = 0;
  removeDiscardListener(m.world, all);
  assertEquals(calls, ["-2/3"]);
  assertThrows(() => removeDiscardListener(m.world, all), ClosedError, 'discard listener "all" of "memory device"');
  audit(m.world);
});

Deno.test("a part that a listener refuses is not there, and those told before are told that it went", () => {
  const m = new Machine();
  const ram = discardable(m);
  const [first, second] = [follower(), follower((offset) => offset === 4 * GRANULE)];
  addDiscardListener(m.world, ram, { name: "first", ...first.callbacks });
  addDiscardListener(m.world, ram, { name: "second", ...second.callbacks });
  populate(m.world, ram, 0, GRANULE);
  assertThrows(() => populate(m.world, ram, 4 * GRANULE, GRANULE), DiscardError, "no slot is left");
  assertEquals([[...first.granules], [...second.granules]], [[0], [0]]);
  assertEquals(isPopulated(m.world, ram, 4 * GRANULE, GRANULE), false);
  const late = follower((offset) => offset > 0);
  populate(m.world, ram, 2 * GRANULE, GRANULE);
  assertThrows(() => addDiscardListener(m.world, ram, { name: "late", ...late.callbacks }), DiscardError);
  assertEquals(late.granules.size, 0);
  populate(m.world, ram, GRANULE, GRANULE);
  assertEquals(late.granules.size, 0, "it is not registered");
  audit(m.world);
});

Deno.test("a discard manager is for RAM that nobody sees yet, once, in whole granules", () => {
  const m = new Machine();
  const ram = discardable(m);
  const make = (region: Region, granularity = GRANULE) => () => createDiscardManager(m.world, region, { granularity });
  assertThrows(make(ram), DiscardError, '"memory device" has a discard manager');
  const seen = m.show(0, createRam(m.world, { name: "seen", size: 0x1000, owner: m.owner }));
  assertThrows(make(seen), DiscardError, '"seen" is mapped');
  const odd = createRam(m.world, { name: "odd", size: 0x1800, owner: m.owner });
  assertThrows(make(odd), DiscardError, "granules of 4096 bytes do not fill");
  assertThrows(make(odd, 0), DiscardError);
  assertThrows(() => populate(m.world, odd, 0, 0x1000), DiscardError, "has no discard manager");
  assertThrows(() => populate(m.world, ram, 1, GRANULE), DiscardError, "are no whole granules");
  assertThrows(() => discard(m.world, ram, 8 * GRANULE, GRANULE), DiscardError);
});

Deno.test("random changes: each listener knows exactly what is populated of its part; its pin ends with its holder", () => {
  const step = fc.tuple(fc.nat(4), fc.nat(7), fc.nat(7));
  fc.assert(
    fc.property(fc.array(step, { minLength: 10, maxLength: 60, size: "max" }), (steps) => {
      const m = new Machine();
      const ram = discardable(m);
      const populated = new Set<number>();
      const followers: { first: number; end: number; holder: Owner; granules: Set<number> }[] = [];
      for (const [code, a, b] of steps) {
        const [first, end] = [Math.min(a, b), Math.max(a, b) + 1];
        if (code < 4) {
          (code < 2 ? populate : discard)(m.world, ram, first * GRANULE, (end - first) * GRANULE);
          for (let i = first; i < end; i++) code < 2 ? populated.add(i) : populated.delete(i);
        } else if (followers.length < 4) {
          const holder = m.own("holder");
          const { granules, callbacks } = follower();
          const part = { offset: first * GRANULE, size: (end - first) * GRANULE };
          addDiscardListener(m.world, ram, { name: "follower", ...part, holder, ...callbacks });
          followers.push({ first, end, holder, granules });
        } else {
          const [gone] = followers.splice(a % followers.length, 1);
          if (gone !== undefined) drop(m.world, gone.holder);
        }
        for (const { first, end, granules } of followers) {
          const expected = [...populated].filter((i) => i >= first && i < end).sort();
          assertEquals([...granules].sort(), expected);
        }
        audit(m.world);
      }
    }),
    { numRuns: 60 },
  );
});
