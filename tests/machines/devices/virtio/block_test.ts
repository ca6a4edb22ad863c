import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { type BlockBackend, BlockError } from "../../../../machines/backends/block.ts";
import { DeviceError } from "../../../../ecs/device.ts";
import { unplug } from "../../../../systems/plug.ts";
import { virtioBlock } from "../../../../machines/devices/virtio/block.ts";
import { DATA, RAM, RAM_BYTES, RINGS, SLOT, VirtioBench } from "./bench.ts";
import type { Buffer } from "./driver.ts";

const IN = 0, OUT = 1, SCSI = 2, FLUSH = 4, GET_ID = 8, DISCARD = 11, WRITE_ZEROES = 13;
const OK = 0, IOERR = 1, UNSUPP = 2;
const HEADER = DATA;
const STATUS = DATA + 0x20;
const PAYLOAD = DATA + 0x1000;
const EVENT_IDX = 1 << 29;
const FLUSH_FEATURE = 1 << 9;

/** A disk in memory that notes what was asked of it. */
class Disk implements BlockBackend {
  readonly name = "disk";
  readonly bytes: Uint8Array;
  readonly log: string[] = [];
  failing = false;
  beforeRead?: () => void;

  constructor(sectors: number, readonly readonly = false, readonly byteLength = sectors * 512) {
    this.bytes = Uint8Array.from({ length: sectors * 512 }, (_, i) => i >> 9 ^ i);
  }

  read(offset: number, into: Uint8Array): void {
    this.beforeRead?.();
    if (this.failing) throw new BlockError("Cannot read disk: it fails");
    this.log.push(`read ${offset} ${into.length}`);
    into.set(this.bytes.subarray(offset % this.bytes.length).subarray(0, into.length));
  }

  write(offset: number, from: Uint8Array): void {
    this.log.push(`write ${offset} ${from.length}`);
    this.bytes.set(from, offset);
  }

  flush(): void {
    this.log.push("flush");
  }

  discard(offset: number, length: number): void {
    this.log.push(`discard ${offset} ${length}`);
  }

  close(): void {}
}

function withDisk(options: { legacy?: boolean; disk?: Disk; features?: number; serial?: string; size?: number } = {}) {
  const { disk = new Disk(64), features = FLUSH_FEATURE, serial = "", size = 16 } = options;
  const bench = new VirtioBench(options);
  const device = bench.plug(virtioBlock, { drive: disk, serial });
  bench.driver.start(features, size, 1, RINGS);
  return { bench, disk, device };
}

function writeHeader(bench: VirtioBench, type: number, sector: number, at = HEADER): void {
  bench.store(at, type, 4);
  bench.store(at + 8, sector % 2 ** 32, 4);
  bench.store(at + 12, Math.floor(sector / 2 ** 32), 4);
  bench.store(STATUS, 0xee, 1);
}

/** One request from header to status. */
function request(bench: VirtioBench, type: number, sector: number, data: Buffer[] = []) {
  writeHeader(bench, type, sector);
  const buffers = [{ address: HEADER, length: 16 }, ...data, { address: STATUS, length: 1, writable: true }];
  const [used] = bench.driver.request(0, buffers);
  return { status: bench.load(STATUS, 1), written: used?.written };
}

const readable = (length: number): Buffer => ({ address: PAYLOAD, length });
const writable = (length: number): Buffer => ({ address: PAYLOAD, length, writable: true });

Deno.test("the configuration tells the size, the limits and the geometry", () => {
  const { bench } = withDisk({ disk: new Disk(2048) });
  const { driver } = bench;
  assertEquals([0, 4, 8, 12, 20].map((at) => driver.configuration(at)), [2048, 0, 0, 254, 512]);
  assertEquals([driver.configuration(16, 2), driver.configuration(18, 1), driver.configuration(19, 1)], [2, 16, 63]);
  assertEquals([driver.configuration(56, 1), driver.configuration(56, 4), driver.configuration(57, 1)], [
    1,
    0xffffffff,
    0xff,
  ]);
});

