/** What a command line asks for, as plain data: no file is open yet, nothing is built. */

import type { HartFeatures } from "../riscv/features.ts";
import type { Accelerator, Translation } from "../virt/options.ts";

export interface CommandLine {
  /** Print this and stop, with exit status 0. */
  print?: string;
  harts: number;
  /** What the harts have, if that was said. */
  features?: HartFeatures;
  accelerator: Accelerator;
  translation: Translation;
  ramBytes: number;
  /** A file, "none" or "default". */
  bios: string;
  kernel?: string;
  initrd?: string;
  append?: string;
  deviceTree?: string;
  /** Write the device tree to this file and stop. */
  dumpDeviceTree?: string;
  /** Write the memory map to this file and stop. */
  dumpMemoryMap?: string;
  drives: DriveRequest[];
  /** Writes to every disk go to memory and are forgotten at the end. */
  snapshot: boolean;
  devices: DeviceRequest[];
  /** Defaults for every device of a type. */
  globals: { driver: string; property: string; value: string }[];
  characters: CharacterRequest[];
  /** What the UART is connected to. */
  serial?: CharacterRequest;
  rebootAllowed: boolean;
  name?: string;
  clock: ClockRequest;
  log: { items: string[]; file?: string };
  /** Where firmware is looked for, first match wins. */
  searchPath: string[];
}

export interface DriveRequest {
  id: string;
  file: string;
  readonly: boolean;
  /** Writes go to memory and are forgotten at the end. */
  snapshot: boolean;
  /** The board makes a disk for it by itself, as QEMU does for `if=virtio`. */
  automatic: boolean;
}

export interface DeviceRequest {
  driver: string;
  id?: string;
  properties: ReadonlyMap<string, string>;
}

export interface CharacterRequest {
  id: string;
  backend: "stdio" | "null" | "file";
  path?: string;
  append?: boolean;
  /** Ctrl-A is the escape key even if standard input is no terminal. */
  escapes?: boolean;
}

export interface ClockRequest {
  /** Nanoseconds of guest time for an instruction, as a power of two; without it guest time is the host's. */
  shift?: number;
  /** Whether an idle guest waits for the host's clock, or skips to its next deadline. */
  sleep: boolean;
  /** What the real-time clock shows at the start: nanoseconds since 1970, or the host's time. */
  base: number | "utc" | "localtime";
}
