/**
 * Device: an owner that models a piece of hardware. What a kind of device is, is data ({@linkcode DeviceType}); what one
 * device is at the moment is a row ({@linkcode DeviceRow}) in the world's device table: devices are few, and what they hold
 * are mostly references, so that columns would gain nothing.
 */
import type { AddressSpace } from "./address_space.ts";
import type { BottomHalf } from "./bottom_half.ts";
import type { Bus } from "./bus.ts";
import type { Clock, Timer } from "./clock.ts";
import { nameOf, resolve } from "./handle.ts";
import type { InputLine, Level, OutputLine } from "./irq.ts";
import { type Device, OwnerKind } from "./owner.ts";
import type { PropertiesOf, PropertyDeclarations, PropertyValues } from "./property.ts";
import type { MmioOps, Region } from "./region.ts";
import { defineState, type World } from "./world.ts";

export type { Device };

/** One device as its handlers see it: the first argument of every handler. */
export interface Instance<S extends object, P extends object> {
  readonly world: World;
  readonly device: Device;
  readonly id: string;
  /** All that a snapshot must hold, as plain fields. */
  readonly state: S;
  readonly properties: P;
  /** Where the device's DMA goes. Throws {@linkcode DeviceError} if the creator named none. */
  readonly addressSpace: AddressSpace;
  /** Throws {@linkcode DeviceError} if the creator named none. */
  readonly clock: Clock;
}

/** A function of the properties; declared as a method so that types of devices can be listed together. */
type OfProperties<P, R> = { of(properties: P): R }["of"];

/** A number, or one that depends on the properties. */
export type Count<P> = number | OfProperties<P, number>;

export interface RegionDeclaration<S extends object, P extends object> {
  /** Bytes. */
  readonly size: Count<P>;
  /** Handlers of accesses; their `state` argument is the instance. */
  readonly ops: MmioOps<Instance<S, P>> | OfProperties<P, MmioOps<Instance<S, P>>>;
}

/** A kind of device. All callbacks are plain functions of the instance. */
export interface DeviceType<S extends object = object, P extends PropertyDeclarations = PropertyDeclarations> {
  /** Name of the type, as in QEMU's `-device` where that has it. */
  readonly type: string;
  /** One line for lists and documentation. */
  readonly description: string;
  /** Type of the bus that the device must be on. */
  readonly bus?: string;
  readonly properties?: P;
  /** Fields at power-on: numbers, bigints, booleans, strings, typed arrays, arrays of these. */
  state(properties: PropertiesOf<P>): S;
  /** State fields that reset leaves alone. */
  readonly survivesReset?: readonly string[];
  /** Level lines out: how many of each name. */
  readonly outputs?: { readonly [name: string]: Count<PropertiesOf<P>> };
  /** Level lines in. */
  readonly inputs?: {
    readonly [name: string]: {
      readonly count?: Count<PropertiesOf<P>>;
      /** Whether several sources may drive the line (their OR counts). */
      readonly fanIn?: boolean;
      set(d: Instance<S, PropertiesOf<P>>, index: number, level: Level): void;
    };
  };
  readonly timers?: {
    readonly [name: string]: {
      readonly count?: Count<PropertiesOf<P>>;
      fire(d: Instance<S, PropertiesOf<P>>, index: number): void;
    };
  };
  readonly bottomHalves?: {
    readonly [name: string]: { readonly guarded: boolean; run(d: Instance<S, PropertiesOf<P>>): void };
  };
  readonly regions?: { readonly [name: string]: RegionDeclaration<S, PropertiesOf<P>> };
  /** Devices that are part of this one: created, realized and unplugged with it. */
  readonly children?: {
    readonly [name: string]: { readonly type: DeviceType; properties?(p: PropertiesOf<P>): Record<string, unknown> };
  };
  /** Makes the device work. May throw; what it registered with `atUnrealize` until then is undone. */
  realize?(d: Instance<S, PropertiesOf<P>>): void;
  /** Stops new work; memory that accesses in flight may use stays until the device is finalized. */
  unrealize?(d: Instance<S, PropertiesOf<P>>): void;
  /** After the state fields are back at their power-on values and all outputs are low. */
  reset?(d: Instance<S, PropertiesOf<P>>): void;
}

/** Where in its life a device is (LC16). Finalized devices have no row. */
export type Stage = "created" | "realizing" | "realized" | "unrealizing" | "unplugged";

/** Where a region appears while its device is realized. */
export interface Placement {
  readonly region: Region;
  readonly container: Region;
  readonly offset: number | bigint;
  readonly priority: number;
}

