/**
 * Topology: the public mutators. Each validates everything, then writes, and is a transaction of its own (LC31). Sizes,
 * offsets and addresses are in bytes; `number | bigint`, exact as a 64-bit float, else `InexactAddressError`.
 */
import { type AddressSpace, AddressSpaceKind, newAddressSpace, spaceOf } from "../ecs/address_space.ts";
import { exactAddress, formatAddress } from "../ecs/address.ts";
import { containers, writeAddress } from "../ecs/container.ts";
import { handleOf, type Kind, nameOf, resolve, resolveAny } from "../ecs/handle.ts";
import {
  type Listener,
  type ListenerCallbacks,
  ListenerKind,
  listenerRecord,
  listenersOf,
  newListener,
} from "../ecs/listener.ts";
import type { Iommu } from "../ecs/iommu.ts";
import { Life, newOwner, type Owner, OwnerKind, owners } from "../ecs/owner.ts";
import { type GuestMemory, newRamBlock, type RamBlock, setObserver, type StoreObserver } from "../ecs/ram_block.ts";
import { ramNotifiers } from "../ecs/ram_notifier.ts";
import { addReference, addSite, refCounts } from "../ecs/ref_count.ts";
import {
  bindMmio,
  Flag,
  linkAlias,
  type MmioOps,
  newRegion,
  type Region,
  RegionKind,
  regions,
  writeAliasOffset,
  writeFlag,
  writeSize,
} from "../ecs/region.ts";
import type { World } from "../ecs/world.ts";
import { admitChild, admitEdge, countedTarget, TopologyError } from "./admission.ts";
import { callSite } from "./call_site.ts";
import { drainCoalesced } from "./coalesced_ring.ts";
import { unlinkContained } from "./collect.ts";
import { markRegion } from "./dirty_windows.ts";
import { drop, InUseError, LifetimeError } from "./finalize.ts";
import { mappingsOf } from "./map.ts";
import { trackNewBlock } from "./log_masks.ts";
import { withNarrowAccesses } from "./narrow.ts";
import { startListener, stopListener } from "./notify.ts";
import { countEdge, place } from "./place.ts";
import { cancelPrepared, isAsking, RefusedError, refuseWhileAsked } from "./prepare.ts";
import { admitNesting, admitWindow, noteNesting } from "./nesting.ts";
import { notifyAdded } from "./tell_ram_notifiers.ts";
import { isFinalizing } from "./retire.ts";
import { callbackTransaction, commit } from "./transaction.ts";
import { keepPlacement } from "./undo.ts";

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

/**
 * Shows `region` in `container` at `offset`. Among siblings the greater priority is on top (signed 32-bit, default 0),
 * among equals the one added last (C2). What is outside of the container is clipped.
 *
 * @throws {TopologyError} if the region is in a container already, the container is an alias, or regions would be nested
 * more than 250 levels deep.
 * @throws {CycleError} if the region would show itself, or ownership would become circular.
 */
export function addSubregion(
  world: World,
  container: Region,
  offset: number | bigint,
  region: Region,
  { priority = 0 }: { readonly priority?: number } = {},
): void {
  const { above, id } = resolvePair(world, container, region);
  const address = exactAddress(offset, `address of "${nameOf(world, id)}"`);
  admitChild(world, above, id);
  admitNesting(world, above, id);
  keepPlacement(world, id);
  place(world, above, id, { address, priority: priority | 0 });
  commit(world);
}

/** The two ends of a new edge; a refusal names both. */
function resolvePair(world: World, container: Region, region: Region): { above: number; id: number } {
  try {
    return { above: resolveLiving(world, container, RegionKind), id: resolveLiving(world, region, RegionKind) };
  } catch (cause) {
    if (!(cause instanceof LifetimeError) || isFinalizing(world)) throw cause;
    const [to, what] = [container, region].map((handle) => nameOf(world, resolve(world, handle, RegionKind)));
    throw new LifetimeError(`cannot add "${what}" to "${to}": ${cause.message}`, { cause });
  }
}

/** The reference that every entity begins with: its owner's, or its creator's. */
function addCreationReference(world: World, id: number, owner: Owner | undefined): void {
  const kind = owner === undefined ? "external" : "parent";
  addReference(world, id, kind);
  if (world.debug) addSite(world, id, kind, callSite());
}

/** Also of what was dropped and is still pinned. @throws {TopologyError} if the region is not in this container. */
export function delSubregion(world: World, container: Region, region: Region): void {
  refuseMeanwhile(world, container);
  const above = resolve(world, container, RegionKind);
  const id = resolve(world, region, RegionKind);
  if (containers(world).container[id] !== above) {
    throw new TopologyError(`"${nameOf(world, id)}" is not in "${nameOf(world, above)}"`);
  }
  keepPlacement(world, id);
  markRegion(world, id);
  unlinkContained(world, id);
  commit(world);
}

