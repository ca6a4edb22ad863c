import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { hostEntropy } from "../../../../machines/backends/entropy.ts";
import { DeviceError, deviceRows } from "../../../../ecs/device.ts";
import { realize, unplug, unrealize } from "../../../../systems/plug.ts";
import { virtioMmio } from "../../../../machines/devices/virtio/mmio.ts";
import { virtioRng } from "../../../../machines/devices/virtio/rng.ts";
import { DATA, RINGS, SLOT, VirtioBench } from "./bench.ts";

const rng = { rng: hostEntropy };

Deno.test("an empty slot shows its magic, version and vendor, and device 0", () => {
  for (const legacy of [true, false]) {
    const bench = new VirtioBench({ legacy });
    const { driver } = bench;
    assertEquals(
      [driver.get("magic"), driver.get("version"), driver.get("deviceId"), driver.get("vendorId")],
      [0x74726976, legacy ? 1 : 2, 0, 0x554d4551],
    );
    driver.set("status", 0xff);
    driver.set("queueSel", 0);
    assertEquals([driver.get("status"), driver.get("queueNumMax"), driver.configuration(0)], [0, 0, 0]);
    bench.audit();
  }
});

Deno.test("registers take 32-bit accesses only", () => {
  const bench = new VirtioBench();
  bench.plug(virtioRng, rng);
  assertEquals([bench.load(SLOT, 1), bench.load(SLOT, 2), bench.load(SLOT, 4)], [0, 0, 0x74726976]);
  bench.store(SLOT + 0x70, 3, 1);
  assertEquals(bench.driver.get("status"), 0);
});

Deno.test("a configuration that isn't there reads as ones", () => {
  const bench = new VirtioBench();
  bench.plug(virtioRng, rng);
  const { driver } = bench;
  assertEquals([driver.configuration(0, 1), driver.configuration(0, 2), driver.configuration(0, 4)], [
    0xff,
    0xffff,
    0xffffffff,
  ]);
  driver.configure(0, 1);
});

Deno.test("version 2 refuses features that were not on offer, version 1 leaves them out", () => {
  const modern = new VirtioBench({ legacy: false });
  modern.plug(virtioRng, rng);
  modern.driver.set("status", 3);
  modern.driver.set("driverFeaturesSel", 0);
  modern.driver.set("driverFeatures", 1 << 20);
  modern.driver.set("status", 0xb);
  assertEquals(modern.driver.get("status"), 3);
  modern.driver.set("driverFeatures", 0);
  modern.driver.set("driverFeaturesSel", 1);
  modern.driver.set("driverFeatures", 1);
  modern.driver.set("status", 0xb);
  assertEquals(modern.driver.get("status"), 0xb);
});

Deno.test("version 1 places the rings by page, version 2 by three addresses, and both fetch entropy", () => {
  for (const legacy of [true, false]) {
    const bench = new VirtioBench({ legacy });
    bench.plug(virtioRng, rng);
    bench.driver.start(0, 4, 1, RINGS);
    assertEquals(bench.driver.request(0, [{ address: DATA, length: 64, writable: true }]), [{ head: 0, written: 64 }]);
    assertEquals(bench.loadBytes(DATA, 64).some((byte) => byte !== 0), true);
    assertEquals([bench.driver.get("interruptStatus"), bench.level], [1, 1]);
    bench.driver.set("interruptAck", 1);
    assertEquals([bench.driver.get("interruptStatus"), bench.level], [0, 0]);
  }
});

Deno.test("a page number is shown in the page size of the moment", () => {
  const bench = new VirtioBench();
  bench.plug(virtioRng, rng);
  const { driver } = bench;
  driver.set("guestPageSize", 4096);
  driver.set("queuePfn", 0x80010);
  const seen = [4096, 512, 0, 0x1800].map((size) => {
    driver.set("guestPageSize", size);
    return driver.get("queuePfn");
  });
  assertEquals(seen, [0x80010, 0x400080, 0x80010000, 0x100020]);
});

Deno.test("status 0, and in version 1 also page 0, reset the function", () => {
  const bench = new VirtioBench();
  bench.plug(virtioRng, rng);
  const { driver } = bench;
  for (const reset of [() => driver.set("status", 0), () => driver.set("queuePfn", 0)]) {
    driver.start(0, 4, 1, RINGS);
    driver.request(0, [{ address: DATA, length: 1, writable: true }]);
    assertEquals([driver.get("status"), bench.level], [7, 1]);
    reset();
    assertEquals([driver.get("status"), driver.get("queuePfn"), driver.get("interruptStatus"), bench.level], [
      0,
      0,
      0,
      0,
    ]);
  }
});

