/**
 * Plug: a device's life in three stages (LC16). `realize` makes it work and publishes it last; `unrealize` withdraws it
 * first and stops new work; what accesses in flight still use is freed when the core finalizes the device.
 */
import {
  claim,
  claimant,
  type Device,
  DeviceError,
  type DeviceRow,
  deviceRow,
  deviceRows,
  type DeviceType,
  type Instance,
  releaseClaim,
  restoreState,
  setStage,
} from "../ecs/device.ts";
import { containers } from "../ecs/container.ts";
import { handleOf, resolve } from "../ecs/handle.ts";
import { Life, OwnerKind, owners } from "../ecs/owner.ts";
import type { PropertiesOf, PropertyDeclarations } from "../ecs/property.ts";
import { type Region, RegionKind } from "../ecs/region.ts";
import type { World } from "../ecs/world.ts";
import { cancelBottomHalf } from "./bottom_half.ts";
import { createDevice, type DeviceOptions, discardDevice } from "./create_device.ts";
import { closeHoldings } from "./holding.ts";
import { reference, release } from "./finalize.ts";
import { deliverInputs, lowerOutputs } from "./interrupts.ts";
import { clearTimer } from "./timers.ts";
import { addSubregion, delSubregion } from "./topology.ts";
import { transaction } from "./transaction.ts";
import { standing } from "./undo.ts";

/** Where {@linkcode plug} maps a region of the device. */
export interface MapAt {
  readonly region: string;
  readonly container: Region;
  readonly offset: number | bigint;
  readonly priority?: number;
}

/**
 * Creates a device, maps it and realizes it. If any of it fails, all of it is dropped and the id is free again (S148, S149).
 *
 * @throws {DeviceError} or what the type's realize throws.
 */
export function plug<S extends object, P extends PropertyDeclarations>(
  world: World,
  type: DeviceType<S, P>,
  options: DeviceOptions & { readonly at?: readonly MapAt[] },
): Device {
  const device = createDevice(world, type, options);
  try {
    for (const { region, container, offset, priority } of options.at ?? []) {
      mapRegion(world, device, region, container, offset, { priority });
    }
    realize(world, device);
    return device;
  } catch (error) {
    discardDevice(world, device);
    throw error;
  }
}

/** Maps a region of the device: at once if it is realized, else as the last step of its realize. Unrealize unmaps it. */
export function mapRegion(
  world: World,
  device: Device,
  region: string,
  container: Region,
  offset: number | bigint,
  options: { readonly priority?: number } = {},
): void {
  const row = deviceRow(world, device);
  const placement = { region: deviceRegion(world, device, region), container, offset, priority: options.priority ?? 0 };
  if (row.stage === "realized") {
    addSubregion(world, container, offset, placement.region, { priority: placement.priority });
  }
  row.placements.push(placement);
}

/**
 * Makes a created device work: backends claimed, own realize, children, then publication. Every step that was done is
 * undone if a later one fails (S148).
 *
 * @throws {DeviceError} if the device is not in the stage for it or a backend is in use; whatever the type's realize throws.
 */
export function realize(world: World, device: Device): void {
  const row = deviceRow(world, device);
  if (row.stage !== "created") throw new DeviceError(`Device "${row.id}" is ${row.stage} and can't be realized`);
  setStage(row, "realizing");
  try {
    claimLinks(row);
    row.type.realize?.(row);
    row.undo.push(() => row.type.unrealize?.(row));
    for (const child of row.children.values()) {
      realize(world, child);
      row.undo.push(() => unrealize(world, child));
    }
    deliverInputs(row);
    publish(row);
    setStage(row, "realized");
  } catch (error) {
    withdraw(row);
    setStage(row, "created");
    throw error;
  }
}

function claimLinks(row: DeviceRow): void {
  const { world, device, type, properties } = row;
  for (const [name, declaration] of Object.entries(type.properties ?? {})) {
    if (declaration.kind !== "link" || declaration.shared) continue;
    const target = (properties as Record<string, object | undefined>)[name];
    if (target === undefined) continue;
    const user = claimant(world, target);
    if (user !== undefined) {
      throw new DeviceError(
        `Property "${name}" of device "${row.id}" names a backend that device "${deviceRow(world, user).id}" uses`,
      );
    }
    claim(world, target, device);
    row.undo.push(() => releaseClaim(world, target));
  }
}

/** From here on guests and the bus's owner see the device. */
function publish(row: DeviceRow): void {
  const { world, bus, placements } = row;
  transaction(world, () => {
    for (const { container, offset, region, priority } of placements) {
      addSubregion(world, container, offset, region, { priority });
    }
  });
  bus?.plugged?.(row.device);
}

/**
 * Withdraws a realized device: nobody finds it any more, its lines are low, its timers and bottom halves are cancelled, its
 * backends are free. Legal within its own handlers (LC20), which may go on using `d`. Does nothing if it is not realized.
 */
