/** Register and ring scripts whose every answer must equal QEMU's. */
import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { openRawImage } from "../../../../machines/backends/block_file.ts";
import { hostEntropy } from "../../../../machines/backends/entropy.ts";
import type { CharacterBackend } from "../../../../machines/backends/character.ts";
import { plug } from "../../../../systems/plug.ts";
import { virtioBlock } from "../../../../machines/devices/virtio/block.ts";
import { serialBus, virtconsole, virtioSerial, virtserialport } from "../../../../machines/devices/virtio/console.ts";
import { virtioRng } from "../../../../machines/devices/virtio/rng.ts";
import { DATA, RINGS, SLOT, VirtioBench } from "./bench.ts";
import { type Buffer, Driver, REGISTER } from "./driver.ts";
import { peerMissing, Recorder } from "./peer.ts";

const HEADER = DATA;
const STATUS = DATA + 0x20;
const PAYLOAD = DATA + 0x1000;
const versions = [true, false];

function record(legacy: boolean) {
  const bench = new VirtioBench({ legacy });
  const bus = new Recorder(bench);
  const options = legacy ? [] : ["-global", "virtio-mmio.force-legacy=false"];
  return { bench, bus, driver: new Driver(bus, SLOT), options };
}

/**
 * Every register that may be read, at every width. Not compared is what the specification wants otherwise: QEMU offers
 * RING_RESET (bit 40) without the register for it, and shows base 0 of shared memory that is not there.
 */
function survey(bus: Recorder, driver: Driver): void {
  const elsewise = [REGISTER.deviceFeatures, 0xb8, 0xbc];
  for (let offset = 0; offset < 0x100; offset += 4) if (!elsewise.includes(offset)) bus.load(SLOT + offset, 4);
  driver.features(0);
  driver.set("deviceFeaturesSel", 1);
  bus.loadAnything(SLOT + REGISTER.deviceFeatures, 4);
  for (let offset = 0; offset < 0x44; offset++) bus.load(SLOT + 0x100 + offset, 1);
  for (let offset = 0; offset < 0x44; offset += 2) bus.load(SLOT + 0x100 + offset, 2);
  for (let offset = 0; offset < 0x44; offset += 4) bus.load(SLOT + 0x100 + offset, 4);
  for (const offset of [0, 2, 4, 8, 0x10, 0x70]) for (const size of [1, 2] as const) bus.load(SLOT + offset, size);
  for (const queue of [0, 1, 2, 63, 64, 1023, 1024, 0xffffffff]) {
    driver.set("queueSel", queue);
    driver.get("queueNumMax");
  }
}

/** Writes that a transport must bear, with the registers that show what they did. */
function prod(bus: Recorder, driver: Driver, legacy: boolean): void {
  const show = () => {
    const shown = ["status", "interruptStatus", "queueNumMax", legacy ? "queuePfn" : "queueReady"] as const;
    for (const name of shown) driver.get(name);
  };
  driver.set("queueSel", 0);
  for (const status of [1, 3, 0x83, 0xff, 0x100, 0]) {
    driver.set("status", status);
    show();
  }
  bus.store(SLOT + REGISTER.status, 3, 1);
  bus.store(SLOT + REGISTER.status, 3, 2);
  show();
  if (legacy) {
    driver.set("guestPageSize", 4096);
    driver.set("queueNum", 8);
    driver.set("queueAlign", 4096);
    driver.set("queuePfn", RINGS / 4096);
    for (const size of [4096, 512, 0, 0x1800, 0x80000000, 4096]) {
      driver.set("guestPageSize", size);
      show();
    }
    driver.set("status", 0);
    driver.set("queuePfn", RINGS / 4096);
    driver.set("guestPageSize", 1);
    show();
    driver.set("status", 7);
    driver.set("queuePfn", 0);
    show();
  } else {
    driver.set("queueNum", 8);
    for (const ready of [1, 0]) {
      driver.set("queueReady", ready);
      show();
    }
  }
  for (const acknowledged of [0, 1, 0xffffffff]) driver.set("interruptAck", acknowledged);
  for (const queue of [0, 1, 5, 5000]) driver.set("queueNotify", queue);
  show();
}

