/** Bus: where devices of one kind are plugged in below the device or machine that offers it. */
import type { Device, Owner } from "./owner.ts";

export interface Bus {
  readonly name: string;
  /** Only devices whose type names this bus type fit. */
  readonly type: string;
  readonly owner: Owner;
  /** Devices that may be on the bus at a time. */
  readonly capacity: number;
  /** Tells the bus's owner of a child: last step of its realize. */
  readonly plugged: ((child: Device) => void) | undefined;
  /** First step of a child's unrealize. */
  readonly unplugged: ((child: Device) => void) | undefined;
  /** Children, created on the bus and not unplugged yet, in order of creation. */
  readonly children: Device[];
}

/** What a bus is made with: capacity and callbacks may be left out. */
export type BusOptions =
  & Pick<Bus, "name" | "type" | "owner">
  & Partial<Pick<Bus, "capacity" | "plugged" | "unplugged">>;

export function newBus(options: BusOptions): Bus {
  return { capacity: Infinity, plugged: undefined, unplugged: undefined, ...options, children: [] };
}

export function addToBus(bus: Bus, device: Device): void {
  bus.children.push(device);
}

export function removeFromBus(bus: Bus, device: Device): void {
  const at = bus.children.indexOf(device);
  if (at >= 0) bus.children.splice(at, 1);
}
