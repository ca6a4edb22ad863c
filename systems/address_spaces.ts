/** Address spaces: they and their listeners come and go. */
import { type AddressSpace, AddressSpaceKind, newAddressSpace, spaceOf } from "../ecs/address_space.ts";
import { handleOf, nameOf, resolve } from "../ecs/handle.ts";
import {
  type Listener,
  type ListenerCallbacks,
  ListenerKind,
  listenerRecord,
  listenersOf,
  newListener,
} from "../ecs/listener.ts";
import type { Owner } from "../ecs/owner.ts";
import { refCounts } from "../ecs/ref_count.ts";
import { type Region, RegionKind } from "../ecs/region.ts";
import type { World } from "../ecs/world.ts";
import { admitEdge, countedTarget, TopologyError } from "./admission.ts";
import { drainCoalesced } from "./coalesced_ring.ts";
import { markRegion } from "./dirty_windows.ts";
import { drop, InUseError } from "./finalize.ts";
import { mappingsOf } from "./map.ts";
import { startListener, stopListener } from "./notify.ts";
import { countEdge } from "./place.ts";
import { cancelPrepared, RefusedError } from "./prepare.ts";
import { callbackTransaction, commit } from "./transaction.ts";
import { addCreationReference, resolveLiving, resolveOwner } from "./living.ts";

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
