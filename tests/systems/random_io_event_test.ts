/**
 * Random changes of io events, coalesced ranges and of what shows them: the folds of all listeners are what naive lists
 * over the views say, writes go where those lists say, and no write is lost.
 */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { type AddressSpace, spaceOf } from "../../ecs/address_space.ts";
import { coalescedRing } from "../../ecs/coalesced_ring.ts";
import { rangesOf } from "../../ecs/flat_view.ts";
import { handleOf } from "../../ecs/handle.ts";
import type { Notifier } from "../../ecs/io_event.ts";
import type { CoalescedSection, IoEventSection, Listener } from "../../ecs/listener.ts";
import type { Owner } from "../../ecs/owner.ts";
import type { AccessSize, Region } from "../../ecs/region.ts";
import { createWorld, type World } from "../../ecs/world.ts";
import { MemTx } from "../../systems/access.ts";
import { TopologyError } from "../../systems/admission.ts";
import { addCoalescing, clearCoalescing, setCoalescing } from "../../systems/coalesced.ts";
import { drainCoalesced, openCoalescedRing } from "../../systems/coalesced_ring.ts";
import { store } from "../../systems/dma.ts";
import { drop, InUseError } from "../../systems/finalize.ts";
import { audit } from "../../systems/inspect.ts";
import { addIoEvent, closeNotifier, createNotifier, delIoEvent } from "../../systems/io_event.ts";
import {
  addSubregion,
  createAddressSpace,
  createAlias,
  createContainer,
  createMmio,
  createOwner,
  createRam,
  delSubregion,
  registerListener,
  setAddress,
  setAliasOffset,
  setEnabled,
  setSize,
  unregisterListener,
} from "../../systems/topology.ts";
import { transaction } from "../../systems/transaction.ts";

type Step = readonly [code: number, a: number, b: number, c: number];
const any = fc.noBias(fc.integer({ min: 0, max: 0xffff }));
const step: fc.Arbitrary<Step> = fc.tuple(any, any, any, any);

interface NaiveEvent {
  readonly region: Region;
  readonly offset: number;
  readonly size: 0 | AccessSize;
  readonly data: number | undefined;
  readonly notifier: Notifier;
}

interface NaiveDevice {
  readonly owner: Owner;
  readonly region: Region;
  size: number;
  coalesced: { offset: number; size: number }[];
  /** Values that the handler has not seen yet, in order. */
  readonly due: number[];
}

const SIZE = 0x100;
const SIZES = [0, 1, 2, 4, 8] as const;

/** A set, or where equal things may be there twice, a multiset. */
class Fold {
  readonly told: string[] = [];

  add(text: string): void {
    this.told.push(text);
  }

  del(text: string): void {
    const at = this.told.indexOf(text);
    assert(at >= 0, `${text} was taken back, but never told`);
    this.told.splice(at, 1);
  }

  text(): string {
    return this.told.toSorted().join("; ");
  }
}

class Model {
  readonly faults: Error[] = [];
  readonly world: World = createWorld({ reportFault: (error) => this.faults.push(error) });
  readonly machine = createOwner(this.world, { name: "machine" });
  readonly root = createContainer(this.world, { name: "root", size: 0x1000, owner: this.machine });
  readonly moved: Region[] = [];
  readonly aliases: Region[] = [];
  readonly spaces: AddressSpace[] = [];
  readonly listeners = new Map<Listener, { space: AddressSpace; events: Fold; coalesced: Fold }>();
  devices: NaiveDevice[] = [];
  peers: { owner: Owner; notifier: Notifier }[] = [];
  events: NaiveEvent[] = [];
  rung: Notifier[] = [];
  /** All notifiers ever, by creation. */
  readonly created: Notifier[] = [];
  /** An end of an io event was dropped in this transaction: it goes with the commit. */
  isLosing = false;

  constructor() {
    const { world, machine, root } = this;
    for (let i = 0; i < 3; i++) this.addDevice(0x200 * i);
    for (let i = 0; i < 3; i++) this.addPeer();
    const ram = createRam(world, { name: "ram", size: 0x13, owner: machine });
    addSubregion(world, root, 0x40, ram, { priority: 1 });
    this.moved.push(ram);
    const window = createAlias(world, { name: "window", target: root, offset: 0x20, size: 0x300, owner: machine });
    const second = createContainer(world, { name: "second", size: 0x1000, owner: machine });
    addSubregion(world, second, 0x100, window);
    this.aliases.push(window);
    for (const one of [root, second]) this.spaces.push(createAddressSpace(world, { name: "space", root: one }));
    openCoalescedRing(world, 4);
    this.listen(0);
  }

  addDevice(at: number): void {
    const { world } = this;
    const owner = createOwner(world, { name: "device", owner: this.machine, device: true });
    const device: NaiveDevice = { owner, region: 0 as Region, size: SIZE, coalesced: [], due: [] };
    const write = (_: undefined, __: number, value: number | bigint) => {
      assertEquals(Number(value), device.due.shift(), "writes to one device are delivered in order");
    };
    const ops = { write, valid: { unaligned: true }, impl: { max: 8, unaligned: true } } as const;
    const region = createMmio(world, { name: "registers", size: SIZE, owner, ops, state: undefined });
    this.devices.push(Object.assign(device, { region })); // the handler has the same object
    addSubregion(world, this.root, at, region);
    this.moved.push(region);
  }

