/** Scenarios of io events (ioeventfds): which writes set a notifier, and what listeners are told of it. */
import { assertEquals, assertThrows } from "@std/assert";
import { isAlive } from "../../ecs/handle.ts";
import type { Notifier } from "../../ecs/io_event.ts";
import type { IoEventSection } from "../../ecs/listener.ts";
import type { MmioOps, Region } from "../../ecs/region.ts";
import type { Policy } from "../../ecs/world.ts";
import { MemTx } from "../../systems/access.ts";
import { TopologyError } from "../../systems/admission.ts";
import { load, store, write } from "../../systems/dma.ts";
import { drop, InUseError } from "../../systems/finalize.ts";
import { scopeDepth } from "../../systems/epoch.ts";
import { audit } from "../../systems/inspect.ts";
import { ioEventDifferences } from "../../systems/io_event_lists.ts";
import { addIoEvent, closeNotifier, createNotifier, delIoEvent, type IoEventOptions } from "../../systems/io_event.ts";
import { createAddressSpace, registerListener, unregisterListener } from "../../systems/address_spaces.ts";
import { createAlias, createMmio, createOwner, createRam } from "../../systems/create_region.ts";
import { addSubregion, delSubregion, setAddress, setEnabled } from "../../systems/topology.ts";
import { transaction } from "../../systems/transaction.ts";
import { Stage } from "./machine.ts";

class Machine extends Stage {
  readonly log: string[] = [];
  readonly rung: string[] = [];
  readonly written: number[] = [];
  readonly names = new Map<Notifier, string>();

  constructor(policy: Partial<Policy> = {}) {
    super({ policy }, 2 ** 32);
  }

  /** A device region that notes offset and value of what is written to it. */
  doorbell(name: string, at: number, owner = this.owner, ops: MmioOps<undefined> = {}): Region {
    const region = createMmio(this.world, {
      name,
      size: 0x1000,
      owner,
      ops: { write: (_, offset, value) => void this.written.push(offset, Number(value)), ...ops },
      state: undefined,
    });
    addSubregion(this.world, this.root, at, region);
    return region;
  }

  notifier(name: string, owner = this.owner): Notifier {
    const notifier = createNotifier(this.world, { name, owner, signal: () => this.rung.push(name) });
    this.names.set(notifier, name);
    return notifier;
  }

  /** A listener of everything, which writes what it hears. */
  listen(name: string, { priority = 0, space = this.space } = {}) {
    const hear = (what: string) => ({ address, size, data, notifier }: IoEventSection) => {
      const value = data === undefined ? "" : `=${data}`;
      this.log.push(`${name} ${what} ${address.toString(16)}/${size}${value} ${this.names.get(notifier)}`);
    };
    return registerListener(this.world, space, {
      name,
      priority,
      begin: () => this.log.push(`${name} begin`),
      regionAdd: ({ address }) => this.log.push(`${name} region+ ${address.toString(16)}`),
      regionDel: ({ address }) => this.log.push(`${name} region- ${address.toString(16)}`),
      ioEventAdd: hear("+"),
      ioEventDel: hear("-"),
      commit: () => this.log.push(`${name} commit`),
    });
  }

  heard(): string[] {
    return this.log.splice(0);
  }
}

Deno.test("an io event takes the writes that it is for, and leaves the others to the handler", () => {
  const m = new Machine();
  const bell = m.doorbell("bell", 0x1000);
  addIoEvent(m.world, bell, { offset: 0, size: 4, data: 7, notifier: m.notifier("seven") });
  addIoEvent(m.world, bell, { offset: 4, size: 2, notifier: m.notifier("any half") });
  addIoEvent(m.world, bell, { offset: 8, size: 0, notifier: m.notifier("any size") });
  for (const [at, size, value] of [[0, 4, 7], [4, 2, 0xffff], [8, 1, 1], [8, 4, 2]] as const) {
    assertEquals(store(m.world, m.space, 0x1000 + at, size, value), MemTx.OK);
  }
  assertEquals([m.rung.splice(0), m.written.splice(0)], [["seven", "any half", "any size", "any size"], []]);
  assertEquals(scopeDepth(m.world), 0);
  store(m.world, m.space, 0x1000, 4, 8);
  store(m.world, m.space, 0x1000, 2, 7);
  store(m.world, m.space, 0x1004, 4, 1);
  store(m.world, m.space, 0x100c, 4, 9);
  assertEquals([m.rung, m.written], [[], [0, 8, 0, 7, 4, 1, 12, 9]]);
  assertEquals(load(m.world, m.space, 0x1008, 4), 0, "reads go to the handler");
});

