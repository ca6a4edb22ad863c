import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  type Chain,
  giveBack,
  type GuestRam,
  newQueues,
  QUEUE_LIMIT,
  QueueFault,
  type Queues,
  readFromChain,
  reopenChain,
  RING_FEATURES,
  setAddress,
  takeChain,
  wantsInterrupt,
  writeToChain,
} from "../../../../machines/devices/virtio/queue.ts";
import { DriverQueue, type GuestBus } from "./driver.ts";

const RAM = 0x1000;
const RAM_BYTES = 0x10000;
const RINGS = 0x1000;
const DATA = 0x6000;

/** 64 KiB of guest RAM at 0x1000; `touched` collects what the device wrote. */
function guest(size = 8, start = 0) {
  const bytes = new Uint8Array(RAM_BYTES);
  const view = new DataView(bytes.buffer);
  const inside = (address: number, length: number) => address >= RAM && address + length <= RAM + RAM_BYTES;
  const touched: [number, number][] = [];
  let reads = 0;
  const ram: GuestRam = {
    read(address, into) {
      reads++;
      if (!inside(address, into.length)) return false;
      into.set(bytes.subarray(address - RAM, address - RAM + into.length));
      return true;
    },
    write(address, from) {
      if (!inside(address, from.length)) return false;
      touched.push([address, from.length]);
      bytes.set(from, address - RAM);
      return true;
    },
  };
  const bus: GuestBus = {
    load: (at, width) =>
      width === 1
        ? view.getUint8(at - RAM)
        : width === 2
        ? view.getUint16(at - RAM, true)
        : view.getUint32(at - RAM, true),
    store(at, value, width) {
      if (width === 1) view.setUint8(at - RAM, value);
      else if (width === 2) view.setUint16(at - RAM, value, true);
      else view.setUint32(at - RAM, value, true);
    },
    loadBytes: (at, length) => bytes.slice(at - RAM, at - RAM + length),
    storeBytes: (at, from) => bytes.set(from, at - RAM),
  };
  const driver = new DriverQueue(bus, RINGS, size, start);
  const queues = newQueues([size]);
  setAddress(queues.queueDescriptors, 0, driver.descriptors);
  setAddress(queues.queueDriver, 0, driver.available);
  setAddress(queues.queueDevice, 0, driver.used);
  queues.queueReady[0] = 1;
  queues.queueTaken[0] = queues.queueUsed[0] = start;
  bus.store(driver.available + 2, start, 2);
  bus.store(driver.used + 2, start, 2);
  return { ram, bus, driver, queues, touched, readCount: () => reads };
}

function take(ram: GuestRam, queues: Queues): Chain {
  const chain = takeChain(ram, queues, 0, false);
  if (chain === undefined) throw new Error("the driver offers no chain");
  return chain;
}

function assertFault(ram: GuestRam, queues: Queues, sentence: string): void {
  assertThrows(() => takeChain(ram, queues, 0, false), QueueFault, sentence);
}

Deno.test("a chain is taken with its buffers in order, once", () => {
  const { ram, driver, queues } = guest();
  const buffers = [{ address: DATA, length: 16 }, { address: DATA + 64, length: 3, writable: true }];
  const head = driver.offer(buffers);
  assertEquals(take(ram, queues), {
    head,
    addresses: [DATA, DATA + 64],
    lengths: [16, 3],
    readable: 1,
    readableBytes: 16,
    writableBytes: 3,
  });
  assertEquals(takeChain(ram, queues, 0, false), undefined);
});

Deno.test("an empty queue, one of size 0 and one that isn't ready offer nothing", () => {
  const { ram, driver, queues } = guest();
  assertEquals(takeChain(ram, queues, 0, false), undefined);
  driver.offer([{ address: DATA, length: 1 }]);
  queues.queueReady[0] = 0;
  assertEquals(takeChain(ram, queues, 0, false), undefined);
  assertEquals(takeChain(ram, queues, 9, false), undefined);
});

Deno.test("bytes cross buffer boundaries in both directions", () => {
  const { ram, bus, driver, queues } = guest();
  bus.storeBytes(DATA, Uint8Array.of(1, 2, 3, 4, 5));
  driver.offer([
    { address: DATA, length: 2 },
    { address: DATA + 2, length: 3 },
    { address: DATA + 100, length: 1, writable: true },
    { address: DATA + 200, length: 4, writable: true },
  ]);
  const chain = take(ram, queues);
  const into = new Uint8Array(8);
  assertEquals(readFromChain(ram, chain, 1, into), 4);
  assertEquals(into, Uint8Array.of(2, 3, 4, 5, 0, 0, 0, 0));
  assertEquals(writeToChain(ram, chain, 0, Uint8Array.of(7, 8, 9)), 3);
  assertEquals(writeToChain(ram, chain, 3, Uint8Array.of(10, 11, 12)), 2);
  assertEquals([bus.load(DATA + 100, 1), ...bus.loadBytes(DATA + 200, 4)], [7, 8, 9, 10, 11]);
});

