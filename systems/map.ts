/**
 * Map: guest memory as bytes of the host (1.10). Where an access needs no handler the bytes are the guest's own, and the
 * mapping pins the memory; elsewhere they are a bounce buffer, filled when it is mapped for reading and written back when
 * it is unmapped. Bounce buffers of one address space share a budget.
 */
import { type AddressSpace, type Space, spaceOf } from "../ecs/address_space.ts";
import { exactHalves, formatAddress } from "../ecs/address.ts";
import { nameOf } from "../ecs/handle.ts";
import { type Holding, openHoldings } from "../ecs/holding.ts";
import type { Pin } from "../ecs/ref_count.ts";
import type { World } from "../ecs/world.ts";
import { joinBits, MemTx } from "./access.ts";
import { readView, storedTo, writeView } from "./dma.ts";
import { plus } from "./dispatch.ts";
import { closeHolding, openHolding, resolveHolder } from "./holding.ts";
import { isDirect, locate, offsetOf, type Place, viewOf } from "./locate.ts";
import { notifyBudget } from "./map_waiter.ts";

/** A length that is not a length, or not of this mapping. */
export class MappingError extends Error {
  override readonly name = "MappingError";
}

export interface MapOptions {
  /** Whether `bytes` will be written; default: only read. */
  readonly isWrite?: boolean;
  readonly attrs?: number;
  /** Who maps: named by `whyAlive`; the mapping ends with it, and a device's when the device is unrealized. */
  readonly holder?: number;
}

/** Guest memory that is mapped until `unmap`. */
export class Mapping implements Holding {
  pin: Pin | undefined;
  isOpen = true;
  isUnmapped = false;
  /** MemTx bits of filling the bounce buffer. */
  result: number = MemTx.OK;

  constructor(
    /** The guest's memory itself, or a bounce buffer; may be shorter than what was asked for. */
    readonly bytes: Uint8Array,
    /** Whether `bytes` is the guest's memory. */
    readonly isDirect: boolean,
    readonly isWrite: boolean,
    readonly attrs: number,
    readonly holder: number,
    readonly space: Space,
    /** Halves of the guest address. */
    readonly hi: number,
    readonly lo: number,
    /** Where the bytes are from. */
    readonly place: Place,
  ) {}

  get address(): bigint {
    return joinBits(this.hi, this.lo);
  }

  describe(): string {
    const where = `${formatAddress(this.address)} of "${this.space.name}"`;
    return `a mapping of ${this.bytes.length} bytes at ${where}`;
  }

  /** What ends before it is unmapped may have been written anywhere, if it is the guest's memory. */
  ended(world: World): void {
    if (this.isDirect) {
      if (this.isWrite && !this.isUnmapped) storedIn(this, this.bytes.length);
      return;
    }
    this.space.bounce.used -= this.bytes.length;
    notifyBudget(world, this.space);
  }
}

/**
 * Maps up to `length` bytes at `address`. A direct mapping goes on over neighbouring ranges while they continue the same
 * memory (S57); any other ends with its range, or with the budget (S54).
 *
 * @returns undefined if the length is 0 (S59) or no budget is left: see `waitForBudget`.
 * @throws {MappingError} if the length is not an integer from 0 to 2^53.
 */
export function map(
  world: World,
  space: AddressSpace,
  address: number | bigint,
  length: number,
  { isWrite = false, attrs = 0, holder }: MapOptions = {},
): Mapping | undefined {
  if (!Number.isSafeInteger(length) || length < 0) throw new MappingError(`cannot map ${length} bytes`);
  const record = spaceOf(world, space);
  const by = resolveHolder(world, holder);
  const [hi, lo] = exactHalves(address);
  if (length === 0) return undefined;
  const place = locate(world, record.view, hi, lo, isWrite, attrs);
  const { range } = place;
  if (range !== undefined && isDirect(range, isWrite, attrs)) {
    const size = directLength(world, record, { hi, lo, length, isWrite, attrs }, place);
    const offset = offsetOf(place);
    const bytes = range.ram!.bytes.subarray(offset, offset + size); // direct ranges have memory
    const mapping = new Mapping(bytes, true, isWrite, attrs, by, record, hi, lo, place);
    openHolding(world, mapping, "map", range.region);
    return mapping;
  }
  const size = Math.min(length, place.length, record.bounce.limit - record.bounce.used);
  if (size <= 0) return undefined;
  return bounce(world, new Mapping(new Uint8Array(size), false, isWrite, attrs, by, record, hi, lo, place));
}