  addPeer(): void {
    const { world } = this;
    const owner = createOwner(world, { name: "peer" });
    const notifier: Notifier = createNotifier(world, { name: "n", owner, signal: () => this.rung.push(notifier) });
    this.peers.push({ owner, notifier });
    this.created.push(notifier);
  }

  listen(index: number): void {
    const space = pick(this.spaces, index);
    const [events, coalesced] = [new Fold(), new Fold()];
    const listener = registerListener(this.world, space, {
      name: "fold",
      priority: index % 3,
      ioEventAdd: (section) => events.add(eventText(section)),
      ioEventDel: (section) => events.del(eventText(section)),
      coalescedAdd: (section) => coalesced.add(extentText(section)),
      coalescedDel: (section) => coalesced.del(extentText(section)),
    });
    this.listeners.set(listener, { space, events, coalesced });
  }

  unlisten(index: number): void {
    if (this.listeners.size === 0) return;
    const [listener, { events, coalesced }] = pick([...this.listeners], index);
    unregisterListener(this.world, listener);
    assertEquals([events.told, coalesced.told], [[], []], "S111: all that was told is taken back");
    this.listeners.delete(listener);
  }

  attempt(operation: () => void): boolean {
    try {
      operation();
      return true;
    } catch (error) {
      if (!(error instanceof TopologyError || error instanceof InUseError)) throw error;
      return false;
    }
  }

  check(): void {
    const { world } = this;
    this.isLosing = false;
    assertEquals(this.faults, []);
    audit(world);
    const due = this.devices.reduce((sum, device) => sum + device.due.length, 0);
    assertEquals(due, coalescedRing(world).writes.length, "a write is lost or doubled");
    for (const { space, events, coalesced } of this.listeners.values()) {
      assertEquals(events.text(), this.expectedEvents(space), "INV6: io events");
      assertEquals(coalesced.text(), this.expectedExtents(space), "INV6: coalesced ranges");
    }
  }

  expectedEvents(space: AddressSpace): string {
    const texts = new Set<string>();
    for (const range of rangesOf(spaceOf(this.world, space).view)) {
      for (const { region, offset, size, data, notifier } of this.events) {
        if (handleOf(this.world, range.region) !== region) continue;
        const address = range.base + offset;
        if (address >= range.end || address + Math.max(size, 1) <= range.start) continue;
        texts.add(eventText({ space, address, size, data, notifier }));
      }
    }
    return [...texts].sort().join("; ");
  }

  expectedExtents(space: AddressSpace): string {
    const texts: string[] = [];
    for (const range of rangesOf(spaceOf(this.world, space).view)) {
      const device = this.devices.find(({ region }) => region === handleOf(this.world, range.region));
      for (const { offset, size } of device?.coalesced ?? []) {
        const from = Math.max(range.base + offset, range.start);
        const until = Math.min(range.base + offset + size, range.end);
        if (from < until) texts.push(extentText({ region: device!.region, address: from, size: until - from }));
      }
    }
    return texts.sort().join("; ");
  }

  /** One write: it sets what the naive list says, or the handler sees it, now or later but in order. */
  write(space: AddressSpace, address: number, size: AccessSize, value: number): void {
    const { world } = this;
    if (this.isLosing) return;
    const range = [...rangesOf(spaceOf(world, space).view)].find((one) => one.start <= address && address < one.end);
    if (range === undefined) return;
    const device = this.devices.find(({ region }) => region === handleOf(world, range.region));
    if (device === undefined) return;
    const [expected] = this.events
      .filter((event) => event.region === device.region && event.offset === address - range.base)
      .filter((event) => event.size === 0 || event.size === size)
      .filter((event) => event.data === undefined || event.data === value)
      .sort((a, b) =>
        a.size - b.size || Number(a.data !== undefined) - Number(b.data !== undefined) ||
        this.created.indexOf(a.notifier) - this.created.indexOf(b.notifier)
      );
    this.rung = [];
    if (expected === undefined) device.due.push(value);
    assertEquals(store(world, space, address, size, value), MemTx.OK);
    assertEquals(this.rung, expected === undefined ? [] : [expected.notifier]);
  }
}

function eventText({ address, size, data, notifier }: Omit<IoEventSection, "space"> & { space: AddressSpace }): string {
  return `${address}/${size}=${data === undefined ? "any" : Number(data)} ${notifier}`;
}

function extentText({ region, address, size }: Omit<CoalescedSection, "space">): string {
  return `${region}: ${address}+${size}`;
}

function pick<T>(list: readonly T[], index: number): T {
  const item = list[index % list.length];
  assert(item !== undefined);
  return item;
}