for (const legacy of [true, false]) {
  const version = legacy ? 1 : 2;
  Deno.test(`IN and OUT move sectors (version ${version})`, () => {
    const { bench, disk } = withDisk({ legacy });
    assertEquals(request(bench, IN, 3, [writable(1024)]), { status: OK, written: 1025 });
    assertEquals(bench.loadBytes(PAYLOAD, 1024), disk.bytes.slice(3 * 512, 5 * 512));
    bench.storeBytes(PAYLOAD, new Uint8Array(512).fill(0xa5));
    assertEquals(request(bench, OUT, 63, [readable(512)]), { status: OK, written: 1 });
    assertEquals(disk.bytes.slice(63 * 512), new Uint8Array(512).fill(0xa5));
  });
}

Deno.test("header, data and status may be cut anywhere", () => {
  const { bench, disk } = withDisk();
  writeHeader(bench, IN, 1);
  const buffers = [
    { address: HEADER, length: 5 },
    { address: HEADER + 5, length: 11 },
    { address: PAYLOAD, length: 500, writable: true },
    { address: PAYLOAD + 500, length: 13, writable: true },
  ];
  assertEquals(bench.driver.request(0, buffers), [{ head: 0, written: 513 }]);
  assertEquals(bench.loadBytes(PAYLOAD, 513), Uint8Array.of(...disk.bytes.slice(512, 1024), OK));
});

Deno.test("sectors outside the disk and parts of sectors are I/O errors", () => {
  const { bench, disk } = withDisk();
  for (const [sector, length] of [[64, 512], [63, 1024], [2 ** 40, 512], [2 ** 63, 512], [0, 511], [0, 513]] as const) {
    assertEquals(
      request(bench, IN, sector, [writable(length)]),
      { status: IOERR, written: 0 },
      `IN ${sector} ${length}`,
    );
    assertEquals(request(bench, OUT, sector, [readable(length)]), { status: IOERR, written: 1 });
  }
  assertEquals(disk.log, []);
});

Deno.test("FLUSH reaches the backend, and without it or with the write cache off every write does", () => {
  const { bench, disk } = withDisk();
  assertEquals(request(bench, FLUSH, 0).status, OK);
  request(bench, OUT, 0, [readable(512)]);
  assertEquals(disk.log, ["flush", "write 0 512"]);
  bench.driver.configure(0x20, 0, 1);
  assertEquals(bench.driver.configuration(0x20, 1), 0);
  request(bench, OUT, 0, [readable(512)]);
  assertEquals(disk.log.slice(2), ["write 0 512", "flush"]);
  const without = withDisk({ features: 0 });
  request(without.bench, OUT, 0, [readable(512)]);
  assertEquals(without.disk.log, ["write 0 512", "flush"]);
});

Deno.test("GET_ID tells the serial number, padded with zeros", () => {
  const { bench } = withDisk({ serial: "ABC-123" });
  bench.storeBytes(PAYLOAD, new Uint8Array(20).fill(0xff));
  assertEquals(request(bench, GET_ID, 0, [writable(20)]), { status: OK, written: 21 });
  assertEquals(new TextDecoder().decode(bench.loadBytes(PAYLOAD, 20)), "ABC-123".padEnd(20, "\0"));
});

Deno.test("DISCARD and WRITE_ZEROES act on the sectors that their segment names", () => {
  const { bench, disk } = withDisk();
  const segment = (sector: number, count: number, flags = 0) => {
    bench.storeBytes(PAYLOAD, new Uint8Array(Uint32Array.of(sector, 0, count, flags).buffer));
    return [readable(16)];
  };
  assertEquals(request(bench, DISCARD, 0, segment(4, 2)).status, OK);
  assertEquals(request(bench, WRITE_ZEROES, 0, segment(8, 3, 1)).status, OK);
  assertEquals(disk.log, ["discard 2048 1024", "write 4096 1536"]);
  assertEquals(disk.bytes.slice(4096, 5632).every((byte) => byte === 0), true);
  assertEquals(request(bench, DISCARD, 0, segment(4, 2, 1)).status, UNSUPP);
  assertEquals(request(bench, WRITE_ZEROES, 0, segment(63, 2)).status, IOERR);
  const large = withDisk({ disk: new Disk(1, false, 2 ** 40) }).bench;
  large.storeBytes(PAYLOAD, new Uint8Array(Uint32Array.of(0, 0, 0x400000, 0).buffer));
  assertEquals(request(large, DISCARD, 0, [readable(16)]).status, IOERR);
  large.store(PAYLOAD + 8, 0x3fffff, 4);
  assertEquals(request(large, DISCARD, 0, [readable(16)]).status, OK);
});