Deno.test("data of 8 bytes and of the top bit match; DMA rings as well as a hart", () => {
  const m = new Machine();
  const ops = { impl: { max: 8 } } as const;
  const bell = m.doorbell("bell", 0, m.owner, ops);
  addIoEvent(m.world, bell, { offset: 0, size: 8, data: 0x8000_0000_0000_0001n, notifier: m.notifier("wide") });
  addIoEvent(m.world, bell, { offset: 8, size: 4, data: 0xffff_ffff, notifier: m.notifier("ones") });
  store(m.world, m.space, 0, 8, 1n);
  store(m.world, m.space, 0, 8, 0x8000_0000_0000_0001n);
  write(m.world, m.space, 8, new Uint8Array(4).fill(255));
  assertEquals([m.rung, m.written], [["wide", "ones"], [0, 1]]);
});

Deno.test("a write that the device does not take sets nothing", () => {
  const m = new Machine();
  const bell = m.doorbell("bell", 0, m.owner, { valid: { min: 4 } });
  addIoEvent(m.world, bell, { offset: 0, size: 0, notifier: m.notifier("kick") });
  assertEquals(store(m.world, m.space, 0, 2, 1), MemTx.DECODE_ERROR);
  assertEquals(store(m.world, m.space, 0, 4, 1), MemTx.OK);
  assertEquals(m.rung, ["kick"]);
});

Deno.test("a notifier that throws fails the write and is reported by name", () => {
  const m = new Machine();
  const bell = m.doorbell("bell", 0);
  const signal = () => {
    throw new Error("no room");
  };
  const notifier = createNotifier(m.world, { name: "kick", owner: m.owner, signal });
  addIoEvent(m.world, bell, { offset: 4, size: 4, notifier });
  assertEquals(store(m.world, m.space, 4, 4, 1), MemTx.ERROR);
  assertEquals(m.faults.map((fault) => fault.message), [
    'notifier "kick" threw when set by a write at offset 0x4 of "bell": no room',
  ]);
  audit(m.world);
});

Deno.test("S50 a handler that writes to its own doorbell is refused, or [C] sets the notifier before the guard", () => {
  for (const ioEventBypassesGuard of [false, true]) {
    const m = new Machine({ ioEventBypassesGuard });
    const device = createOwner(m.world, { name: "device", owner: m.owner, device: true });
    const results: number[] = [];
    const bell = m.doorbell("bell", 0, device, {
      write: () => void results.push(store(m.world, m.space, 8, 4, 1)),
    });
    addIoEvent(m.world, bell, { offset: 8, size: 4, data: 1, notifier: m.notifier("kick") });
    store(m.world, m.space, 0, 4, 1);
    assertEquals(results, [ioEventBypassesGuard ? MemTx.OK : MemTx.ACCESS_ERROR]);
    assertEquals(m.rung, ioEventBypassesGuard ? ["kick"] : []);
    store(m.world, m.space, 8, 4, 1);
    assertEquals(m.rung.length, ioEventBypassesGuard ? 2 : 1, "from outside of the device it is set in both modes");
  }
});

Deno.test("S105 a transaction of io events only says nothing else", () => {
  const m = new Machine();
  const bell = m.doorbell("bell", 0x1000);
  m.listen("l");
  m.heard();
  const options: IoEventOptions = { offset: 0x10, size: 4, data: 1, notifier: m.notifier("kick") };
  transaction(m.world, () => {
    addIoEvent(m.world, bell, options);
    assertEquals(m.heard(), []);
  });
  assertEquals(m.heard(), ["l + 1010/4=1 kick"]);
  delIoEvent(m.world, bell, options);
  assertEquals(m.heard(), ["l - 1010/4=1 kick"]);
  transaction(m.world, () => {
    addIoEvent(m.world, bell, options);
    delIoEvent(m.world, bell, options);
  });
  assertEquals(m.heard(), []);
});