Deno.test("sizes, queues and page sizes that can't be are ignored", () => {
  const bench = new VirtioBench();
  bench.plug(virtioRng, rng);
  const { driver } = bench;
  driver.start(0, 4, 1, RINGS);
  for (const size of [0, 1025, 0xffffffff]) driver.set("queueNum", size);
  assertEquals(driver.request(0, [{ address: DATA, length: 1, writable: true }]).length, 1);
  driver.set("queueSel", 7);
  assertEquals([driver.get("queueNumMax"), driver.get("queuePfn")], [0, 0]);
  driver.set("queuePfn", 0x80010);
  driver.set("queueNotify", 7);
  driver.set("queueNotify", 0xffffffff);
  driver.set("queueSel", 0xffffffff);
  driver.set("queueAlign", 0);
  driver.set("queueAlign", 0xffffffff);
  driver.set("guestPageSize", 0x80000000);
  driver.set("queueSel", 0);
  driver.set("queuePfn", 0xffffffff);
  driver.set("queueNotify", 0);
  assertEquals(driver.get("queueNumMax"), 1024);
});

Deno.test("a broken queue stops the device until it is reset, and version 2 says so", () => {
  for (const legacy of [true, false]) {
    const bench = new VirtioBench({ legacy });
    bench.plug(virtioRng, rng);
    const { driver } = bench;
    driver.start(0, 4, 1, RINGS);
    const queue = driver.queue(0);
    queue.describe(0, { address: DATA, length: 8, writable: true }, 0);
    queue.publish(0);
    driver.set("queueNotify", 0);
    assertEquals(queue.collect(), []);
    assertEquals([driver.get("status") & 0x40, bench.level], legacy ? [0, 0] : [0x40, 1]);
    assertEquals(driver.request(0, [{ address: DATA, length: 8, writable: true }]), []);
    driver.start(0, 4, 1, RINGS);
    assertEquals(driver.request(0, [{ address: DATA, length: 8, writable: true }]).length, 1);
  }
});

Deno.test("rings and buffers in registers or nowhere break the queue and touch nothing", () => {
  const otherStatus = SLOT + 0x1070;
  for (const address of [SLOT + 0x70, otherStatus, 0x100, 0xfffff000]) {
    const bench = new VirtioBench();
    bench.plug(virtioRng, rng);
    bench.plug(virtioRng, { rng: { fill: (into: Uint8Array) => into.fill(1) } }, "other", bench.secondTransport);
    const { driver } = bench;
    driver.start(0, 4, 1, RINGS);
    assertEquals(driver.request(0, [{ address, length: 4, writable: true }]), []);
    assertEquals([driver.get("status"), bench.load(otherStatus, 4)], [7, 0]);
    driver.start(0, 4, 1, RINGS);
    driver.set("queuePfn", Math.floor(address / 4096) || 1);
    driver.set("queueNotify", 0);
    assertEquals([driver.get("deviceId"), driver.get("status")], [4, 7]);
  }
});

Deno.test("before DRIVER_OK version 2 leaves the queue alone", () => {
  const bench = new VirtioBench({ legacy: false });
  bench.plug(virtioRng, rng);
  const { driver } = bench;
  driver.start(0, 4, 1, RINGS);
  driver.set("status", 0xb);
  assertEquals(driver.request(0, [{ address: DATA, length: 8, writable: true }]), []);
  driver.set("status", 0xf);
  driver.set("queueNotify", 0);
  assertEquals(driver.queue(0).collect().length, 1);
});

Deno.test("a slot holds one function, and is free again after unplug", () => {
  const bench = new VirtioBench();
  for (let turn = 0; turn < 3; turn++) {
    const device = bench.plug(virtioRng, rng);
    assertThrows(() => bench.plug(virtioRng, rng, "second"), DeviceError, "slot.bus");
    bench.driver.start(0, 4, 1, RINGS);
    assertEquals(bench.driver.request(0, [{ address: DATA, length: 8, writable: true }]).length, 1);
    assertEquals(bench.level, 1);
    unplug(bench.world, device);
    assertEquals([bench.driver.get("deviceId"), bench.driver.get("status"), bench.level], [0, 0, 0]);
    bench.driver.set("queueNotify", 0);
    bench.audit();
  }
});

