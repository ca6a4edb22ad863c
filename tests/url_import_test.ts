import { assertEquals } from "@std/assert";

const ROOT = new URL("../", import.meta.url);

/** A consumer that has nothing but the address of `mod.ts`: no configuration, no import map, no permissions. */
const CONSUMER = `
import { audit, bits, createVirt, defineDevice, load, plug, store, unplug, whyAlive } from "MOD/mod.ts";

const lamp = defineDevice({
  type: "lamp",
  description: "eight lamps",
  state: () => ({ lit: 0 }),
  regions: { registers: { size: 16, registers: [{ name: "LIT", offset: 0, bytes: 4, fields: bits({ lamps: [0, 7] }), field: "lit" }] } },
});

// Writes 42 to the lamps, sends what it reads back to the UART, and powers off.
const program = Uint32Array.of(
  0x050002b7, // lui  t0, 0x5000
  0x02a00313, // li   t1, 42
  0x0062a023, // sw   t1, 0(t0)
  0x0002a303, // lw   t1, 0(t0)
  0x100002b7, // lui  t0, 0x10000
  0x00628023, // sb   t1, 0(t0)
  0x001002b7, // lui  t0, 0x100
  0x00005337, // lui  t1, 5
  0x55530313, // addi t1, t1, 0x555
  0x0062a023, // sw   t1, 0(t0)
  0x0000006f, // j    .
);

let output = "";
const kernel = { name: "program", bytes: new Uint8Array(program.buffer) };
const machine = createVirt({ kernel, ramBytes: 1 << 22, onOutput: (byte: number) => output += String.fromCharCode(byte) });
const { world, owner, system, space } = machine;
const device = plug(world, lamp, { id: "lamp", owner, at: [{ region: "registers", container: system, offset: 0x5000000 }] });
const { reason, status } = await machine.run();
const lit = load(world, space, 0x5000000, 4);
store(world, space, 0x5000000, 4, 7);
const relit = load(world, space, 0x5000000, 4);
const kept = whyAlive(world, device).text.length > 0;
unplug(world, device);
const gone = load(world, space, 0x5000000, 4);
audit(world);
machine.dispose();
console.log(JSON.stringify({ output, reason, status, lit, relit, kept, gone }));
`;

/** A worker that has nothing but the address of the reader: what it finds at 0x1000 and 0x3000 of the view that it is sent. */
const READER = `
import { openPublishedView } from "./systems/published_reader.ts";

self.onmessage = ({ data }) => {
  const view = openPublishedView(data);
  const bytes = new Uint8Array(8);
  view.enter();
  const answer = [view.read(0x1000, bytes), [...bytes], view.find(0x3000)];
  view.leave();
  self.postMessage(answer);
};
`;

const PUBLISHER = `
import {
  addSubregion, audit, createAddressSpace, createContainer, createGuestMemory, createOwner, createRam, createWorld, drain,
  drop, publish, ramOf, registerWorkerReader, unregisterReader,
} from "MOD/mod.ts";

const world = createWorld();
const owner = createOwner(world, { name: "machine" });
const root = createContainer(world, { name: "system", size: 2 ** 32, owner });
const space = createAddressSpace(world, { name: "memory", root, owner });
const memory = createGuestMemory(0x10000);
const ram = createRam(world, { name: "ram", size: 0x1000, owner, memory });
ramOf(world, ram).bytes.set([1, 2, 3, 4, 5, 6, 7, 8]);
addSubregion(world, root, 0x1000, ram);
const reader = registerWorkerReader(world, publish(world, space, memory), "remote");
const worker = new Worker("MOD/reader.ts", { type: "module" });
worker.postMessage(reader.shared);
const answer = await new Promise((resolve, reject) => {
  worker.onmessage = ({ data }) => resolve(data);
  worker.onerror = (event) => reject(event.message);
});
worker.terminate();
unregisterReader(world, reader);
drop(world, owner);
await drain(world);
audit(world);
console.log(JSON.stringify(answer));
`;

Deno.test("a worker whose module comes from a URL reads what is published", async () => {
  assertEquals(await consume(PUBLISHER), { out: "[8,[1,2,3,4,5,6,7,8],false]", complaints: "" });
});

Deno.test("mod.ts works when a project without configuration imports it from a URL", async () => {
  const { out, complaints } = await consume(CONSUMER);
  const seen = { output: "*", reason: "power-off", status: 0, lit: 42, relit: 7, kept: true, gone: 0 };
  assertEquals(out, JSON.stringify(seen), complaints);
});

/** Runs a program whose imports are on a server of this tree; `MOD` in it is the server's address. */
async function consume(program: string): Promise<{ out: string; complaints: string }> {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, serveFile);
  const host = `127.0.0.1:${server.addr.port}`;
  try {
    const consumer = new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-config", "--no-lock", "--no-prompt", "--quiet", `--allow-import=${host}`, "--ext=ts", "-"],
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const writer = consumer.stdin.getWriter();
    await writer.write(new TextEncoder().encode(program.replaceAll("MOD", `http://${host}`)));
    await writer.close();
    const { stdout, stderr } = await consumer.output();
    const [out = "", complaints = ""] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes).trim());
    return { out, complaints };
  } finally {
    await server.shutdown();
  }
}

async function serveFile(request: Request): Promise<Response> {
  const { pathname } = new URL(request.url);
  const headers = { "content-type": "application/typescript" };
  if (pathname === "/reader.ts") return new Response(READER, { headers });
  try {
    const body = await Deno.readFile(new URL(`.${pathname}`, ROOT));
    return new Response(body, { headers });
  } catch {
    return new Response("not found", { status: 404 });
  }
}