Deno.test("unknown requests are unsupported", () => {
  const { bench } = withDisk();
  for (const type of [SCSI, 3, 6, 14, 15, 99]) assertEquals(request(bench, type, 0).status, UNSUPP, `type ${type}`);
});

Deno.test("a read-only drive says so and refuses writes", () => {
  const { bench, disk } = withDisk({ disk: new Disk(64, true) });
  assertEquals(bench.driver.features(0) >>> 5 & 1, 1);
  assertEquals(request(bench, OUT, 0, [readable(512)]).status, IOERR);
  assertEquals(request(bench, IN, 0, [writable(512)]).status, OK);
  assertEquals(disk.log, ["read 0 512"]);
});

Deno.test("an error of the backend is the guest's I/O error, and the next request works", () => {
  const { bench, disk } = withDisk();
  disk.failing = true;
  assertEquals(request(bench, IN, 0, [writable(512)]), { status: IOERR, written: 0 });
  disk.failing = false;
  assertEquals(request(bench, IN, 0, [writable(512)]).status, OK);
});

Deno.test("requests without room for a status or a whole header break the queue", () => {
  for (const buffers of [[readable(16)], [readable(15), writable(1)], [writable(513)]]) {
    const { bench } = withDisk({ legacy: false });
    bench.storeBytes(PAYLOAD, new Uint8Array(16));
    assertEquals(bench.driver.request(0, buffers), []);
    assertEquals(bench.driver.get("status") & 0x40, 0x40);
  }
});

Deno.test("many requests of one notification come back in order with one interrupt that the driver asked for", () => {
  const { bench } = withDisk({ features: FLUSH_FEATURE | EVENT_IDX, size: 256 });
  const queue = bench.driver.queue(0);
  writeHeader(bench, IN, 0);
  const heads = Array.from({ length: 40 }, () =>
    queue.offer([
      { address: HEADER, length: 16 },
      writable(512),
      { address: STATUS, length: 1, writable: true },
    ]));
  queue.usedEvent = 39;
  bench.driver.set("queueNotify", 0);
  bench.settle();
  assertEquals(queue.collect().map(({ head }) => head), heads);
  assertEquals([queue.availableEvent, bench.level], [40, 1]);
});

Deno.test("a request of many megabytes is worked on in bounded pieces between which the host is free", () => {
  const sectors = 2 ** 15;
  const disk = new Disk(1, false, sectors * 512);
  const { bench } = withDisk({ disk, size: 64 });
  writeHeader(bench, IN, 0);
  const half = RAM_BYTES / 2;
  // Every buffer is the same half of RAM's upper part: 16 MiB of data into 256 KiB.
  const buffers = Array.from(
    { length: 32 },
    () => ({ address: RAM + half + 0x20000, length: 2 ** 18, writable: true }),
  );
  const queue = bench.driver.queue(0);
  queue.offer([{ address: HEADER, length: 16 }, ...buffers, { address: STATUS, length: 1, writable: true }]);
  bench.driver.set("queueNotify", 0);
  assertEquals(queue.collect(), []);
  const moved = disk.log.length * 65536;
  assertEquals(moved > 0 && moved <= 2 ** 20, true, `${moved} bytes at once`);
  const turns = bench.settle();
  assertEquals(turns >= 7, true, `${turns} turns`);
  assertEquals(queue.collect(), [{ head: 0, written: 2 ** 23 + 1 }]);
});

