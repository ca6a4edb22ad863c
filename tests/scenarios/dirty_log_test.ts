/** Scenarios of family 3.6, dirty logging: which stores are logged for whom, and who is told when. */
import { assertEquals, assertThrows } from "@std/assert";
import { DIRTY_PAGE, DirtyClient, resizeDirtyLog } from "../../ecs/dirty_bitmap.ts";
import type { AddressSpace } from "../../ecs/address_space.ts";
import { countEntities } from "../../ecs/handle.ts";
import { Permission } from "../../ecs/iommu.ts";
import type { Listener, ListenerCallbacks, Section } from "../../ecs/listener.ts";
import { connectObserver } from "../../ecs/ram_block.ts";
import type { Region } from "../../ecs/region.ts";
import { createWorld, type WorldOptions } from "../../ecs/world.ts";
import { TopologyError } from "../../systems/admission.ts";
import {
  clearDirtyLog,
  DirtyLogError,
  flushRomDevice,
  getDirty,
  markDirty,
  resetDirty,
  setLog,
  snapshotAndClear,
  snapshotGetDirty,
  syncDirtyLog,
} from "../../systems/dirty_log.ts";
import {
  forgetGuest,
  setGuestRunning,
  startDirtyTracking,
  stopDirtyTracking,
  trackingReasons,
} from "../../systems/dirty_tracking.ts";
import { store, write, writeRom } from "../../systems/dma.ts";
import { createIommu } from "../../systems/iommu.ts";
import { audit } from "../../systems/inspect.ts";
import { createAddressSpace, registerListener, unregisterListener } from "../../systems/address_spaces.ts";
import {
  createAlias,
  createContainer,
  createOwner,
  createRam,
  createRom,
  createRomDevice,
  observeStores,
  ramOf,
} from "../../systems/create_region.ts";
import { addSubregion, delSubregion, setReadonly } from "../../systems/topology.ts";
import { transaction } from "../../systems/transaction.ts";

const { VGA, CODE, MIGRATION } = DirtyClient;
const PAGE = DIRTY_PAGE;

/** A world with an empty system, and listeners that write down what they hear. */
function machine(options: WorldOptions = {}) {
  const world = createWorld({ debug: true, ...options });
  const owner = createOwner(world, { name: "machine" });
  const root = createContainer(world, { name: "system", size: 2 ** 32, owner });
  const space = createAddressSpace(world, { name: "memory", root, owner });
  const ram = (pages: number) => createRam(world, { name: "ram", size: pages * PAGE, owner });
  const shown = (pages: number, address = 0) => {
    const region = ram(pages);
    addSubregion(world, root, address, region);
    return region;
  };
  const heard: string[] = [];
  const page = ({ address, size }: Section) => `${address / PAGE}+${size / PAGE}`;
  const listen = (name: string, priority = 0, more: ListenerCallbacks = {}, where: AddressSpace = space): Listener => {
    const hear = (what: string) => (section?: Section, before?: number, after?: number) => {
      const masks = before === undefined ? "" : ` ${before}→${after}`;
      heard.push(`${name} ${what}${section === undefined ? "" : ` ${page(section)}${masks}`}`);
    };
    const add = hear("add");
    return registerListener(world, where, {
      name,
      priority,
      begin: hear("begin"),
      regionAdd: (section) => {
        add(section);
        if (section.logMask !== 0) heard.push(`${name} mask ${section.logMask}`);
      },
      regionDel: hear("del"),
      regionNop: hear("nop"),
      commit: hear("commit"),
      logStart: hear("start"),
      logStop: hear("stop"),
      logClear: hear("clear"),
      logGlobalStart: hear("global start"),
      logGlobalStop: hear("global stop"),
      afterSync: hear("after sync"),
      ...more,
    });
  };
  /** Pages of a region that are dirty for a client. */
  const dirty = (region: Region, client: DirtyClient) => {
    const pages = ramOf(world, region).size / PAGE;
    return Array.from({ length: pages }, (_, at) => at).filter((at) => getDirty(world, region, at * PAGE, 1, client));
  };
  const clean = (region: Region, client: DirtyClient) =>
    resetDirty(world, region, 0, ramOf(world, region).size, client);
  const take = () => heard.splice(0);
  return { world, owner, root, space, ram, shown, listen, dirty, clean, take };
}

