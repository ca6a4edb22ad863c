import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { bits, defineDevice, type Instance, type Register } from "../../../machines/devices/define.ts";
import { registerFile } from "../../../machines/devices/registers.ts";
import { deviceRow } from "../../../ecs/device.ts";
import type { AccessSize } from "../../../ecs/region.ts";
import { Rig, withRig } from "./rig.ts";

const powerOn = () => ({
  control: 0,
  queue: [1, 2, 3],
  wide: 0n,
  table: new Array<number>(4).fill(0),
  writes: 0,
  bank: 0,
});
type D = Instance<ReturnType<typeof powerOn>, object>;

const REGISTERS: readonly Register<D>[] = [
  {
    name: "control",
    offset: 0,
    bytes: 4,
    fields: bits({ on: 0, mode: [8, 11] }),
    field: "control",
    write: (d) => d.state.writes++,
  },
  {
    name: "head",
    offset: 4,
    bytes: 1,
    access: "ro",
    read: (d) => d.state.queue[0] ?? 0,
    afterRead: (d) => d.state.queue.shift(),
  },
  { name: "tail", offset: 4, bytes: 1, access: "wo", write: (d, value) => d.state.queue.push(value) },
  { name: "wide", offset: 8, bytes: 8, field: "wide" },
  { name: "table", offset: 16, bytes: 4, count: 4, stride: 8, field: "table" },
  { name: "bank", offset: 5, bytes: 1, field: "bank" },
  { name: "banked", offset: 6, bytes: 1, when: (d) => d.state.bank === 1, access: "ro", read: () => 0xaa },
  { name: "plain", offset: 6, bytes: 1, access: "ro", read: () => 0x55 },
];

const widget = defineDevice<ReturnType<typeof powerOn>>({
  type: "widget",
  description: "device of these tests",
  state: powerOn,
  regions: { registers: { size: 64, registers: REGISTERS } },
});

function peek(rig: Rig, device: Parameters<typeof deviceRow>[1], offset: number, size: AccessSize) {
  return registerFile(REGISTERS).peek?.(deviceRow(rig.world, device) as unknown as D, offset, size);
}

Deno.test(
  "narrower accesses read and change their bytes of a register only",
  withRig((rig) => {
    rig.plug(widget, 0x1000);
    rig.write(0x1008, 0x1122334455667788n, 8);
    rig.write(0x1009, 0xee, 1);
    rig.write(0x100c, 0xabcd, 2);
    assertEquals(rig.read64(0x1008), 0x1122abcd5566ee88n);
    assertEquals([rig.read(0x1008), rig.read(0x100c), rig.read(0x100e, 2), rig.read(0x100f, 1)], [
      0x5566ee88,
      0x1122abcd,
      0x1122,
      0x11,
    ]);
  }),
);

Deno.test(
  "wider accesses are split over neighbours",
  withRig((rig) => {
    rig.plug(widget, 0x1000);
    rig.write(0x1010, 0xdeadbeef);
    assertEquals(rig.read64(0x1010), 0xdeadbeefn);
    assertEquals(rig.read(0x1004), 0x00550001, "head 1, bank 0, plain 0x55, nothing");
  }),
);

Deno.test(
  "array elements lie a stride apart; the gap between them is not a register",
  withRig((rig) => {
    rig.plug(widget, 0x1000);
    for (let index = 0; index < 4; index++) rig.write(0x1010 + 8 * index, index + 1);
    assertEquals([0, 1, 2, 3].map((index) => rig.read(0x1010 + 8 * index)), [1, 2, 3, 4]);
    assertEquals(rig.traces, []);
    rig.write(0x1014, 1);
    assertEquals(rig.traces, ["widget: guest-error: write of 0x1 to unknown or read-only offset 0x14"]);
  }),
);

Deno.test(
  "reserved bits are not stored, and setting them is traced",
  withRig((rig) => {
    rig.plug(widget, 0x1000);
    rig.write(0x1000, 0xffffffff);
    assertEquals(rig.read(0x1000), 0xf01);
    assertEquals(rig.traces, ["widget: guest-error: write of 0xffffffff sets reserved bits of control"]);
  }),
);

Deno.test(
  "peeking changes nothing; reading has its side effect once",
  withRig((rig) => {
    const device = rig.plug(widget, 0x1000);
    assertEquals([peek(rig, device, 4, 1), peek(rig, device, 4, 1)], [1, 1]);
    assertEquals([rig.read(0x1004, 1), rig.read(0x1004, 1), peek(rig, device, 4, 1)], [1, 2, 3]);
    assertEquals(peek(rig, device, 40, 8), 0n);
    assertEquals(rig.traces, [], "a debugger is not a guest");
  }),
);

Deno.test(
  "registers share an offset by access mode and by condition",
  withRig((rig) => {
    rig.plug(widget, 0x1000);
    assertEquals(rig.read(0x1006, 1), 0x55);
    rig.write(0x1005, 1, 1);
    assertEquals(rig.read(0x1006, 1), 0xaa);
    rig.write(0x1004, 9, 1);
    assertEquals([1, 2, 3, 9].map(() => rig.read(0x1004, 1)), [1, 2, 3, 9]);
  }),
);

Deno.test(
  "trace lines of a device are limited",
  withRig((rig) => {
    rig.plug(widget, 0x1000);
    for (let index = 0; index < 1000; index++) rig.write(0x1000, 0xffffffff);
    assertEquals([rig.traces.length, rig.traces.at(-1)], [
      50,
      "widget: guest-error: further lines of this device are dropped",
    ]);
  }),
);

Deno.test("plain registers are memory, for every sequence of accesses", () => {
  const access = fc.record({
    at: fc.nat(15),
    log: fc.integer({ min: 0, max: 3 }),
    value: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  });
  const memory = defineDevice<{ a: bigint; b: number; c: number[] }>({
    type: "memory",
    description: "16 bytes of registers of several widths",
    state: () => ({ a: 0n, b: 0, c: [0, 0, 0, 0] }),
    regions: {
      registers: {
        size: 16,
        registers: [
          { name: "a", offset: 0, bytes: 8, field: "a" },
          { name: "b", offset: 8, bytes: 4, field: "b" },
          { name: "c", offset: 12, bytes: 1, count: 4, field: "c" },
        ],
      },
    },
  });
  fc.assert(fc.property(fc.array(access, { maxLength: 50, size: "max" }), (accesses) => {
    const rig = new Rig();
    rig.plug(memory, 0);
    const model = new DataView(new ArrayBuffer(16));
    for (const { at, log, value } of accesses) {
      const size = 2 ** log as AccessSize;
      const address = at - at % size;
      rig.write(address, BigInt.asUintN(size * 8, value), size);
      for (let byte = 0; byte < size; byte++) model.setUint8(address + byte, Number(value >> BigInt(8 * byte) & 0xffn));
      for (let word = 0; word < 16; word += 4) assertEquals(rig.read(word), model.getUint32(word, true));
      assertEquals(rig.read64(at & 8), model.getBigUint64(at & 8, true));
    }
    rig.dispose();
  }));
});

Deno.test("a field lies within bits 0 to 31", () => {
  assertEquals(bits({ low: 0, all: [0, 31], top: 31 }), { low: 1, all: 0xffffffff, top: 0x80000000 });
  assertThrows(() => bits({ beyond: 32 }), RangeError, 'Field "beyond"');
});
