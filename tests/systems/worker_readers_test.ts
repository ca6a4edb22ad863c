/** Readers on workers: what they see stays until they leave, and whoever does not leave is named. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { spaceOf } from "../../ecs/address_space.ts";
import { isWritable, rangesOf } from "../../ecs/flat_view.ts";
import { createGuestMemory } from "../../ecs/ram_block.ts";
import type { Region } from "../../ecs/region.ts";
import { isAlive } from "../../ecs/handle.ts";
import { createWorld } from "../../ecs/world.ts";
import { disposeWorld } from "../../systems/dispose.ts";
import { drop, InUseError } from "../../systems/finalize.ts";
import { audit, whyAlive } from "../../systems/inspect.ts";
import {
  openPublishedView,
  Page,
  type PublishedReader,
  PublishedReaderError,
  sharedForm,
} from "../../systems/published_reader.ts";
import { publish, type PublishOptions, unpublish } from "../../systems/published_view.ts";
import { retiredQueue } from "../../systems/retire.ts";
import { drain, unregisterReader } from "../../systems/scope.ts";
import { stalledReaders } from "../../systems/stalled_readers.ts";
import { createAddressSpace } from "../../systems/address_spaces.ts";
import { createContainer, createMmio, createOwner, createRam, createRom, ramOf } from "../../systems/create_region.ts";
import { addSubregion, delSubregion, setAddress } from "../../systems/topology.ts";
import { registerWorkerReader } from "../../systems/worker_readers.ts";
import { stressWorkers } from "./worker_stress.ts";

/** A machine with a published space. Its readers run on this thread, which makes no difference to them. */
function machine(options?: PublishOptions) {
  const faults: string[] = [];
  const lines: string[] = [];
  const world = createWorld({
    reportFault: (error) => faults.push(error.message),
    trace: (line) => lines.push(line),
  });
  const owner = createOwner(world, { name: "machine" });
  const root = createContainer(world, { name: "system", size: 2 ** 64, owner });
  const space = createAddressSpace(world, { name: "memory", root, owner });
  const memory = createGuestMemory(0x80_0000);
  const published = publish(world, space, memory, options);
  const ram = (name: string, at: number, size = 0x1000) => {
    const device = createOwner(world, { name: `${name} device`, owner, device: true });
    const region = createRam(world, { name, size, owner: device, memory });
    ramOf(world, region).bytes.fill(0xaa);
    addSubregion(world, root, at, region);
    return { device, region };
  };
  const unplug = ({ device, region }: ReturnType<typeof ram>) => {
    delSubregion(world, root, region);
    drop(world, device);
  };
  const reader = (name: string) => {
    const slot = registerWorkerReader(world, published, name);
    return { slot, view: openPublishedView(slot.shared) };
  };
  return { world, faults, lines, owner, root, space, memory, published, ram, unplug, reader };
}

/** Ranges that a reader finds, at all boundaries of the flat view. */
function assertSameAsView(m: ReturnType<typeof machine>, view: PublishedReader): void {
  for (const range of rangesOf(spaceOf(m.world, m.space).view)) {
    const isShared = range.ram?.memory === m.memory;
    for (const address of [range.start, range.start + Math.floor((range.end - range.start) / 2)]) {
      assertEquals(view.find(address), isShared, `at ${address}`);
      if (!isShared) continue;
      assertEquals(view.start, range.start);
      assertEquals(view.end, range.end);
      assertEquals(view.region % 2 ** 24, range.region);
      assertEquals(view.readonly, !isWritable(range));
      assertEquals(view.offset, range.ram!.offset + (address - range.base));
    }
  }
}

Deno.test("a published view shows RAM and ROM of its guest memory, and nothing else", () => {
  const m = machine();
  const { view } = m.reader("w");
  m.ram("ram", 0x1000);
  const rom = createRom(m.world, { name: "rom", size: 0x1000, owner: m.owner, memory: m.memory });
  addSubregion(m.world, m.root, 2 ** 64 - 0x1000, rom);
  const own = createRam(m.world, { name: "in an ArrayBuffer", size: 0x1000, owner: m.owner });
  addSubregion(m.world, m.root, 0x3000, own);
  const mmio = createMmio(m.world, { name: "mmio", size: 0x100, owner: m.owner, ops: {}, state: undefined });
  addSubregion(m.world, m.root, 0x1800, mmio, { priority: 1 });
  view.enter();
  assertSameAsView(m, view);
  assert(view.find(2 ** 64 - 0x800) && view.readonly);
  assert(!view.find(0x3000) && !view.find(0x1880) && !view.find(0) && !view.find(2 ** 63));
  const bytes = new Uint8Array(0x1000);
  assertEquals(view.read(0x1400, bytes), 0x400);
  assert(bytes.subarray(0, 0x400).every((byte) => byte === 0xaa));
  view.leave();
});