Deno.test("G9 new RAM is dirty for every client, and stores are logged only for those that log", () => {
  const { world, space, shown, dirty, clean } = machine();
  const ram = shown(3);
  for (const client of [VGA, CODE, MIGRATION]) assertEquals(dirty(ram, client), [0, 1, 2]);
  setLog(world, ram, VGA, true);
  for (const client of [VGA, CODE, MIGRATION]) assertEquals(clean(ram, client), true);
  store(world, space, PAGE, 4, 1);
  assertEquals([VGA, CODE, MIGRATION].map((client) => dirty(ram, client)), [[1], [], []]);
  assertEquals(resetDirty(world, ram, PAGE, 1, VGA), true);
  assertEquals(resetDirty(world, ram, PAGE, 1, VGA), false);
});

Deno.test("every store is logged: scalars over a border, buffers, to ROM, by devices, from outside", () => {
  const { world, owner, root, space, shown, dirty, clean } = machine();
  const ram = shown(40);
  const rom = createRom(world, { name: "rom", size: 2 * PAGE, owner });
  addSubregion(world, root, 0x10_0000, rom);
  for (const region of [ram, rom]) {
    setLog(world, region, VGA, true);
    clean(region, VGA);
  }
  store(world, space, 2 * PAGE - 4, 8, 1n);
  store(world, space, 39 * PAGE + 4095, 1, 1);
  assertEquals(dirty(ram, VGA), [1, 2, 39]);
  clean(ram, VGA);
  write(world, space, 4 * PAGE + 4095, new Uint8Array(33 * PAGE));
  assertEquals(dirty(ram, VGA), Array.from({ length: 34 }, (_, at) => at + 4));
  clean(ram, VGA);
  markDirty(world, ram, PAGE, 0);
  markDirty(world, ram, 7 * PAGE, PAGE);
  assertEquals(dirty(ram, VGA), [7]);
  store(world, space, 0x10_0000, 4, 1);
  assertEquals(dirty(rom, VGA), []);
  writeRom(world, space, 0x10_1000, Uint8Array.of(1));
  assertEquals(dirty(rom, VGA), [1]);
  assertThrows(() => markDirty(world, ram, 40 * PAGE - 1, 2), DirtyLogError, "163840 bytes");
});

Deno.test("an observer and a client that logs hear of the same stores, and each goes on without the other", () => {
  const { world, space, shown, dirty, clean } = machine();
  const ram = shown(4);
  const seen: number[] = [];
  observeStores(world, ram, (offset) => seen.push(offset));
  setLog(world, ram, VGA, true);
  clean(ram, VGA);
  store(world, space, PAGE, 4, 1);
  assertEquals([seen, dirty(ram, VGA)], [[PAGE], [1]]);
  setLog(world, ram, VGA, false);
  store(world, space, 2 * PAGE, 4, 1);
  assertEquals([seen, dirty(ram, VGA)], [[PAGE, 2 * PAGE], [1]]);
  setLog(world, ram, VGA, true);
  observeStores(world, ram, undefined);
  store(world, space, 3 * PAGE, 4, 1);
  assertEquals([seen, dirty(ram, VGA)], [[PAGE, 2 * PAGE], [1, 3]]);
  audit(world);
});