Deno.test("a function that is withdrawn and made to work again interrupts again", () => {
  const bench = new VirtioBench();
  const device = bench.plug(virtioRng, rng);
  for (let turn = 0; turn < 2; turn++) {
    bench.driver.start(0, 4, 1, RINGS);
    bench.driver.request(0, [{ address: DATA, length: 8, writable: true }]);
    assertEquals([bench.driver.get("deviceId"), bench.level], [4, 1]);
    unrealize(bench.world, device);
    assertEquals([bench.driver.get("deviceId"), bench.level], [0, 0]);
    realize(bench.world, device);
  }
  bench.audit();
});

Deno.test("a function may be unplugged by what its own notification does (LC20)", () => {
  const bench = new VirtioBench();
  let unplugs = 0;
  const ejecting = {
    fill(into: Uint8Array) {
      into.fill(0x5a);
      unplugs++;
      unplug(bench.world, device);
    },
  };
  const device = bench.plug(virtioRng, { rng: ejecting });
  bench.driver.start(0, 4, 1, RINGS);
  const queue = bench.driver.queue(0);
  for (const address of [DATA, DATA + 64]) queue.offer([{ address, length: 8, writable: true }]);
  bench.driver.set("queueNotify", 0);
  assertEquals([unplugs, bench.driver.get("deviceId"), bench.level], [1, 0, 0]);
  assertEquals(queue.collect(), []);
  bench.settle();
  bench.audit();
  bench.plug(virtioRng, rng);
  assertEquals(bench.driver.get("deviceId"), 4);
});

Deno.test("a realize that fails at any step leaves nothing behind (S148)", () => {
  const bench = new VirtioBench();
  const taken = bench.plug(virtioRng, rng, "rng", bench.secondTransport);
  const before = bench.driver.get("deviceId");
  const refused = [
    () => bench.plug(virtioRng, {}, "no source"),
    () => bench.plug(virtioRng, { rng: hostEntropy, speed: 1 }, "unknown property"),
    () => bench.plug(virtioRng, rng, "rng"),
    () => bench.plug(virtioRng, rng, "slot taken", bench.secondTransport),
    () => bench.plug(virtioMmio, {}, "no such place"),
  ];
  for (const attempt of refused) {
    assertThrows(attempt, DeviceError);
    bench.audit();
    assertEquals(bench.driver.get("deviceId"), before);
  }
  unplug(bench.world, taken);
  for (const id of ["no source", "unknown property", "rng", "slot taken"]) {
    unplug(bench.world, bench.plug(virtioRng, rng, id));
  }
  bench.audit();
});

Deno.test("plugging and unplugging a thousand functions changes nothing", () => {
  const bench = new VirtioBench();
  for (let turn = 0; turn < 1000; turn++) {
    const device = bench.plug(virtioRng, rng);
    bench.driver.set("status", 1);
    unplug(bench.world, device);
  }
  const devices = [...deviceRows(bench.world)].map(({ id }) => id);
  assertEquals(devices, ["slot", "slot2"]);
  assertEquals(bench.driver.get("status"), 0);
  bench.audit();
});

Deno.test("random register accesses of any width never fail the model", () => {
  const access = fc.record({
    offset: fc.oneof(
      fc.constantFrom(0x14, 0x20, 0x24, 0x28, 0x30, 0x38, 0x3c, 0x40, 0x44, 0x50, 0x64, 0x70),
      fc.nat(0x1ff),
    ),
    value: fc.oneof(fc.nat(16), fc.constantFrom(RINGS / 4096, 0xffffffff, 0x80000000), fc.nat(0xffffffff)),
    size: fc.constantFrom(1, 2, 4, 4, 4),
    isWrite: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.boolean(), fc.array(access, { maxLength: 60 }), (legacy, accesses) => {
      const bench = new VirtioBench({ legacy });
      bench.plug(virtioRng, rng);
      bench.storeBytes(RINGS, new Uint8Array(4096).fill(1));
      for (const { offset, value, size, isWrite } of accesses) {
        const width = size as 1 | 2 | 4;
        if (isWrite) bench.store(SLOT + offset, value % 256 ** width, width);
        else bench.load(SLOT + offset, width);
      }
      bench.settle();
      assertEquals(bench.driver.get("deviceId"), 4);
      bench.audit();
    }),
    { numRuns: 80 },
  );
});
