/**
 * Freehold: QEMU's memory model as an entity-component system with explicit ownership, and a RISC-V machine on it.
 *
 * A program can use it on three levels. A whole machine, in one call:
 *
 * ```ts
 * import { createVirt } from "./mod.ts";
 *
 * const bytes = Deno.readFileSync("program.bin");
 * const machine = createVirt({ kernel: { name: "program", bytes }, onOutput: (byte) => console.log(byte) });
 * const { status } = await machine.run();
 * machine.dispose();
 * ```
 *
 * A device of one's own, declared with {@linkcode defineDevice} and put into a machine or into a bare address space with
 * {@linkcode plug}. And the memory model alone: regions, address spaces, listeners and transactions over a
 * {@linkcode createWorld world}, with {@linkcode whyAlive}, {@linkcode audit}, {@linkcode mtree} and
 * {@linkcode memoryMap} to look at it.
 *
 * @module
 */

// The memory model: what exists.
export { createWorld, type Policy, type World, type WorldOptions } from "./ecs/world.ts";
export type { Access } from "./ecs/world.ts";
export type { Owner } from "./ecs/owner.ts";
export type { AccessSize, MmioOps, Region } from "./ecs/region.ts";
export type { AddressSpace } from "./ecs/address_space.ts";
export type { Notifier } from "./ecs/io_event.ts";
export type { CoalescedSection, IoEventSection, Listener, ListenerCallbacks, Section } from "./ecs/listener.ts";
export { createGuestMemory, type GuestMemory, OutOfGuestMemoryError, type RamBlock } from "./ecs/ram_block.ts";
export { isAlive, StaleHandleError } from "./ecs/handle.ts";
export { InexactAddressError } from "./ecs/address.ts";
export type { ReferenceKind } from "./ecs/ref_count.ts";