Deno.test("unplugging with a request under way is safe, and the drive is free at once", () => {
  const disk = new Disk(1, false, 2 ** 24);
  const { bench, device } = withDisk({ disk, size: 64 });
  writeHeader(bench, IN, 0);
  const data = Array.from({ length: 32 }, () => ({ address: RAM + 0xa0000, length: 2 ** 18, writable: true }));
  bench.driver.request(0, [{ address: HEADER, length: 16 }, ...data, { address: STATUS, length: 1, writable: true }]);
  const reads = disk.log.length;
  unplug(bench.world, device);
  assertEquals([bench.settle(), disk.log.length], [0, reads]);
  assertEquals(bench.load(STATUS, 1), 0xee);
  bench.audit();
  bench.plug(virtioBlock, { drive: disk });
  bench.driver.start(0, 16, 1, RINGS);
  assertEquals(request(bench, IN, 0, [writable(512)]).status, OK);
});

Deno.test("a reset with a request under way forgets it", () => {
  const disk = new Disk(1, false, 2 ** 24);
  const { bench } = withDisk({ disk, size: 64 });
  writeHeader(bench, IN, 0);
  const data = Array.from({ length: 32 }, () => ({ address: RAM + 0xa0000, length: 2 ** 18, writable: true }));
  bench.driver.request(0, [{ address: HEADER, length: 16 }, ...data, { address: STATUS, length: 1, writable: true }]);
  bench.driver.start(0, 16, 1, RINGS);
  bench.settle();
  assertEquals(bench.driver.queue(0).collect(), []);
  assertEquals(request(bench, IN, 1, [writable(512)]).status, OK);
});

Deno.test("the disk may be unplugged by its own backend in the middle of a request (LC20)", () => {
  const { bench, disk, device } = withDisk();
  disk.beforeRead = () => unplug(bench.world, device);
  request(bench, IN, 0, [writable(512)]);
  assertEquals(bench.driver.get("deviceId"), 0);
  assertEquals(bench.driver.queue(0).collect(), []);
  bench.settle();
  bench.audit();
});

Deno.test("one drive can't be in two devices, and the refusal leaves nothing behind", () => {
  const { bench, disk, device } = withDisk();
  const second = () => bench.plug(virtioBlock, { drive: disk }, "second", bench.secondTransport);
  assertThrows(second, DeviceError, "uses");
  assertEquals(bench.load(SLOT + 0x1008, 4), 0);
  bench.audit();
  unplug(bench.world, device);
  second();
  assertEquals(bench.load(SLOT + 0x1008, 4), 2);
});

Deno.test("random requests never throw, and only RAM given as writable changes", () => {
  const buffer = fc.record({
    address: fc.oneof(fc.integer({ min: PAYLOAD, max: PAYLOAD + 0x2000 }), fc.nat(0xffffffff)),
    length: fc.oneof(fc.constantFrom(1, 16, 512, 1024), fc.nat(0xffffffff)),
    writable: fc.boolean(),
  });
  const input = fc.record({
    type: fc.constantFrom(IN, OUT, SCSI, FLUSH, GET_ID, DISCARD, WRITE_ZEROES, 77),
    sector: fc.oneof(fc.nat(70), fc.maxSafeNat()),
    buffers: fc.array(buffer, { maxLength: 5 }),
    whole: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(input, { maxLength: 6 }), (requests) => {
      const { bench } = withDisk({ legacy: false });
      const canary = bench.loadBytes(PAYLOAD + 0x4000, 64);
      for (const { type, sector, buffers, whole } of requests) {
        writeHeader(bench, type, sector);
        const safe = buffers.filter(({ address, length, writable }) =>
          !writable || address < 0x80000000 || address + length < PAYLOAD + 0x4000 && address >= PAYLOAD
        );
        const chain: Buffer[] = [{ address: HEADER, length: 16 }, ...safe];
        if (whole) chain.push({ address: STATUS, length: 1, writable: true });
        bench.driver.request(0, chain);
        bench.settle();
        if (bench.driver.get("status") & 0x40) bench.driver.start(FLUSH_FEATURE, 16, 1, RINGS);
      }
      assertEquals(bench.loadBytes(PAYLOAD + 0x4000, 64), canary);
      assertEquals(bench.driver.get("deviceId"), 2);
      bench.audit();
    }),
    { numRuns: 60 },
  );
});