/** A disabled region shows nothing, nor does what is below it; it keeps its place (C6). */
export function setEnabled(world: World, region: Region, value: boolean): void {
  const id = resolveLiving(world, region, RegionKind);
  if (((regions(world).flags[id]! & Flag.ENABLED) !== 0) === value) return;
  keepPlacement(world, id);
  markRegion(world, id);
  writeFlag(world, id, Flag.ENABLED, value);
  markRegion(world, id);
  commit(world);
}

/**
 * Moves a region. In a container it goes to the top among its equals (Q8). An address that a 64-bit float cannot hold is
 * accepted, since guests program addresses: the region shows nothing there, and a line is traced.
 */
export function setAddress(world: World, region: Region, value: number | bigint): void {
  const id = resolveLiving(world, region, RegionKind);
  const address = guestAddress(world, id, value);
  const columns = containers(world);
  if (Object.is(columns.address[id], address)) return;
  keepPlacement(world, id);
  const above = columns.container[id]!;
  if (above === 0) {
    writeAddress(world, id, address);
    return commit(world);
  }
  const priority = columns.priority[id]!;
  const order = world.policy.moveReorders ? undefined : columns.order[id]!;
  markRegion(world, id);
  unlinkContained(world, id);
  place(world, above, id, { address, priority, order });
  commit(world);
}

function guestAddress(world: World, region: number, value: number | bigint): number {
  const rounded = Number(value);
  if (typeof value === "bigint" && value >= 0n && value < 1n << 64n && BigInt(rounded) !== value) {
    world.trace(`"${nameOf(world, region)}" is not shown at ${formatAddress(value)}: not exact as a 64-bit float`);
    return NaN;
  }
  return exactAddress(value, `address of "${nameOf(world, region)}"`);
}

/** Changes how much a region covers; the bytes of RAM stay as they are. @throws {TopologyError} for more than its RAM. */
export function setSize(world: World, region: Region, value: number | bigint): void {
  const id = resolveLiving(world, region, RegionKind);
  const columns = regions(world);
  const size = exactAddress(value, `size of "${nameOf(world, id)}"`);
  const ram = columns.ram[id];
  if (ram !== undefined && size > ram.size) {
    throw new TopologyError(`"${nameOf(world, id)}" has ${ram.size} bytes of memory, so it cannot cover ${size}`);
  }
  if (columns.size[id] === size) return;
  keepPlacement(world, id);
  markRegion(world, id);
  writeSize(world, id, size);
  markRegion(world, id);
  commit(world);
}

/** Moves the window of an alias. @throws {TopologyError} if the region is not an alias. */
export function setAliasOffset(world: World, region: Region, value: number | bigint): void {
  const id = resolveLiving(world, region, RegionKind);
  const columns = regions(world);
  const offset = exactAddress(value, `offset of alias "${nameOf(world, id)}"`);
  if ((columns.flags[id]! & Flag.ALIAS) === 0) throw new TopologyError(`"${nameOf(world, id)}" is not an alias`);
  if (columns.window[id]?.offset === offset) return;
  keepPlacement(world, id);
  writeAliasOffset(world, id, offset);
  markRegion(world, id);
  commit(world);
}

/** Guests cannot write what is seen through the region. */
export function setReadonly(world: World, region: Region, value: boolean): void {
  setAttribute(world, region, Flag.READONLY, value);
}

export function setNonvolatile(world: World, region: Region, value: boolean): void {
  setAttribute(world, region, Flag.NONVOLATILE, value);
}

/** Ranges of the region are never joined with their neighbours. */
export function setUnmergeable(world: World, region: Region, value: boolean): void {
  setAttribute(world, region, Flag.UNMERGEABLE, value);
}

/** Whether a ROM device reads as memory (true) or through its handlers. @throws {TopologyError} for other kinds. */
export function setRomd(world: World, region: Region, value: boolean): void {
  const id = resolveLiving(world, region, RegionKind);
  if ((regions(world).flags[id]! & Flag.ROM_DEVICE) === 0) {
    throw new TopologyError(`"${nameOf(world, id)}" is not a ROM device`);
  }
  setAttribute(world, region, Flag.ROMD, value);
}

function setAttribute(world: World, region: Region, flag: number, value: boolean): void {
  const id = resolveLiving(world, region, RegionKind);
  if (((regions(world).flags[id]! & flag) !== 0) === value) return;
  keepPlacement(world, id);
  writeFlag(world, id, flag, value);
  markRegion(world, id);
  commit(world);
}