Deno.test("S75 a store through one of two aliases is dirty for the region, and both ranges are logged", () => {
  const { world, owner, root, space, ram, listen, dirty, clean, take } = machine();
  const target = ram(4);
  for (const [name, address] of [["a", 0], ["b", 8 * PAGE]] as const) {
    const alias = createAlias(world, { name, target, offset: PAGE, size: 2 * PAGE, owner });
    addSubregion(world, root, address, alias);
  }
  clean(target, VGA);
  listen("l");
  take();
  setLog(world, target, VGA, true);
  assertEquals(take(), ["l begin", "l nop 0+2", "l start 0+2 0→1", "l nop 8+2", "l start 8+2 0→1", "l commit"]);
  store(world, space, 9 * PAGE, 4, 1);
  assertEquals(dirty(target, VGA), [2]);
});

Deno.test("S86 a ROM device is dirty when its handler says that it changed the memory", () => {
  const { world, owner, root, space, dirty, clean, shown } = machine();
  const flash: Region = createRomDevice(world, {
    name: "flash",
    size: 4 * PAGE,
    owner,
    state: undefined,
    ops: {
      write(_state, offset, value) {
        if (value === 0) return;
        ramOf(world, flash).bytes[offset] = Number(value);
        flushRomDevice(world, flash, offset, 1);
      },
    },
  });
  addSubregion(world, root, 0x10_0000, flash);
  setLog(world, flash, VGA, true);
  clean(flash, VGA);
  store(world, space, 0x10_1000, 1, 0);
  assertEquals(dirty(flash, VGA), []);
  store(world, space, 0x10_2000, 1, 7);
  assertEquals(dirty(flash, VGA), [2]);
  assertThrows(() => flushRomDevice(world, shown(1), 0, 1), TopologyError, "not a ROM device");
});

Deno.test("S113 a change of the mask is nop and log_start, nothing is removed or added", () => {
  const { world, shown, listen, take } = machine();
  const first = shown(1);
  shown(1, 4 * PAGE);
  listen("l");
  take();
  setLog(world, first, VGA, true);
  assertEquals(take(), ["l begin", "l nop 0+1", "l start 0+1 0→1", "l nop 4+1", "l commit"]);
  transaction(world, () => {
    setLog(world, first, VGA, false);
    setLog(world, first, VGA, true);
  });
  assertEquals(take(), ["l begin", "l nop 0+1", "l nop 4+1", "l commit"]);
  transaction(world, () => {
    setLog(world, first, VGA, false);
    setLog(world, first, CODE, true);
  });
  assertEquals(take(), ["l begin", "l nop 0+1", "l start 0+1 1→2", "l stop 0+1 1→2", "l nop 4+1", "l commit"]);
  audit(world);
});

Deno.test("S126 logging is counted: on, on, off is still on; off again is log_stop", () => {
  const { world, shown, listen, take } = machine();
  const ram = shown(1);
  setLog(world, ram, VGA, true);
  setLog(world, ram, VGA, true);
  listen("low", 1);
  listen("high", 2);
  take();
  setLog(world, ram, VGA, false);
  assertEquals(take(), []);
  setLog(world, ram, VGA, false);
  const nops = ["low nop 0+1", "high nop 0+1"];
  assertEquals(take(), [
    "low begin",
    "high begin",
    ...nops,
    "high stop 0+1 1→0",
    "low stop 0+1 1→0",
    "low commit",
    "high commit",
  ]);
  assertThrows(() => setLog(world, ram, VGA, false), DirtyLogError, "cannot stop");
  for (let i = 0; i < 300; i++) setLog(world, ram, CODE, true);
  for (let i = 0; i < 299; i++) setLog(world, ram, CODE, false);
  assertEquals(ramOf(world, ram).dirty.mask, 2);
  assertThrows(() => setLog(world, ram, MIGRATION, true), DirtyLogError, "all memory");
  audit(world);
});

