import { assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  CallbackBackend,
  type CharacterBackend,
  type CharacterFrontend,
} from "../../../machines/backends/character.ts";
import { ns16550a } from "../../../machines/devices/ns16550a.ts";
import { resetDevice, unplug } from "../../../systems/plug.ts";
import { Rig, withRig } from "./rig.ts";

const BASE = 0x10000000;
const [RBR, THR, DLL, IER, DLM, IIR, FCR, LCR, MCR, LSR, MSR, SCR] = [0, 0, 0, 1, 1, 2, 2, 3, 4, 5, 6, 7];

/** A UART on a backend that takes `room` bytes and then is full. */
function serial(rig: Rig, room = Infinity) {
  const sent: number[] = [];
  const backend: CharacterBackend & { frontend?: CharacterFrontend; room: number } = {
    room,
    send(byte) {
      if (this.room === 0) return false;
      this.room--;
      sent.push(byte);
      return true;
    },
  };
  const device = rig.plug(ns16550a, BASE, { chardev: backend });
  return {
    device,
    backend,
    sent,
    irq: rig.watch(device, "irq"),
    get: (register: number) => rig.read(BASE + register, 1),
    put: (register: number, value: number) => void rig.write(BASE + register, value, 1),
    type: (...bytes: number[]) => backend.frontend?.receive(Uint8Array.from(bytes)),
  };
}

Deno.test(
  "power-on values are the data sheet's",
  withRig((rig) => {
    const { get, put } = serial(rig);
    assertEquals([IER, IIR, LCR, MCR, LSR, MSR, SCR].map(get), [0, 1, 0, 8, 0x60, 0xb0, 0]);
    put(LCR, 0x80);
    assertEquals([get(DLL), get(DLM)], [12, 0]);
  }),
);

Deno.test(
  "the divisor latch hides data and interrupt enable, and keeps them",
  withRig((rig) => {
    const { get, put, sent } = serial(rig);
    put(IER, 0xff);
    put(LCR, 0x83);
    put(DLL, 0x34);
    put(DLM, 0x12);
    assertEquals([get(DLL), get(DLM), sent], [0x34, 0x12, []]);
    put(LCR, 3);
    assertEquals([get(IER), get(LCR)], [0x0f, 3]);
  }),
);

Deno.test(
  "an access of any size acts on one register",
  withRig((rig) => {
    const { sent, get } = serial(rig);
    rig.write(BASE, 0xff_ff_ff_41);
    rig.write(BASE, 0x4241, 2);
    rig.write(BASE, 0x43n, 8);
    assertEquals([sent, get(IER), get(LCR)], [[0x41, 0x41, 0x43], 0, 0]);
    assertEquals([rig.read(BASE + LSR - 1, 2), rig.read64(BASE)], [8, 0n]);
  }),
);

Deno.test(
  "bytes received one by one without FIFOs; what does not fit stays with the backend",
  withRig((rig) => {
    const { get, type, backend } = serial(rig);
    assertEquals(backend.frontend?.acceptable(), 1);
    type(0x61);
    assertEquals([backend.frontend?.acceptable(), get(LSR)], [0, 0x61]);
    assertEquals([get(RBR), get(LSR), get(RBR), backend.frontend?.acceptable()], [0x61, 0x60, 0, 1]);
  }),
);

Deno.test(
  "a full-enough FIFO interrupts; fewer bytes do after four silent character times",
  withRig((rig) => {
    const { get, put, type, irq } = serial(rig);
    put(LCR, 3);
    put(FCR, 0x81); // trigger at 8
    put(IER, 1);
    type(1, 2, 3, 4, 5, 6, 7);
    assertEquals([get(IIR), irq], [0xc1, []]);
    type(8);
    assertEquals([get(IIR), irq], [0xc4, [1]]);
    assertEquals([get(RBR), get(IIR), irq], [1, 0xc1, [1, 0]]);
    // 10 bits of 16 · 12 clocks at 3.6864 MHz, four times: 2.0833 ms.
    rig.runUntil(rig.time + 2_083_000);
    assertEquals(get(IIR), 0xc1);
    rig.runUntil(rig.time + 1_000);
    assertEquals([get(IIR), irq], [0xcc, [1, 0, 1]]);
    assertEquals([get(RBR), get(IIR)], [2, 0xc1]);
  }),
);

Deno.test(
  "each byte that is read starts the wait for silence anew, and the last one ends it",
  withRig((rig) => {
    const { get, put, type } = serial(rig);
    put(LCR, 3);
    put(FCR, 0x81);
    put(IER, 1);
    type(1, 2);
    rig.runUntil(rig.time + 1_500_000);
    assertEquals(get(RBR), 1);
    rig.runUntil(rig.time + 1_500_000);
    assertEquals(get(IIR), 0xc1);
    assertEquals([get(RBR), rig.clock.armed.length], [2, 0]);
  }),
);

Deno.test(
  "transmitter empty interrupts once: when enabled, and after each byte; IIR takes it back",
  withRig((rig) => {
    const { get, put, irq } = serial(rig);
    put(IER, 2);
    assertEquals([irq, get(IIR), get(IIR), irq], [[1, 0], 2, 1, [1, 0]]);
    put(IER, 2);
    assertEquals(get(IIR), 1, "enabling what is enabled asks for nothing");
    put(THR, 0x41);
    assertEquals([get(IIR), get(IIR)], [2, 1]);
    put(IER, 0);
    put(IER, 2);
    assertEquals(get(IIR), 2);
  }),
);

