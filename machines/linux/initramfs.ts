/**
 * The initial file system of the Linux job's guest: busybox, the modules of the machine's devices, and an init of ours.
 *
 * @module
 */

import { type CpioMember, writeCpio } from "./cpio.ts";
import type { DebianFiles } from "../debian_cache.ts";
import { DRIVER_MODULES, GUEST_MODULES } from "./modules.ts";
import init from "./init.sh" with { type: "text" };

const DIRECTORIES = [
  "bin",
  "dev",
  "etc",
  "lib",
  "lib/modules",
  "proc",
  "root",
  "run",
  "sbin",
  "sys",
  "tmp",
  "usr",
  "usr/bin",
  "usr/sbin",
];

const text = (content: string) => new TextEncoder().encode(content);

/** Lines of "device type as sysfs shows it, then its modules in loading order". */
function driverTable(): string {
  return Object.entries(DRIVER_MODULES)
    .map(([type, modules]) => `0x${Number(type).toString(16).padStart(4, "0")} ${modules.join(" ")}\n`)
    .join("");
}

/** The modules that the package brought; one that is built into the kernel is absent and needs no loading. */
function moduleMembers(directory: string): CpioMember[] {
  return Array.from(Deno.readDirSync(directory))
    .filter((entry) => GUEST_MODULES.some((name) => entry.name.startsWith(`${name}.ko`)))
    .sort((a, b) => a.name < b.name ? -1 : 1)
    .map(({ name }) => ({
      path: `lib/modules/${name}`,
      kind: "file",
      data: Deno.readFileSync(`${directory}/${name}`),
    }));
}

/**
 * Builds the archive, uncompressed (the guest would spend longer unpacking it than the host reads it).
 *
 * @param command text of the shell script that an "exec" session runs
 */
export function buildInitramfs(files: DebianFiles, command?: string): Uint8Array<ArrayBuffer> {
  const members: CpioMember[] = [
    ...DIRECTORIES.map((path): CpioMember => ({ path, kind: "directory" })),
    // The kernel opens its console before anything can mount a /dev.
    { path: "dev/console", kind: "characterDevice", major: 5, minor: 1 },
    { path: "dev/null", kind: "characterDevice", major: 1, minor: 3 },
    { path: "bin/busybox", kind: "file", data: Deno.readFileSync(files.busybox), executable: true },
    { path: "init", kind: "file", data: text(init), executable: true },
    { path: "etc/passwd", kind: "file", data: text("root::0:0:root:/root:/bin/sh\n") },
    { path: "etc/group", kind: "file", data: text("root:x:0:\n") },
    { path: "etc/virtio-drivers", kind: "file", data: text(driverTable()) },
    ...moduleMembers(files.modules),
  ];
  if (command !== undefined) members.push({ path: "etc/command", kind: "file", data: text(`${command}\n`) });
  return writeCpio(members);
}