Deno.test("S127 a listener that refuses ends the start of tracking: those before it are stopped, in reverse", () => {
  const { world, space, shown, listen, dirty, clean, take } = machine();
  const ram = shown(1);
  clean(ram, MIGRATION);
  listen("l1", 1);
  listen("l2", 2);
  const refusing = listen("l3", 3, {
    logGlobalStart() {
      throw new Error("no room for a bitmap");
    },
  });
  listen("l4", 4);
  take();
  assertThrows(() => startDirtyTracking(world, "migration"), DirtyLogError, 'listener "l3" refuses: no room');
  assertEquals(take(), ["l1 global start", "l2 global start", "l2 global stop", "l1 global stop"]);
  assertEquals(trackingReasons(world), []);
  store(world, space, 0, 4, 1);
  assertEquals(dirty(ram, MIGRATION), []);
  unregisterListener(world, refusing);
  startDirtyTracking(world, "migration");
  store(world, space, 0, 4, 1);
  assertEquals(dirty(ram, MIGRATION), [0]);
  take();
  const refused = () =>
    listen("late", 5, {
      logGlobalStart() {
        throw new Error("no");
      },
    });
  const before = countEntities(world);
  assertThrows(refused, TopologyError, 'listener "late" cannot track');
  assertEquals(countEntities(world), before);
  stopDirtyTracking(world, "migration");
  assertEquals(take().filter((line) => line.startsWith("late")), ["late begin"]);
  audit(world);
});

Deno.test("S127 a listener that is registered in a callback and refuses to track is reported, and hears nothing more", () => {
  const faults: string[] = [];
  const { world, shown, listen, take } = machine({ reportFault: (error) => faults.push(error.message) });
  startDirtyTracking(world, "migration");
  let isFirst = true;
  const refuse = () => {
    throw new Error("no room");
  };
  listen("first", 0, {
    regionNop: undefined,
    regionAdd() {
      if (isFirst) listen("late", 1, { logGlobalStart: refuse });
      isFirst = false;
    },
  });
  shown(1);
  assertEquals(faults, ['listener "late" threw: no room']);
  take();
  shown(1, 4 * PAGE);
  assertEquals(take().filter((line) => line.startsWith("late")), []);
  audit(world);
});

Deno.test("S128 tracking has reasons: listeners start with the first and stop with the last", () => {
  const { world, shown, listen, take } = machine();
  shown(1);
  listen("l", 0, { regionNop: undefined });
  take();
  startDirtyTracking(world, "migration");
  assertEquals(take(), ["l global start", "l begin", "l start 0+1 0→4", "l commit"]);
  startDirtyTracking(world, "dirty rate");
  startDirtyTracking(world, "dirty rate");
  stopDirtyTracking(world, "migration");
  assertEquals(take(), []);
  assertThrows(() => stopDirtyTracking(world, "migration"), DirtyLogError, "not tracked for migration");
  stopDirtyTracking(world, "dirty rate");
  assertEquals(take(), ["l begin", "l stop 0+1 4→0", "l commit", "l global stop"]);
  audit(world);
});

Deno.test("S129 while the guest is stopped, tracking stops when it runs again, unless it was started meanwhile", () => {
  const { world, shown, listen, take } = machine();
  shown(1);
  listen("l", 0, { regionNop: undefined });
  startDirtyTracking(world, "migration");
  setGuestRunning(world, false);
  take();
  stopDirtyTracking(world, "migration");
  assertEquals([take(), trackingReasons(world)], [[], ["migration"]]);
  setGuestRunning(world, true);
  assertEquals(take(), ["l begin", "l stop 0+1 4→0", "l commit", "l global stop"]);
  startDirtyTracking(world, "migration");
  startDirtyTracking(world, "dirty limit");
  setGuestRunning(world, false);
  take();
  stopDirtyTracking(world, "migration");
  stopDirtyTracking(world, "dirty limit");
  startDirtyTracking(world, "migration");
  setGuestRunning(world, true);
  assertEquals([take(), trackingReasons(world)], [[], ["migration"]]);
});

