/**
 * The guest's side of split virtqueues, as a driver sees it: it lays out rings in guest RAM, offers chains and collects what
 * the device hands back. It reaches memory and registers only through the functions given, so that the same driver runs
 * on Freehold and on a peer.
 */

export interface GuestBus {
  load(address: number, size: 1 | 2 | 4): number;
  store(address: number, value: number, size: 1 | 2 | 4): void;
  loadBytes(address: number, length: number): Uint8Array;
  storeBytes(address: number, bytes: Uint8Array): void;
}

export interface Buffer {
  address: number;
  length: number;
  writable?: boolean;
}

const NEXT = 1;
const WRITE = 2;
const INDIRECT = 4;

/** One queue with its rings at `base`, laid out as version 1 demands, which version 2 accepts as well. */
export class DriverQueue {
  readonly descriptors: number;
  readonly available: number;
  readonly used: number;
  #offered = 0;
  #seen = 0;
  #free = 0;

  constructor(readonly bus: GuestBus, readonly base: number, readonly size: number, start = 0) {
    this.descriptors = base;
    this.available = base + 16 * size;
    this.used = Math.ceil((this.available + 6 + 2 * size) / 4096) * 4096;
    this.#offered = this.#seen = start;
  }

  describe(index: number, buffer: Buffer, next?: number, table = this.descriptors): void {
    const flags = (next === undefined ? 0 : NEXT) | (buffer.writable ? WRITE : 0);
    this.#descriptor(table + 16 * index, buffer.address, buffer.length, flags, next ?? 0);
  }

  /** Offers a chain in the queue's own table and returns its head. */
  offer(buffers: readonly Buffer[]): number {
    const first = this.#free;
    buffers.forEach((buffer, i) => {
      const last = i === buffers.length - 1;
      this.describe((first + i) % this.size, buffer, last ? undefined : (first + i + 1) % this.size);
    });
    this.#free = (first + buffers.length) % this.size;
    this.publish(first);
    return first;
  }

  /** Offers a chain through an indirect table at `table` and returns its head. */
  offerIndirect(table: number, buffers: readonly Buffer[]): number {
    buffers.forEach((buffer, i) => this.describe(i, buffer, i === buffers.length - 1 ? undefined : i + 1, table));
    const head = this.#free;
    this.#descriptor(this.descriptors + 16 * head, table, 16 * buffers.length, INDIRECT, 0);
    this.#free = (head + 1) % this.size;
    this.publish(head);
    return head;
  }