Deno.test("a commit writes the pages that it touches, and views of 10 000 ranges are found through two levels", () => {
  const m = machine({ pages: 1024 });
  const block = createRam(m.world, { name: "block", size: 0x60_0000, owner: m.owner, memory: m.memory });
  const regions: Region[] = [];
  addSubregion(m.world, m.root, 0, block);
  for (let i = 0; i < 5000; i++) {
    const hole = createMmio(m.world, { name: "hole", size: 0x100, owner: m.owner, ops: {}, state: undefined });
    addSubregion(m.world, m.root, i * 0x400 + 0x200, hole, { priority: 1 });
    regions.push(hole);
  }
  const { view } = m.reader("w");
  view.enter();
  assertSameAsView(m, view);
  view.leave();
  const words = new Float64Array(m.published.pages);
  const before = words.slice();
  setAddress(m.world, regions[3000]!, 3000 * 0x400 + 0x280);
  const changed = new Set<number>();
  for (let at = Page.WORDS; at < words.length; at++) {
    if (words[at] !== before[at]) changed.add(Math.floor(at / Page.WORDS));
  }
  assert(changed.size > 0 && changed.size <= 6, `${changed.size} pages changed`);
  view.enter();
  assertSameAsView(m, view);
  view.leave();
});

Deno.test("random maps: what readers find is the flat view, in few pages", () => {
  const m = machine({ pages: 24 });
  const { view } = m.reader("w");
  const plugged: ReturnType<typeof m.ram>[] = [];
  let random = 7;
  const next = (below: number) => (random = (Math.imul(random, 1664525) + 1013904223) >>> 0) % below;
  for (let i = 0; i < 2000; i++) {
    if (plugged.length > 0 && next(100) < plugged.length) m.unplug(plugged.splice(next(plugged.length), 1)[0]!);
    else plugged.push(m.ram(`bar ${i}`, next(0x400) * 0x800));
    if (plugged.length > 0) setAddress(m.world, plugged[next(plugged.length)]!.region, next(0x400) * 0x800);
    view.enter();
    assertSameAsView(m, view);
  }
  view.leave();
  audit(m.world);
  assertEquals(m.faults, []);
});

Deno.test("what a reader found keeps its bytes until it leaves or moves on", () => {
  const m = machine();
  const bar = m.ram("bar", 0x1000);
  const { view } = m.reader("w");
  view.enter();
  assert(view.find(0x1000));
  const { offset } = view;
  m.unplug(bar);
  const other = m.ram("other", 0x1000);
  assert(view.find(0x1000));
  assertEquals([view.region, view.offset, view.bytes[offset]], [bar.region, offset, 0xaa]);
  assert(whyAlive(m.world, bar.region).text.includes('waits for reader "w"'), whyAlive(m.world, bar.region).text);
  view.enter();
  m.ram("a commit that reclaims", 0x8000);
  assertEquals(view.bytes[offset], 0x00 + (ramOf(m.world, other.region).offset === offset ? 0xaa : 0));
  assert(view.find(0x1000) && view.region === other.region);
  m.unplug(other);
  assert(isAlive(m.world, other.region), "while it reads");
  view.leave();
  m.ram("a commit after it left", 0xa000);
  assert(!isAlive(m.world, other.region), "once it has left");
});

Deno.test("a reader that never leaves is named: by stalledReaders, by whyAlive, and in the trace after 1024 commits", () => {
  const m = machine();
  const bar = m.ram("bar", 0x1000, 0x3000);
  const { slot, view } = m.reader("worker 7");
  view.enter();
  m.unplug(bar);
  const [stalled] = stalledReaders(m.world);
  assertEquals([stalled?.name, stalled?.bytes], ["worker 7", 0x3000]);
  assertEquals(m.lines, []);
  const moving = m.ram("moving", 0x9000);
  for (let i = 0; i < 3000; i++) setAddress(m.world, moving.region, 0x9000 + (i % 2) * 0x1000);
  assertEquals(m.lines.length, 2);
  assert(m.lines[0]!.includes('what 1024 commits took out of sight waits for reader "worker 7"'), m.lines[0]!);
  unregisterReader(m.world, slot); // as if it had been terminated
  assertEquals([stalledReaders(m.world), retiredQueue(m.world).length], [[], 0]);
  assertThrows(() => view.enter(), PublishedReaderError, "dismissed");
});

