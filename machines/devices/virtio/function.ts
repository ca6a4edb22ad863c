/**
 * Virtio function: what every virtio device is, whatever carries it (virtio 1.2, chapter 2): status, features, queues and
 * configuration. A transport (`mmio.ts`) drives it through the second half of this file; a kind of device (`block.ts`, …)
 * is a {@linkcode VirtioFunction} and uses the first half.
 *
 * @module
 */
import { type DeviceRow, deviceRow } from "../../../ecs/device.ts";
import type { PropertyDeclarations } from "../../../ecs/property.ts";
import type { World } from "../../../ecs/world.ts";
import { Attrs, MemTx } from "../../../systems/access.ts";
import { read, write } from "../../../systems/dma.ts";
import { resetDevice } from "../../../systems/plug.ts";
import {
  type Declaration,
  defineDevice,
  type Device,
  type DeviceType,
  type Instance,
  type PropertiesOf,
  schedule,
  setLine,
  trace,
} from "../define.ts";
import {
  type Chain,
  giveBack,
  type GuestRam,
  newQueues,
  peekChain,
  QueueFault,
  type Queues,
  reopenChain,
  RING_FEATURES,
  takeChain,
  wantsInterrupt,
} from "./queue.ts";

/** Device status (virtio 1.2, 2.1). */
export const STATUS = { DRIVER_OK: 4, FEATURES_OK: 8, NEEDS_RESET: 64 };
/** Bits of InterruptStatus (virtio 1.2, 4.2.2). */
export const INTERRUPT = { USED: 1, CONFIGURATION: 2 };
/** VIRTIO_F_VERSION_1 is bit 32: bit 0 of the high half. */
export const VERSION_1 = 1;
/** Where functions are plugged in. */
export const VIRTIO_BUS = "virtio-bus";

/** State of every function. Kinds of devices add their own fields. */
export interface VirtioState extends Queues {
  status: number;
  interruptStatus: number;
  /** Changes whenever the configuration does (virtio 1.2, 2.5.1). */
  generation: number;
  /** The queue that the transport's queue registers show. */
  queueSelect: number;
  /** Features that the driver has accepted, bits 0 to 31 and 32 to 63. */
  acceptedLow: number;
  acceptedHigh: number;
  /** Whether the transport shows the interface of before virtio 1.0. */
  legacy: boolean;
  /** The driver broke the rules; nothing is processed before a reset. */
  broken: boolean;
  /** Queues with work left over from a notification. */
  queuePending: Uint8Array;
}

export type VirtioInstance = Instance<VirtioState, object>;

/** What tells one kind of virtio device from another. */
export interface VirtioFunction<D> {
  /** Device ID (virtio 1.2, chapter 5). */
  readonly id: number;
  /** Features among bits 0 to 31 besides those that every function has. */
  features(d: D): number;
  /** The configuration space now. Free of side effects. */
  configuration?(d: D): Uint8Array;
  /** A write to the configuration, wholly inside it. */
  configure?(d: D, offset: number, value: number, size: number): void;
  /** Works on a queue: a bounded amount. `true`: there may be more, call again from a bottom half. */
  serve(d: D, queue: number): boolean;
}

interface VirtioType extends DeviceType {
  readonly virtio: VirtioFunction<unknown>;
}

/** Fields of {@linkcode VirtioState} at power-on, for queues of these sizes. */
export function virtioState(queueSizes: readonly number[]): VirtioState {
  return {
    ...newQueues(queueSizes),
    status: 0,
    interruptStatus: 0,
    generation: 0,
    queueSelect: 0,
    acceptedLow: 0,
    acceptedHigh: 0,
    legacy: false,
    broken: false,
    queuePending: new Uint8Array(queueSizes.length),
  };
}

/** A device type on the virtio bus. */
export function defineVirtioDevice<S extends VirtioState, P extends PropertyDeclarations>(
  declaration: Declaration<S, P> & { readonly virtio: VirtioFunction<Instance<S, PropertiesOf<P>>> },
): DeviceType<S, P> {
  return defineDevice<S, P>({
    ...declaration,
    bus: VIRTIO_BUS,
    survivesReset: ["legacy", ...declaration.survivesReset ?? []],
    outputs: { interrupt: 1 },
    bottomHalves: {
      serve: { guarded: true, run: servePending },
      ...declaration.bottomHalves,
    },
  });
}

// ---- for kinds of devices -------------------------------------------------------------------------------------------

/** Guest RAM as the function's DMA reaches it: never another device's registers, which could lead back here (S47). */
export function guestRam(d: VirtioInstance): GuestRam {
  const reach = (address: number, length: number) => address + length <= Number.MAX_SAFE_INTEGER;
  return {
    read: (address, into) =>
      reach(address, into.length) && read(d.world, d.addressSpace, address, into, Attrs.MEMORY) === MemTx.OK,
    write: (address, from) =>
      reach(address, from.length) && write(d.world, d.addressSpace, address, from, Attrs.MEMORY) === MemTx.OK,
  };
}

/** The next request of `queue`, if there is one. @throws {QueueFault} */
export function takeRequest(d: VirtioInstance, queue: number): Chain | undefined {
  return works(d) ? takeChain(guestRam(d), d.state, queue, accepted(d, RING_FEATURES.EVENT_IDX)) : undefined;
}

/** The next request of `queue`, which stays there. @throws {QueueFault} */
export function peekRequest(d: VirtioInstance, queue: number): Chain | undefined {
  return works(d) ? peekChain(guestRam(d), d.state, queue) : undefined;
}

/** A request taken before and not finished: for work in pieces. All of it is to be checked again. @throws {QueueFault} */
export function reopenRequest(d: VirtioInstance, queue: number, head: number): Chain {
  return reopenChain(guestRam(d), d.state, queue, head);
}