Deno.test("S110 registering replays ranges, then io events; S111 unregistering takes both back", () => {
  const m = new Machine();
  const bell = m.doorbell("bell", 0x4000);
  m.doorbell("other", 0x1000);
  for (const offset of [8, 0]) addIoEvent(m.world, bell, { offset, size: 4, notifier: m.notifier(`at ${offset}`) });
  const listener = m.listen("l");
  const ranges = ["region+ 1000", "region+ 4000"];
  const events = ["+ 4000/4 at 0", "+ 4008/4 at 8"];
  const told = [...ranges, ...events].map((line) => `l ${line}`);
  assertEquals(m.heard(), ["l begin", ...told, "l commit"]);
  unregisterListener(m.world, listener);
  assertEquals(m.heard(), ["l begin", ...told.map((line) => line.replace("+", "-")), "l commit"]);
  delIoEvent(m.world, bell, { offset: 8, size: 4, notifier: [...m.names.keys()][0]! }); // two were made
  assertEquals(m.heard(), []);
  audit(m.world);
});

Deno.test("S117 of io events: dels by ascending, adds by descending priority, after ranges and before commit", () => {
  const m = new Machine();
  const bell = m.doorbell("bell", 0x1000);
  addIoEvent(m.world, bell, { offset: 0, size: 4, notifier: m.notifier("kick") });
  m.listen("a", { priority: 0 });
  m.listen("b", { priority: 10 });
  m.heard();
  setAddress(m.world, bell, 0x3000);
  assertEquals(m.heard(), [
    ...["a begin", "b begin", "b region- 1000", "a region- 1000", "a region+ 3000", "b region+ 3000"],
    ...["a - 1000/4 kick", "b - 1000/4 kick", "b + 3000/4 kick", "a + 3000/4 kick", "a commit", "b commit"],
  ]);
});

Deno.test("S119 the difference between two sets at one address: nothing more than it, in sorted order", () => {
  const m = new Machine();
  const bell = m.doorbell("bell", 0);
  const [first, second] = [m.notifier("first"), m.notifier("second")];
  const make = (size: 0 | 2 | 4, data: number | undefined, notifier: Notifier) => ({ offset: 0, size, data, notifier });
  const before = [make(4, 2, second), make(4, 2, first), make(2, undefined, first), make(0, undefined, first)];
  transaction(m.world, () => before.forEach((options) => addIoEvent(m.world, bell, options)));
  m.listen("l");
  assertEquals(m.heard().slice(2, -1), ["l + 0/0 first", "l + 0/2 first", "l + 0/4=2 first", "l + 0/4=2 second"]);
  transaction(m.world, () => {
    delIoEvent(m.world, bell, make(4, 2, first));
    delIoEvent(m.world, bell, make(2, undefined, first));
    addIoEvent(m.world, bell, make(4, 1, second));
    addIoEvent(m.world, bell, make(4, undefined, second));
    addIoEvent(m.world, bell, make(2, undefined, first));
  });
  assertEquals(m.heard(), ["l + 0/4 second", "l + 0/4=1 second", "l - 0/4=2 first"]);
  audit(m.world);
});

Deno.test("S119, Q19 taking out an io event beside one for any size: that one goes, or [C] the one for any size", () => {
  for (const ioEventLooseDelete of [false, true]) {
    const m = new Machine({ ioEventLooseDelete });
    const bell = m.doorbell("bell", 0);
    const half = { offset: 0, size: 2, notifier: m.notifier("half") } as const;
    addIoEvent(m.world, bell, half);
    addIoEvent(m.world, bell, { offset: 0, size: 0, notifier: m.notifier("any") });
    m.listen("l");
    m.heard();
    delIoEvent(m.world, bell, half);
    assertEquals(m.heard(), [ioEventLooseDelete ? "l - 0/0 any" : "l - 0/2 half"]);
    store(m.world, m.space, 0, 2, 1);
    assertEquals(m.rung, [ioEventLooseDelete ? "half" : "any"]);
    addIoEvent(m.world, bell, { ...half, offset: 8 });
    delIoEvent(m.world, bell, { ...half, offset: 8 });
    assertEquals(m.heard(), ["l + 8/2 half", "l - 8/2 half"], "where none is for any size the modes are the same");
    audit(m.world);
  }
});

