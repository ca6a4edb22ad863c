/**
 * Create region: owners and regions of every kind. Sizes and offsets are in bytes; `number | bigint`, exact as a 64-bit
 * float, else `InexactAddressError`.
 */
import { exactAddress } from "../ecs/address.ts";
import { handleOf, nameOf, resolve } from "../ecs/handle.ts";
import type { Iommu } from "../ecs/iommu.ts";
import { newOwner, type Owner } from "../ecs/owner.ts";
import { type GuestMemory, newRamBlock, type RamBlock, setObserver, type StoreObserver } from "../ecs/ram_block.ts";
import { ramNotifiers } from "../ecs/ram_notifier.ts";
import { bindMmio, Flag, linkAlias, type MmioOps, newRegion, type Region, RegionKind, regions } from "../ecs/region.ts";
import type { World } from "../ecs/world.ts";
import { TopologyError } from "./admission.ts";
import { trackNewBlock } from "./log_masks.ts";
import { withNarrowAccesses } from "./narrow.ts";
import { admitWindow, noteNesting } from "./nesting.ts";
import { notifyAdded } from "./tell_ram_notifiers.ts";
import { addCreationReference, resolveLiving, resolveOwner } from "./living.ts";

/** What every region is created with. Without an owner it is static: it lives as long as its world. */
export interface RegionOptions {
  readonly name: string;
  /** Bytes, 0 to 2^64. */
  readonly size: number | bigint;
  readonly owner?: Owner;
}

export interface RamOptions extends RegionOptions {
  /** Where the bytes are; without it, in an ArrayBuffer of the region's own. */
  readonly memory?: GuestMemory;
  /** false: its stores are not tracked for migration. */
  readonly migratable?: boolean;
}

export interface MmioOptions<S> extends RegionOptions {
  readonly ops: MmioOps<S>;
  readonly state: S;
  /** false: handlers may be entered again while one of the same device runs (S48). */
  readonly guarded?: boolean;
}

/** An owning entity. It has one creation reference: its owner's, or the creator's if it has no owner. */
export function createOwner(world: World, { name, owner, device = false }: {
  readonly name: string;
  readonly owner?: Owner;
  /** A device: the re-entrancy guard of all regions below is one (S53). */
  readonly device?: boolean;
}): Owner {
  const id = newOwner(world, name, resolveOwner(world, owner), device);
  addCreationReference(world, id, owner);
  return handleOf(world, id);
}

/** A region that is nothing but its children. */
export function createContainer(world: World, options: RegionOptions): Region {
  return createRegion(world, options, 0);
}

/** @throws {OutOfGuestMemoryError} if there is no room. */
export function createRam(world: World, options: RamOptions): Region {
  return createRegion(world, options, Flag.TERMINATES | Flag.RAM, { ram: block(world, options) });
}

/** RAM that guests cannot write; `writeRom` can. @throws {OutOfGuestMemoryError} if there is no room. */
export function createRom(world: World, options: RamOptions): Region {
  return createRegion(world, options, Flag.TERMINATES | Flag.RAM | Flag.READONLY, { ram: block(world, options) });
}

/** Memory that is read directly while in ROM mode, and written (otherwise also read) through handlers. */
export function createRomDevice<S>(world: World, options: RamOptions & MmioOptions<S>): Region {
  const mmio = bindMmio(withNarrowAccesses(world, options.ops), options.state);
  const flags = Flag.TERMINATES | Flag.ROM_DEVICE | Flag.MMIO | Flag.ROMD;
  return createRegion(world, options, flags, { ram: block(world, options), mmio });
}

export function createMmio<S>(world: World, options: MmioOptions<S>): Region {
  const flags = Flag.TERMINATES | Flag.MMIO | (options.guarded === false ? Flag.UNGUARDED : 0);
  return createRegion(world, options, flags, { mmio: bindMmio(withNarrowAccesses(world, options.ops), options.state) });
}

/** Claims a range in which every access is a decode error. */
export function createReservation(world: World, options: RegionOptions): Region {
  return createRegion(world, options, Flag.TERMINATES);
}

/**
 * A window of `size` bytes on `target`, from `offset`. It does not keep the target alive (LC11).
 *
 * @throws {TopologyError} if regions would be nested too deep.
 */
export function createAlias(
  world: World,
  options: RegionOptions & { readonly target: Region; readonly offset: number | bigint },
): Region {
  const target = resolveLiving(world, options.target, RegionKind);
  const offset = exactAddress(options.offset, `offset of alias "${options.name}"`);
  admitWindow(world, options.name, target);
  const alias = createRegion(world, options, Flag.ALIAS);
  const id = resolve(world, alias, RegionKind);
  linkAlias(world, id, target, offset);
  noteNesting(world, id, target);
  return alias;
}

/** Memory of a region; its owner is checked first, so that a refusal takes nothing. */
function block(world: World, { name, size, owner, memory, migratable }: RamOptions): RamBlock {
  resolveOwner(world, owner);
  const made = newRamBlock(exactAddress(size, `size of "${name}"`), memory, migratable);
  trackNewBlock(world, made);
  return made;
}

/** A region of any kind, in no container. */
export function createRegion(
  world: World,
  { name, size, owner }: RegionOptions,
  flags: number,
  backing: { ram?: RamBlock; mmio?: ReturnType<typeof bindMmio>; iommu?: Iommu } = {},
): Region {
  const bytes = exactAddress(size, `size of "${name}"`);
  const id = newRegion(world, { name, size: bytes, owner: resolveOwner(world, owner), flags, ...backing });
  if (owner !== undefined) addCreationReference(world, id, owner);
  if (backing.ram !== undefined && ramNotifiers(world).length > 0) notifyAdded(world, backing.ram);
  return handleOf(world, id);
}

/** Where the bytes of a RAM-kind region are. @throws {TopologyError} for other kinds. */
export function ramOf(world: World, region: Region): RamBlock {
  const id = resolve(world, region, RegionKind);
  const ram = regions(world).ram[id];
  if (ram === undefined) throw new TopologyError(`"${nameOf(world, id)}" has no memory of its own`);
  return ram;
}

/**
 * Calls `observer` after each store that reaches the region's memory through dispatch or DMA; undefined ends that. Who
 * stores to the memory on its own calls `markDirty` for each page that it has not marked since `cleaned` was called for it.
 */
export function observeStores(
  world: World,
  region: Region,
  observer: StoreObserver | undefined,
  cleaned?: StoreObserver,
): void {
  const ram = ramOf(world, region);
  setObserver(ram, observer, cleaned);
  if (ram.dirty.active.length > 0) cleaned?.(0, ram.size);
}
