/**
 * Split virtqueues (virtio 1.2, section 2.7): taking chains of buffers that a driver offers and handing them back.
 *
 * Rings and buffers are written by the guest while we read them, so nothing here believes them: every index, length and
 * address is checked when used, a walk visits at most {@linkcode QUEUE_LIMIT} descriptors, and whatever can't be right throws
 * {@linkcode QueueFault}, which `function.ts` turns into a device that needs a reset. The state is columns with a row per queue.
 *
 * @module
 */

/** Descriptors that a queue may have and buffers that one chain may have, as in QEMU. */
export const QUEUE_LIMIT = 1024;

/** Feature bits 0 to 31 that concern rings (virtio 1.2, section 6). */
export const RING_FEATURES = {
  NOTIFY_ON_EMPTY: 2 ** 24,
  ANY_LAYOUT: 2 ** 27,
  INDIRECT_DESC: 2 ** 28,
  EVENT_IDX: 2 ** 29,
};

const DESCRIPTOR_BYTES = 16;
const NEXT = 1;
const WRITE = 2;
const INDIRECT = 4;
const NO_INTERRUPT = 1;

/** The driver broke the rules of the queue; the sentence says how. Never leaves the device. */
export class QueueFault extends Error {
  override name = "QueueFault";
}

/** How a device reaches guest RAM: `false` if any byte of the range is something else. */
export interface GuestRam {
  read(address: number, into: Uint8Array): boolean;
  write(address: number, from: Uint8Array): boolean;
}

/** Columns of a device's queues. Addresses are guest-physical, two elements each: low half, high half. */
export interface Queues {
  queueSize: Uint16Array;
  /** 1 once the driver has said where the rings are. */
  queueReady: Uint8Array;
  queueDescriptors: Uint32Array;
  queueDriver: Uint32Array;
  queueDevice: Uint32Array;
  /** The next entry of the available ring to take, and the next of the used ring to fill, modulo 65536. */
  queueTaken: Uint16Array;
  queueUsed: Uint16Array;
  /** The used index that the driver was last asked to be told of, if `queueSignalledValid`. */
  queueSignalled: Uint16Array;
  queueSignalledValid: Uint8Array;
  /** Chains taken and not handed back yet. */
  queueInFlight: Uint16Array;
}

/** Queues as after reset, of the given sizes. */
export function newQueues(sizes: readonly number[]): Queues {
  const count = sizes.length;
  return {
    queueSize: Uint16Array.from(sizes),
    queueReady: new Uint8Array(count),
    queueDescriptors: new Uint32Array(2 * count),
    queueDriver: new Uint32Array(2 * count),
    queueDevice: new Uint32Array(2 * count),
    queueTaken: new Uint16Array(count),
    queueUsed: new Uint16Array(count),
    queueSignalled: new Uint16Array(count),
    queueSignalledValid: new Uint8Array(count),
    queueInFlight: new Uint16Array(count),
  };
}

/** One request: buffers for the device to read, then buffers for it to fill. `addresses` and `lengths` run parallel. */
export interface Chain {
  /** Descriptor that begins the chain: its name when handed back. */
  head: number;
  addresses: number[];
  lengths: number[];
  /** How many of the buffers, from the first, are for reading. */
  readable: number;
  readableBytes: number;
  writableBytes: number;
}

const scratch = new Uint8Array(DESCRIPTOR_BYTES);
const scratchView = new DataView(scratch.buffer);
const short = scratch.subarray(0, 2);
const usedEntry = scratch.subarray(0, 8);

/** Joins two 32-bit halves; `Infinity` for an address that is not exact as a number, which is none that RAM could have. */
export function join(low: number, high: number): number {
  return high < 2 ** 21 ? high * 2 ** 32 + low : Infinity;
}

function addressOf(column: Uint32Array, queue: number): number {
  return join(column[2 * queue] ?? 0, column[2 * queue + 1] ?? 0);
}

/** Sets both halves of an address of `queue`. */
export function setAddress(column: Uint32Array, queue: number, address: number): void {
  column[2 * queue] = address % 2 ** 32;
  column[2 * queue + 1] = Math.floor(address / 2 ** 32);
}