Deno.test("a reader finds nothing outside of enter and leave", () => {
  const m = machine();
  m.ram("bar", 0x1000);
  const { view } = m.reader("w");
  assertThrows(() => view.find(0x1000), PublishedReaderError, "not entered");
  view.enter();
  view.leave();
  assertThrows(() => view.read(0x1000, new Uint8Array(4)), PublishedReaderError, "not entered");
});

Deno.test("drain resolves when a worker has left, without another commit", async () => {
  const m = machine();
  const bar = m.ram("bar", 0x1000);
  const { view } = m.reader("w");
  view.enter();
  m.unplug(bar);
  let isDone = false;
  const drained = drain(m.world).then(() => isDone = true);
  await new Promise((resolve) => setTimeout(resolve, 10));
  assertEquals(isDone, false);
  view.leave();
  await drained;
  assertEquals(retiredQueue(m.world).length, 0);
});

Deno.test("the end of a space, of publication or of the world ends what readers see", () => {
  const m = machine();
  m.ram("bar", 0x1000);
  const { view } = m.reader("w");
  assertThrows(() => publish(m.world, m.space, m.memory), InUseError, "published already");
  const other = createOwner(m.world, { name: "other" });
  const root = createContainer(m.world, { name: "root", size: 2 ** 32, owner: other });
  const ram = createRam(m.world, { name: "ram", size: 0x1000, owner: other, memory: m.memory });
  addSubregion(m.world, root, 0, ram);
  ramOf(m.world, ram).bytes.fill(0xaa);
  const space = createAddressSpace(m.world, { name: "second", root, owner: other });
  const second = openPublishedView(registerWorkerReader(m.world, publish(m.world, space, m.memory), "s").shared);
  second.enter();
  drop(m.world, other); // one commit hides the RAM and retires it
  assert(second.find(0));
  assertEquals(second.bytes[second.offset], 0xaa);
  second.enter();
  assertEquals(second.find(0), false);
  second.leave();
  unpublish(m.world, m.space);
  view.enter();
  assertEquals(view.find(0x1000), false);
  view.leave();
  disposeWorld(m.world);
  assertThrows(() => view.enter(), PublishedReaderError, "dismissed");
});

Deno.test("a published view without room for a commit is empty and says who holds it up, and comes back", () => {
  const m = machine({ pages: 6 });
  const moving = m.ram("moving", 0x1000);
  const { view } = m.reader("w");
  view.enter();
  for (let i = 1; i < 20; i++) setAddress(m.world, moving.region, i * 0x1000);
  assert(m.faults[0]!.includes('"memory" has no page left; reader "w" holds on'), m.faults[0]!);
  view.enter();
  setAddress(m.world, moving.region, 0x5000);
  view.enter();
  assert(view.find(0x5000));
  view.leave();
});

Deno.test("epochs in their shared form may wrap around while a reader stays", () => {
  const m = machine();
  m.world.epochs.current = 2 ** 31 - 2;
  m.ram("now", 0);
  const { slot, view } = m.reader("w");
  view.enter();
  const entered = slot.epoch;
  assertEquals(sharedForm(2 ** 31 + entered), sharedForm(entered));
  const moving = m.ram("moving", 0x1000);
  for (let i = 1; i < 8; i++) setAddress(m.world, moving.region, i * 0x1000);
  assert(m.world.epochs.current > 2 ** 31);
  assertEquals(slot.epoch, entered);
  view.enter();
  assertEquals(slot.epoch, m.world.epochs.current);
  view.leave();
  assertEquals(slot.epoch, Infinity);
});

Deno.test("two workers read while devices and a whole space come and go: no freed range is ever read", async () => {
  const result = await stressWorkers(2000, 2);
  assertEquals([result.invalid, result.faults, result.leaked], [0, [], 0]);
  assert(result.reads > 1000, `only ${result.reads} reads`);
  const { deaths, republished, wardReads } = result;
  assert(deaths > 1 && republished > 1 && wardReads > 100, `${deaths} deaths, ${republished} anew, ${wardReads} reads`);
  assert(result.backlog < 100, `${result.backlog} commits waited`);
});