  /** Puts a head into the available ring. */
  publish(head: number): void {
    this.bus.store(this.available + 4 + 2 * (this.#offered % this.size), head, 2);
    this.#offered = (this.#offered + 1) & 0xffff;
    this.bus.store(this.available + 2, this.#offered, 2);
  }

  /** What the device has handed back since the last call. */
  collect(): { head: number; written: number }[] {
    const collected = [];
    for (const end = this.bus.load(this.used + 2, 2); this.#seen !== end; this.#seen = (this.#seen + 1) & 0xffff) {
      const entry = this.used + 4 + 8 * (this.#seen % this.size);
      collected.push({ head: this.bus.load(entry, 4), written: this.bus.load(entry + 4, 4) });
    }
    return collected;
  }

  set noInterrupt(value: boolean) {
    this.bus.store(this.available, value ? 1 : 0, 2);
  }

  /** Asks for an interrupt once the used index passes `index` (event indices only). */
  set usedEvent(index: number) {
    this.bus.store(this.available + 4 + 2 * this.size, index & 0xffff, 2);
  }

  get availableEvent(): number {
    return this.bus.load(this.used + 4 + 8 * this.size, 2);
  }

  #descriptor(at: number, address: number, length: number, flags: number, next: number): void {
    this.bus.store(at, address % 2 ** 32, 4);
    this.bus.store(at + 4, Math.floor(address / 2 ** 32), 4);
    this.bus.store(at + 8, length, 4);
    this.bus.store(at + 12, flags, 2);
    this.bus.store(at + 14, next, 2);
  }
}

/** Registers of a virtio-mmio slot at `base`. */
export const REGISTER = {
  magic: 0x00,
  version: 0x04,
  deviceId: 0x08,
  vendorId: 0x0c,
  deviceFeatures: 0x10,
  deviceFeaturesSel: 0x14,
  driverFeatures: 0x20,
  driverFeaturesSel: 0x24,
  guestPageSize: 0x28,
  queueSel: 0x30,
  queueNumMax: 0x34,
  queueNum: 0x38,
  queueAlign: 0x3c,
  queuePfn: 0x40,
  queueReady: 0x44,
  queueNotify: 0x50,
  interruptStatus: 0x60,
  interruptAck: 0x64,
  status: 0x70,
  queueDesc: 0x80,
  queueDriver: 0x90,
  queueDevice: 0xa0,
  configGeneration: 0xfc,
  configuration: 0x100,
} as const;

const ACKNOWLEDGE = 1;
const DRIVER = 2;
const DRIVER_OK = 4;
const FEATURES_OK = 8;
/** Bit 32 of the features. */
const VERSION_1 = 1;

/** A driver of one slot. */
export class Driver {
  readonly queues: DriverQueue[] = [];

  constructor(readonly bus: GuestBus, readonly base: number) {}

  get(register: keyof typeof REGISTER): number {
    return this.bus.load(this.base + REGISTER[register], 4);
  }

  set(register: keyof typeof REGISTER, value: number): void {
    this.bus.store(this.base + REGISTER[register], value, 4);
  }

  configuration(offset: number, size: 1 | 2 | 4 = 4): number {
    return this.bus.load(this.base + REGISTER.configuration + offset, size);
  }

  configure(offset: number, value: number, size: 1 | 2 | 4 = 4): void {
    this.bus.store(this.base + REGISTER.configuration + offset, value, size);
  }

  features(half: 0 | 1): number {
    this.set("deviceFeaturesSel", half);
    return this.get("deviceFeatures");
  }

  /** Brings the device up with `features` among those on offer and queues of `size` from `memory` on, 32 KiB each. */
  start(features: number, size: number, count: number, memory: number, first = 0): void {
    this.set("status", 0);
    this.set("status", ACKNOWLEDGE | DRIVER);
    const modern = this.get("version") === 2;
    this.set("driverFeaturesSel", 0);
    this.set("driverFeatures", (this.features(0) & features) >>> 0);
    if (modern) {
      this.set("driverFeaturesSel", 1);
      this.set("driverFeatures", VERSION_1);
      this.set("status", ACKNOWLEDGE | DRIVER | FEATURES_OK);
    } else {
      this.set("guestPageSize", 4096);
    }
    this.queues.length = 0;
    for (let index = 0; index < count; index++) {
      const queue = new DriverQueue(this.bus, memory + index * 0x8000, size, first);
      this.queues.push(queue);
      this.bus.storeBytes(queue.base, new Uint8Array(0x8000));
      this.set("queueSel", index);
      this.set("queueNum", size);
      if (modern) this.#placeModern(queue);
      else {
        this.set("queueAlign", 4096);
        this.set("queuePfn", queue.base / 4096);
      }
    }
    this.set("status", this.get("status") | DRIVER_OK);
  }

  /** Offers a chain on a queue, notifies, and returns what came back at once. */
  request(index: number, buffers: readonly Buffer[]): { head: number; written: number }[] {
    const queue = this.queue(index);
    queue.offer(buffers);
    this.set("queueNotify", index);
    return queue.collect();
  }

  queue(index: number): DriverQueue {
    const queue = this.queues[index];
    if (queue === undefined) throw new Error(`The driver set up no queue ${index}`);
    return queue;
  }

  #placeModern(queue: DriverQueue): void {
    for (
      const [register, address] of [
        [REGISTER.queueDesc, queue.descriptors],
        [REGISTER.queueDriver, queue.available],
        [REGISTER.queueDevice, queue.used],
      ] as const
    ) {
      this.bus.store(this.base + register, address % 2 ** 32, 4);
      this.bus.store(this.base + register + 4, Math.floor(address / 2 ** 32), 4);
    }
    this.set("queueReady", 1);
  }
}