/** The next chain that the driver offers, which stays on offer; `undefined` if there is none. @throws {QueueFault} */
export function peekChain(ram: GuestRam, queues: Queues, queue: number): Chain | undefined {
  const size = queues.queueSize[queue] ?? 0;
  if (size === 0 || !queues.queueReady[queue]) return undefined;
  const taken = queues.queueTaken[queue] ?? 0;
  const driver = addressOf(queues.queueDriver, queue);
  const offered = (loadShort(ram, driver + 2, "available ring") - taken) & 0xffff;
  if (offered === 0) return undefined;
  if (offered > size) throw new QueueFault(`available index is ${offered} ahead of a queue of ${size}`);
  if ((queues.queueInFlight[queue] ?? 0) >= size) throw new QueueFault(`all ${size} descriptors are already in use`);
  const head = loadShort(ram, driver + 4 + 2 * (taken % size), "available ring");
  if (head >= size) throw new QueueFault(`head ${head} is outside a queue of ${size}`);
  return walkChain(ram, addressOf(queues.queueDescriptors, queue), size, head);
}

/** Takes the next chain that the driver offers, if there is one. @throws {QueueFault} */
export function takeChain(ram: GuestRam, queues: Queues, queue: number, eventIndex: boolean): Chain | undefined {
  const chain = peekChain(ram, queues, queue);
  if (chain === undefined) return undefined;
  const size = queues.queueSize[queue] ?? 0;
  const taken = (queues.queueTaken[queue] ?? 0) + 1;
  queues.queueTaken[queue] = taken;
  queues.queueInFlight[queue] = (queues.queueInFlight[queue] ?? 0) + 1;
  // 2.7.10: with event indices the device says after which entry it wants to be notified next.
  if (eventIndex) storeShort(ram, addressOf(queues.queueDevice, queue) + 4 + 8 * size, taken);
  return chain;
}

/** A chain that was taken before, as the guest shows it now. @throws {QueueFault} */
export function reopenChain(ram: GuestRam, queues: Queues, queue: number, head: number): Chain {
  return walkChain(ram, addressOf(queues.queueDescriptors, queue), queues.queueSize[queue] ?? 0, head);
}

/** Follows a chain; the last descriptor of the queue's own table may stand for a table elsewhere (2.7.5.3). */
function walkChain(ram: GuestRam, queueTable: number, size: number, head: number): Chain {
  const chain: Chain = { head, addresses: [], lengths: [], readable: 0, readableBytes: 0, writableBytes: 0 };
  let table = queueTable;
  let entries = size;
  let indirect = false;
  let index = head;
  for (let visited = 0;; visited++) {
    // A chain visits no descriptor twice, so one longer than its table goes in circles.
    if (visited >= Math.min(entries, QUEUE_LIMIT)) throw new QueueFault(`chain ${head} does not end within its table`);
    if (!ram.read(table + index * DESCRIPTOR_BYTES, scratch)) throw new QueueFault("descriptor table is not in RAM");
    const address = join(scratchView.getUint32(0, true), scratchView.getUint32(4, true));
    const length = scratchView.getUint32(8, true);
    const flags = scratchView.getUint16(12, true);
    const next = scratchView.getUint16(14, true);
    if (flags & INDIRECT) {
      if (indirect) throw new QueueFault(`chain ${head} nests indirect tables`);
      if (length === 0 || length % DESCRIPTOR_BYTES !== 0) {
        throw new QueueFault(`chain ${head} has an indirect table of ${length} bytes`);
      }
      indirect = true;
      table = address;
      entries = length / DESCRIPTOR_BYTES;
      index = 0;
      visited = -1;
      continue;
    }
    addBuffer(chain, address, length, (flags & WRITE) !== 0);
    if ((flags & NEXT) === 0) return chain;
    if (next >= entries) throw new QueueFault(`chain ${head} goes on at ${next} of a table of ${entries}`);
    index = next;
  }
}

function addBuffer(chain: Chain, address: number, length: number, writable: boolean): void {
  if (length === 0) throw new QueueFault(`chain ${chain.head} has an empty buffer`);
  if (chain.addresses.length >= QUEUE_LIMIT) throw new QueueFault(`chain ${chain.head} has too many buffers`);
  if (writable) {
    chain.writableBytes += length;
  } else {
    if (chain.writableBytes > 0) throw new QueueFault(`chain ${chain.head} has a readable buffer after a writable one`);
    chain.readableBytes += length;
    chain.readable++;
  }
  chain.addresses.push(address);
  chain.lengths.push(length);
}

