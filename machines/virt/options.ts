/** What a `virt` machine can be built with, for programs that embed one. Everything has a default. */
import type { DeviceType } from "../../ecs/device.ts";
import type { PropertyValues } from "../../ecs/property.ts";
import type { GuestMemory } from "../../ecs/ram_block.ts";
import type { World } from "../../ecs/world.ts";
import type { HostedCharacterBackend } from "../backends/character.ts";
import type { EntropySource } from "../backends/entropy.ts";
import type { HartFeatures } from "../riscv/features.ts";
import type { BootFiles } from "../loader/firmware.ts";
import type { Processor } from "../execute.ts";
import type { Hart } from "../riscv/hart.ts";
import type { ExecutionWatch } from "../riscv/watch.ts";

/**
 * How the harts run: all code is interpreted, or what is run often is translated to WebAssembly; "check" runs what is
 * translated in the interpreter, too, and compares.
 */
export type Accelerator = "interp" | "jit" | "check";

/** How translation is tuned, for tests and measurements. What is left out is as measured best. */
export interface Translation {
  /** How often control comes to a place until it is translated: 1 to 65535; 1 translates everything, at once. */
  readonly threshold?: number;
  /** Translated regions that are kept at most: 1 to 32768. */
  readonly regions?: number;
}

export interface VirtOptions extends BootFiles {
  /** Default "jit". */
  readonly accelerator?: Accelerator;
  /** Of "jit" and "check". */
  readonly translation?: Translation;
  /** Names the machine in `mtree` and messages. Default "machine". */
  readonly name?: string;
  /** 1 to 8; default 1. */
  readonly harts?: number;
  /** What every hart has. Default: all that there is. */
  readonly features?: HartFeatures;
  /** Whole 64 KiB, at most 3 GiB; default 128 MiB. */
  readonly ramBytes?: number;
  /** A flattened device tree instead of the generated one; command line, initrd and seed are added to it. */
  readonly deviceTree?: Uint8Array;
  /** What the UART is connected to. Default: {@linkcode VirtOptions.onOutput} and `machine.type`. */
  readonly serial?: HostedCharacterBackend;
  /** Told of every byte that the guest sends to the UART, if there is no `serial`. */
  readonly onOutput?: (byte: number) => void;
  /** Devices on the virtio buses, in the order of QEMU's `-device`. */
  readonly devices?: readonly AddedDevice[];
  /** Character backends of those devices: the machine delivers their input. */
  readonly characters?: readonly HostedCharacterBackend[];
  /** `force-legacy` of the virtio transports: show version 1 of their registers. Default true, as in QEMU 7.2. */
  readonly legacyVirtio?: boolean;
  /** Instructions take 2^shift ns of guest time, and runs repeat bit for bit; see `-icount`. Default: the host's clock. */
  readonly instructionClock?: { readonly shift: number; readonly sleep?: boolean };
  /** Milliseconds since 1970 that the real-time clock shows at the start. Default: the host's; with an instruction clock 2000-01-01. */
  readonly epoch?: number;
  /** Where the device tree's seed comes from. Default: the host; with an instruction clock a fixed sequence. */
  readonly entropy?: EntropySource;
  /** Whether the guest may restart the machine; else `run` ends where it asks to. Default true. */
  readonly rebootAllowed?: boolean;
  /** Told what the harts do: for logs. Costs time only for what it wants to know. */
  readonly watch?: ExecutionWatch;
  /** What is run in place of a hart: something that runs the hart and looks on. Default: the hart itself. */
  readonly processor?: (hart: Hart, memory: GuestMemory) => Processor;
  /** A world to build in, for programs that add devices of their own. */
  readonly world?: World;
}

export interface AddedDevice {
  readonly type: DeviceType;
  readonly id?: string;
  /** Name of a bus, such as "virtio-mmio-bus.0"; default: a free one of the kind. */
  readonly bus?: string;
  readonly properties?: PropertyValues;
}

/** Why a machine stopped. */
export interface ExitStatus {
  /** The guest powered off, the guest wanted to restart and may not, or the host said `stop`. */
  readonly reason: "power-off" | "reset" | "stopped";
  /** What QEMU's process would exit with: 0, or the code that the guest gave the test finisher. */
  readonly status: number;
}
