/**
 * The `virt` board: RAM, harts and devices, wired in one function that reads as its memory map. Files are put into memory
 * at every reset, as a boot loader in ROM would.
 */
import type { AddressSpace } from "../../ecs/address_space.ts";
import type { Clock } from "../../ecs/clock.ts";
import type { Device, DeviceType } from "../../ecs/device.ts";
import type { Owner } from "../../ecs/owner.ts";
import type { PropertyDeclarations, PropertyValues } from "../../ecs/property.ts";
import type { GuestMemory } from "../../ecs/ram_block.ts";
import type { Region } from "../../ecs/region.ts";
import type { World } from "../../ecs/world.ts";
import { connect } from "../../systems/interrupts.ts";
import { plug } from "../../systems/plug.ts";
import { createRam, createRom } from "../../systems/create_region.ts";
import { addSubregion } from "../../systems/topology.ts";
import { clint, mtime } from "../devices/aclint.ts";
import { addItem, fwCfg } from "../devices/fw_cfg.ts";
import { goldfishRtc } from "../devices/goldfish_rtc.ts";
import { ns16550a } from "../devices/ns16550a.ts";
import { plic } from "../devices/plic.ts";
import { type FinisherHost, testFinisher } from "../devices/test_finisher.ts";
import { virtioMmio } from "../devices/virtio/mmio.ts";
import type { CharacterBackend } from "../backends/character.ts";
import { executionBytes } from "../riscv/execution.ts";
import type { HartFeatures } from "../riscv/features.ts";
import { createHart } from "../riscv/create_hart.ts";
import type { Hart } from "../riscv/hart.ts";
import type { ExecutionWatch } from "../riscv/watch.ts";
import { INTERRUPT, MEMORY_MAP, PLIC_SOURCES, SERIAL_CLOCK_HZ, TIMEBASE_HZ, VIRTIO_COUNT } from "./memory_map.ts";

/** What a board is built from. */
export interface BoardParts {
  readonly world: World;
  readonly owner: Owner;
  /** The root of the address space that harts and devices see. */
  readonly system: Region;
  readonly space: AddressSpace;
  readonly clock: Clock;
  /** At least {@linkcode boardMemoryBytes}. */
  readonly memory: GuestMemory;
  /** Filled with the board's harts. */
  readonly harts: Hart[];
  readonly hartCount: number;
  readonly features: HartFeatures;
  readonly ramBytes: number;
  readonly serial: CharacterBackend;
  readonly host: FinisherHost;
  /** An interrupt line of a hart went up: it may have to be woken. */
  readonly lineRaised: () => void;
  readonly legacyVirtio: boolean;
  readonly watch: ExecutionWatch | undefined;
  /** Milliseconds since 1970 at clock 0. */
  readonly epoch: number;
}

export interface Board {
  readonly ram: Region;
  readonly resetVector: Region;
  readonly harts: readonly Hart[];
  readonly testFinisher: Device;
  readonly realTimeClock: Device;
  readonly clint: Device;
  readonly plic: Device;
  readonly serial: Device;
  readonly virtio: readonly Device[];
  readonly firmwareConfig: Device;
}

/** fw_cfg item with the number of harts (QEMU docs/specs/fw_cfg.rst). */
const FW_CFG_NB_CPUS = 0x05;
const MEMORY_UNIT = 0x10000;

/** Bits of `mip` that the board's lines drive (privileged specification, 3.1.9). */
const PIN = { machineSoftware: 3, machineTimer: 7, supervisorExternal: 9, machineExternal: 11 } as const;

export function wireBoard(parts: BoardParts): Board {
  const { world, owner, system, space, clock, memory, harts, hartCount, features, ramBytes } = parts;
  const { resetVector, testFinisher: finisherAt, realTimeClock, clint: clintAt, plic: plicAt, serial: serialAt } =
    MEMORY_MAP;
  const { virtio: virtioAt, firmwareConfig: fwCfgAt, dram } = MEMORY_MAP;

  const place = <S extends object, P extends PropertyDeclarations>(
    type: DeviceType<S, P>,
    id: string,
    offset: number,
    properties?: PropertyValues,
  ) => {
    const at = [{ region: "registers", container: system, offset }];
    return plug(world, type, { id, owner, properties, addressSpace: space, clock, at });
  };

  const vectorRom = createRom(world, { name: "reset vector", size: resetVector.size, owner, memory });
  addSubregion(world, system, resetVector.address, vectorRom);
  const finisher = place(testFinisher, "test-finisher", finisherAt.address, { host: parts.host });
  const rtc = place(goldfishRtc, "rtc", realTimeClock.address, { epoch: parts.epoch });
  const timer = place(clint, "clint", clintAt.address, { harts: hartCount, frequency: TIMEBASE_HZ });
  const interrupts = place(plic, "plic", plicAt.address, { harts: hartCount, sources: PLIC_SOURCES });
  const uart = place(ns16550a, "serial", serialAt.address, { chardev: parts.serial, frequency: SERIAL_CLOCK_HZ });
  const virtio = Array.from({ length: VIRTIO_COUNT }, (_, i) => {
    const address = virtioAt.address + i * virtioAt.size;
    return place(virtioMmio, `virtio-mmio.${i}`, address, { "force-legacy": parts.legacyVirtio });
  });
  const firmwareConfig = place(fwCfg, "fw_cfg", fwCfgAt.address);
  const ram = createRam(world, { name: "ram", size: ramBytes, owner, memory });
  addSubregion(world, system, dram.address, ram);

  for (let id = 0; id < hartCount; id++) {
    harts.push(
      createHart({
        world,
        owner,
        memory,
        space,
        features,
        id,
        time: () => mtime(world, timer),
        ...(parts.watch && { watch: parts.watch }),
      }),
    );
  }
  const wire = (device: Device, line: string, index: number, source: number) =>
    connect(world, { device, line, index }, { device: interrupts, line: "source", index: source });
  wire(uart, "irq", 0, INTERRUPT.serial);
  wire(rtc, "irq", 0, INTERRUPT.realTimeClock);
  virtio.forEach((slot, i) => wire(slot, "irq", 0, INTERRUPT.virtio + i));
  for (const [index, hart] of harts.entries()) {
    const pin = (device: Device, line: string, number: number) =>
      connect(world, { device, line, index }, (level) => {
        hart.setInterrupt(number, level);
        if (level === 1) parts.lineRaised();
      });
    pin(timer, "software", PIN.machineSoftware);
    pin(timer, "timer", PIN.machineTimer);
    pin(interrupts, "machine", PIN.machineExternal);
    pin(interrupts, "supervisor", PIN.supervisorExternal);
  }
  addItem(world, firmwareConfig, FW_CFG_NB_CPUS, Uint8Array.of(hartCount, 0));

  return {
    ram,
    resetVector: vectorRom,
    harts,
    testFinisher: finisher,
    realTimeClock: rtc,
    clint: timer,
    plic: interrupts,
    serial: uart,
    virtio,
    firmwareConfig,
  };
}

/** RAM, the reset vector's ROM, and what harts keep beside them; the last grows a little with the whole. */
export function boardMemoryBytes(hartCount: number, ramBytes: number): number {
  const guest = ramBytes + MEMORY_MAP.resetVector.size + MEMORY_UNIT;
  const total = guest + executionBytes(hartCount, guest);
  return guest + executionBytes(hartCount, total) + MEMORY_UNIT;
}