Deno.test(
  "received data goes before transmitter empty",
  withRig((rig) => {
    const { get, put, type } = serial(rig);
    put(IER, 3);
    type(0x61);
    assertEquals([get(IIR), get(IIR), get(RBR), get(IIR), get(IIR)], [4, 4, 0x61, 2, 1]);
  }),
);

Deno.test(
  "a full backend fills the FIFO and loses nothing up to 16 bytes",
  withRig((rig) => {
    const { get, put, sent, backend, irq } = serial(rig, 0);
    put(FCR, 1);
    put(IER, 2);
    get(IIR);
    for (let byte = 0; byte < 17; byte++) put(THR, byte);
    assertEquals([get(LSR), get(IIR), irq.at(-1)], [0, 0xc1, 0]);
    backend.room = 5;
    backend.frontend?.writable();
    assertEquals([sent.length, get(LSR)], [5, 0]);
    backend.room = Infinity;
    backend.frontend?.writable();
    assertEquals(sent, Array.from({ length: 16 }, (_, byte) => byte), "the 17th found no room");
    assertEquals([get(LSR), get(IIR)], [0x60, 0xc2]);
  }),
);

Deno.test(
  "loopback: sent bytes come back, outputs are the modem inputs, the line is cut",
  withRig((rig) => {
    const { get, put, sent, backend } = serial(rig);
    put(MCR, 0x10);
    const outputs = [0x1, 0x2, 0x4, 0x8].map((bit) => {
      put(MCR, 0x10 | bit);
      return get(MSR);
    });
    assertEquals(outputs, [0x20, 0x10, 0x40, 0x80], "DTR, RTS, OUT1, OUT2 to DSR, CTS, RI, DCD");
    put(THR, 0x5a);
    assertEquals([sent, backend.frontend?.acceptable(), get(RBR)], [[], 0, 0x5a]);
  }),
);

Deno.test(
  "a byte too many in loopback is an overrun, told once",
  withRig((rig) => {
    const { get, put } = serial(rig);
    put(MCR, 0x10);
    put(IER, 4);
    put(THR, 1);
    put(THR, 2);
    const seen = [get(IIR), get(LSR), get(LSR), get(IIR), get(RBR)];
    assertEquals(seen, [6, 0x63, 0x61, 1, 2], "without FIFOs the last byte stays");
    put(FCR, 1);
    for (let byte = 1; byte <= 17; byte++) put(THR, byte);
    assertEquals(get(LSR), 0x63);
    assertEquals(
      Array.from({ length: 17 }, () => get(RBR)),
      [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 0],
      "in FIFOs the first bytes stay",
    );
  }),
);

Deno.test(
  "FCR clears FIFOs, and does so when FIFOs are switched on or off",
  withRig((rig) => {
    const { get, put, type, sent, backend } = serial(rig, 0);
    put(FCR, 1);
    type(1, 2, 3);
    put(THR, 9);
    put(FCR, 3);
    assertEquals([get(LSR), get(IIR)], [0, 0xc1]);
    put(FCR, 5);
    backend.room = 1;
    backend.frontend?.writable();
    assertEquals([get(LSR), sent], [0x60, []]);
    type(4);
    put(FCR, 0);
    assertEquals([get(LSR), get(IIR)], [0x60, 1]);
  }),
);

Deno.test(
  "reset empties the UART; unplug gives the backend back",
  withRig((rig) => {
    const { get, put, type, device, backend, irq } = serial(rig);
    put(IER, 1);
    type(1);
    resetDevice(rig.world, device);
    assertEquals([get(LSR), get(IER), irq], [0x60, 0, [1, 0]]);
    unplug(rig.world, device);
    assertEquals(backend.frontend, undefined);
  }),
);

Deno.test(
  "without a backend bytes are swallowed",
  withRig((rig) => {
    rig.plug(ns16550a, BASE);
    rig.write(BASE, 0x41, 1);
    assertEquals(rig.read(BASE + LSR, 1), 0x60);
  }),
);

Deno.test("with FIFOs, every input byte arrives once and in order, however the guest reads", () => {
  const step = fc.oneof(fc.record({ type: fc.uint8Array({ maxLength: 40 }) }), fc.record({ reads: fc.nat(20) }));
  fc.assert(fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
    const rig = new Rig();
    const backend = new CallbackBackend();
    rig.plug(ns16550a, BASE, { chardev: backend });
    rig.write(BASE + FCR, 1, 1);
    const typed: number[] = [];
    const read: number[] = [];
    const take = () => {
      if (rig.read(BASE + LSR, 1) & 1) read.push(rig.read(BASE + RBR, 1));
    };
    for (const action of [...steps, ...Array.from({ length: 100 }, () => ({ reads: 16 }))]) {
      if ("type" in action) {
        backend.type(action.type);
        typed.push(...action.type);
      } else for (let count = 0; count < action.reads; count++) take();
      backend.deliver();
    }
    assertEquals(read, typed);
    rig.dispose();
  }));
});
