/**
 * virtio-blk: a disk (virtio 1.2, section 5.2). A request is a header that the device reads, data, and a status byte that it
 * writes last.
 *
 * Requests are worked on one at a time and in pieces, so that a guest with a large disk can't hold the host: between pieces
 * only the head of the chain and the bytes done are kept, and everything else is read and checked again.
 *
 * @module
 */
import { type BlockBackend, BlockError, SECTOR_BYTES } from "../../backends/block.ts";
import { type Instance, link, type PropertiesOf, text, trace } from "../define.ts";
import {
  accepted,
  defineVirtioDevice,
  finishRequest,
  guestRam,
  reopenRequest,
  takeRequest,
  type VirtioFunction,
  type VirtioState,
  virtioState,
} from "./function.ts";
import { type Chain, join, QueueFault, readFromChain, writeToChain } from "./queue.ts";

/** Feature bits (5.2.3); SCSI is offered by legacy devices only, as in QEMU, and its commands are unsupported. */
const FEATURE = {
  SEG_MAX: 1 << 2,
  GEOMETRY: 1 << 4,
  RO: 1 << 5,
  BLK_SIZE: 1 << 6,
  SCSI: 1 << 7,
  FLUSH: 1 << 9,
  TOPOLOGY: 1 << 10,
  CONFIG_WCE: 1 << 11,
  DISCARD: 1 << 13,
  WRITE_ZEROES: 1 << 14,
};
/** Request types without their lowest bit, which says that the driver sends data, and without BARRIER, bit 31 (5.2.6). */
const REQUEST = { TRANSFER: 0, FLUSH: 4, GET_ID: 8, DISCARD: 10, WRITE_ZEROES: 12 };
const STATUS = { OK: 0, IOERR: 1, UNSUPP: 2 };

const QUEUE_SIZE = 256;
const HEADER_BYTES = 16;
const STATUS_BYTES = 1;
const ID_BYTES = 20;
const SEGMENT_BYTES = 16;
const UNMAP = 1;
/** Sectors of one discard or write-zeroes segment, as in QEMU. */
const MAX_SEGMENT_SECTORS = 0x3fffff;
const CONFIGURATION_BYTES = 57;
const WRITE_CACHE = 0x20;

const PIECE_BYTES = 65536;
/** Bytes moved for one notification before the rest waits for a bottom half; a request without data counts as some. */
const BUDGET_BYTES = 16 * PIECE_BYTES;
const REQUEST_COST = 4096;

interface State extends VirtioState {
  /** The request under way: its head, -1 if there is none, and how many bytes of it are done. */
  head: number;
  done: number;
  /** Writes may stay in the host's cache until a flush (5.2.5, `writeback`). */
  writeCache: boolean;
}

const properties = {
  drive: link<BlockBackend>("storage of the disk"),
  serial: text("serial number, of which guests see 20 bytes", { default: "" }),
};
type D = Instance<State, PropertiesOf<typeof properties>>;

/** How far a request got in one step: bytes moved, and its status once it is through. */
interface Progress {
  moved: number;
  status?: number;
}

interface Header {
  /** Lowest bit apart: {@linkcode REQUEST}. */
  kind: number;
  toDisk: boolean;
  /** Byte offset on the disk; `Infinity` if it isn't exact, which no disk reaches. */
  offset: number;
}

const piece = new Uint8Array(PIECE_BYTES);
const record = new Uint8Array(HEADER_BYTES);
const recordView = new DataView(record.buffer);

/** One step of the request under way, or of the next one. @returns bytes' worth of work, or `undefined` if there is none */
function step(d: D, queue: number): number | undefined {
  const { state } = d;
  const request = state.head < 0 ? takeRequest(d, queue) : reopenRequest(d, queue, state.head);
  if (request === undefined) return undefined;
  if (state.head < 0) {
    state.head = request.head;
    state.done = 0;
  }
  const header = readHeader(d, request);
  const { moved, status } = attempt(d, request, header);
  state.done += moved;
  if (status === undefined) return moved;
  state.head = -1;
  writeToChain(guestRam(d), request, request.writableBytes - STATUS_BYTES, Uint8Array.of(status));
  // Only bytes from the start on count as written (2.7.8.2): a failed read did not fill what lies before the status.
  const filled = status === STATUS.OK || request.writableBytes === STATUS_BYTES;
  finishRequest(d, queue, request, filled ? request.writableBytes : 0);
  return moved + REQUEST_COST;
}