for (const legacy of versions) {
  const version = `version ${legacy ? 1 : 2}`;
  const ignore = peerMissing;

  Deno.test({ name: `an empty slot answers as QEMU's (${version})`, ignore }, async () => {
    const { bus, driver, options } = record(legacy);
    for (let offset = 0; offset < 0x200; offset += 4) bus.load(SLOT + offset, 4);
    driver.set("status", 3);
    driver.get("status");
    await bus.play(options);
  });

  Deno.test({ name: `the registers of an entropy source answer as QEMU's (${version})`, ignore }, async () => {
    const { bench, bus, driver, options } = record(legacy);
    bench.plug(virtioRng, { rng: hostEntropy });
    survey(bus, driver);
    prod(bus, driver, legacy);
    scriptInterrupts(bus, driver);
    await bus.play([...options, "-device", "virtio-rng-device"]);
  });

  Deno.test({ name: `random writes leave the registers as QEMU's (${version})`, ignore }, async () => {
    const { bench, bus, options } = record(legacy);
    bench.plug(virtioRng, { rng: hostEntropy });
    for (const seed of [1, 2, 3]) fc.sample(randomWrite(legacy), { seed, numRuns: 200 }).forEach((write) => write(bus));
    await bus.play([...options, "-device", "virtio-rng-device"]);
  });

  Deno.test({ name: `a disk's registers, transfers and errors are QEMU's (${version})`, ignore }, async () => {
    const path = Deno.makeTempFileSync();
    const content = Uint8Array.from({ length: 512 * 2048 }, (_, i) => i * 7 >> 3);
    Deno.writeFileSync(path, content);
    const drive = openRawImage(path);
    try {
      const { bench, bus, driver, options } = record(legacy);
      bench.plug(virtioBlock, { drive, serial: "FH-1" });
      survey(bus, driver);
      prod(bus, driver, legacy);
      driver.configure(0x20, 0, 1);
      driver.configuration(0x20, 1);
      driver.configure(0x20, 1, 1);
      driver.start(1 << 9 | 1 << 29, 16, 1, RINGS);
      scriptDisk(bus, driver);
      drive.close();
      const written = Deno.readFileSync(path);
      Deno.writeFileSync(path, content);
      const disk = `file=${path},format=raw,if=none,id=d`;
      await bus.play([...options, "-drive", disk, "-device", "virtio-blk-device,drive=d,serial=FH-1"]);
      assertEquals(Deno.readFileSync(path), written);
    } finally {
      drive.close();
      Deno.removeSync(path);
    }
  });

  Deno.test({ name: `ports are announced and used as QEMU's (${version})`, ignore }, async () => {
    const path = Deno.makeTempFileSync();
    try {
      const { bench, bus, driver, options } = record(legacy);
      let output = "";
      const line = (): CharacterBackend => ({ send: (byte) => (output += String.fromCharCode(byte), true) });
      const serial = bench.plug(virtioSerial);
      const place = { owner: bench.machine, bus: serialBus(bench.world, serial) };
      plug(bench.world, virtconsole, { id: "console", ...place, properties: { chardev: line() } });
      plug(bench.world, virtserialport, {
        id: "port",
        ...place,
        properties: { chardev: line(), name: "org.freehold" },
      });
      survey(bus, driver);
      prod(bus, driver, legacy);
      driver.start(1 << 1, 32, 6, RINGS);
      scriptPorts(bus, driver);
      const chardev = `file,id=c,path=${path}`;
      await bus.play([
        ...[...options, "-device", "virtio-serial-device", "-chardev", "null,id=n", "-device", "virtconsole,chardev=n"],
        ...["-chardev", chardev, "-device", "virtserialport,chardev=c,name=org.freehold"],
      ]);
      assertEquals(Deno.readTextFileSync(path), output);
    } finally {
      Deno.removeSync(path);
    }
  });
}

/**
 * A write that any driver may try, and the registers that show what came of it. Left out is what the specification wants
 * otherwise: features that are not on offer, and QueueReady of a queue that isn't there.
 */
function randomWrite(legacy: boolean): fc.Arbitrary<(bus: Recorder) => void> {
  const { status, queueNum, queueAlign, queuePfn, guestPageSize, interruptAck, queueNotify } = REGISTER;
  const { deviceFeaturesSel, driverFeaturesSel, driverFeatures, queueReady, queueDesc, queueSel } = REGISTER;
  const values = fc.constantFrom(0, 1, 2, 3, 4, 7, 8, 11, 15, 64, 128, 1024, 4096, RINGS / 4096, 0xffffffff);
  const either = fc.constantFrom<number>(
    status,
    status,
    queueNum,
    queueAlign,
    queuePfn,
    guestPageSize,
    interruptAck,
    0xfc,
  );
  const anything = fc.tuple(
    fc.oneof(either, fc.constantFrom<number>(deviceFeaturesSel, driverFeaturesSel, queueDesc)),
    values,
  );
  const feature = fc.tuple(fc.constant<number>(driverFeatures), fc.constantFrom(0, 1 << 28, 1 << 29));
  const ready = fc.tuple(fc.constantFrom<number>(queueReady, queueNotify), values);
  const select = fc.tuple(fc.constant<number>(queueSel), legacy ? values : fc.constantFrom(0, 1024, 0xffffffff));
  return fc.oneof({ arbitrary: anything, weight: 4 }, feature, ready, select).map(([offset, value]) => (bus) => {
    bus.store(SLOT + offset, value, 4);
    for (const shown of [REGISTER.queueNumMax, queuePfn, queueReady, REGISTER.interruptStatus, status]) {
      bus.load(SLOT + shown, 4);
    }
  });
}