// Its verbs.
export {
  createAddressSpace,
  destroyAddressSpace,
  registerListener,
  unregisterListener,
} from "./systems/address_spaces.ts";
export {
  createAlias,
  createContainer,
  createMmio,
  createOwner,
  createRam,
  createReservation,
  createRom,
  createRomDevice,
  type MmioOptions,
  observeStores,
  ramOf,
  type RamOptions,
  type RegionOptions,
} from "./systems/create_region.ts";
export {
  addSubregion,
  delSubregion,
  setAddress,
  setAliasOffset,
  setEnabled,
  setNonvolatile,
  setReadonly,
  setRomd,
  setSize,
  setUnmergeable,
} from "./systems/topology.ts";
export { addIoEvent, closeNotifier, createNotifier, delIoEvent, type IoEventOptions } from "./systems/io_event.ts";
export { addCoalescing, clearCoalescing, setCoalescing, setFlushCoalesced } from "./systems/coalesced.ts";
export { closeCoalescedRing, drainCoalesced, openCoalescedRing } from "./systems/coalesced_ring.ts";
export {
  clearDirtyLog,
  DirtyLogError,
  type DirtySnapshot,
  finishSync,
  flushRomDevice,
  getDirty,
  markDirty,
  resetDirty,
  setLog,
  snapshotAndClear,
  snapshotGetDirty,
  syncDirtyLog,
} from "./systems/dirty_log.ts";
export {
  forgetGuest,
  setGuestRunning,
  startDirtyTracking,
  stopDirtyTracking,
  trackingReasons,
} from "./systems/dirty_tracking.ts";
export { DIRTY_PAGE, DirtyClient, type TrackingReason } from "./ecs/dirty_bitmap.ts";
export { transaction } from "./systems/transaction.ts";
export { RefusedError } from "./systems/prepare.ts";
export { Attrs, MemTx } from "./systems/access.ts";
export { load, peek, read, store, write, writeRom } from "./systems/dma.ts";
export { map, type MapOptions, type Mapping, MappingError, setBounceLimit, unmap } from "./systems/map.ts";
export { cancelWait, type MapWaiter, waitForBudget } from "./systems/map_waiter.ts";
export { cacheRead, cacheWrite, createCache, destroyCache, type TranslationCache } from "./systems/cache.ts";
export { findInRegion, findSection, type FoundSection, isPresent, releaseSection } from "./systems/find_section.ts";
export { ClosedError } from "./systems/holding.ts";
export {
  addIommuNotifier,
  createIommu,
  IommuError,
  type NotifierOptions,
  notifyIommu,
  type RegisteredNotifier,
  removeIommuNotifier,
  replayIommu,
} from "./systems/iommu.ts";
export { type IommuOps, Permission, type Translation } from "./ecs/iommu.ts";
export { type IommuEvent, NotifierEvent } from "./ecs/iommu_notifier.ts";
export {
  createRamDevice,
  createRamPointer,
  createResizableRam,
  RamError,
  type RamPointerOptions,
  type ResizableRamOptions,
  resizeRam,
} from "./systems/ram_kinds.ts";
export { addRamNotifier, type RamNotifier, removeRamNotifier } from "./systems/ram_notifier.ts";
export {
  addDiscardListener,
  createDiscardManager,
  discard,
  DiscardError,
  type DiscardListener,
  isPopulated,
  populate,
  removeDiscardListener,
} from "./systems/discard.ts";
export { drain, DrainInScopeError, DrainInTransactionError, readScope, unregisterReader } from "./systems/scope.ts";
export {
  publish,
  type PublishedView,
  PublishedViewFullError,
  type PublishOptions,
  unpublish,
} from "./systems/published_view.ts";
export {
  openPublishedView,
  PublishedReader,
  PublishedReaderError,
  type SharedView,
} from "./systems/published_reader.ts";
export { registerWorkerReader, type WorkerReader } from "./systems/worker_readers.ts";
export type { ReaderSlot } from "./ecs/epochs.ts";
export { type StalledReader, stalledReaders } from "./systems/stalled_readers.ts";
export { drop, onFinalize, reference, release } from "./systems/finalize.ts";
export { disposeWorld } from "./systems/dispose.ts";
export { audit, AuditError, type Reason, type WhyAlive, whyAlive } from "./systems/inspect.ts";
export { type Leak, leaks } from "./systems/leaks.ts";
export { NoTimelineError, timeline, timelineText, timelineTrace, type TraceEvent } from "./systems/timeline.ts";
export type { EventKind, LifeEvent } from "./ecs/event_ring.ts";
export {
  mtree,
  mtreeJson,
  type RangeLine,
  type RegionKindName,
  type RegionTree,
  type SpaceTree,
} from "./systems/mtree.ts";
export {
  type EntityEntry,
  type Hex,
  type IoEventEntry,
  type LifeName,
  type ListenerEntry,
  type MemoryMap,
  memoryMap,
  type OwnerEntry,
  type PinEntry,
  type RamEntry,
  type RangeEntry,
  type RegionEntry,
  type SpaceEntry,
  type ViewEntry,
} from "./systems/memory_map.ts";

// Devices: declared as data.
export * from "./machines/devices/define.ts";
export { createDevice, type DeviceOptions } from "./systems/create_device.ts";
export { isRealized, type MapAt, mapRegion, plug, realize, resetDevice, unplug, unrealize } from "./systems/plug.ts";
export { connect, driveInput, type LineEnd } from "./systems/interrupts.ts";
export { createClock, nextDeadline, runDueTimers } from "./systems/timers.ts";

// The machine.
export { createVirt, MachineError, type VirtMachine } from "./machines/virt/machine.ts";
export type { AddedDevice, ExitStatus, VirtOptions } from "./machines/virt/options.ts";
export type { Board } from "./machines/virt/board.ts";
export { MEMORY_MAP } from "./machines/virt/memory_map.ts";
export type { Hart } from "./machines/riscv/hart.ts";
export { disassemble } from "./machines/riscv/disassemble.ts";
export {
  CallbackBackend,
  type CharacterBackend,
  type CharacterFrontend,
  type HostedCharacterBackend,
  NullBackend,
} from "./machines/backends/character.ts";
export type { ImageFile } from "./machines/loader/image.ts";
export { ImageError } from "./machines/loader/part.ts";
export { type CommandLineIo, runCommandLine } from "./machines/main.ts";