function apply(model: Model, [code, a, b, c]: Step): void {
  const { world, spaces, moved } = model;
  const device = pick(model.devices, a);
  const change = { offset: (b % 24) * 4 - (b % 3), size: pick(SIZES, c), data: (c >> 3) % 3 || undefined };
  const clean = change.size === 0 ? { ...change, data: undefined } : change;
  const operations: (() => void)[] = [
    () => register(model, device, clean, c >> 8),
    () => register(model, device, clean, c >> 8),
    () => unregister(model, c),
    () => setAddress(world, pick(moved, a), (b % 64) * 0x20),
    () => setEnabled(world, pick(moved, a), b % 4 !== 0),
    () => setSize(world, device.region, device.size = 0x10 + (b % SIZE)),
    () => setAliasOffset(world, pick(model.aliases, a), (b % 64) * 8),
    () => coalesce(model, device, b, c),
    () => model.listeners.size < 4 ? model.listen(b) : model.unlisten(c),
    () => c % 4 === 0 && unplug(model, a),
    () => c % 4 === 0 && disconnect(model, a),
    () => close(model, a),
    () => model.write(pick(spaces, a), b % 0x800, pick([1, 2, 4, 8], c), (c >> 2) % 3),
    () => ring(model, c),
    () => ring(model, c),
    () => drainCoalesced(world),
  ];
  pick(operations, code)();
}

function register(model: Model, device: NaiveDevice, change: Omit<NaiveEvent, "region" | "notifier">, n: number): void {
  const event = { ...change, region: device.region, notifier: pick(model.peers, n).notifier };
  const isNew = model.attempt(() => addIoEvent(model.world, device.region, event));
  const isKnown = model.events.some((one) => JSON.stringify(one) === JSON.stringify(event));
  assertEquals(isNew, !isKnown, "the same io event once");
  if (isNew) model.events.push(event);
}

function unregister(model: Model, n: number): void {
  if (model.events.length === 0) return;
  const event = pick(model.events, n);
  delIoEvent(model.world, event.region, event);
  model.events = model.events.filter((one) => one !== event);
}

function coalesce(model: Model, device: NaiveDevice, b: number, c: number): void {
  if (c % 3 === 0) {
    setCoalescing(model.world, device.region);
    device.coalesced = [{ offset: 0, size: device.size }];
  } else if (c % 3 === 1) {
    const extent = { offset: b % SIZE, size: 1 + (c % 0x20) };
    addCoalescing(model.world, device.region, extent.offset, extent.size);
    device.coalesced.push(extent);
  } else {
    clearCoalescing(model.world, device.region);
    device.coalesced = [];
  }
}

/** Writes where something is registered. */
function ring(model: Model, n: number): void {
  if (model.events.length === 0) return;
  const event = pick(model.events, n);
  const space = pick(model.spaces, n);
  const range = [...rangesOf(spaceOf(model.world, space).view)].find((one) =>
    handleOf(model.world, one.region) === event.region
  );
  const address = range === undefined ? -1 : range.base + event.offset;
  if (address >= 0) model.write(space, address, event.size || 4, event.data ?? n % 3);
}

function unplug(model: Model, n: number): void {
  const device = pick(model.devices, n);
  model.devices = model.devices.filter((one) => one !== device);
  model.moved.splice(model.moved.indexOf(device.region), 1);
  model.events = model.events.filter(({ region }) => region !== device.region);
  delSubregion(model.world, model.root, device.region);
  drop(model.world, device.owner);
  model.addDevice((n % 64) * 0x20);
}

/** Refused while it is registered, or was in this transaction. */
function close(model: Model, n: number): void {
  const peer = pick(model.peers, n);
  const isUsed = model.events.some(({ notifier }) => notifier === peer.notifier);
  if (!model.attempt(() => closeNotifier(model.world, peer.notifier))) return;
  assert(!isUsed, "a registered notifier was closed");
  model.peers = model.peers.filter((one) => one !== peer);
  model.addPeer();
}

function disconnect(model: Model, n: number): void {
  const peer = pick(model.peers, n);
  model.peers = model.peers.filter((one) => one !== peer);
  model.events = model.events.filter(({ notifier }) => notifier !== peer.notifier);
  drop(model.world, peer.owner);
  model.isLosing = true;
  model.addPeer();
}

const steps = fc.array(step, { minLength: 30, maxLength: 90, size: "max" });

Deno.test("random io events and coalesced ranges, one change at a time: folds, writes and the audit are right", () => {
  fc.assert(
    fc.property(steps, (steps) => {
      const model = new Model();
      for (const one of steps) {
        apply(model, one);
        model.check();
      }
    }),
    { numRuns: 80 },
  );
});

Deno.test("random io events and coalesced ranges in transactions: the same, once each has ended", () => {
  fc.assert(
    fc.property(fc.array(steps, { minLength: 2, maxLength: 6 }), (batches) => {
      const model = new Model();
      for (const batch of batches) {
        transaction(model.world, () => batch.slice(0, 20).forEach((one) => apply(model, one)));
        model.check();
      }
    }),
    { numRuns: 80 },
  );
});