export function unrealize(world: World, device: Device): void {
  const row = deviceRow(world, device);
  if (row.stage !== "realized") return;
  setStage(row, "unrealizing");
  whilePinned(world, device, () => {
    row.bus?.unplugged?.(device);
    for (const bus of row.buses) for (const child of [...bus.children].reverse()) unrealize(world, child);
    withdraw(row);
    setStage(row, "created");
  });
}

/** Unrealizes a device and lets it go: with the last pin on it, the core finalizes it. */
export function unplug(world: World, device: Device): void {
  const row = deviceRow(world, device);
  if (row.parent !== undefined) {
    throw new DeviceError(`Device "${row.id}" is a part of another and can't be unplugged alone`);
  }
  if (row.stage !== "realized" && row.stage !== "created") {
    throw new DeviceError(`Device "${row.id}" is ${row.stage} and can't be unplugged`);
  }
  whilePinned(world, device, () => {
    unrealize(world, device);
    for (const bus of row.buses) for (const child of [...bus.children].reverse()) unplug(world, child);
    discardDevice(world, device);
  });
}

/** Where the owner above was dropped before, the first region that is unmapped could end both in the middle of `body`. */
function whilePinned(world: World, device: Device, body: () => void): void {
  if (owners(world).life[resolve(world, device, OwnerKind)] === Life.DYING) return body();
  reference(world, device, "callback");
  try {
    body();
  } finally {
    release(world, device, "callback");
  }
}

/** Unplugs every device of the world, the last created first: the end of a machine. */
export function unplugAll(world: World): void {
  for (const row of [...deviceRows(world)].reverse()) {
    if (row.parent === undefined && row.stage !== "unplugged") unplug(world, row.device);
  }
}

/** Undoes what realize did, the last first. */
function withdraw(row: DeviceRow): void {
  const { world } = row;
  standing(world, () =>
    transaction(world, () => {
      for (const region of Object.values(row.regions)) {
        const container = containers(world).container[resolve(world, region, RegionKind)] ?? 0;
        if (container !== 0) delSubregion(world, handleOf<Region>(world, container), region);
      }
    }));
  stopWork(row);
  closeHoldings(world, row.device);
  for (let undo = row.undo.pop(); undo !== undefined; undo = row.undo.pop()) {
    try {
      undo();
    } catch (error) {
      world.reportFault(new DeviceError(`Unrealize of device "${row.id}" failed in part`, { cause: error }));
    }
  }
}

function stopWork(row: DeviceRow): void {
  lowerOutputs(row);
  for (const timers of Object.values(row.timers)) for (const timer of timers) clearTimer(row.world, timer);
  for (const half of Object.values(row.bottomHalves)) cancelBottomHalf(row.world, half);
}

/** For realize: what unrealize, or the failure of a later step, has to undo. */
export function atUnrealize(d: Instance<object, object>, undo: () => void): void {
  (d as DeviceRow).undo.push(undo);
}

/** Power-on state: children and devices on its buses first; outputs low, timers unset; inputs that are high are told again. */
export function resetDevice(world: World, device: Device): void {
  const row = deviceRow(world, device);
  for (const child of row.children.values()) resetDevice(world, child);
  for (const bus of row.buses) for (const child of [...bus.children]) resetDevice(world, child);
  if (row.stage !== "realized") return;
  stopWork(row);
  restoreState(row, row.type.state(row.properties));
  row.type.reset?.(row);
  deliverInputs(row);
}

/** The device as its handlers see it. @throws {DeviceError} if it is not of that type. */
export function instance<S extends object, P extends PropertyDeclarations>(
  world: World,
  device: Device,
  type: DeviceType<S, P>,
): Instance<S, PropertiesOf<P>> {
  const row = deviceRow(world, device);
  if (row.type !== type as unknown) {
    throw new DeviceError(`Device "${row.id}" is of type ${row.type.type}, not ${type.type}`);
  }
  return row as unknown as Instance<S, PropertiesOf<P>>;
}

/** A region that the device's type declares. */
export function deviceRegion(world: World, device: Device, name: string): Region {
  const row = deviceRow(world, device);
  const region = row.regions[name];
  if (region === undefined) throw new DeviceError(`Device "${row.id}" (${row.type.type}) has no region "${name}"`);
  return region;
}

/** A device that is part of another. */
export function childDevice(world: World, device: Device, name: string): Device {
  const row = deviceRow(world, device);
  const child = row.children.get(name);
  if (child === undefined) throw new DeviceError(`Device "${row.id}" (${row.type.type}) has no child "${name}"`);
  return child;
}

export function isRealized(world: World, device: Device): boolean {
  return deviceRow(world, device).stage === "realized";
}