Deno.test("Q20 io events that differ only in their notifiers are in the order in which those were created", () => {
  const m = new Machine();
  const bell = m.doorbell("bell", 0);
  const [older, younger] = [m.notifier("older"), m.notifier("younger")];
  for (const notifier of [younger, older]) addIoEvent(m.world, bell, { offset: 0, size: 4, notifier });
  m.listen("l");
  assertEquals(m.heard().slice(2, -1), ["l + 0/4 older", "l + 0/4 younger"]);
  store(m.world, m.space, 0, 4, 1);
  assertEquals(m.rung, ["older"], "the first that fits is set, and no other");
});

Deno.test("S120 a notifier is not closed while an io event sets it, nor before the commit that tells of its removal", () => {
  const m = new Machine();
  const bell = m.doorbell("bell", 0);
  const kick = m.notifier("kick");
  const options: IoEventOptions = { offset: 0x10, size: 4, notifier: kick };
  addIoEvent(m.world, bell, options);
  m.listen("l");
  m.heard();
  const registered = 'cannot close notifier "kick": it is registered at offset 0x10 of "bell"';
  assertEquals(assertThrows(() => closeNotifier(m.world, kick), InUseError).message, registered);
  transaction(m.world, () => {
    delIoEvent(m.world, bell, options);
    const early = assertThrows(() => closeNotifier(m.world, kick), InUseError).message;
    assertEquals(early, `${registered} until the transaction ends`);
  });
  assertEquals(m.heard(), ["l - 10/4 kick"]);
  closeNotifier(m.world, kick);
  assertEquals(isAlive(m.world, kick), false);
  audit(m.world);
});

Deno.test("S121 192 io events in one transaction are one difference; one by one they are 192", () => {
  const m = new Machine();
  const bell = m.doorbell("bell", 0);
  const all = Array.from(
    { length: 192 },
    (_, i) => ({ offset: 4 * i, size: 4, notifier: m.notifier(`${i}`) }) as const,
  );
  m.listen("l");
  m.heard();
  const differencesOf = (change: () => void) => {
    const before = ioEventDifferences(m.world);
    change();
    return ioEventDifferences(m.world) - before;
  };
  assertEquals(
    differencesOf(() => transaction(m.world, () => all.forEach((one) => addIoEvent(m.world, bell, one)))),
    1,
  );
  assertEquals(m.heard(), all.map(({ offset }, i) => `l + ${offset.toString(16)}/4 ${i}`));
  assertEquals(differencesOf(() => all.forEach((one) => delIoEvent(m.world, bell, one))), 192);
  assertEquals(m.heard().length, 192);
});

Deno.test("S122, Q6 the first listener for io events hears of those that exist, or [C] of none before the next change", () => {
  for (const ioEventReplay of [true, false]) {
    const m = new Machine({ ioEventReplay });
    const bell = m.doorbell("bell", 0);
    addIoEvent(m.world, bell, { offset: 0, size: 4, notifier: m.notifier("early") });
    const first = m.listen("first");
    const replayed = m.heard().slice(2, -1);
    addIoEvent(m.world, bell, { offset: 4, size: 4, notifier: m.notifier("later") });
    const told = m.heard();
    assertEquals(replayed, ioEventReplay ? ["first + 0/4 early"] : []);
    assertEquals([...replayed, ...told], ["first + 0/4 early", "first + 4/4 later"]);
    const second = m.listen("second");
    assertEquals(m.heard().slice(2, -1), ["second + 0/4 early", "second + 4/4 later"], "not the first");
    [first, second].forEach((listener) => unregisterListener(m.world, listener));
    addIoEvent(m.world, bell, { offset: 8, size: 4, notifier: m.notifier("unheard") });
    m.heard();
    m.listen("third");
    const known = ["third + 0/4 early", "third + 4/4 later"];
    assertEquals(m.heard().slice(2, -1), ioEventReplay ? [...known, "third + 8/4 unheard"] : known);
    audit(m.world);
  }
});

Deno.test("callbacks that change io events for ever are stopped and reported", () => {
  const m = new Machine();
  const bell = m.doorbell("bell", 0);
  const options: IoEventOptions = { offset: 0, size: 4, notifier: m.notifier("kick") };
  registerListener(m.world, m.space, {
    name: "restless",
    ioEventAdd: () => delIoEvent(m.world, bell, options),
    ioEventDel: () => addIoEvent(m.world, bell, options),
  });
  addIoEvent(m.world, bell, options);
  assertEquals(m.faults.map((fault) => fault.name), ["RunawayCommitError"]);
});