/** What the world knows about one device. */
export class DeviceRow implements Instance<object, PropertyValues> {
  stage: Stage = "created";
  readonly regions: Record<string, Region> = {};
  readonly outputs: Record<string, OutputLine[]> = {};
  readonly inputs: Record<string, InputLine[]> = {};
  readonly timers: Record<string, Timer[]> = {};
  readonly bottomHalves: Record<string, BottomHalf> = {};
  /** In order of creation. */
  readonly children = new Map<string, Device>();
  readonly placements: Placement[] = [];
  /** Buses that the device offers. */
  readonly buses: Bus[] = [];
  /** What unrealize undoes, last first. */
  readonly undo: (() => void)[] = [];
  /** Trace lines written so far: guests can't flood the log. */
  traced = 0;

  constructor(
    readonly world: World,
    readonly device: Device,
    readonly id: string,
    readonly type: DeviceType,
    readonly properties: PropertyValues,
    readonly state: object,
    readonly parent: Device | undefined,
    readonly bus: Bus | undefined,
    private readonly dma: AddressSpace | undefined,
    private readonly time: Clock | undefined,
  ) {}

  get addressSpace(): AddressSpace {
    if (this.dma !== undefined) return this.dma;
    throw new DeviceError(`Device "${this.id}" (${this.type.type}) does DMA but was created without an address space`);
  }

  get clock(): Clock {
    if (this.time !== undefined) return this.time;
    throw new DeviceError(`Device "${this.id}" (${this.type.type}) keeps time but was created without a clock`);
  }
}

/** A device can't be created, configured, wired or realized as asked. */
export class DeviceError extends Error {
  override name = "DeviceError";
}

interface DeviceTable {
  readonly rows: Map<Device, DeviceRow>;
  readonly ids: Map<string, Device>;
  /** Backends in use, with the device that uses them. */
  readonly claims: Map<object, Device>;
}

const tableOf = defineState<DeviceTable>(() => ({ rows: new Map(), ids: new Map(), claims: new Map() }));

/**
 * The row of a device.
 *
 * @throws {StaleHandleError} if the device is finalized.
 * @throws {DeviceError} if the handle is that of an owner which is no device.
 */
export function deviceRow(world: World, device: Device): DeviceRow {
  const row = tableOf(world).rows.get(device);
  if (row !== undefined) return row;
  throw new DeviceError(`"${nameOf(world, resolve(world, device, OwnerKind))}" is not a device`);
}

/** All devices that are not finalized, in order of creation. */
export function deviceRows(world: World): Iterable<DeviceRow> {
  return tableOf(world).rows.values();
}

export function addDeviceRow(row: DeviceRow): void {
  const table = tableOf(row.world);
  table.rows.set(row.device, row);
  table.ids.set(row.id, row.device);
}

/** Frees the id for another device; the row stays until the device is finalized. */
export function freeDeviceId(row: DeviceRow): void {
  const { ids } = tableOf(row.world);
  if (ids.get(row.id) === row.device) ids.delete(row.id);
}

/** Forgets a device that is finalized, realized or not. */
export function removeDeviceRow(row: DeviceRow): void {
  freeDeviceId(row);
  const { rows, claims } = tableOf(row.world);
  for (const [target, user] of claims) if (user === row.device) claims.delete(target);
  rows.delete(row.device);
}

/** The device that goes by `id`. */
export function deviceById(world: World, id: string): Device | undefined {
  return tableOf(world).ids.get(id);
}

/** The device that uses `target`. */
export function claimant(world: World, target: object): Device | undefined {
  return tableOf(world).claims.get(target);
}

/** Every backend in use, with its user. */
export function claimedTargets(world: World): Iterable<[object, Device]> {
  return tableOf(world).claims;
}

/** Notes that `device` uses `target`, which must be free. */
export function claim(world: World, target: object, device: Device): void {
  tableOf(world).claims.set(target, device);
}

export function releaseClaim(world: World, target: object): void {
  tableOf(world).claims.delete(target);
}

export function setStage(row: DeviceRow, stage: Stage): void {
  row.stage = stage;
}

/** Notes `bus` with the device that offers it, if a device does. */
export function addBusToRow(world: World, bus: Bus): void {
  tableOf(world).rows.get(bus.owner as Device)?.buses.push(bus);
}

/** Puts state fields back to `powerOn`, but for those that survive a reset. */
export function restoreState(row: DeviceRow, powerOn: object): void {
  const kept = row.type.survivesReset ?? [];
  for (const [name, value] of Object.entries(powerOn)) {
    if (!kept.includes(name)) (row.state as Record<string, unknown>)[name] = value;
  }
  row.traced = 0;
}

/** How many trace lines the device has asked for, this one included. */
export function countTrace(row: DeviceRow): number {
  return ++row.traced;
}
