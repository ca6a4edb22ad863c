/** Adds devices to the buses of a built machine, in the places where QEMU would put them. */
import type { AddressSpace } from "../../ecs/address_space.ts";
import type { Bus } from "../../ecs/bus.ts";
import type { Clock } from "../../ecs/clock.ts";
import { type Device, deviceById, DeviceError, deviceRows } from "../../ecs/device.ts";
import type { Owner } from "../../ecs/owner.ts";
import type { World } from "../../ecs/world.ts";
import { plug } from "../../systems/plug.ts";
import type { AddedDevice } from "./options.ts";

/** What a device is added to. */
export interface DeviceHome {
  readonly world: World;
  readonly owner: Owner;
  readonly space: AddressSpace;
  readonly clock: Clock;
}

/**
 * Plugs a device into the bus that the request names, else into a free one. Of the virtio slots the last free one is taken,
 * as QEMU does: guests name their disks in that order.
 *
 * @throws {DeviceError} if there is no such bus or none is free, or the type refuses its properties.
 */
export function addDevice(home: DeviceHome, request: AddedDevice): Device {
  const { world, owner, space, clock } = home;
  const { type, properties } = request;
  const id = request.id ?? freeId(world, type.type);
  const bus = type.bus === undefined ? undefined : findBus(world, id, type.bus, request);
  const place = { addressSpace: space, clock, ...(bus && { bus }), ...(properties && { properties }) };
  return plug(world, type, { id, owner, ...place });
}

function findBus(world: World, id: string, kind: string, request: AddedDevice): Bus {
  const fitting = [...deviceRows(world)].flatMap((row) => row.buses).filter((bus) => bus.type === kind);
  if (request.bus !== undefined) {
    const named = fitting.find((bus) => bus.name === request.bus);
    if (named !== undefined) return named;
    throw new DeviceError(`Device "${id}" names bus "${request.bus}", but there is no such ${kind}`);
  }
  const free = fitting.findLast((bus) => bus.children.length < bus.capacity);
  if (free !== undefined) return free;
  const why = fitting.length === 0 ? "there is none" : "all are taken";
  throw new DeviceError(`Device "${id}" (${request.type.type}) needs a ${kind}, and ${why}`);
}

function freeId(world: World, type: string): string {
  let number = 0;
  while (deviceById(world, `${type}.${number}`) !== undefined) number++;
  return `${type}.${number}`;
}
