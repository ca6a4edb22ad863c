import { assert, assertEquals } from "@std/assert";
import { CallbackBackend, type CharacterFrontend, InputQueue } from "../../../machines/backends/character.ts";
import { EscapeFilter } from "../../../machines/backends/escape_filter.ts";
import { FileBackend } from "../../../machines/backends/file.ts";
import { OutputQueue } from "../../../machines/backends/output_queue.ts";
import { Terminal, type TerminalStreams } from "../../../machines/backends/terminal.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (data: Uint8Array | readonly number[]) => new TextDecoder().decode(Uint8Array.from(data));

/** A device that takes input as long as it has room. */
class Device implements CharacterFrontend {
  got = "";
  room = Infinity;
  timesWritable = 0;
  acceptable = () => Math.min(this.room, 16);
  receive(data: Uint8Array): void {
    assert(data.length > 0 && data.length <= this.acceptable(), "more than the device takes");
    this.room -= data.length;
    this.got += text(data);
  }
  writable = () => void this.timesWritable++;
  opened(): void {}
}

/** Resolves after everything that is ready to run has run. */
const settled = () => new Promise((resolve) => setTimeout(resolve, 5));

Deno.test("input is delivered in order and never more than the device takes", () => {
  const queue = new InputQueue();
  const device = new Device();
  device.room = 20;
  queue.push(bytes("0123456789abcdefghi"));
  queue.push(bytes("jkl"));
  assert(queue.deliverTo(device));
  assertEquals(device.got, "0123456789abcdefghij");
  assertEquals(queue.deliverTo(device), false);
  device.room = 5;
  queue.deliverTo(device);
  assertEquals(device.got, "0123456789abcdefghijkl");
});

Deno.test("a callback backend carries both ways and wakes the machine", () => {
  let said = "", woken = 0;
  const backend = new CallbackBackend((byte) => said += String.fromCharCode(byte));
  const device = backend.frontend = new Device();
  backend.onInput = () => woken++;
  backend.type("hello");
  backend.send(0x21);
  backend.deliver();
  assertEquals([device.got, said, woken], ["hello", "!", 1]);
});

Deno.test("output waits for its reader: full at 64 KiB, in order, and room is announced once", async () => {
  const seen: number[] = [];
  let release = () => {};
  const gate = new Promise<void>((resolve) => release = resolve);
  const queue = new OutputQueue({
    async write(data) {
      await gate;
      const part = data.subarray(0, 1000); // a sink may take less than it is given
      seen.push(...part);
      return part.length;
    },
  });
  let rooms = 0;
  queue.onRoom = () => rooms++;
  queue.push(0);
  await settled();
  let taken = 1;
  while (queue.push(taken & 0xff)) taken++;
  assertEquals(taken, 1 + 65536);
  assertEquals([queue.push(1), rooms], [false, 0]);
  release();
  await queue.drained();
  assertEquals(rooms, 1);
  assertEquals(seen.length, taken);
  assert(seen.every((byte, i) => byte === (i & 0xff)), "bytes are out of order");
});

Deno.test("a sink that fails is reported and never blocks the guest", async () => {
  let failure: unknown;
  const queue = new OutputQueue({ write: () => Promise.reject(new Error("broken pipe")) });
  queue.onFailure = (error) => failure = error;
  queue.push(1);
  await queue.drained();
  assertEquals((failure as Error).message, "broken pipe");
  for (let i = 0; i < 200_000; i++) assert(queue.push(i & 0xff));
});

Deno.test("Ctrl-A x quits, Ctrl-A h helps, Ctrl-A Ctrl-A is one Ctrl-A, split reads change nothing", () => {
  const commands: string[] = [];
  const filter = new EscapeFilter((command) => commands.push(command));
  const passed = ["a\x01", "hb\x03", "\x01\x01", "c\x01zd", "\x01x"].map((part) => text(filter.pass(bytes(part))));
  assertEquals(passed.join(""), "ab\x03\x01cd");
  assertEquals(commands, ["help", "quit"]);
});

/** Scripted host streams. Each item of `input` is one read; after them the input ends, or stays silent at a terminal. */
function streams(input: string[], isTerminal: boolean) {
  const output: number[] = [];
  const modes: boolean[] = [];
  let reads = 0;
  const host: TerminalStreams = {
    input: {
      isTerminal: () => isTerminal,
      setRaw: (on) => void modes.push(on),
      read(into) {
        const next = input[reads++];
        if (next === undefined) return isTerminal ? new Promise(() => {}) : Promise.resolve(null);
        into.set(bytes(next));
        return Promise.resolve(next.length);
      },
    },
    output: {
      write(data) {
        output.push(...data);
        return Promise.resolve(data.length);
      },
    },
  };
  return { host, modes, said: () => text(output), reads: () => reads };
}

Deno.test("a terminal is raw while it is the guest's, passes Ctrl-C on and is restored once", async () => {
  const { host, modes } = streams(["a\x03"], true);
  const terminal = new Terminal(host, { onQuit() {} });
  const device = terminal.frontend = new Device();
  terminal.open();
  await settled();
  terminal.deliver();
  assertEquals([device.got, modes], ["a\x03", [true]]);
  await terminal.close();
  terminal.restore();
  assertEquals(modes, [true, false]);
});

Deno.test("Ctrl-A x at a terminal works although the guest takes no input", async () => {
  let quit = 0;
  const { host } = streams(["abc", "def", "\x01x"], true);
  const terminal = new Terminal(host, { onQuit: () => quit++ });
  terminal.frontend = Object.assign(new Device(), { room: 0 });
  terminal.open();
  await settled();
  assertEquals(quit, 1);
  await terminal.close();
});

Deno.test("Ctrl-A h prints the keys with carriage returns at a terminal", async () => {
  const { host, said } = streams(["\x01h"], true);
  const terminal = new Terminal(host, { onQuit() {} });
  terminal.open();
  await settled();
  assert(said().includes("Ctrl-A x    exit the emulator\r\n"));
  await terminal.close();
});

Deno.test("piped input is read no faster than the guest takes it, raw, and its end is announced after the last byte", async () => {
  let ended = 0;
  const { host, modes, reads } = streams(["first\x01x", "second"], false);
  const terminal = new Terminal(host, { onQuit: () => assert(false), onEndOfInput: () => ended++ });
  const device = terminal.frontend = new Device();
  terminal.open();
  await settled();
  assertEquals([reads(), ended], [1, 0]);
  terminal.deliver();
  await settled();
  assertEquals([device.got, reads(), ended], ["first\x01x", 2, 0]);
  terminal.deliver();
  await settled();
  assertEquals([device.got, ended, modes], ["first\x01xsecond", 1, []]);
  await terminal.close();
});

Deno.test("a file backend writes what the guest sends, and appends if asked", async () => {
  const path = await Deno.makeTempFile();
  try {
    for (const append of [false, true]) {
      const backend = new FileBackend(path, { append });
      for (const byte of bytes("line\n")) backend.send(byte);
      await backend.close();
      await backend.close();
    }
    assertEquals(await Deno.readTextFile(path), "line\nline\n");
  } finally {
    await Deno.remove(path);
  }
});