Deno.test("S129 of several guests in a world one that runs is enough; without any, nobody is waited for", () => {
  const { world } = machine();
  const [a, b] = ["a", "b"].map((name) => createOwner(world, { name }));
  const cycle = () => {
    startDirtyTracking(world, "migration");
    stopDirtyTracking(world, "migration");
    return trackingReasons(world);
  };
  setGuestRunning(world, false, a);
  assertEquals(cycle(), ["migration"]);
  setGuestRunning(world, true, b);
  assertEquals([trackingReasons(world), cycle()], [[], []]);
  setGuestRunning(world, false, b);
  assertEquals(cycle(), ["migration"]);
  forgetGuest(world, b!);
  assertEquals(trackingReasons(world), ["migration"]);
  forgetGuest(world, a!);
  assertEquals(trackingReasons(world), []);
});

Deno.test("S130 [S] RAM that comes and goes while memory is tracked: its logging is started after add, stopped before del", () => {
  const { world, root, space, ram, listen, dirty, clean, take } = machine();
  startDirtyTracking(world, "migration");
  listen("low", 1, { regionNop: undefined });
  listen("high", 2, { regionNop: undefined });
  assertEquals(take(), [
    "low begin",
    "low global start",
    "low commit",
    "high begin",
    "high global start",
    "high commit",
  ]);
  const region = ram(2);
  addSubregion(world, root, 0, region);
  const added = ["low add 0+2", "low mask 4", "high add 0+2", "high mask 4"];
  const started = ["low start 0+2 0→4", "high start 0+2 0→4"];
  assertEquals(take(), ["low begin", "high begin", ...added, ...started, "low commit", "high commit"]);
  clean(region, MIGRATION);
  store(world, space, PAGE, 1, 1);
  assertEquals(dirty(region, MIGRATION), [1]);
  audit(world);
  take();
  delSubregion(world, root, region);
  const stopped = ["high stop 0+2 4→0", "low stop 0+2 4→0"];
  assertEquals(take(), [
    "low begin",
    "high begin",
    ...stopped,
    "high del 0+2",
    "low del 0+2",
    "low commit",
    "high commit",
  ]);
});

Deno.test("S130 [C] logStartOnAdd off: the mask comes with the range alone, but registration tells it (Q5)", () => {
  const { world, root, ram, listen, take } = machine({ policy: { logStartOnAdd: false } });
  startDirtyTracking(world, "migration");
  listen("l", 0, { regionNop: undefined });
  take();
  const region = ram(1);
  addSubregion(world, root, 0, region);
  assertEquals(take(), ["l begin", "l add 0+1", "l mask 4", "l commit"]);
  const late = listen("late");
  assertEquals(take(), [
    "late begin",
    "late global start",
    "late add 0+1",
    "late mask 4",
    "late start 0+1 0→4",
    "late commit",
  ]);
  unregisterListener(world, late);
  assertEquals(take(), ["late begin", "late stop 0+1 4→0", "late del 0+1", "late commit"]);
  audit(world);
  delSubregion(world, root, region);
  assertEquals(take(), ["l begin", "l del 0+1", "l commit"]);
});

Deno.test("RAM that is not migratable is not tracked; one that changes in the same commit is told its mask once", () => {
  const { world, owner, root, shown, listen, take, dirty, clean, space } = machine();
  const kept = createRam(world, { name: "scratch", size: PAGE, owner, migratable: false });
  addSubregion(world, root, 8 * PAGE, kept);
  const ram = shown(1);
  clean(kept, MIGRATION);
  listen("l");
  startDirtyTracking(world, "migration");
  store(world, space, 8 * PAGE, 1, 1);
  assertEquals(dirty(kept, MIGRATION), []);
  take();
  transaction(world, () => {
    setReadonly(world, ram, true);
    setLog(world, ram, VGA, true);
  });
  const gone = ["l stop 0+1 4→0", "l del 0+1"], came = ["l add 0+1", "l mask 5", "l start 0+1 0→5"];
  assertEquals(take(), ["l begin", ...gone, ...came, "l nop 8+1", "l commit"]);
  audit(world);
});