/** Entropy in all the ways in which a driver can ask to be told, or not. */
function scriptInterrupts(bus: Recorder, driver: Driver): void {
  const [NOTIFY_ON_EMPTY, INDIRECT_DESC, EVENT_IDX] = [1 << 24, 1 << 28, 1 << 29];
  for (const features of [0, NOTIFY_ON_EMPTY, EVENT_IDX, NOTIFY_ON_EMPTY | INDIRECT_DESC | EVENT_IDX]) {
    driver.start(features, 4, 1, RINGS);
    const queue = driver.queue(0);
    queue.usedEvent = 3;
    for (const length of [1, 64, 300, 2, 3, 4]) {
      queue.noInterrupt = length === 64;
      const buffer = { address: DATA, length, writable: true };
      if (features & INDIRECT_DESC) queue.offerIndirect(PAYLOAD, [buffer, { ...buffer, address: DATA + length }]);
      else queue.offer([buffer]);
      driver.set("queueNotify", 0);
      bus.awaitLoad(queue.used + 2, 2);
      queue.collect();
      bus.load(queue.used + 4 + 8 * 4, 2); // available event
      driver.get("interruptStatus");
      driver.set("interruptAck", 1);
      driver.get("interruptStatus");
    }
  }
}

function scriptDisk(bus: Recorder, driver: Driver): void {
  const queue = driver.queue(0);
  const request = (type: number, sector: number, data: Buffer[] = []) => {
    bus.storeBytes(HEADER, new Uint8Array(Uint32Array.of(type, 0, sector, 0).buffer));
    bus.store(STATUS, 0xee, 1);
    queue.offer([{ address: HEADER, length: 16 }, ...data, { address: STATUS, length: 1, writable: true }]);
    driver.set("queueNotify", 0);
    bus.awaitLoad(queue.used + 2, 2);
    bus.load(STATUS, 1);
    driver.get("interruptStatus");
    driver.set("interruptAck", 1);
  };
  const read = (length: number) => [{ address: PAYLOAD, length, writable: true }];
  const write = (length: number) => [{ address: PAYLOAD, length }];
  request(0, 5, read(1024));
  bus.loadBytes(PAYLOAD, 1024);
  bus.storeBytes(PAYLOAD, new Uint8Array(1536).fill(0x3c));
  request(1, 2045, write(1536));
  request(4, 0);
  bus.storeBytes(PAYLOAD, new Uint8Array(20)); // QEMU leaves what follows the serial number as it was
  request(8, 0, read(20));
  bus.loadBytes(PAYLOAD, 20);
  queue.collect();
  // Errors; how many bytes a failed read claims to have written is QEMU's own way, so it is not looked at.
  for (
    const [type, sector, data] of [[0, 2048, read(512)], [0, 0, read(511)], [1, 2047, write(1024)], [
      99,
      0,
      [],
    ]] as const
  ) {
    request(type, sector, [...data]);
  }
  const segment = (sector: number, count: number, flags: number) => {
    bus.storeBytes(PAYLOAD, new Uint8Array(Uint32Array.of(sector, 0, count, flags).buffer));
    return write(16);
  };
  request(13, 0, segment(16, 4, 0));
  request(11, 0, segment(2047, 2, 0));
  request(11, 0, segment(0, 1, 1));
  request(13, 0, segment(0, 1, 2));
  request(13, 0, segment(0, 0x400000, 0));
  request(0, 15, read(3072));
  bus.loadBytes(PAYLOAD, 3072);
}

function scriptPorts(bus: Recorder, driver: Driver): void {
  const [controlIn, controlOut] = [2, 3];
  for (let i = 0; i < 16; i++) {
    driver.queue(controlIn).offer([{ address: PAYLOAD + 64 * i, length: 64, writable: true }]);
  }
  driver.set("queueNotify", controlIn);
  const control = (port: number, event: number, value: number) => {
    bus.storeBytes(DATA, new Uint8Array(Uint32Array.of(port, event | value << 16).buffer));
    driver.queue(controlOut).offer([{ address: DATA, length: 8 }]);
    driver.set("queueNotify", controlOut);
    bus.awaitLoad(driver.queue(controlOut).used + 2, 2);
    bus.awaitLoad(driver.queue(controlIn).used + 2, 2);
    driver.queue(controlIn).collect();
    bus.loadBytes(PAYLOAD, 1024);
  };
  control(0, 0, 1);
  control(0, 3, 1);
  control(1, 3, 1);
  control(7, 3, 1);
  control(1, 6, 1);
  const output = driver.queue(5);
  bus.storeBytes(DATA + 0x100, new TextEncoder().encode("status 42\n"));
  output.offer([{ address: DATA + 0x100, length: 4 }, { address: DATA + 0x104, length: 6 }]);
  driver.set("queueNotify", 5);
  bus.awaitLoad(output.used + 2, 2);
  output.collect();
}