Deno.test("the used entry is written before the index that publishes it", () => {
  const { ram, driver, queues, touched } = guest();
  const head = driver.offer([{ address: DATA, length: 4, writable: true }]);
  take(ram, queues);
  touched.length = 0;
  giveBack(ram, queues, 0, head, 4);
  assertEquals(touched, [[driver.used + 4, 8], [driver.used + 2, 2]]);
  assertEquals(driver.collect(), [{ head, written: 4 }]);
});

Deno.test("an indirect table stands for its buffers, also at the end of a chain", () => {
  const { ram, driver, queues } = guest();
  driver.offerIndirect(DATA, [{ address: DATA + 256, length: 5 }, { address: DATA + 300, length: 6, writable: true }]);
  assertEquals(take(ram, queues).lengths, [5, 6]);
  driver.describe(0, { address: DATA + 256, length: 5 }, undefined, DATA);
  driver.describe(3, { address: DATA + 400, length: 9 }, 4);
  driver.bus.storeBytes(driver.descriptors + 64, new Uint8Array(new Uint32Array([DATA, 0, 16, 4]).buffer));
  driver.publish(3);
  assertEquals(take(ram, queues).lengths, [9, 5]);
});

Deno.test("a loop of descriptors is a fault after one turn", () => {
  const { ram, driver, queues, readCount } = guest();
  driver.describe(0, { address: DATA, length: 1 }, 1);
  driver.describe(1, { address: DATA, length: 1 }, 0);
  driver.publish(0);
  assertFault(ram, queues, "does not end");
  assertEquals(readCount() < 20, true);
});

Deno.test("a loop inside an indirect table is a fault", () => {
  const { ram, driver, queues } = guest();
  driver.offerIndirect(DATA, [{ address: DATA, length: 1 }, { address: DATA, length: 1 }]);
  driver.describe(1, { address: DATA, length: 1 }, 0, DATA);
  assertFault(ram, queues, "does not end");
});

Deno.test("a huge indirect table is walked no further than the limit", () => {
  const { ram, bus, driver, queues, readCount } = guest();
  // Each descriptor goes on at itself, and the table claims 2^28 entries.
  bus.storeBytes(driver.descriptors, new Uint8Array(new Uint32Array([DATA, 0, 0xfffffff0, 4]).buffer));
  driver.describe(0, { address: DATA, length: 1 }, 0, DATA);
  driver.publish(0);
  assertFault(ram, queues, "does not end");
  assertEquals(readCount() <= QUEUE_LIMIT + 4, true);
});

for (
  const [what, sentence, spoil] of [
    ["a head outside the table", "head 8", (q) => q.publish(8)],
    ["a next outside the table", "goes on at 8", (q) => {
      q.describe(0, { address: DATA, length: 1 }, 8);
      q.publish(0);
    }],
    ["an empty buffer", "empty", (q) => q.offer([{ address: DATA, length: 0 }])],
    [
      "a readable buffer after a writable one",
      "after a writable",
      (q) => q.offer([{ address: DATA, length: 1, writable: true }, { address: DATA, length: 1 }]),
    ],
    ["more entries than the queue has", "ahead", (q) => q.bus.store(q.available + 2, 9, 2)],
    ["an indirect table that is no whole number of descriptors", "indirect table of 15", (q) => {
      q.bus.storeBytes(q.descriptors, new Uint8Array(new Uint32Array([DATA, 0, 15, 4]).buffer));
      q.publish(0);
    }],
    ["nested indirect tables", "nests", (q) => {
      q.offerIndirect(DATA, [{ address: DATA, length: 16 }]);
      q.bus.store(DATA + 12, 4, 2);
    }],
    ["an indirect table outside RAM", "not in RAM", (q) => {
      q.bus.storeBytes(q.descriptors, new Uint8Array(new Uint32Array([0, 0xffffffff, 16, 4]).buffer));
      q.publish(0);
    }],
  ] as [string, string, (queue: DriverQueue) => void][]
) {
  Deno.test(`${what}: a fault, and nothing is taken`, () => {
    const { ram, driver, queues } = guest();
    spoil(driver);
    assertFault(ram, queues, sentence);
    assertEquals([queues.queueTaken[0], queues.queueInFlight[0]], [0, 0]);
  });
}

Deno.test("rings outside RAM are a fault wherever they are needed", () => {
  for (const column of ["queueDescriptors", "queueDriver"] as const) {
    for (const address of [0, RAM + RAM_BYTES - 2, 2 ** 40, 2 ** 53 - 2, 2 ** 64 - 4096]) {
      const { ram, driver, queues } = guest();
      driver.offer([{ address: DATA, length: 1 }]);
      setAddress(queues[column], 0, address);
      assertFault(ram, queues, "not in RAM");
    }
  }
  const { ram, driver, queues } = guest();
  driver.offer([{ address: DATA, length: 1 }]);
  setAddress(queues.queueDevice, 0, 2 ** 64 - 2 ** 12);
  const { head } = take(ram, queues);
  assertThrows(() => giveBack(ram, queues, 0, head, 0), QueueFault, "used ring");
});