/** Copies from the readable buffers of `chain`, starting `offset` bytes into them; short of bytes, the rest is not touched. @throws {QueueFault} @returns bytes copied */
export function readFromChain(ram: GuestRam, chain: Chain, offset: number, into: Uint8Array): number {
  return forEachPiece(chain, 0, chain.readable, offset, into.length, (address, done, length) => {
    if (!ram.read(address, into.subarray(done, done + length))) throw new QueueFault("a readable buffer is not in RAM");
  });
}

/** Copies into the writable buffers of `chain`, starting `offset` bytes into them. @throws {QueueFault} @returns bytes copied */
export function writeToChain(ram: GuestRam, chain: Chain, offset: number, from: Uint8Array): number {
  return forEachPiece(chain, chain.readable, chain.lengths.length, offset, from.length, (address, done, length) => {
    if (!ram.write(address, from.subarray(done, done + length))) {
      throw new QueueFault("a writable buffer is not in RAM");
    }
  });
}

function forEachPiece(
  chain: Chain,
  first: number,
  end: number,
  offset: number,
  total: number,
  copy: (address: number, done: number, length: number) => void,
): number {
  let skip = offset;
  let done = 0;
  for (let i = first; i < end && done < total; i++) {
    const available = (chain.lengths[i] ?? 0) - skip;
    if (available <= 0) {
      skip = -available;
      continue;
    }
    const length = Math.min(available, total - done);
    copy((chain.addresses[i] ?? Infinity) + skip, done, length);
    skip = 0;
    done += length;
  }
  return done;
}

/** Hands `head` back with `written` bytes of its writable buffers filled: entry first, then the index (2.7.8.2). @throws {QueueFault} */
export function giveBack(ram: GuestRam, queues: Queues, queue: number, head: number, written: number): void {
  const size = queues.queueSize[queue] ?? 0;
  const used = queues.queueUsed[queue] ?? 0;
  const ring = addressOf(queues.queueDevice, queue);
  scratchView.setUint32(0, head, true);
  scratchView.setUint32(4, written, true);
  if (!ram.write(ring + 4 + 8 * (used % size), usedEntry)) throw new QueueFault("used ring is not in RAM");
  storeShort(ram, ring + 2, used + 1);
  queues.queueUsed[queue] = used + 1;
  queues.queueInFlight[queue] = (queues.queueInFlight[queue] ?? 0) - 1;
  // The index went once around without a notification: the last one asked for says nothing any more.
  if (((used + 1) & 0xffff) === queues.queueSignalled[queue]) queues.queueSignalledValid[queue] = 0;
}

/** Whether the driver wants an interrupt for what was handed back since the last call (2.7.7, 2.7.10). @throws {QueueFault} */
export function wantsInterrupt(ram: GuestRam, queues: Queues, queue: number, features: number): boolean {
  const size = queues.queueSize[queue] ?? 0;
  const driver = addressOf(queues.queueDriver, queue);
  if (features & RING_FEATURES.NOTIFY_ON_EMPTY && queues.queueInFlight[queue] === 0) {
    if (loadShort(ram, driver + 2, "available ring") === queues.queueTaken[queue]) return true;
  }
  if (!(features & RING_FEATURES.EVENT_IDX)) return (loadShort(ram, driver, "available ring") & NO_INTERRUPT) === 0;
  const used = queues.queueUsed[queue] ?? 0;
  const before = queues.queueSignalled[queue] ?? 0;
  const valid = queues.queueSignalledValid[queue] === 1;
  queues.queueSignalled[queue] = used;
  queues.queueSignalledValid[queue] = 1;
  if (!valid) return true;
  const event = loadShort(ram, driver + 4 + 2 * size, "available ring");
  return ((used - event - 1) & 0xffff) < ((used - before) & 0xffff);
}

function loadShort(ram: GuestRam, address: number, what: string): number {
  if (!ram.read(address, short)) throw new QueueFault(`${what} is not in RAM`);
  return scratchView.getUint16(0, true);
}

function storeShort(ram: GuestRam, address: number, value: number): void {
  scratchView.setUint16(0, value & 0xffff, true);
  if (!ram.write(address, short)) throw new QueueFault("used ring is not in RAM");
}