/** Hands a request back, `written` bytes of it filled, and tells the driver if it wants to know. @throws {QueueFault} */
export function finishRequest(d: VirtioInstance, queue: number, chain: Chain, written: number): void {
  // The device may have been reset or withdrawn since the request was taken: then it is nobody's any more.
  if (!works(d) || !d.state.queueReady[queue]) return;
  const ram = guestRam(d);
  giveBack(ram, d.state, queue, chain.head, written);
  if (wantsInterrupt(ram, d.state, queue, d.state.acceptedLow)) raise(d, INTERRUPT.USED);
}

/** Tells the driver that the configuration has changed. */
function configurationChanged(d: VirtioInstance): void {
  d.state.generation = (d.state.generation + 1) >>> 0;
  if (d.state.status & STATUS.DRIVER_OK) raise(d, INTERRUPT.CONFIGURATION);
}

/** Not after the driver broke the rules, nor once the device is withdrawn: a handler under way then finds no more work (LC20). */
function works(d: VirtioInstance): boolean {
  return !d.state.broken && (d as DeviceRow).stage === "realized";
}

/** Whether the driver has accepted a feature among bits 0 to 31. */
export function accepted(d: VirtioInstance, feature: number): boolean {
  return (d.state.acceptedLow & feature) !== 0;
}

/** Does a piece of work on queues; a {@linkcode QueueFault} in it makes the device need a reset (virtio 1.2, 2.1.1). */
export function contain<R>(d: VirtioInstance, work: () => R): R | undefined {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof QueueFault)) throw error;
    trace(d, "guest-error", `${error.message}; the device needs a reset`);
    d.state.broken = true;
    if (needsReset(d)) {
      d.state.status |= STATUS.NEEDS_RESET;
      configurationChanged(d);
    }
    return undefined;
  }
}

/** Drivers of before 1.0 know of no NEEDS_RESET. */
function needsReset({ state }: VirtioInstance): boolean {
  return state.broken && (state.acceptedHigh & VERSION_1) !== 0;
}

/** Works on `queue` now, as if the driver had notified it. */
export function serveQueue(d: VirtioInstance, queue: number): void {
  // Drivers of before 1.0 notify before they set DRIVER_OK; since then it comes first (virtio 1.2, 3.1.1).
  if (!works(d) || !d.state.queueReady[queue]) return;
  if (d.state.acceptedHigh & VERSION_1 && !(d.state.status & STATUS.DRIVER_OK)) return;
  if (contain(d, () => functionOf(d).serve(d, queue))) {
    d.state.queuePending[queue] = 1;
    schedule(d, "serve");
  }
}

function servePending(d: VirtioInstance): void {
  for (let queue = 0; queue < d.state.queuePending.length; queue++) {
    if (!d.state.queuePending[queue]) continue;
    d.state.queuePending[queue] = 0;
    serveQueue(d, queue);
  }
}

function raise(d: VirtioInstance, cause: number): void {
  d.state.interruptStatus |= cause;
  setLine(d, "interrupt", 1);
}

function functionOf(d: VirtioInstance): VirtioFunction<unknown> {
  return ((d as DeviceRow).type as VirtioType).virtio;
}

// ---- for transports -------------------------------------------------------------------------------------------------

/** The function `device` as a transport sees it. */
export function virtioInstance(world: World, device: Device): VirtioInstance {
  return deviceRow(world, device) as unknown as VirtioInstance;
}

/** Device ID of the function. */
export function functionId(d: VirtioInstance): number {
  return functionOf(d).id;
}

/** Features on offer, bits 0 to 31 and 32 to 63. */
export function offeredFeatures(d: VirtioInstance): { low: number; high: number } {
  const { NOTIFY_ON_EMPTY, INDIRECT_DESC, EVENT_IDX } = RING_FEATURES;
  const own = functionOf(d).features(d) | INDIRECT_DESC | EVENT_IDX;
  return d.state.legacy ? { low: own | NOTIFY_ON_EMPTY, high: 0 } : { low: own, high: VERSION_1 };
}

/** The driver's choice of features. @returns whether all of them are on offer; those that are not are left out. */
export function acceptFeatures(d: VirtioInstance, low: number, high: number): boolean {
  const offered = offeredFeatures(d);
  d.state.acceptedLow = low & offered.low;
  d.state.acceptedHigh = high & offered.high;
  return (low & ~offered.low) === 0 && (high & ~offered.high) === 0;
}

/** A write of the device status, which 0 resets (virtio 1.2, 2.1). */
export function writeStatus(d: VirtioInstance, status: number): void {
  if (status === 0) return resetDevice(d.world, d.device);
  d.state.status = needsReset(d) ? status | STATUS.NEEDS_RESET : status;
}

/** Withdraws causes of interrupts. */
export function acknowledge(d: VirtioInstance, causes: number): void {
  d.state.interruptStatus &= ~causes;
  setLine(d, "interrupt", d.state.interruptStatus !== 0);
}

/** Reads the configuration: little-endian; all ones where nothing is, as in QEMU. */
export function readConfiguration(d: VirtioInstance, offset: number, size: number): number {
  const bytes = functionOf(d).configuration?.(d);
  if (bytes === undefined || offset + size > bytes.length) return 2 ** (8 * size) - 1;
  let value = 0;
  for (let i = size - 1; i >= 0; i--) value = value * 256 + (bytes[offset + i] ?? 0);
  return value;
}

/** Writes the configuration; ignored where nothing is. */
export function writeConfiguration(d: VirtioInstance, offset: number, value: number, size: number): void {
  const virtio = functionOf(d);
  const bytes = virtio.configuration?.(d);
  if (bytes !== undefined && offset + size <= bytes.length) virtio.configure?.(d, offset, value, size);
}
