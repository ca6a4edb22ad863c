/** Scenarios of coalesced MMIO: what listeners are told, and when collected writes reach their handlers. */
import { assertEquals, assertThrows } from "@std/assert";
import { coalescedRing } from "../../ecs/coalesced_ring.ts";
import { isAlive } from "../../ecs/handle.ts";
import type { CoalescedSection } from "../../ecs/listener.ts";
import type { Owner } from "../../ecs/owner.ts";
import type { Region } from "../../ecs/region.ts";
import type { Policy } from "../../ecs/world.ts";
import { Attrs, MemTx } from "../../systems/access.ts";
import { TopologyError } from "../../systems/admission.ts";
import { addCoalescing, clearCoalescing, setCoalescing, setFlushCoalesced } from "../../systems/coalesced.ts";
import { closeCoalescedRing, drainCoalesced, openCoalescedRing } from "../../systems/coalesced_ring.ts";
import { load, peek, store, write } from "../../systems/dma.ts";
import { drop } from "../../systems/finalize.ts";
import { audit } from "../../systems/inspect.ts";
import { addIoEvent, createNotifier } from "../../systems/io_event.ts";
import { registerListener, unregisterListener } from "../../systems/address_spaces.ts";
import { createAlias, createMmio, createOwner, createRam } from "../../systems/create_region.ts";
import { addSubregion, delSubregion, setAddress, setEnabled } from "../../systems/topology.ts";
import { transaction } from "../../systems/transaction.ts";
import { Stage } from "./machine.ts";

class Machine extends Stage {
  readonly log: string[] = [];
  /** What a handler does besides noting the write. */
  onWrite: (value: number) => void = () => {};

  constructor(policy: Partial<Policy> = {}) {
    super({ policy }, 2 ** 32);
  }

  device(name: string, at: number): { device: Owner; region: Region } {
    const device = createOwner(this.world, { name, owner: this.owner, device: true });
    return { device, region: this.region(name, at, device) };
  }

  region(name: string, at: number, owner: Owner): Region {
    const region = createMmio(this.world, {
      name,
      size: 0x1000,
      owner,
      ops: {
        read: (_, offset) => {
          this.log.push(`${name} read ${offset.toString(16)}`);
          return 1;
        },
        write: (_, offset, value) => {
          this.log.push(`${name} ${offset.toString(16)}=${value}`);
          this.onWrite(Number(value));
        },
      },
      state: undefined,
    });
    addSubregion(this.world, this.root, at, region);
    return region;
  }

  listen(name: string, priority = 0) {
    const part = (what: string) => ({ address, size }: CoalescedSection) =>
      this.log.push(`${name} ${what} ${address.toString(16)}+${size.toString(16)}`);
    return registerListener(this.world, this.space, {
      name,
      priority,
      begin: () => this.log.push(`${name} begin`),
      regionAdd: ({ address }) => this.log.push(`${name} region+ ${address.toString(16)}`),
      regionDel: ({ address }) => this.log.push(`${name} region- ${address.toString(16)}`),
      coalescedAdd: part("coalesced+"),
      coalescedDel: part("coalesced-"),
      commit: () => this.log.push(`${name} commit`),
    });
  }

  heard(): string[] {
    return this.log.splice(0);
  }
}

Deno.test("S118 a coalesced region moves: del before its range's, add after it, and the ring is drained first", () => {
  const m = new Machine();
  const { region } = m.device("dev", 0x1000);
  openCoalescedRing(m.world, 8);
  addCoalescing(m.world, region, 0x100, 0x80);
  m.listen("l");
  m.heard();
  assertEquals(store(m.world, m.space, 0x1100, 4, 5), MemTx.OK);
  assertEquals(m.heard(), []);
  setAddress(m.world, region, 0x4000);
  assertEquals(m.heard(), [
    ...["dev 100=5", "l begin", "l coalesced- 1100+80", "l region- 1000"],
    ...["l region+ 4000", "l coalesced+ 4100+80", "l commit"],
  ]);
  audit(m.world);
});

Deno.test("M1 listeners hear of coalesced ranges at once, in each place, without begin and commit, in both directions", () => {
  const m = new Machine();
  const { region } = m.device("dev", 0x1000);
  const alias = createAlias(m.world, { name: "window", target: region, offset: 0x40, size: 0x20, owner: m.owner });
  addSubregion(m.world, m.root, 0x8000, alias);
  for (const [name, priority] of [["a", 0], ["b", 10]] as const) m.listen(name, priority);
  m.heard();
  transaction(m.world, () => {
    addCoalescing(m.world, region, 0x30, 0x20);
    assertEquals(m.heard(), [
      "a coalesced+ 1030+20",
      "b coalesced+ 1030+20",
      "a coalesced+ 8000+10",
      "b coalesced+ 8000+10",
    ]);
  });
  clearCoalescing(m.world, region);
  assertEquals(m.heard(), [
    "b coalesced- 1030+20",
    "a coalesced- 1030+20",
    "b coalesced- 8000+10",
    "a coalesced- 8000+10",
  ]);
});