Deno.test("S109 of io events: who leaves while they are told hears nothing more, who comes hears the new list", () => {
  const m = new Machine();
  const bell = m.doorbell("bell", 0);
  const other = createAddressSpace(m.world, { name: "other", root: m.root, owner: m.owner });
  const last = m.listen("last");
  let isArmed = true;
  registerListener(m.world, m.space, {
    name: "meddler",
    priority: 1,
    ioEventAdd() {
      if (!isArmed) return;
      isArmed = false;
      unregisterListener(m.world, last);
      assertEquals(m.heard(), ["last begin", "last region- 0", "last commit"]);
      m.listen("new");
      m.listen("elsewhere", { space: other });
    },
  });
  m.listen("follower", { space: other });
  m.heard();
  transaction(m.world, () => {
    for (const offset of [0, 4]) addIoEvent(m.world, bell, { offset, size: 4, notifier: m.notifier(`at ${offset}`) });
  });
  const events = (name: string) => [`${name} + 0/4 at 0`, `${name} + 4/4 at 4`];
  const heard = m.heard().filter((line) => line.includes("/"));
  assertEquals(heard, [...events("new"), ...events("elsewhere"), ...events("follower")]);
  assertEquals(m.faults, []);
  audit(m.world);
});

Deno.test("Q18 an io event across the seam of two ranges is listed once, or [C] once per range", () => {
  for (const ioEventPerRange of [false, true]) {
    const m = new Machine({ ioEventPerRange });
    const bell = m.doorbell("bell", 0x1000);
    addIoEvent(m.world, bell, { offset: 0x100, size: 8, notifier: m.notifier("kick") });
    m.listen("l");
    m.heard();
    const overlay = createRam(m.world, { name: "overlay", size: 2, owner: m.owner });
    addSubregion(m.world, m.root, 0x1103, overlay, { priority: 1 });
    const events = () => m.heard().filter((line) => line.includes("kick"));
    assertEquals(events(), ioEventPerRange ? ["l + 1100/8 kick"] : []);
    delSubregion(m.world, m.root, overlay);
    assertEquals(events(), ioEventPerRange ? ["l - 1100/8 kick"] : []);
    audit(m.world);
  }
});

Deno.test("E2 an io event is shown through every alias, unclipped, as long as a byte of it is visible", () => {
  const m = new Machine();
  const bell = m.doorbell("bell", 0x1000);
  addIoEvent(m.world, bell, { offset: 0x10, size: 4, notifier: m.notifier("kick") });
  addIoEvent(m.world, bell, { offset: 0x0e, size: 0, notifier: m.notifier("any") });
  m.listen("l");
  m.heard();
  const alias = createAlias(m.world, { name: "window", target: bell, offset: 0x12, size: 0x100, owner: m.owner });
  addSubregion(m.world, m.root, 0x8000, alias);
  const events = () => m.heard().filter((line) => /kick|any/.test(line));
  assertEquals(events(), ["l + 7ffe/4 kick"]);
  setEnabled(m.world, bell, false);
  assertEquals(events(), ["l - 100e/0 any", "l - 1010/4 kick", "l - 7ffe/4 kick"]);
  audit(m.world);
});

Deno.test("E3 only spaces that somebody follows are compared", () => {
  const m = new Machine();
  const bell = m.doorbell("bell", 0);
  registerListener(m.world, m.space, { name: "ranges only", regionAdd: () => {} });
  addIoEvent(m.world, bell, { offset: 0, size: 4, notifier: m.notifier("kick") });
  setAddress(m.world, bell, 0x1000);
  assertEquals(ioEventDifferences(m.world), 0);
  const listener = m.listen("l");
  setAddress(m.world, bell, 0x2000);
  setAddress(m.world, m.doorbell("silent", 0x8000), 0x9000);
  assertEquals(ioEventDifferences(m.world), 1, "a region without io events moved, too");
  unregisterListener(m.world, listener);
  setAddress(m.world, bell, 0x3000);
  assertEquals(ioEventDifferences(m.world), 1);
});

