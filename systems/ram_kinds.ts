/** RAM kinds: memory that is the caller's, that is reached one access at a time, or that can be resized (1.2, 1.16). */
import { exactAddress } from "../ecs/address.ts";
import { nameOf } from "../ecs/handle.ts";
import { resizeDirtyLog } from "../ecs/dirty_bitmap.ts";
import { borrowRamBlock, connectObserver, type GuestMemory, newRamBlock, type RamBlock } from "../ecs/ram_block.ts";
import { bindMmio, Flag, type MmioOps, type Region, RegionKind, regions } from "../ecs/region.ts";
import type { World } from "../ecs/world.ts";
import { trackNewBlock } from "./log_masks.ts";
import { notifyResized } from "./tell_ram_notifiers.ts";
import { createRegion, type RamOptions, type RegionOptions } from "./create_region.ts";
import { resolveLiving, resolveOwner } from "./living.ts";
import { setSize } from "./topology.ts";
import { standing } from "./undo.ts";

/** A size or buffer that does not fit. Nothing has changed. */
export class RamError extends Error {
  override readonly name = "RamError";
}

export interface RamPointerOptions extends Omit<RegionOptions, "size"> {
  /** The caller's; they stay when the region ends. */
  readonly bytes: Uint8Array;
  /** The guest memory that the bytes are in, if they are in one: harts then reach them directly. */
  readonly memory?: GuestMemory;
  readonly migratable?: boolean;
}

/** RAM in the caller's buffer, which it may share with other regions and worlds. @throws {RamError} if it is not in `memory`. */
export function createRamPointer(world: World, options: RamPointerOptions): Region {
  return createRegion(world, sized(options), Flag.TERMINATES | Flag.RAM, { ram: borrow(world, options) });
}

/**
 * RAM that is a device's: in the caller's buffer, and reached one access of 1 to 8 bytes at a time, aligned or not, in the
 * host's byte order. Mappings of it are bounce buffers; the re-entrancy guard does not know it.
 */
export function createRamDevice(world: World, options: RamPointerOptions): Region {
  const ram = borrow(world, options);
  const flags = Flag.TERMINATES | Flag.RAM | Flag.RAM_DEVICE | Flag.MMIO | Flag.UNGUARDED;
  return createRegion(world, sized(options), flags, { ram, mmio: bindMmio(RAM_DEVICE, ram) });
}

function sized(options: RamPointerOptions): RegionOptions {
  return { ...options, size: options.bytes.length };
}

function borrow(world: World, { name, owner, bytes, memory, migratable }: RamPointerOptions): RamBlock {
  resolveOwner(world, owner);
  if (memory !== undefined && bytes.buffer !== memory.bytes.buffer) {
    throw new RamError(`the bytes of "${name}" are not in its guest memory`);
  }
  const block = borrowRamBlock(bytes, memory, migratable);
  trackNewBlock(world, block);
  return block;
}

const IS_LITTLE = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;
const WIDTHS = { min: 1, max: 8, unaligned: true } as const;

/** Accesses of a RAM device; one that runs over its end is a decode error. */
const RAM_DEVICE: MmioOps<RamBlock> = {
  endian: IS_LITTLE ? "little" : "big",
  impl: WIDTHS,
  valid: { ...WIDTHS, accepts: ({ size: limit }, offset, size) => offset + size <= limit },
  read: readRam,
  peek: readRam,
  write({ view, observer }, offset, value, size) {
    if (size === 8) view.setBigUint64(offset, BigInt(value), IS_LITTLE);
    else if (size === 4) view.setUint32(offset, Number(value), IS_LITTLE);
    else if (size === 2) view.setUint16(offset, Number(value), IS_LITTLE);
    else view.setUint8(offset, Number(value));
    observer?.(offset, size);
  },
};

function readRam({ view }: RamBlock, offset: number, size: number): number | bigint {
  if (size === 8) return view.getBigUint64(offset, IS_LITTLE);
  if (size === 4) return view.getUint32(offset, IS_LITTLE);
  return size === 2 ? view.getUint16(offset, IS_LITTLE) : view.getUint8(offset);
}

export interface ResizableRamOptions extends RamOptions {
  /** Bytes that are allocated now; it never gets larger. */
  readonly maximum: number | bigint;
  /** Called last when the RAM was resized. */
  readonly resized?: (size: number) => void;
}

/** RAM of which {@linkcode resizeRam} shows more or less. @throws {OutOfGuestMemoryError} if there is no room for the maximum. */
export function createResizableRam(world: World, options: ResizableRamOptions): Region {
  const { name, size, maximum, memory, migratable, owner, resized } = options;
  const used = exactAddress(size, `size of "${name}"`);
  const most = exactAddress(maximum, `maximum of "${name}"`);
  if (used > most) throw new RamError(`"${name}" cannot have ${used} bytes: its maximum is ${most}`);
  resolveOwner(world, owner);
  const ram = newRamBlock(most, memory, migratable);
  ram.resizable = { used, resized };
  resizeDirtyLog(ram.dirty, used);
  trackNewBlock(world, ram);
  return createRegion(world, options, Flag.TERMINATES | Flag.RAM, { ram });
}

/**
 * Resizes RAM that was made for it, to the byte. In this order (S134): RAM notifiers, dirty bits, the region in a
 * transaction of its own, and the region's own callback. The bytes stay as they are.
 *
 * @throws {RamError} beyond the maximum, or if the region cannot be resized. Nothing has changed.
 * @throws {LifetimeError} if it was dropped. Nothing has changed.
 */
export function resizeRam(world: World, region: Region, size: number | bigint): void {
  const id = resolveLiving(world, region, RegionKind);
  const name = nameOf(world, id);
  const block = regions(world).ram[id];
  if (block?.resizable === undefined) throw new RamError(`"${name}" is not resizable RAM`);
  const after = exactAddress(size, `size of "${name}"`);
  if (after > block.size) throw new RamError(`"${name}" cannot have ${after} bytes: its maximum is ${block.size}`);
  const { resizable, resizable: { used: before } } = block;
  if (after === before) return;
  notifyResized(world, block, before, after);
  resizeDirtyLog(block.dirty, after);
  connectObserver(block);
  resizable.used = after;
  standing(world, () => setSize(world, region, after)); // notifiers know already
  resizable.resized?.(after);
}