function readHeader(d: D, request: Chain): Header {
  if (request.writableBytes < STATUS_BYTES) throw new QueueFault(`request ${request.head} has no room for its status`);
  if (readFromChain(guestRam(d), request, 0, record) < HEADER_BYTES) {
    throw new QueueFault(`request ${request.head} has an incomplete header`);
  }
  const type = recordView.getUint32(0, true);
  const sector = join(recordView.getUint32(8, true), recordView.getUint32(12, true));
  return { kind: type & 0x7ffffffe, toDisk: (type & 1) !== 0, offset: sector * SECTOR_BYTES };
}

/** Works on a request; what the backend can't do is the guest's I/O error. */
function attempt(d: D, request: Chain, header: Header): Progress {
  try {
    switch (header.kind) {
      case REQUEST.TRANSFER:
        return header.toDisk ? toDisk(d, request, header) : fromDisk(d, request, header);
      case REQUEST.FLUSH:
        d.properties.drive.flush();
        return { moved: 0, status: STATUS.OK };
      case REQUEST.GET_ID:
        return identify(d, request);
      case REQUEST.DISCARD:
      case REQUEST.WRITE_ZEROES:
        return header.toDisk ? clear(d, request, header) : { moved: 0, status: STATUS.UNSUPP };
      default:
        return { moved: 0, status: STATUS.UNSUPP };
    }
  } catch (error) {
    if (!(error instanceof BlockError)) throw error;
    trace(d, "host-error", error.message);
    return { moved: 0, status: STATUS.IOERR };
  }
}

function fromDisk(d: D, request: Chain, { offset }: Header): Progress {
  const total = request.writableBytes - STATUS_BYTES;
  if (!onDisk(d, offset, total)) return { moved: 0, status: STATUS.IOERR };
  const part = piece.subarray(0, Math.max(0, Math.min(PIECE_BYTES, total - d.state.done)));
  d.properties.drive.read(offset + d.state.done, part);
  writeToChain(guestRam(d), request, d.state.done, part);
  return through(d, part.length, total);
}

function toDisk(d: D, request: Chain, { offset }: Header): Progress {
  const total = request.readableBytes - HEADER_BYTES;
  if (!onDisk(d, offset, total) || d.properties.drive.readonly) return { moved: 0, status: STATUS.IOERR };
  const part = piece.subarray(0, Math.max(0, Math.min(PIECE_BYTES, total - d.state.done)));
  readFromChain(guestRam(d), request, HEADER_BYTES + d.state.done, part);
  d.properties.drive.write(offset + d.state.done, part);
  const progress = through(d, part.length, total);
  if (progress.status === STATUS.OK) settle(d);
  return progress;
}

/** DISCARD and WRITE_ZEROES: the data is one segment that names the sectors (5.2.6). */
function clear(d: D, request: Chain, { kind }: Header): Progress {
  const { drive } = d.properties;
  const segments = request.readableBytes - HEADER_BYTES;
  if (segments < SEGMENT_BYTES) throw new QueueFault(`request ${request.head} has an incomplete segment`);
  readFromChain(guestRam(d), request, HEADER_BYTES, record);
  const offset = join(recordView.getUint32(0, true), recordView.getUint32(4, true)) * SECTOR_BYTES;
  const sectors = recordView.getUint32(8, true);
  const flags = recordView.getUint32(12, true);
  const zero = kind === REQUEST.WRITE_ZEROES;
  if (segments > SEGMENT_BYTES || flags & ~(zero ? UNMAP : 0)) return { moved: 0, status: STATUS.UNSUPP };
  const total = sectors * SECTOR_BYTES;
  if (sectors > MAX_SEGMENT_SECTORS || !onDisk(d, offset, total) || drive.readonly) {
    return { moved: 0, status: STATUS.IOERR };
  }
  if (!zero) {
    drive.discard(offset, total);
    return { moved: 0, status: STATUS.OK };
  }
  const part = piece.subarray(0, Math.max(0, Math.min(PIECE_BYTES, total - d.state.done))).fill(0);
  drive.write(offset + d.state.done, part);
  const progress = through(d, part.length, total);
  if (progress.status === STATUS.OK) settle(d);
  return progress;
}