Deno.test("M3 set takes back what was and adds the whole region; clear takes back all", () => {
  const m = new Machine();
  const { region } = m.device("dev", 0x1000);
  m.listen("l");
  m.heard();
  addCoalescing(m.world, region, 0, 4);
  addCoalescing(m.world, region, 8, 4);
  assertEquals(m.heard(), ["l coalesced+ 1000+4", "l coalesced+ 1008+4"]);
  setCoalescing(m.world, region);
  assertEquals(m.heard(), ["l coalesced- 1000+4", "l coalesced- 1008+4", "l coalesced+ 1000+1000"]);
  clearCoalescing(m.world, region);
  clearCoalescing(m.world, region);
  assertEquals(m.heard(), ["l coalesced- 1000+1000"]);
  openCoalescedRing(m.world, 8);
  const other = m.device("other", 0x4000);
  setCoalescing(m.world, other.region);
  m.heard();
  store(m.world, m.space, 0x4000, 4, 1);
  load(m.world, m.space, 0x1000, 4);
  assertEquals(m.heard(), ["dev read 0"], "it does not drain any more");
  audit(m.world);
});

Deno.test("S110, S111 coalesced ranges are replayed after and before the range that shows them", () => {
  const m = new Machine();
  const { region } = m.device("dev", 0x1000);
  addCoalescing(m.world, region, 0, 4);
  const listener = m.listen("l");
  assertEquals(m.heard(), ["l begin", "l region+ 1000", "l coalesced+ 1000+4", "l commit"]);
  unregisterListener(m.world, listener);
  assertEquals(m.heard(), ["l begin", "l coalesced- 1000+4", "l region- 1000", "l commit"]);
});

Deno.test("Q7 a replay tells of all coalesced ranges that are shown, or [C] of those before the first that is not", () => {
  for (const coalescedReplay of ["all", "untilGap"] as const) {
    const m = new Machine({ coalescedReplay });
    const { region } = m.device("dev", 0x1000);
    for (const offset of [0, 0x800, 0x10]) addCoalescing(m.world, region, offset, 4);
    addSubregion(m.world, m.root, 0x1800, createRam(m.world, { name: "cover", size: 4, owner: m.owner }), {
      priority: 1,
    });
    m.listen("l");
    const told = m.heard().filter((line) => line.includes("coalesced"));
    // The first part of the region ends at the cover, the second begins behind it.
    assertEquals(
      told,
      coalescedReplay === "all" ? ["l coalesced+ 1000+4", "l coalesced+ 1010+4"] : ["l coalesced+ 1000+4"],
    );
  }
});

Deno.test("writes are collected in order and delivered by a read, by a write beside, by a full ring, and on demand", () => {
  const m = new Machine();
  const { region } = m.device("dev", 0);
  openCoalescedRing(m.world, 2);
  addCoalescing(m.world, region, 0, 0x10);
  const ring = (...values: number[]) => values.forEach((value) => store(m.world, m.space, 0, 4, value));
  ring(1, 2);
  assertEquals(m.heard(), []);
  load(m.world, m.space, 0x20, 4);
  assertEquals(m.heard(), ["dev 0=1", "dev 0=2", "dev read 20"]);
  ring(3);
  store(m.world, m.space, 0x20, 2, 4);
  assertEquals(m.heard(), ["dev 0=3", "dev 20=4"]);
  ring(5, 6, 7);
  assertEquals(m.heard(), ["dev 0=5", "dev 0=6", "dev 0=7"]);
  ring(8);
  assertEquals([drainCoalesced(m.world), drainCoalesced(m.world), m.heard()], [1, 0, ["dev 0=8"]]);
  store(m.world, m.space, 0xe, 4, 9);
  assertEquals(m.heard(), [], "unaligned: refused, as it would be without a ring");
  addCoalescing(m.world, region, 0x100, 2);
  store(m.world, m.space, 0x100, 4, 9);
  assertEquals(m.heard(), ["dev 100=9"], "only partly in the range");
  ring(10);
  closeCoalescedRing(m.world);
  ring(11);
  assertEquals(m.heard(), ["dev 0=10", "dev 0=11"]);
});

Deno.test("without a ring, which is how a world begins, writes to coalesced ranges are delivered at once", () => {
  const m = new Machine();
  setCoalescing(m.world, m.device("dev", 0).region);
  store(m.world, m.space, 0, 4, 1);
  assertEquals(m.heard(), ["dev 0=1"]);
});