Deno.test("an IOMMU region is tracked by its mask; a store through it is logged where it ends", () => {
  const { world, owner, root, space, ram, shown, listen, take, dirty, clean } = machine();
  const target = shown(4);
  const page = { target: space, hi: 0, lo: 2 * PAGE, pageSize: PAGE, permission: Permission.READ_WRITE };
  const translate = () => page;
  const iommu = createIommu(world, { name: "iommu", size: 8 * PAGE, owner, ops: { translate }, state: undefined });
  addSubregion(world, root, 16 * PAGE, iommu);
  listen("l", 0, { regionNop: undefined });
  take();
  startDirtyTracking(world, "migration");
  const started = ["l start 0+4 0→4", "l start 16+8 0→4"];
  assertEquals(take(), ["l global start", "l begin", ...started, "l commit"]);
  audit(world);
  clean(target, MIGRATION);
  store(world, space, 16 * PAGE + 8, 4, 1);
  assertEquals(dirty(target, MIGRATION), [2]);
  const late = createIommu(world, { name: "late", size: PAGE, owner, ops: { translate }, state: undefined });
  addSubregion(world, root, 32 * PAGE, late);
  assertEquals(take(), ["l clear 0+4", "l begin", "l add 32+1", "l mask 4", "l start 32+1 0→4", "l commit"]);
  stopDirtyTracking(world, "migration");
  const stopped = ["l stop 0+4 4→0", "l stop 16+8 4→0", "l stop 32+1 4→0"];
  assertEquals(take(), ["l begin", ...stopped, "l commit", "l global stop"]);
  assertThrows(() => getDirty(world, iommu, 0, 1, MIGRATION), TopologyError, "no memory");
  assertEquals(dirty(ram(1), MIGRATION), [0]);
  audit(world);
});

Deno.test("a commit while tracking starts does not take the start of tracking for told", () => {
  const { world, owner, root, shown, listen, take } = machine();
  const ram = shown(1);
  const ops = { translate: () => undefined };
  const iommu = createIommu(world, { name: "iommu", size: PAGE, owner, ops, state: undefined });
  addSubregion(world, root, 16 * PAGE, iommu);
  listen("l", 0, { regionNop: undefined, logGlobalStart: () => setLog(world, ram, VGA, true) });
  take();
  startDirtyTracking(world, "migration");
  const second = ["l begin", "l start 0+1 1→5", "l start 16+1 0→4", "l commit"];
  assertEquals(take(), ["l begin", "l start 0+1 0→1", "l commit", ...second]);
  audit(world);
});

Deno.test("S131 [S] a snapshot clears and holds the pages that were asked for, and no other", () => {
  const { world, shown, dirty } = machine();
  const ram = shown(200);
  const snapshot = snapshotAndClear(world, ram, 70 * PAGE + 5, 10 * PAGE, VGA);
  assertEquals(dirty(ram, VGA), Array.from({ length: 200 }, (_, at) => at).filter((at) => at < 70 || at > 80));
  assertEquals([snapshot.start, snapshot.end], [70 * PAGE, 81 * PAGE]);
  assertEquals(snapshotGetDirty(snapshot, 70 * PAGE, 11 * PAGE), true);
  assertThrows(() => snapshotGetDirty(snapshot, 70 * PAGE - 1, 2), DirtyLogError, "covers");
  assertThrows(() => snapshotGetDirty(snapshot, 81 * PAGE, 1), DirtyLogError, "covers");
  const again = snapshotAndClear(world, ram, 69 * PAGE, 12 * PAGE, VGA);
  const found = Array.from({ length: 12 }, (_, at) => snapshotGetDirty(again, (69 + at) * PAGE, PAGE));
  assertEquals(found, [true, ...Array.from({ length: 11 }, () => false)]);
});

