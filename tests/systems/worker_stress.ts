/**
 * Stress of worker readers: workers read what is published while this thread plugs, moves and unplugs devices with RAM,
 * ends a whole address space, and publishes it anew. Each block says which region's it is, so that a read of a freed or reused range is seen.
 *
 *     deno task soak:workers [cycles] [workers]
 */
import { assert, assertEquals } from "@std/assert";
import type { Owner } from "../../ecs/owner.ts";
import { createGuestMemory } from "../../ecs/ram_block.ts";
import type { Region } from "../../ecs/region.ts";
import { createWorld } from "../../ecs/world.ts";
import { disposeWorld } from "../../systems/dispose.ts";
import { drop } from "../../systems/finalize.ts";
import { audit } from "../../systems/inspect.ts";
import { publish } from "../../systems/published_view.ts";
import { retiredQueue } from "../../systems/retire.ts";
import { drain, unregisterReader } from "../../systems/scope.ts";
import { createAddressSpace } from "../../systems/address_spaces.ts";
import { createContainer, createMmio, createOwner, createRam, ramOf } from "../../systems/create_region.ts";
import { addSubregion, delSubregion, setAddress } from "../../systems/topology.ts";
import { transaction } from "../../systems/transaction.ts";
import { registerWorkerReader } from "../../systems/worker_readers.ts";
import { Count, type Job, type Message, wordOf } from "./worker_stress_pattern.ts";
import { Ward } from "./worker_stress_ward.ts";

const STRIDE = 0x4000;
const SLOTS = 64;
/** A leak of a hundred blocks, or of a dozen views, is noticed. */
const MEMORY = 0x40_0000;
const PAGES = 512;
/** Commits that may wait for the workers before this thread waits too, as a machine's loop would. */
const BACKLOG = 64;
const BLOCKS = 2;
const DEVICES = 16;

export interface StressResult {
  readonly cycles: number;
  readonly reads: number;
  /** Reads in the space that died `deaths` times, and was published anew `republished` times. */
  readonly wardReads: number;
  readonly deaths: number;
  readonly republished: number;
  readonly scopes: number;
  readonly invalid: number;
  readonly faults: readonly string[];
  /** Most commits that ever waited for the workers. */
  readonly backlog: number;
  readonly waits: number;
  /** Bytes of guest memory that are not free at the end, when all devices are gone. */
  readonly leaked: number;
  /** Growth after the first tenth, in bytes. */
  readonly heapGrowth: number;
  readonly residentGrowth: number;
  readonly seconds: number;
}

interface Plugged {
  readonly owner: Owner;
  readonly regions: Region[];
  readonly registers: Region;
  readonly slots: number[];
}