Deno.test("M2 a region that drains sees what was written to another before; one that does not, does not", () => {
  const m = new Machine();
  const video = m.device("video", 0);
  const index = m.device("index", 0x1000);
  const other = m.device("other", 0x2000);
  const notifier = createNotifier(m.world, { name: "kick", owner: other.device, signal: () => {} });
  addIoEvent(m.world, other.region, { offset: 8, size: 4, notifier });
  openCoalescedRing(m.world, 8);
  setCoalescing(m.world, video.region);
  setFlushCoalesced(m.world, index.region, true);
  store(m.world, m.space, 0, 1, 1);
  store(m.world, m.space, 0x2000, 1, 2);
  load(m.world, m.space, 0x2000, 1);
  peek(m.world, m.space, 0x1000, new Uint8Array(1));
  assertEquals(m.heard(), ["other 0=2", "other read 0"]);
  load(m.world, m.space, 0x1000, 1);
  assertEquals(m.heard(), ["video 0=1", "index read 0"]);
  store(m.world, m.space, 0, 1, 3);
  store(m.world, m.space, 0x1000, 1, 4);
  assertEquals(m.heard(), ["video 0=3", "index 0=4"]);
  setFlushCoalesced(m.world, index.region, false);
  store(m.world, m.space, 0, 1, 5);
  load(m.world, m.space, 0x1000, 1);
  assertEquals(m.heard(), ["index read 0"]);
  setFlushCoalesced(m.world, video.region, false);
  assertEquals(m.heard(), ["video 0=5"], "taking a flag away drains, too");
  store(m.world, m.space, 0, 1, 6);
  load(m.world, m.space, 0, 1);
  assertEquals(m.heard(), ["video 0=6", "video read 0"], "a coalesced region drains in any case");
  audit(m.world);
});

Deno.test("a transaction begins after what was written before it; a single change takes effect with what that changes", () => {
  const m = new Machine();
  const { region } = m.device("dev", 0);
  const bank = m.region("bank", 0x8000, m.owner);
  openCoalescedRing(m.world, 8);
  setCoalescing(m.world, region);
  m.onWrite = () => setEnabled(m.world, bank, false);
  m.listen("l");
  m.heard();
  store(m.world, m.space, 0, 4, 1);
  transaction(m.world, () => assertEquals(m.heard(), ["dev 0=1", "l begin", "l region- 8000", "l commit"]));
  setEnabled(m.world, bank, true);
  store(m.world, m.space, 0, 4, 2);
  store(m.world, m.space, 0, 4, 3);
  m.heard();
  setAddress(m.world, region, 0x4000);
  assertEquals(m.heard(), [
    ...["dev 0=2", "dev 0=3", "l begin", "l coalesced- 0+1000", "l region- 0", "l region- 8000"],
    ...["l region+ 4000", "l coalesced+ 4000+1000", "l commit"],
  ]);
});

Deno.test("what handlers and DMA write is not collected, and comes behind what was", () => {
  const m = new Machine();
  const { region } = m.device("dev", 0);
  m.region("dma engine", 0x8000, m.owner);
  openCoalescedRing(m.world, 8);
  setCoalescing(m.world, region);
  store(m.world, m.space, 0, 4, 1);
  write(m.world, m.space, 4, new Uint8Array([2, 0, 0, 0]));
  assertEquals(m.heard(), ["dev 0=1", "dev 4=2"]);
  store(m.world, m.space, 0, 4, 3);
  m.onWrite = (value) => void (value === 9 && store(m.world, m.space, 8, 4, 4));
  store(m.world, m.space, 0x8000, 4, 9);
  assertEquals(m.heard(), ["dma engine 0=9", "dev 0=3", "dev 8=4"]);
  store(m.world, m.space, 0, 4, 5, { attrs: Attrs.DEBUG });
  assertEquals(m.heard(), ["dev 0=5"]);
});

Deno.test("a collected write to a device in the middle of a handler waits, instead of being refused by the guard", () => {
  const m = new Machine();
  const { device, region } = m.device("dev", 0);
  m.region("control", 0x8000, device);
  const other = m.device("other", 0x4000);
  openCoalescedRing(m.world, 8);
  setCoalescing(m.world, region);
  setCoalescing(m.world, other.region);
  store(m.world, m.space, 0, 4, 1);
  store(m.world, m.space, 0x4000, 4, 2);
  m.onWrite = (value) => void (value === 9 && m.log.push(`drained ${drainCoalesced(m.world)}`));
  store(m.world, m.space, 0x8000, 4, 9);
  assertEquals(m.heard(), ["control 0=9", "other 0=2", "drained 1"]);
  assertEquals([drainCoalesced(m.world), m.heard()], [1, ["dev 0=1"]]);
});

