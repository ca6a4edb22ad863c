import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import type { Device } from "../../../ecs/device.ts";
import { DeviceError } from "../../../ecs/device.ts";
import { addFile, addItem, fwCfg, Key } from "../../../machines/devices/fw_cfg.ts";
import { runBottomHalves } from "../../../systems/bottom_half.ts";
import { read, write } from "../../../systems/dma.ts";
import { resetDevice } from "../../../systems/plug.ts";
import { createRam } from "../../../systems/create_region.ts";
import { addSubregion } from "../../../systems/topology.ts";
import { Rig, withRig } from "./rig.ts";

const BASE = 0x10100000;
const RAM = 0x80000000;
const RAM_BYTES = 0x40000;
const FAR = 0x90000000;
const LONG = 9 << 20;
const ERROR = 1, READ = 2, SKIP = 4, SELECT = 8, WRITE = 16;
const ASCII = new TextDecoder();

function setUp(rig: Rig): Device {
  const ram = createRam(rig.world, { name: "ram", size: RAM_BYTES, owner: rig.machine });
  addSubregion(rig.world, rig.system, RAM, ram);
  return rig.plug(fwCfg, BASE);
}

/** The selector is big-endian. */
function select(rig: Rig, key: number): number {
  return rig.write(BASE + 8, (key & 0xff) << 8 | key >> 8, 2);
}

function bytes(rig: Rig, count: number): Uint8Array {
  return Uint8Array.from({ length: count }, () => rig.read(BASE, 1));
}

/** Runs a DMA request that lies at the start of RAM; returns its control word afterwards. */
function request(rig: Rig, control: number, length: number, address: bigint): number {
  const block = new Uint8Array(16);
  const view = new DataView(block.buffer);
  view.setUint32(0, control);
  view.setUint32(4, length);
  view.setBigUint64(8, address);
  write(rig.world, rig.space, RAM, block);
  new DataView(block.buffer).setBigUint64(0, BigInt(RAM), false);
  rig.write(BASE + 16, view.getBigUint64(0, true), 8);
  read(rig.world, rig.space, RAM, block.subarray(0, 4));
  return view.getUint32(0);
}

function ram(rig: Rig, offset: number, length: number): Uint8Array {
  const copy = new Uint8Array(length);
  read(rig.world, rig.space, RAM + offset, copy);
  return copy;
}

Deno.test(
  "the device announces itself and its DMA",
  withRig((rig) => {
    setUp(rig);
    select(rig, Key.SIGNATURE);
    assertEquals(ASCII.decode(bytes(rig, 4)), "QEMU");
    select(rig, Key.ID);
    assertEquals(bytes(rig, 6), Uint8Array.of(3, 0, 0, 0, 0, 0));
    assertEquals([rig.read64(BASE + 16), rig.read(BASE + 16), rig.read(BASE + 20)], [
      0x47464320554d4551n,
      0x554d4551,
      0x47464320,
    ]);
  }),
);

Deno.test(
  "wide reads take the next bytes in order; after the end come zeros",
  withRig((rig) => {
    const device = setUp(rig);
    addItem(rig.world, device, Key.COMMAND_LINE_DATA, new TextEncoder().encode("0123456789abcde"));
    select(rig, Key.COMMAND_LINE_DATA);
    assertEquals([rig.read(BASE, 1), rig.read(BASE, 2), rig.read(BASE, 4)], [0x30, 0x3231, 0x36353433]);
    assertEquals([rig.read64(BASE), rig.read(BASE)], [0x65_64_63_62_61_39_38_37n, 0]);
    select(rig, 0x3fff);
    assertEquals(bytes(rig, 2), new Uint8Array(2));
  }),
);

Deno.test(
  "files are listed by name, with ascending keys",
  withRig((rig) => {
    const device = setUp(rig);
    addFile(rig.world, device, "etc/b", Uint8Array.of(1, 2, 3));
    addFile(rig.world, device, "etc/a", Uint8Array.of(9));
    select(rig, Key.FILE_DIRECTORY);
    const directory = new DataView(bytes(rig, 4 + 2 * 64).buffer);
    assertEquals(directory.getUint32(0), 2);
    for (const [index, name, size] of [[0, "etc/a", 1], [1, "etc/b", 3]] as const) {
      const at = 4 + 64 * index;
      assertEquals([directory.getUint32(at), directory.getUint16(at + 4)], [size, 0x20 + index]);
      assertEquals(ASCII.decode(new Uint8Array(directory.buffer, at + 8, 56)).replace(/\0+$/, ""), name);
    }
    select(rig, 0x21);
    assertEquals(bytes(rig, 3), Uint8Array.of(1, 2, 3));
    assertThrows(() => addFile(rig.world, device, "etc/a", new Uint8Array(0)), DeviceError, "exists already");
    assertThrows(
      () => addFile(rig.world, device, "x".repeat(56), new Uint8Array(0)),
      DeviceError,
      "longer than 55 bytes",
    );
    assertThrows(() => addItem(rig.world, device, 32, new Uint8Array(0)), DeviceError, "not from 0 to 31");
    for (let file = 2; file < 32; file++) addFile(rig.world, device, `etc/${file}`, new Uint8Array(1));
    assertThrows(() => addFile(rig.world, device, "etc/z", new Uint8Array(0)), DeviceError, "no room");
  }),
);