/** `cycles` plugs and unplugs, and as many moves, under `count` reading workers. */
export async function stressWorkers(cycles: number, count: number): Promise<StressResult> {
  const faults: string[] = [];
  const world = createWorld({ reportFault: (error) => faults.push(error.message) });
  const machine = createOwner(world, { name: "machine" });
  const root = createContainer(world, { name: "system", size: 2 ** 32, owner: machine });
  const space = createAddressSpace(world, { name: "memory", root, owner: machine });
  const memory = createGuestMemory(MEMORY);
  const published = publish(world, space, memory, { pages: PAGES });
  const counts = new Int32Array(new SharedArrayBuffer(64));
  const readers = Array.from({ length: count }, (_, i) => registerWorkerReader(world, published, `worker ${i}`));
  const workers = await Promise.all(readers.map((reader, i) => {
    const job: Job = { counts: counts.buffer, seed: i + 1, index: i, slots: SLOTS, stride: STRIDE };
    return startReader({ shared: reader.shared, job });
  }));
  const ward = new Ward(world, memory, machine, counts, workers.map(({ post }) => post));

  const free = Array.from({ length: SLOTS }, (_, slot) => slot);
  const devices: Plugged[] = [];
  let random = 1;
  const next = (below: number) => {
    random = (Math.imul(random, 1664525) + 1013904223) >>> 0;
    return Math.floor(random / 2 ** 32 * below);
  };
  const takeSlot = () => free.splice(next(free.length), 1)[0]!;

  const plug = () => {
    const owner = createOwner(world, { name: "device", owner: machine, device: true });
    const regions: Region[] = [];
    const slots: number[] = [];
    const registers = createMmio(world, { name: "registers", size: 0x100, owner, ops: {}, state: undefined });
    transaction(world, () => {
      for (let i = 0; i < BLOCKS; i++) {
        const ram = createRam(world, { name: "bar", size: 0x1000 << next(3), owner, memory });
        const { offset, size } = ramOf(world, ram);
        const words = new Uint32Array(memory.memory.buffer, offset, size / 4);
        for (let at = 0; at < words.length; at++) words[at] = wordOf(ram, at);
        slots.push(takeSlot());
        regions.push(ram);
        addSubregion(world, root, slots[i]! * STRIDE, ram);
      }
      addSubregion(world, root, SLOTS * STRIDE + slots[0]! * 0x100, registers);
    });
    devices.push({ owner, regions, registers, slots });
  };
  const move = () => {
    const device = devices[next(devices.length)]!;
    const which = next(BLOCKS);
    const slot = takeSlot();
    setAddress(world, device.regions[which]!, slot * STRIDE);
    free.push(device.slots[which]!);
    device.slots[which] = slot;
  };
  const unplug = () => {
    const [device] = devices.splice(next(devices.length), 1);
    if (device === undefined) return;
    // In one commit, or one after the other.
    const end = () => {
      for (const region of device.regions) delSubregion(world, root, region);
      delSubregion(world, root, device.registers);
      drop(world, device.owner);
    };
    if (next(2) === 0) transaction(world, end);
    else end();
    free.push(...device.slots);
  };

  const warm = Math.ceil(cycles / 10);
  let before = Deno.memoryUsage();
  let backlog = 0;
  let waits = 0;
  const started = performance.now();
  for (let i = 0; i < cycles; i++) {
    if (i === warm) before = await settledMemory();
    if (devices.length === DEVICES) unplug();
    plug();
    move();
    ward.turn(STRIDE);
    backlog = Math.max(backlog, retiredQueue(world).length);
    if (retiredQueue(world).length < BACKLOG) continue;
    waits++;
    await drain(world);
  }
  while (devices.length > 0) unplug();
  ward.end();
  Atomics.store(counts, Count.STOP, 1);
  await Promise.all(workers.map((worker) => worker.stopped));
  const seconds = (performance.now() - started) / 1000;
  await drain(world);
  const after = await settledMemory();
  for (const reader of readers) unregisterReader(world, reader);
  audit(world);
  const leaked = MEMORY - memory.gaps.reduce((bytes, gap) => bytes + gap.end - gap.start, 0);
  disposeWorld(world);
  return {
    cycles,
    reads: counts[Count.READS]!,
    wardReads: counts[Count.WARD_READS]!,
    deaths: ward.deaths,
    republished: ward.republished,
    scopes: counts[Count.SCOPES]!,
    invalid: counts[Count.INVALID]!,
    faults,
    backlog,
    waits,
    leaked,
    heapGrowth: after.heapUsed - before.heapUsed,
    residentGrowth: after.rss - before.rss,
    seconds,
  };
}

/** Resolves when the worker has been loaded and given its job. */
async function startReader(message: Message): Promise<{ stopped: Promise<void>; post: (message: Message) => void }> {
  const worker = new Worker(new URL("./worker_stress_reader.ts", import.meta.url), { type: "module" });
  await new Promise((resolve) => worker.onmessage = resolve);
  const stopped = new Promise<void>((resolve) => {
    worker.onmessage = () => {
      worker.terminate();
      resolve();
    };
  });
  worker.postMessage(message);
  return { stopped, post: (message) => worker.postMessage(message) };
}

/** What is used once the collector has run, if the process was started with `--v8-flags=--expose-gc`. */
async function settledMemory(): Promise<Deno.MemoryUsage> {
  const { gc } = globalThis as { gc?: () => void };
  gc?.();
  await new Promise((resolve) => setTimeout(resolve, 20));
  gc?.();
  return Deno.memoryUsage();
}

if (import.meta.main) {
  const result = await stressWorkers(Number(Deno.args[0] ?? 100_000), Number(Deno.args[1] ?? 2));
  console.log(JSON.stringify(result, undefined, 2));
  assertEquals(result.invalid, 0);
  assert(result.deaths > 1 && result.republished > 1 && result.wardReads > 0, "no space died while it was read");
  assertEquals(result.faults, []);
  assertEquals(result.leaked, 0);
}