Deno.test("S131 [C] snapshotClearsNeighbours: groups of 64 pages are cleared, listeners hear of the range alone (Q9)", () => {
  const { world, space, shown, listen, dirty, take } = machine({ policy: { snapshotClearsNeighbours: true } });
  const ram = shown(200);
  setLog(world, ram, VGA, true);
  listen("l");
  take();
  const snapshot = snapshotAndClear(world, ram, 70 * PAGE, PAGE, VGA);
  assertEquals(take(), ["l clear 70+1", "l after sync"]);
  assertEquals([snapshot.start, snapshot.end], [64 * PAGE, 128 * PAGE]);
  assertEquals(dirty(ram, VGA), Array.from({ length: 200 }, (_, at) => at).filter((at) => at < 64 || at > 127));
  store(world, space, 127 * PAGE, 1, 1);
  assertEquals(getDirty(world, ram, 127 * PAGE, PAGE, VGA), true);
  assertEquals(snapshotAndClear(world, ram, 199 * PAGE, PAGE, VGA).end, 200 * PAGE);
});

Deno.test("S132 log_clear reaches each listener as the parts that its space shows", () => {
  const { world, owner, root, ram, listen, take } = machine();
  const target = ram(16);
  const windows = [["a", root, 0x10, 0, 4], ["b", root, 0x40, 2, 8]] as const;
  for (const [name, container, address, offset, pages] of windows) {
    const window = { name, target, offset: offset * PAGE, size: pages * PAGE, owner };
    addSubregion(world, container, address * PAGE, createAlias(world, window));
  }
  const other = createContainer(world, { name: "other", size: 2 ** 32, owner });
  addSubregion(world, other, 0x80 * PAGE, target);
  setLog(world, target, VGA, true);
  listen("first");
  listen("second", 0, {}, createAddressSpace(world, { name: "other", root: other, owner }));
  take();
  clearDirtyLog(world, target, 3 * PAGE, 5 * PAGE);
  assertEquals(take(), [`first clear ${0x13}+1`, `first clear ${0x41}+5`, `second clear ${0x83}+5`]);
  resetDirty(world, target, 3 * PAGE + 5, 1, VGA);
  assertEquals(take(), [`first clear ${0x13}+1`, `first clear ${0x41}+1`, `second clear ${0x83}+1`]);
  setLog(world, target, VGA, false);
  take();
  resetDirty(world, target, 0, PAGE, VGA);
  assertEquals(take(), []);
});

Deno.test("S133 what listeners report while they are asked is in the snapshot; after_sync is last", () => {
  const { world, shown, listen, take } = machine();
  const ram = shown(8), other = shown(8, 16 * PAGE);
  for (const region of [ram, other]) {
    setLog(world, region, VGA, true);
    resetDirty(world, region, 0, 8 * PAGE, VGA);
  }
  const asked: number[] = [];
  listen("each", 0, {
    logSync(section) {
      asked.push(section.address / PAGE);
      markDirty(world, section.region, 3 * PAGE, 1);
    },
  });
  let all = 0;
  listen("all", 1, { logSyncGlobal: () => void all++ });
  take();
  const snapshot = snapshotAndClear(world, ram, 0, 8 * PAGE, VGA);
  assertEquals([snapshotGetDirty(snapshot, 3 * PAGE, 1), snapshotGetDirty(snapshot, 0, 3 * PAGE)], [true, false]);
  assertEquals(take(), ["each clear 0+8", "all clear 0+8", "each after sync", "all after sync"]);
  assertEquals([asked, all], [[0], 1]);
  syncDirtyLog(world);
  assertEquals([asked, all], [[0, 0, 16], 2]);
  const both = { name: "both", logSync() {}, logSyncGlobal() {} };
  assertThrows(
    () => registerListener(world, createAddressSpace(world, { name: "s", root: ram }), both),
    TopologyError,
    "both",
  );
});

Deno.test("G9 memory of another size is dirty in all of it", () => {
  const { world, shown, dirty, clean } = machine();
  const ram = shown(4);
  setLog(world, ram, VGA, true);
  clean(ram, VGA);
  const block = ramOf(world, ram);
  resizeDirtyLog(block.dirty, 3 * PAGE - 1);
  connectObserver(block);
  assertEquals(dirty(ram, VGA).slice(0, 3), [0, 1, 2]);
  assertEquals(block.dirty.pages, 3);
});