/** The address space that shows `root` from address 0. @throws {CycleError} if ownership would become circular. */
export function createAddressSpace(
  world: World,
  { name, root, owner }: { readonly name: string; readonly root: Region; readonly owner?: Owner },
): AddressSpace {
  const id = resolveLiving(world, root, RegionKind);
  const above = resolveOwner(world, owner);
  admitEdge(world, name, above, id);
  const space = newAddressSpace(world, name, id, above);
  addCreationReference(world, space.id, owner);
  const target = countedTarget(world, above, id);
  if (target !== 0) countEdge(world, space.id, "addressSpace", above, target);
  markRegion(world, id);
  commit(world);
  return space.handle;
}

/**
 * Ends an address space; readers may go on with its last view. Listeners are not told.
 *
 * @throws {InUseError} if it has listeners or is pinned (LC29).
 */
export function destroyAddressSpace(world: World, space: AddressSpace): void {
  const id = resolve(world, space, AddressSpaceKind);
  const [listener] = listenersOf(world, id);
  if (listener !== undefined) {
    const by = nameOf(world, listener.id);
    throw new InUseError(`cannot destroy address space "${nameOf(world, id)}": listener "${by}" is registered`);
  }
  const [mapping] = mappingsOf(world, spaceOf(world, space));
  if (mapping !== undefined) {
    throw new InUseError(`cannot destroy address space "${nameOf(world, id)}": ${mapping.describe()} is open`);
  }
  if (refCounts(world).total[id]! > 1) {
    throw new InUseError(`cannot destroy address space "${nameOf(world, id)}": it is pinned`);
  }
  drop(world, space);
}

/**
 * Registers callbacks and replays the current view to them (L4). Equal priorities are called in registration order.
 *
 * @throws {TopologyError} for both logSync and logSyncGlobal (L3), or if memory is tracked and `logGlobalStart` throws.
 * @throws {RefusedError} if its `regionPrepare` refuses what the space shows already.
 */
export function registerListener(
  world: World,
  space: AddressSpace,
  options: ListenerCallbacks & { readonly name: string; readonly priority?: number; readonly owner?: Owner },
): Listener {
  drainCoalesced(world); // before anything is looked at: handlers of collected writes may end the space
  const id = resolveLiving(world, space, AddressSpaceKind);
  const above = resolveOwner(world, options.owner);
  if (options.logSync !== undefined && options.logSyncGlobal !== undefined) {
    throw new TopologyError(`listener "${options.name}" has both logSync and logSyncGlobal`);
  }
  const record = newListener(world, options.name, above, id, options.priority ?? 0, options);
  addCreationReference(world, record.id, options.owner);
  const listener: Listener = handleOf(world, record.id);
  try {
    callbackTransaction(world, () => startListener(world, record)); // callbacks' changes wait for the end of the replay
  } catch (cause) {
    drop(world, listener);
    if (cause instanceof RefusedError) throw cause;
    throw new TopologyError(`listener "${options.name}" cannot track memory, which is being tracked`, { cause });
  }
  return listener;
}

/**
 * Replays the view as removed (L5), then ends the listener: it is not called again, whoever calls this (S109).
 *
 * @throws {LifetimeError} if it was done before, or is being done: the replay's callbacks cannot do it again.
 */
export function unregisterListener(world: World, listener: Listener): void {
  const record = listenerRecord(world, resolve(world, listener, ListenerKind));
  if (record !== undefined) cancelPrepared(world, record);
  callbackTransaction(world, () => {
    drop(world, listener);
    if (record !== undefined) stopListener(world, record);
  });
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

export function resolveOwner(world: World, owner: Owner | undefined): number {
  return owner === undefined ? 0 : resolveLiving(world, owner, OwnerKind);
}

/**
 * A dropped owner may still be used by what runs in its handlers; a dropped region or space has no new use.
 *
 * @throws {LifetimeError} if the entity was dropped or is being finalized, or a destructor of any other is running.
 */
export function resolveLiving(world: World, handle: number, kind: Kind): number {
  const id = resolve(world, handle, kind);
  const life = owners(world).life[id]!;
  if (life === Life.DYING || (life === Life.DROPPED && kind !== OwnerKind)) {
    throw new LifetimeError(`${kind.name} "${nameOf(world, id)}" ${whatBecameOf(world, id)}`);
  }
  refuseMeanwhile(world, handle);
  return id;
}

/** Why something that still exists takes nothing new. */
function whatBecameOf(world: World, id: number): string {
  if (owners(world).life[id] === Life.DYING) return "is being finalized: it only waits for its readers";
  return "was dropped: it is there only for those who still count on it, and takes nothing new";
}

function refuseMeanwhile(world: World, handle: number): void {
  if (!isFinalizing(world) && !isAsking(world)) return;
  const name = nameOf(world, resolveAny(world, handle));
  refuseWhileAsked(world, name);
  throw new LifetimeError(`a destructor must not change the topology ("${name}"): it may only enqueue`);
}
