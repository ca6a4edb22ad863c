import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import type { CharacterBackend, CharacterFrontend } from "../../../../machines/backends/character.ts";
import { DeviceError, type DeviceType } from "../../../../ecs/device.ts";
import type { PropertyDeclarations } from "../../../../ecs/property.ts";
import { plug, unplug } from "../../../../systems/plug.ts";
import { serialBus, virtconsole, virtioSerial, virtserialport } from "../../../../machines/devices/virtio/console.ts";
import { DATA, RINGS, VirtioBench } from "./bench.ts";

const MULTIPORT = 1 << 1;
const RX = 0, TX = 1, CONTROL_IN = 2, CONTROL_OUT = 3, RX1 = 4, TX1 = 5;
const READY = 0, ADD = 1, REMOVE = 2, PORT_READY = 3, CONSOLE = 4, OPEN = 6, NAME = 7;
const CONTROL_BUFFERS = DATA + 0x2000;

/** A line that takes `room` bytes and keeps them. */
class Line implements CharacterBackend {
  frontend?: CharacterFrontend;
  taken = "";
  constructor(public room = Infinity) {}

  send(byte: number): boolean {
    if (this.room <= 0) return false;
    this.room--;
    this.taken += String.fromCharCode(byte);
    return true;
  }

  /** As a backend does: only as much as the device takes. @returns what is left */
  type(text: string): string {
    const bytes = new TextEncoder().encode(text);
    let done = 0;
    while (done < bytes.length) {
      const room = this.frontend?.acceptable() ?? 0;
      if (room === 0) break;
      this.frontend?.receive(bytes.subarray(done, done + room));
      done += Math.min(room, bytes.length - done);
    }
    return text.slice(done);
  }
}

class SerialBench extends VirtioBench {
  readonly serial = super.plug(virtioSerial);

  port<S extends object, P extends PropertyDeclarations>(
    type: DeviceType<S, P>,
    properties: Record<string, unknown>,
    id: string,
  ) {
    const { world, machine: owner, serial } = this;
    return plug(world, type, { id, owner, bus: serialBus(world, serial), properties });
  }

  /** Brings up six queues and offers 16 control buffers of 64 bytes. */
  start(features = MULTIPORT): void {
    this.driver.start(features, 32, 6, RINGS);
    for (let i = 0; i < 16; i++) this.offerControl(i);
  }

  offerControl(index: number): void {
    this.driver.queue(CONTROL_IN).offer([{ address: CONTROL_BUFFERS + 64 * index, length: 64, writable: true }]);
  }

  control(port: number, event: number, value: number): void {
    this.storeBytes(DATA, new Uint8Array(Uint32Array.of(port, event | value << 16).buffer));
    this.driver.request(CONTROL_OUT, [{ address: DATA, length: 8 }]);
  }

  /** Control messages since the last call, as [port, event, value, name]. */
  messages(): unknown[] {
    return this.driver.queue(CONTROL_IN).collect().map(({ head, written }) => {
      const at = CONTROL_BUFFERS + 64 * head;
      const message = [this.load(at, 4), this.load(at + 4, 2), this.load(at + 6, 2)];
      return written === 8 ? message : [...message, new TextDecoder().decode(this.loadBytes(at + 8, written - 8))];
    });
  }

  print(queue: number, text: string) {
    this.storeBytes(DATA + 0x100, new TextEncoder().encode(text));
    return this.driver.request(queue, [{ address: DATA + 0x100, length: text.length }]);
  }
}

Deno.test("the configuration offers 31 ports and 64 queues", () => {
  const bench = new SerialBench();
  assertEquals([bench.driver.configuration(4), bench.driver.configuration(12)], [31, 0xffffffff]);
  const limits = [0, 63, 64].map((queue) => {
    bench.driver.set("queueSel", queue);
    return bench.driver.get("queueNumMax");
  });
  assertEquals(limits, [1024, 1024, 0]);
});