Deno.test("an io event in a coalesced range is set at once, after what was written before it", () => {
  const m = new Machine();
  const { device, region } = m.device("dev", 0);
  openCoalescedRing(m.world, 8);
  setCoalescing(m.world, region);
  const notifier = createNotifier(m.world, { name: "kick", owner: device, signal: () => m.log.push("kick") });
  addIoEvent(m.world, region, { offset: 8, size: 4, notifier });
  store(m.world, m.space, 0, 4, 1);
  store(m.world, m.space, 8, 4, 2);
  assertEquals(m.heard(), ["dev 0=1", "kick"]);
});

Deno.test("LC25 unplug takes coalesced ranges and collected writes along", () => {
  const m = new Machine();
  const { device, region } = m.device("dev", 0x1000);
  const control = m.region("control", 0x8000, device);
  openCoalescedRing(m.world, 8);
  setCoalescing(m.world, region);
  m.listen("l");
  store(m.world, m.space, 0x1000, 4, 1);
  m.heard();
  m.onWrite = () => {
    // The guard of the device is set, so what is collected for it stays.
    for (const one of [region, control]) delSubregion(m.world, m.root, one);
    drop(m.world, device);
  };
  store(m.world, m.space, 0x8000, 4, 9);
  assertEquals(m.heard().filter((line) => /coalesced|=/.test(line)), ["control 0=9", "l coalesced- 1000+1000"]);
  assertEquals([isAlive(m.world, device), coalescedRing(m.world).writes.length], [false, 0]);
  audit(m.world);
});

Deno.test("a device that is dropped while an alias still shows it sees first what was written to it", () => {
  const m = new Machine();
  const device = createOwner(m.world, { name: "dev", owner: m.owner, device: true });
  const ops = {
    write: (_: undefined, offset: number, value: number | bigint) => void m.log.push(`${offset}=${value}`),
  };
  const region = createMmio(m.world, { name: "registers", size: 0x100, owner: device, ops, state: undefined });
  const alias = createAlias(m.world, { name: "window", target: region, offset: 0, size: 0x100, owner: m.owner });
  addSubregion(m.world, m.root, 0, alias);
  openCoalescedRing(m.world, 8);
  setCoalescing(m.world, region);
  store(m.world, m.space, 4, 4, 7);
  drop(m.world, device);
  assertEquals([m.heard(), isAlive(m.world, device)], [["4=7"], false]);
  audit(m.world);
});

Deno.test("a change of coalesced ranges in the middle of a walk takes effect after it, so that folds stay right", () => {
  const m = new Machine();
  const { region } = m.device("dev", 0x1000);
  let isArmed = false;
  registerListener(m.world, m.space, {
    name: "meddler",
    priority: -1,
    regionAdd: () => isArmed && addCoalescing(m.world, region, 0, 4),
  });
  m.listen("l");
  m.heard();
  isArmed = true;
  setAddress(m.world, region, 0x2000);
  assertEquals(m.heard(), ["l begin", "l region- 1000", "l region+ 2000", "l coalesced+ 2000+4", "l commit"]);
  audit(m.world);
});

Deno.test("coalesced ranges changed in callbacks and replays: each listener hears of beginnings before ends", () => {
  const m = new Machine();
  const { region } = m.device("dev", 0x1000);
  m.device("behind", 0x4000);
  let isArmed = true;
  const meddler = registerListener(m.world, m.space, {
    name: "meddler",
    priority: -1,
    regionAdd: ({ address }) => address === 0x1000 && addCoalescing(m.world, region, 0, 4),
    coalescedAdd: () => isArmed && clearCoalescing(m.world, region),
  });
  m.listen("l");
  isArmed = false;
  m.heard();
  addCoalescing(m.world, region, 8, 4);
  assertEquals(m.heard(), ["l coalesced+ 1008+4"], "what the replay began was cleared");
  isArmed = true;
  addCoalescing(m.world, region, 0x10, 4);
  assertEquals(m.heard(), ["l coalesced+ 1010+4", "l coalesced- 1008+4", "l coalesced- 1010+4"]);
  unregisterListener(m.world, meddler);
  registerListener(m.world, m.space, {
    name: "restless",
    coalescedAdd: () => clearCoalescing(m.world, region),
    coalescedDel: () => setCoalescing(m.world, region),
  });
  setCoalescing(m.world, region);
  assertEquals(m.faults.map((fault) => fault.name), ["RunawayTellingError"]);
  audit(m.world);
});

Deno.test("a region without handlers cannot be coalesced", () => {
  const m = new Machine();
  const change = () => setCoalescing(m.world, m.root);
  assertEquals(
    assertThrows(change, TopologyError).message,
    '"system" has no handlers, so there is nothing to collect writes for',
  );
  assertThrows(() => openCoalescedRing(m.world, 0), RangeError);
});
