/**
 * Create: a device comes to be out of its type, with its regions, lines, timers, bottom halves and children, but does not
 * work yet; and what was created is dropped again, whole.
 */
import type { AddressSpace } from "../ecs/address_space.ts";
import { addToBus, type Bus, type BusOptions, newBus, removeFromBus } from "../ecs/bus.ts";
import type { Clock } from "../ecs/clock.ts";
import {
  addBusToRow,
  addDeviceRow,
  type Count,
  type Device,
  deviceById,
  DeviceError,
  DeviceRow,
  deviceRow,
  type DeviceType,
  freeDeviceId,
  removeDeviceRow,
  setStage,
} from "../ecs/device.ts";
import { newInputLine, newOutputLine } from "../ecs/irq.ts";
import type { Owner } from "../ecs/owner.ts";
import type { PropertyDeclarations, PropertyValues } from "../ecs/property.ts";
import type { World } from "../ecs/world.ts";
import { createBottomHalf } from "./bottom_half.ts";
import { checkState, configure } from "./configure.ts";
import { drop, onFinalize } from "./finalize.ts";
import { disconnect } from "./interrupts.ts";
import { createTimer } from "./timers.ts";
import { createMmio, createOwner } from "./create_region.ts";

export interface DeviceOptions {
  /** Unique in the world until the device is unplugged. */
  readonly id: string;
  /** Whose life bounds the device's: the machine, or the device it is part of. */
  readonly owner: Owner;
  readonly properties?: PropertyValues;
  /** Where DMA goes. */
  readonly addressSpace?: AddressSpace;
  readonly clock?: Clock;
  /** Required if the type names a bus. */
  readonly bus?: Bus;
}

/**
 * A device of `type`, not working yet: its regions, lines, timers and children exist.
 *
 * @throws {DeviceError} one sentence about the first thing that is wrong; then nothing was created.
 */
export function createDevice<S extends object, P extends PropertyDeclarations>(
  world: World,
  type: DeviceType<S, P>,
  options: DeviceOptions,
): Device {
  return create(world, type as DeviceType, options, undefined);
}

function create(world: World, type: DeviceType, options: DeviceOptions, parent: Device | undefined): Device {
  const { id, owner, bus } = options;
  if (deviceById(world, id) !== undefined) throw new DeviceError(`A device with id "${id}" exists already`);
  checkBus(id, type, bus);
  const properties = configure(id, type, options.properties ?? {});
  const state = type.state(properties);
  checkState(id, type, state);

  const device = createOwner(world, { name: id, owner, device: true }) as Device;
  try {
    const row = new DeviceRow(
      world,
      device,
      id,
      type,
      properties,
      state,
      parent,
      bus,
      options.addressSpace,
      options.clock,
    );
    addDeviceRow(row);
    onFinalize(world, device, () => removeDeviceRow(row));
    if (bus !== undefined) addToBus(bus, device);
    createParts(row);
    for (const [name, child] of Object.entries(type.children ?? {})) {
      const given = child.properties?.(properties);
      const { addressSpace, clock } = options;
      const childOptions = { id: `${id}/${name}`, owner: device, properties: given, addressSpace, clock };
      row.children.set(name, create(world, child.type, childOptions, device));
    }
    return device;
  } catch (error) {
    discardDevice(world, device);
    throw error;
  }
}

function checkBus(id: string, type: DeviceType, bus: Bus | undefined): void {
  if (bus?.type !== type.bus) {
    const wanted = type.bus === undefined ? "does not go on a bus" : `must be on a bus of type ${type.bus}`;
    throw new DeviceError(`Device "${id}" (${type.type}) ${wanted}`);
  }
  if (bus !== undefined && bus.children.length >= bus.capacity) {
    throw new DeviceError(`Device "${id}" (${type.type}) finds no free place on bus "${bus.name}"`);
  }
}

/** Regions, lines, timers and bottom halves as the type declares them. */
function createParts(row: DeviceRow): void {
  const { world, device: owner, id, type, properties } = row;
  const amount = (count: Count<never> = 1) => typeof count === "number" ? count : count(properties as never);
  const indices = (count: Count<never> | undefined) => Array.from({ length: amount(count) }, (_, index) => index);
  const running = () => row.stage === "realized" || row.stage === "realizing";

  for (const [name, region] of Object.entries(type.regions ?? {})) {
    const ops = typeof region.ops === "function" ? region.ops(properties) : region.ops;
    row.regions[name] = createMmio(world, { name: `${id}.${name}`, size: amount(region.size), owner, ops, state: row });
  }
  for (const [name, count] of Object.entries(type.outputs ?? {})) {
    row.outputs[name] = indices(count).map((index) => newOutputLine(name, index));
  }
  for (const [name, input] of Object.entries(type.inputs ?? {})) {
    row.inputs[name] = indices(input.count).map((index) =>
      newInputLine(name, index, input.fanIn ?? false, (level) => {
        if (running()) input.set(row, index, level);
      })
    );
  }
  for (const [name, timer] of Object.entries(type.timers ?? {})) {
    row.timers[name] = indices(timer.count).map((index) =>
      createTimer(world, { name: `${id}.${name}`, owner, clock: row.clock, callback: () => timer.fire(row, index) })
    );
  }
  for (const [name, half] of Object.entries(type.bottomHalves ?? {})) {
    const { guarded } = half;
    row.bottomHalves[name] = createBottomHalf(world, {
      name: `${id}.${name}`,
      owner,
      guarded,
      callback: () => half.run(row),
    });
  }
}

/** A bus that `owner` offers. */
export function createBus(world: World, options: BusOptions): Bus {
  const created = newBus(options);
  addBusToRow(world, created);
  return created;
}

/** Devices on `bus`, in order of creation. */
export function devicesOn(bus: Bus): readonly Device[] {
  return [...bus.children];
}

/** Gives up a device that does not work (any more), with its parts: ids, places on buses and wires are free at once. */
export function discardDevice(world: World, device: Device): void {
  detach(world, device);
  drop(world, device);
}

function detach(world: World, device: Device): void {
  const row = deviceRow(world, device);
  for (const child of row.children.values()) detach(world, child);
  freeDeviceId(row);
  if (row.bus !== undefined) removeFromBus(row.bus, device);
  disconnect(row);
  setStage(row, "unplugged");
}
