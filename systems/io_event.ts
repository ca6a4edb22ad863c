/**
 * Io events: a region may say that certain writes set a notifier and call no handler, so that a guest can ring a doorbell
 * without waiting for the device (ioeventfd; specification 1.9). Registrations change in transactions like topology
 * does, but without begin and commit (E5). They are weak, as aliases are: whichever end dies first takes them along.
 */
import { exactAddress, formatAddress } from "../ecs/address.ts";
import { handleOf, nameOf, resolve } from "../ecs/handle.ts";
import {
  compareIoEvents,
  findIoEvent,
  type IoEvent,
  linkIoEvent,
  newNotifier,
  type Notifier,
  NotifierKind,
  notifierRecord,
  unlinkIoEvent,
} from "../ecs/io_event.ts";
import type { Owner } from "../ecs/owner.ts";
import { addReference } from "../ecs/ref_count.ts";
import { type AccessSize, type Region, RegionKind, regions } from "../ecs/region.ts";
import type { World } from "../ecs/world.ts";
import { highBits, lowBits } from "./access.ts";
import { TopologyError } from "./admission.ts";
import { drop } from "./finalize.ts";
import { markIoEvents } from "./io_event_lists.ts";
import { resolveLiving, resolveOwner } from "./living.ts";
import { commit } from "./transaction.ts";

/** Which write sets which notifier. */
export interface IoEventOptions {
  /** Bytes from the region's start. */
  readonly offset: number | bigint;
  /** Bytes of the write; 0: of any size. */
  readonly size: 0 | AccessSize;
  /** Only a write of this value, as a little-endian access makes it; default: of any. Not with size 0. */
  readonly data?: number | bigint;
  readonly notifier: Notifier;
}

/**
 * Something that a write can set. `signal` is called in the middle of the write, in a read scope and without any device's
 * guard; it should only note the event: schedule a bottom half, wake a worker.
 */
export function createNotifier(
  world: World,
  { name, owner, signal }: { readonly name: string; readonly owner?: Owner; readonly signal: () => void },
): Notifier {
  const id = newNotifier(world, name, resolveOwner(world, owner), signal);
  addReference(world, id, owner === undefined ? "external" : "parent");
  return handleOf(world, id);
}

/**
 * Ends a notifier; the same as dropping it.
 *
 * @throws {InUseError} naming region and offset, if an io event sets it, or one was taken out in a transaction that has
 * not ended: listeners still hold it (E6, S120).
 */
export function closeNotifier(world: World, notifier: Notifier): void {
  resolve(world, notifier, NotifierKind);
  drop(world, notifier);
}

/**
 * Lets writes set a notifier.
 *
 * @throws {TopologyError} if the region has no handlers or the same io event already, or the data do not fit the size.
 */
export function addIoEvent(world: World, region: Region, options: IoEventOptions): void {
  const event = resolveIoEvent(world, region, options);
  if (!linkIoEvent(world, event)) {
    throw new TopologyError(`${describe(world, event)} is there already`);
  }
  markIoEvents(world);
  commit(world);
}

/**
 * Takes an io event out.
 *
 * @throws {TopologyError} if the region has no such io event.
 */
export function delIoEvent(world: World, region: Region, options: IoEventOptions): void {
  const event = resolveIoEvent(world, region, options);
  const present = regions(world).tap[event.region]?.ioEvents ?? [];
  const found = world.policy.ioEventLooseDelete
    ? present.find((other) => isLike(other, event))
    : findIoEvent(present, event);
  if (found === undefined) throw new TopologyError(`${describe(world, event)} is not there`);
  unlinkIoEvent(world, found);
  markIoEvents(world, found);
  commit(world);
}

/** The compatible side of Q19: size 0 on either side is like anything at the same place, whatever it sets. */
function isLike(a: IoEvent, b: IoEvent): boolean {
  return compareIoEvents(a, b) === 0 || (a.offset === b.offset && (a.size === 0 || b.size === 0));
}

function resolveIoEvent(world: World, region: Region, { offset, size, data, notifier }: IoEventOptions): IoEvent {
  const id = resolveLiving(world, region, RegionKind);
  const name = nameOf(world, id);
  if (regions(world).mmio[id] === undefined) {
    throw new TopologyError(`"${name}" has no handlers, so a write to it cannot set a notifier instead`);
  }
  if (![0, 1, 2, 4, 8].includes(size)) throw new TopologyError(`an io event of "${name}" has a size of ${size} bytes`);
  if (data !== undefined && (size === 0 || BigInt.asUintN(8 * size, BigInt(data)) !== BigInt(data))) {
    throw new TopologyError(`an io event of "${name}" for writes of ${size} bytes cannot match ${data}`);
  }
  const record = notifierRecord(world, resolveLiving(world, notifier, NotifierKind))!; // a living notifier has one
  return {
    region: id,
    offset: exactAddress(offset, `offset of an io event of "${name}"`),
    size,
    matches: data !== undefined,
    low: lowBits(data ?? 0),
    high: highBits(data ?? 0),
    notifier: record,
  };
}

function describe(world: World, { region, offset, size, notifier }: IoEvent): string {
  const writes = size === 0 ? "writes of any size" : `writes of ${size} bytes`;
  const name = nameOf(world, resolve(world, notifier.handle, NotifierKind));
  return `the io event of "${nameOf(world, region)}" at ${formatAddress(offset)} for ${writes} to "${name}"`;
}