Deno.test("a console without MULTIPORT is port 0", () => {
  const bench = new SerialBench();
  const line = new Line();
  bench.port(virtconsole, { chardev: line }, "console");
  assertEquals(line.type("early"), "early");
  bench.start(0);
  assertEquals(bench.print(TX, "hello"), [{ head: 0, written: 0 }]);
  assertEquals(line.taken, "hello");
  assertEquals(line.type("x"), "x");
  const input = bench.driver.queue(RX);
  for (let i = 0; i < 3; i++) input.offer([{ address: DATA + 0x200 + 4 * i, length: 4, writable: true }]);
  assertEquals(line.type("ten bytes!"), "");
  assertEquals(input.collect().map(({ written }) => written), [4, 4, 2]);
  assertEquals(new TextDecoder().decode(bench.loadBytes(DATA + 0x200, 10)), "ten bytes!");
});

Deno.test("the driver is told of ports, of the console and of names", () => {
  const bench = new SerialBench();
  bench.port(virtconsole, { chardev: new Line() }, "console");
  bench.port(virtserialport, { chardev: new Line(), name: "org.freehold.exit" }, "exit");
  bench.start();
  bench.control(0xffffffff, READY, 1);
  assertEquals(bench.messages(), [[0, ADD, 1], [1, ADD, 1]]);
  bench.control(0, PORT_READY, 1);
  assertEquals(bench.messages(), [[0, CONSOLE, 1], [0, OPEN, 1]]);
  bench.control(1, PORT_READY, 1);
  assertEquals(bench.messages(), [[1, NAME, 1, "org.freehold.exit\0"], [1, OPEN, 1]]);
});

Deno.test("a port takes input once the guest has it open", () => {
  const bench = new SerialBench();
  const line = new Line();
  bench.port(virtserialport, { chardev: line }, "port");
  bench.start();
  const input = bench.driver.queue(RX1);
  input.offer([{ address: DATA + 0x300, length: 8, writable: true }]);
  assertEquals(line.type("in"), "in");
  bench.control(1, OPEN, 1);
  assertEquals(line.type("in"), "");
  assertEquals(input.collect(), [{ head: 0, written: 2 }]);
  bench.control(1, OPEN, 0);
  input.offer([{ address: DATA + 0x300, length: 8, writable: true }]);
  assertEquals(line.type("in"), "in");
  bench.print(TX1, "status 3");
  assertEquals(line.taken, "status 3");
});

Deno.test("output that the backend refuses stays with the guest until there is room", () => {
  const bench = new SerialBench();
  const line = new Line(3);
  bench.port(virtconsole, { chardev: line }, "console");
  bench.start();
  assertEquals(bench.print(TX, "abcdef"), []);
  assertEquals([line.taken, bench.settle()], ["abc", 0]);
  line.room = 2;
  line.frontend?.writable();
  assertEquals([line.taken, bench.driver.queue(TX).collect().length], ["abcde", 0]);
  line.room = Infinity;
  line.frontend?.writable();
  assertEquals([line.taken, bench.driver.queue(TX).collect().length], ["abcdef", 1]);
});

Deno.test("output to a port that nobody has is dropped, and its buffers come back", () => {
  const bench = new SerialBench();
  bench.start();
  assertEquals(bench.print(TX1, "void").length, 1);
  bench.port(virtserialport, {}, "mute");
  assertEquals(bench.print(TX1, "void").length, 1);
});

Deno.test("much output is taken in bounded pieces", () => {
  const bench = new SerialBench();
  const line = new Line();
  bench.port(virtconsole, { chardev: line }, "console");
  bench.start();
  const queue = bench.driver.queue(TX);
  queue.offer(Array.from({ length: 16 }, () => ({ address: RINGS, length: 0x8000 })));
  bench.driver.set("queueNotify", TX);
  assertEquals(line.taken.length <= 0x10000, true);
  assertEquals(queue.collect(), []);
  bench.settle();
  assertEquals([line.taken.length, queue.collect().length], [0x80000, 1]);
});

Deno.test("a port plugged in later is announced, and its unplug as well", () => {
  const bench = new SerialBench();
  bench.start();
  bench.control(0, READY, 1);
  assertEquals(bench.messages(), []);
  const line = new Line(2);
  const port = bench.port(virtserialport, { chardev: line }, "late");
  assertEquals(bench.messages(), [[1, ADD, 1]]);
  assertEquals(bench.print(TX1, "stuck"), []);
  unplug(bench.world, port);
  assertEquals(bench.messages(), [[1, REMOVE, 1]]);
  assertEquals([bench.driver.queue(TX1).collect().length, line.frontend], [1, undefined]);
  bench.port(virtserialport, { chardev: line }, "late");
  bench.audit();
});