Deno.test("a chain that is taken twice without being handed back can't exceed the queue", () => {
  const { ram, driver, queues } = guest(2);
  driver.describe(0, { address: DATA, length: 1 });
  for (let i = 0; i < 2; i++) {
    driver.publish(0);
    take(ram, queues);
  }
  driver.publish(0);
  assertFault(ram, queues, "already in use");
});

Deno.test("a reopened chain shows what the guest has made of it", () => {
  const { ram, driver, queues } = guest();
  const head = driver.offer([{ address: DATA, length: 10 }]);
  take(ram, queues);
  driver.describe(head, { address: DATA, length: 4 });
  assertEquals(reopenChain(ram, queues, 0, head).lengths, [4]);
});

Deno.test("NO_INTERRUPT silences the device, and NOTIFY_ON_EMPTY overrides it for the last chain", () => {
  const { ram, driver, queues } = guest();
  driver.noInterrupt = true;
  const heads = [1, 2].map(() => driver.offer([{ address: DATA, length: 1, writable: true }]));
  const finish = () => giveBack(ram, queues, 0, take(ram, queues).head, 1);
  finish();
  assertEquals(wantsInterrupt(ram, queues, 0, RING_FEATURES.NOTIFY_ON_EMPTY), false);
  finish();
  assertEquals(wantsInterrupt(ram, queues, 0, 0), false);
  assertEquals(wantsInterrupt(ram, queues, 0, RING_FEATURES.NOTIFY_ON_EMPTY), true);
  driver.noInterrupt = false;
  assertEquals(wantsInterrupt(ram, queues, 0, 0), true);
  assertEquals(driver.collect().map(({ head }) => head), heads);
});

Deno.test("with event indices the interrupt comes when the used index passes the event, also across 65535", () => {
  for (const start of [0, 65530, 65535]) {
    const { ram, driver, queues } = guest(4, start);
    const event = (start + 2) & 0xffff;
    driver.usedEvent = event;
    const interrupts = [0, 1, 2, 3, 4, 5].map(() => {
      driver.offer([{ address: DATA, length: 1, writable: true }]);
      const chain = takeChain(ram, queues, 0, true);
      giveBack(ram, queues, 0, chain?.head ?? -1, 1);
      return wantsInterrupt(ram, queues, 0, RING_FEATURES.EVENT_IDX);
    });
    // The first is always told, for the device knows of no index that the driver has seen.
    assertEquals(interrupts, [true, false, true, false, false, false], `start ${start}`);
    assertEquals(driver.availableEvent, (start + 6) & 0xffff);
    assertEquals(driver.collect().length, 6);
  }
});

Deno.test("random rings never hang, and only descriptors' writable buffers and the used ring are written", () => {
  const descriptor = fc.record({
    address: fc.oneof(fc.integer({ min: DATA, max: DATA + 0x1000 }), fc.nat(), fc.maxSafeNat()),
    length: fc.oneof(fc.nat(64), fc.nat(16).map((n) => n * 16), fc.constant(0xffffffff)),
    flags: fc.nat(7),
    next: fc.oneof(fc.nat(9), fc.nat(65535)),
  });
  const ring = fc.record({ table: fc.array(descriptor, { minLength: 8, maxLength: 8 }), heads: fc.array(fc.nat(9)) });
  fc.assert(
    fc.property(ring, ({ table, heads }) => {
      const { ram, bus, driver, queues, touched, readCount } = guest();
      const encode = (at: number) =>
        table.forEach(({ address, length, flags, next }, i) => {
          const words = [address % 2 ** 32, Math.floor(address / 2 ** 32), length, flags | next << 16];
          bus.storeBytes(at + 16 * i, new Uint8Array(Uint32Array.from(words).buffer));
        });
      encode(driver.descriptors);
      encode(DATA); // so that indirect descriptors may find a table
      for (const head of heads) driver.publish(head);
      try {
        for (let served = 0; served < 8; served++) {
          const chain = takeChain(ram, queues, 0, true);
          if (chain === undefined) break;
          if (chain.readableBytes > 2 ** 40) throw new Error("sizes are wrong");
          readFromChain(ram, chain, 0, new Uint8Array(256));
          touched.length = 0;
          writeToChain(ram, chain, 0, new Uint8Array(256));
          const writable = chain.addresses.slice(chain.readable).map((address, i) =>
            [address, address + (chain.lengths[chain.readable + i] ?? 0)] as const
          );
          for (const [address, length] of touched) {
            const allowed = writable.some(([start, end]) => address >= start && address + length <= end);
            assertEquals(allowed, true, `wrote ${length} at ${address}`);
          }
          giveBack(ram, queues, 0, chain.head, chain.writableBytes);
        }
      } catch (error) {
        if (!(error instanceof QueueFault)) throw error;
      }
      assertEquals(readCount() < 8 * (QUEUE_LIMIT + 600), true, "walked too far");
    }),
    { numRuns: 300 },
  );
});