/** Bytes from the mapped address that lie one after the other in the memory that `first` begins in. */
function directLength(
  world: World,
  { view }: Space,
  { hi, lo, length, isWrite, attrs }: { hi: number; lo: number; length: number; isWrite: boolean; attrs: number },
  first: Place,
): number {
  const start = offsetOf(first);
  let size = Math.min(length, first.length);
  while (size < length) {
    const [high, low] = plus(hi, lo, size);
    if ((high | low) === 0) break; // the end of all addresses
    const next = locate(world, view, high, low, isWrite, attrs);
    if (next.range?.ram !== first.range?.ram || next.range === undefined || !isDirect(next.range, isWrite, attrs)) {
      break;
    }
    if (offsetOf(next) !== start + size) break;
    size += Math.min(length - size, next.length);
  }
  return size;
}

/** The budget is taken and the range pinned before handlers run: they may map, unmap and unplug. */
function bounce(world: World, mapping: Mapping): Mapping | undefined {
  const { place: { range, hi, lo }, space, bytes, attrs } = mapping;
  openHolding(world, mapping, "map", range?.region ?? 0);
  space.bounce.used += bytes.length;
  if (!mapping.isWrite) mapping.result = readView(world, viewOf(range), hi, lo, bytes, attrs);
  return mapping.isOpen ? mapping : undefined;
}

/**
 * Ends a mapping, of which the first `accessed` bytes were written. A bounce buffer is written back, in a strict world to
 * the range that was mapped, wherever it is by now (S55).
 *
 * @returns MemTx bits of writing back.
 * @throws {ClosedError} if it was unmapped before, ended with its holder, or is of another world (S60).
 * @throws {MappingError} if more bytes were accessed than mapped.
 */
export function unmap(world: World, mapping: Mapping, accessed: number = mapping.bytes.length): number {
  if (!Number.isInteger(accessed) || accessed < 0 || accessed > mapping.bytes.length) {
    throw new MappingError(`${accessed} bytes were not accessed in ${mapping.describe()}`);
  }
  let result: number = MemTx.OK;
  closeHolding(world, mapping, () => {
    mapping.isUnmapped = true;
    if (mapping.isWrite && accessed > 0) result = writeBack(world, mapping, accessed);
  });
  return result;
}

function storedIn({ place }: Mapping, length: number): void {
  if (place.range !== undefined) storedTo(place.range, offsetOf(place), length);
}

function writeBack(world: World, mapping: Mapping, length: number): number {
  const { isDirect, bytes, place, place: { range }, space, hi, lo, attrs } = mapping;
  if (isDirect) {
    storedIn(mapping, length);
    return MemTx.OK;
  }
  const data = bytes.subarray(0, length);
  if (world.policy.bounceWriteBack === "currentTopology") return writeView(world, space.view, hi, lo, data, attrs);
  return writeView(world, viewOf(range), place.hi, place.lo, data, attrs);
}

/**
 * How many bytes the bounce buffers of an address space may take together; 4096 by default.
 *
 * @throws {MappingError} if they take more now.
 */
export function setBounceLimit(world: World, space: AddressSpace, limit: number): void {
  const { bounce, id } = spaceOf(world, space);
  if (!Number.isSafeInteger(limit) || limit < bounce.used) {
    throw new MappingError(
      `${limit} bytes of bounce buffers are too few for "${nameOf(world, id)}": ${bounce.used} are in use`,
    );
  }
  bounce.limit = limit;
}

/** The open mappings of an address space; one whose space is gone may outlive it, and so the use of its id. */
export function mappingsOf(world: World, space: Space): Mapping[] {
  return [...openHoldings(world)].filter((holding): holding is Mapping =>
    holding instanceof Mapping && holding.space === space
  );
}