Deno.test("the device leaves with its ports, in the middle of their output (LC20), and says nothing more to the guest", () => {
  const bench = new SerialBench();
  const line = new Line();
  line.send = (byte) => {
    line.taken += String.fromCharCode(byte);
    if (line.taken === "by") unplug(bench.world, bench.serial);
    return true;
  };
  bench.port(virtserialport, { chardev: line }, "port");
  bench.start();
  assertEquals(bench.print(TX1, "bye"), []);
  assertEquals([bench.messages(), bench.level, bench.driver.get("deviceId"), line.frontend], [[], 0, 0, undefined]);
  bench.settle();
  bench.audit();
  bench.plug(virtioSerial);
  bench.audit();
});

Deno.test("the host's end of a port closes and opens again", () => {
  const bench = new SerialBench();
  const line = new Line();
  bench.port(virtserialport, { chardev: line }, "port");
  bench.start();
  line.frontend?.opened(false);
  assertEquals(bench.messages(), [[1, OPEN, 0]]);
  assertEquals([bench.print(TX1, "lost").length, line.taken], [1, ""]);
  line.frontend?.opened(true);
  assertEquals(bench.messages(), [[1, OPEN, 1]]);
});

Deno.test("port numbers: 0 is a console's, others are the first free, and none is given twice", () => {
  const bench = new SerialBench();
  const refused = (properties: Record<string, unknown>, sentence: string) => {
    assertThrows(() => bench.port(virtserialport, properties, "refused"), DeviceError, sentence);
    bench.audit();
  };
  refused({ nr: 0 }, "console");
  bench.port(virtserialport, { nr: 2 }, "two");
  bench.port(virtserialport, {}, "one");
  bench.port(virtserialport, {}, "three");
  bench.port(virtconsole, {}, "zero");
  refused({ nr: 3 }, "taken");
  bench.start();
  bench.control(0, READY, 1);
  assertEquals(bench.messages(), [[2, ADD, 1], [1, ADD, 1], [3, ADD, 1], [0, ADD, 1]]);
});

Deno.test("emergency output reaches the console before any queue is set up", () => {
  const bench = new SerialBench();
  const line = new Line();
  bench.port(virtconsole, { chardev: line }, "console");
  for (const byte of "oops") bench.driver.configure(8, byte.charCodeAt(0));
  assertEquals(line.taken, "oops");
});

Deno.test("a reset closes the ports and forgets output under way", () => {
  const bench = new SerialBench();
  const line = new Line(1);
  bench.port(virtserialport, { chardev: line }, "port");
  bench.start();
  bench.control(1, OPEN, 1);
  bench.print(TX1, "ab");
  bench.start();
  line.room = Infinity;
  line.frontend?.writable();
  assertEquals([line.taken, line.type("x")], ["a", "x"]);
  bench.print(TX1, "new");
  assertEquals(line.taken, "anew");
});

Deno.test("random control messages and lengths never throw", () => {
  const message = fc.record({
    port: fc.oneof(fc.nat(3), fc.nat(0xffffffff)),
    event: fc.nat(9),
    value: fc.nat(2),
    length: fc.constantFrom(8, 8, 8, 1, 7, 64),
  });
  fc.assert(
    fc.property(fc.array(message, { maxLength: 40 }), (messages) => {
      const bench = new SerialBench();
      bench.port(virtconsole, { chardev: new Line() }, "console");
      bench.port(virtserialport, { chardev: new Line(), name: "n" }, "port");
      bench.start();
      for (const { port, event, value, length } of messages) {
        bench.storeBytes(DATA, new Uint8Array(Uint32Array.of(port, event | value << 16).buffer));
        assertEquals(bench.driver.request(CONTROL_OUT, [{ address: DATA, length }]).length, 1);
      }
      assertEquals(bench.messages().length <= 16, true);
      bench.audit();
    }),
    { numRuns: 40 },
  );
});