Deno.test(
  "DMA reads an item, goes on where it stopped, and pads with zeros",
  withRig((rig) => {
    const device = setUp(rig);
    addItem(rig.world, device, Key.KERNEL_DATA, Uint8Array.from({ length: 100 }, (_, index) => index + 1));
    assertEquals(request(rig, Key.KERNEL_DATA << 16 | SELECT | READ, 10, BigInt(RAM + 0x100)), 0);
    assertEquals(ram(rig, 0x100, 11), Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0));
    assertEquals(request(rig, SKIP, 80, 0n), 0);
    write(rig.world, rig.space, RAM + 0x100, new Uint8Array(40).fill(0xff));
    assertEquals(request(rig, READ, 20, BigInt(RAM + 0x100)), 0);
    assertEquals(
      ram(rig, 0x100, 21),
      Uint8Array.of(91, 92, 93, 94, 95, 96, 97, 98, 99, 100, ...new Array(10).fill(0), 0xff),
    );
  }),
);

Deno.test(
  "a request for more zeros than fit into one turn goes on between turns, and its control word says when it is done",
  withRig((rig) => {
    const device = setUp(rig);
    const far = createRam(rig.world, { name: "far", size: LONG, owner: rig.machine });
    addSubregion(rig.world, rig.system, FAR, far);
    const last = new Uint8Array(1);
    const lastByte = () => (read(rig.world, rig.space, FAR + LONG - 1, last), last[0]);
    write(rig.world, rig.space, FAR + LONG - 1, Uint8Array.of(0xff));
    const control = Key.SIGNATURE << 16 | SELECT | READ;
    assertEquals([request(rig, control, LONG, BigInt(FAR)), lastByte()], [control, 0xff]);
    assertEquals(request(rig, control, 4, BigInt(FAR)), ERROR, "one at a time");
    while (runBottomHalves(rig.world) > 0);
    assertEquals([ram(rig, 0, 4), lastByte()], [new Uint8Array(4), 0]);
    request(rig, control, LONG, BigInt(FAR));
    resetDevice(rig.world, device);
    assertEquals([runBottomHalves(rig.world), request(rig, control, 4, BigInt(FAR))], [0, 0], "reset ends it");
  }),
);

Deno.test(
  "DMA address by halves: the low half starts the request",
  withRig((rig) => {
    setUp(rig);
    write(rig.world, rig.space, RAM, Uint8Array.of(0, 1, 0, SELECT | READ, 0, 0, 0, 4, 0, 0, 0, 0, 0x80, 0, 1, 0));
    rig.write(BASE + 16, 0);
    rig.write(BASE + 20, 0x80);
    assertEquals([ram(rig, 0, 4), ram(rig, 0x100, 4)], [new Uint8Array(4), Uint8Array.of(3, 0, 0, 0)]);
  }),
);

Deno.test(
  "requests that can't be done report an error",
  withRig((rig) => {
    const device = setUp(rig);
    addItem(rig.world, device, Key.KERNEL_DATA, new Uint8Array(100));
    const selected = Key.KERNEL_DATA << 16 | SELECT;
    assertEquals(request(rig, selected | WRITE, 4, BigInt(RAM + 0x100)), ERROR, "items are read-only");
    assertEquals(request(rig, selected | READ, 4, 0x1000n), ERROR, "nothing is there");
    assertEquals(request(rig, selected | READ, 4, 2n ** 64n - 2n), ERROR, "the address wraps");
    assertEquals(request(rig, selected | READ, 0xffffffff, BigInt(RAM + RAM_BYTES - 16)), ERROR, "ends outside of RAM");
    rig.write(BASE + 16, 2n ** 64n - 1n, 8);
    assertEquals(rig.traces.length > 0, true);
  }),
);

Deno.test(
  "a request that targets the device itself is blocked (S46)",
  withRig((rig) => {
    const device = setUp(rig);
    addItem(rig.world, device, Key.KERNEL_DATA, new Uint8Array(100).fill(1));
    assertEquals(request(rig, Key.KERNEL_DATA << 16 | SELECT | READ, 8, BigInt(BASE + 16)), ERROR);
  }),
);

Deno.test(
  "reset selects the signature; items stay",
  withRig((rig) => {
    const device = setUp(rig);
    addItem(rig.world, device, Key.CPUS, Uint8Array.of(4, 0));
    select(rig, Key.CPUS);
    resetDevice(rig.world, device);
    assertEquals(ASCII.decode(bytes(rig, 4)), "QEMU");
    select(rig, Key.CPUS);
    assertEquals(bytes(rig, 2), Uint8Array.of(4, 0));
  }),
);

Deno.test(
  "access sizes are those of the interface",
  withRig((rig) => {
    setUp(rig);
    const refused = [[4, 4], [8, 1], [8, 4], [8, 8], [16, 1], [16, 2]] as const;
    assertEquals(refused.map(([offset, size]) => rig.write(BASE + offset, 0, size) !== 0), refused.map(() => true));
  }),
);

Deno.test("no request harms the host", () => {
  const word = fc.nat(0xffffffff);
  const requests = fc.array(fc.tuple(word, word, fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })), { maxLength: 20 });
  fc.assert(fc.property(requests, (list) => {
    const rig = new Rig();
    setUp(rig);
    for (const [control, length, address] of list) {
      request(rig, control, length, address);
      request(rig, control, length, BigInt(RAM) + address % BigInt(RAM_BYTES));
    }
    rig.dispose();
  }));
});