function identify(d: D, request: Chain): Progress {
  const id = new Uint8Array(Math.min(ID_BYTES, request.writableBytes - STATUS_BYTES));
  new TextEncoder().encodeInto(d.properties.serial, id);
  writeToChain(guestRam(d), request, 0, id);
  return { moved: 0, status: STATUS.OK };
}

function through(d: D, moved: number, total: number): Progress {
  return d.state.done + moved >= total ? { moved, status: STATUS.OK } : { moved };
}

/** A driver that can't flush, or that turned the write cache off, finds its writes on stable storage (5.2.6.2). */
function settle(d: D): void {
  if (!d.state.writeCache || !accepted(d, FEATURE.FLUSH)) d.properties.drive.flush();
}

function onDisk(d: D, offset: number, length: number): boolean {
  return length % SECTOR_BYTES === 0 && offset + length <= d.properties.drive.byteLength;
}

/** The configuration (5.2.4). */
function configuration(d: D): Uint8Array {
  const bytes = new Uint8Array(CONFIGURATION_BYTES);
  const view = new DataView(bytes.buffer);
  const sectors = d.properties.drive.byteLength / SECTOR_BYTES;
  view.setUint32(0x00, sectors % 2 ** 32, true);
  view.setUint32(0x04, Math.floor(sectors / 2 ** 32), true);
  view.setUint32(0x0c, QUEUE_SIZE - 2, true); // seg_max: header and status take a descriptor each
  view.setUint16(0x10, Math.min(Math.max(Math.floor(sectors / (16 * 63)), 2), 16383), true); // cylinders
  bytes[0x12] = 16; // heads
  bytes[0x13] = 63; // sectors of a track
  view.setUint32(0x14, SECTOR_BYTES, true); // blk_size
  bytes[WRITE_CACHE] = d.state.writeCache ? 1 : 0;
  view.setUint16(0x22, 1, true); // num_queues
  view.setUint32(0x24, MAX_SEGMENT_SECTORS, true); // max_discard_sectors
  view.setUint32(0x28, 1, true); // max_discard_seg
  view.setUint32(0x2c, 1, true); // discard_sector_alignment
  view.setUint32(0x30, MAX_SEGMENT_SECTORS, true); // max_write_zeroes_sectors
  view.setUint32(0x34, 1, true); // max_write_zeroes_seg
  bytes[0x38] = 1; // write_zeroes_may_unmap
  return bytes;
}

const virtio: VirtioFunction<D> = {
  id: 2,
  features(d) {
    const { SEG_MAX, GEOMETRY, RO, BLK_SIZE, SCSI, FLUSH, TOPOLOGY, CONFIG_WCE, DISCARD, WRITE_ZEROES } = FEATURE;
    return SEG_MAX | GEOMETRY | BLK_SIZE | FLUSH | TOPOLOGY | CONFIG_WCE | DISCARD | WRITE_ZEROES |
      (d.state.legacy ? SCSI : 0) | (d.properties.drive.readonly ? RO : 0);
  },
  configuration,
  configure(d, offset, value, size) {
    if (offset > WRITE_CACHE || offset + size <= WRITE_CACHE) return;
    d.state.writeCache = (value >>> (8 * (WRITE_CACHE - offset)) & 0xff) !== 0;
  },
  serve(d, queue) {
    for (let budget = BUDGET_BYTES; budget > 0;) {
      const spent = step(d, queue);
      if (spent === undefined) return false;
      budget -= spent;
    }
    return true;
  },
};

export const virtioBlock = defineVirtioDevice<State, typeof properties>({
  type: "virtio-blk-device",
  description: "disk",
  properties,
  state: () => ({ ...virtioState([QUEUE_SIZE]), head: -1, done: 0, writeCache: true }),
  virtio,
});