Deno.test("S05 a peer that disconnects takes its io event along, and nothing else", () => {
  const m = new Machine();
  const server = createOwner(m.world, { name: "server", owner: m.owner });
  const client = createOwner(m.world, { name: "client", owner: m.owner, device: true });
  const bell = m.doorbell("doorbell", 0x1000, client);
  const peers = ["peer 1", "peer 2"].map((name) => {
    const peer = createOwner(m.world, { name, owner: server });
    return { peer, notifier: m.notifier(name, peer) };
  });
  peers.forEach(({ notifier }, at) => {
    addIoEvent(m.world, bell, { offset: 0xc, size: 4, data: (at + 1) << 16, notifier });
  });
  m.listen("l");
  m.heard();
  drop(m.world, peers[0]!.peer); // two were made
  assertEquals(m.heard(), ["l - 100c/4=65536 peer 1"]);
  store(m.world, m.space, 0x100c, 4, 1 << 16);
  store(m.world, m.space, 0x100c, 4, 2 << 16);
  assertEquals([m.rung, m.written], [["peer 2"], [0xc, 1 << 16]]);
  assertEquals(isAlive(m.world, peers[0]!.peer), false);
  audit(m.world);
});

Deno.test("S14 a device unplugged in the middle of a write to an ejector: its io events go, its notifier after the write", () => {
  const m = new Machine();
  const device = createOwner(m.world, { name: "net", owner: m.owner, device: true });
  const bell = m.doorbell("notify", 0x1000, device);
  const kick = m.notifier("kick", device);
  addIoEvent(m.world, bell, { offset: 0, size: 2, notifier: kick });
  const listener = m.listen("own", { priority: 1 });
  const alive: boolean[] = [];
  m.doorbell("ejector", 0x8000, m.owner, {
    write() {
      unregisterListener(m.world, listener);
      m.heard();
      delSubregion(m.world, m.root, bell);
      drop(m.world, device);
      alive.push(isAlive(m.world, kick));
    },
  });
  m.listen("accelerator");
  m.heard();
  store(m.world, m.space, 0x8000, 4, 1);
  assertEquals(m.heard().filter((line) => line.startsWith("own")), []);
  assertEquals([alive, isAlive(m.world, kick)], [[true], false]);
  store(m.world, m.space, 0x1000, 2, 0);
  assertEquals(m.rung, []);
  audit(m.world);
});

Deno.test("two devices that ring each other are not kept alive by that", () => {
  const m = new Machine();
  const pair = ["left", "right"].map((name, at) => {
    const device = createOwner(m.world, { name, owner: m.owner, device: true });
    return { device, bell: m.doorbell(name, 0x1000 * (at + 1), device), notifier: m.notifier(name, device) };
  });
  const [left, right] = [pair[0]!, pair[1]!]; // two were made
  addIoEvent(m.world, left.bell, { offset: 0, size: 4, notifier: right.notifier });
  addIoEvent(m.world, right.bell, { offset: 0, size: 4, notifier: left.notifier });
  m.listen("l");
  for (const { device, bell } of pair) {
    delSubregion(m.world, m.root, bell);
    drop(m.world, device);
    audit(m.world);
  }
  assertEquals(pair.map(({ device }) => isAlive(m.world, device)), [false, false]);
});

Deno.test("what cannot be an io event is refused by a sentence, and changes nothing", () => {
  const m = new Machine();
  const bell = m.doorbell("bell", 0);
  const notifier = m.notifier("kick");
  const options = { offset: 0, size: 1, data: 1, notifier } as const;
  addIoEvent(m.world, bell, options);
  const refusal = (change: () => void) => assertThrows(change, TopologyError).message;
  const event = 'the io event of "bell" at 0x0 for writes of 1 bytes to "kick"';
  assertEquals(refusal(() => addIoEvent(m.world, bell, options)), `${event} is there already`);
  assertEquals(refusal(() => delIoEvent(m.world, bell, { ...options, data: 2 })), `${event} is not there`);
  assertEquals(
    refusal(() => addIoEvent(m.world, bell, { ...options, data: 256 })),
    'an io event of "bell" for writes of 1 bytes cannot match 256',
  );
  refusal(() => addIoEvent(m.world, bell, { ...options, size: 0, data: 0 }));
  assertEquals(
    refusal(() => addIoEvent(m.world, m.root, options)),
    '"system" has no handlers, so a write to it cannot set a notifier instead',
  );
  audit(m.world);
});
