/** A small machine around virtio slots: RAM, a few transports, and the functions that a test plugs into them. */
import { createGuestMemory } from "../../../../ecs/ram_block.ts";
import type { AddressSpace } from "../../../../ecs/address_space.ts";
import type { Device, DeviceType } from "../../../../ecs/device.ts";
import type { Owner } from "../../../../ecs/owner.ts";
import type { PropertyDeclarations } from "../../../../ecs/property.ts";
import { createWorld, type World } from "../../../../ecs/world.ts";
import { read, write } from "../../../../systems/dma.ts";
import { audit } from "../../../../systems/inspect.ts";
import { runBottomHalves } from "../../../../systems/bottom_half.ts";
import { connect } from "../../../../systems/interrupts.ts";
import { plug } from "../../../../systems/plug.ts";
import { createAddressSpace } from "../../../../systems/address_spaces.ts";
import { createContainer, createOwner, createRam } from "../../../../systems/create_region.ts";
import { addSubregion } from "../../../../systems/topology.ts";
import { virtioBus, virtioMmio } from "../../../../machines/devices/virtio/mmio.ts";
import { Driver, type GuestBus } from "./driver.ts";

export const RAM = 0x80000000;
export const RAM_BYTES = 0x100000;
export const SLOT = 0x10001000;
/** Where tests put rings, and data above them. */
export const RINGS = RAM + 0x10000;
export const DATA = RAM + 0x80000;

export class VirtioBench implements GuestBus {
  readonly world: World;
  readonly machine: Owner;
  readonly space: AddressSpace;
  readonly transport: Device;
  readonly secondTransport: Device;
  readonly driver: Driver;
  /** Level of the slot's interrupt line, and how often it rose. */
  level = 0;
  rises = 0;
  /** What the world reported as failures of the model; `audit` wants none. */
  readonly faults: string[] = [];

  constructor(options: { legacy?: boolean } = {}) {
    const world = this.world = createWorld({ reportFault: (error) => this.faults.push(error.message) });
    this.machine = createOwner(world, { name: "machine" });
    const owner = this.machine;
    const root = createContainer(world, { name: "system", size: 2n ** 64n, owner });
    const memory = createGuestMemory(RAM_BYTES);
    addSubregion(world, root, RAM, createRam(world, { name: "ram", size: RAM_BYTES, owner, memory }));
    this.space = createAddressSpace(world, { name: "memory", root, owner });
    const properties = { "force-legacy": options.legacy ?? true };
    const slot = (id: string, offset: number) =>
      plug(world, virtioMmio, { id, owner, properties, at: [{ region: "registers", container: root, offset }] });
    this.transport = slot("slot", SLOT);
    this.secondTransport = slot("slot2", SLOT + 0x1000);
    connect(world, { device: this.transport, line: "irq" }, (level) => {
      if (level === 1) this.rises++;
      this.level = level;
    });
    this.driver = new Driver(this, SLOT);
  }

  plug<S extends object, P extends PropertyDeclarations>(
    type: DeviceType<S, P>,
    properties: Record<string, unknown> = {},
    id = "function",
    transport = this.transport,
  ): Device {
    const { world, machine: owner, space: addressSpace } = this;
    return plug(world, type, { id, owner, addressSpace, bus: virtioBus(world, transport), properties });
  }

  /** Runs bottom halves until none is left. @returns how many ran */
  settle(): number {
    let total = 0;
    for (let ran = runBottomHalves(this.world); ran > 0; ran = runBottomHalves(this.world)) total += ran;
    return total;
  }

  /** Nothing is left over or inconsistent, and no handler threw. */
  audit(): void {
    audit(this.world);
    if (this.faults.length > 0) throw new Error(`The model failed: ${this.faults.join("; ")}`);
  }

  load(address: number, size: 1 | 2 | 4): number {
    const bytes = this.loadBytes(address, size);
    return bytes.reduceRight((value, byte) => value * 256 + byte, 0);
  }

  store(address: number, value: number, size: 1 | 2 | 4): void {
    this.storeBytes(address, Uint8Array.from({ length: size }, (_, i) => Math.floor(value / 256 ** i)));
  }

  loadBytes(address: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    read(this.world, this.space, address, bytes);
    return bytes;
  }

  storeBytes(address: number, bytes: Uint8Array): void {
    write(this.world, this.space, address, bytes);
  }
}
