/**
 * The command line, in QEMU's own spelling: what each option means, and its line of help, stand in one table. Parsing opens
 * no file and builds nothing; the result is plain data.
 */
import { applyBlockdev, applyCharacter, applyDevice, applyDrive, applyGlobal, applySerial } from "./device_options.ts";
import { applyCpu } from "./cpu_option.ts";
import { KeyValues, OptionError } from "./key_values.ts";
import {
  applyAccelerator,
  applyIcount,
  applyMachine,
  applyMemory,
  applyName,
  applyRtc,
  applySmp,
} from "./machine_options.ts";
import type { CommandLine } from "./request.ts";
import { LOG_ITEMS } from "./trace.ts";
import { MAX_HARTS } from "../virt/memory_map.ts";

interface Option {
  readonly names: readonly string[];
  /** What follows, if anything, as help shows it. */
  readonly value?: string;
  readonly help: string;
  /** Taken before all others, whatever the order given: others refer to it by id. */
  readonly first?: boolean;
  apply(line: CommandLine, value: string): void;
}

const DEFAULT_RAM_BYTES = 128 * 2 ** 20;
export const VERSION = "0.1.0";

const OPTIONS: readonly Option[] = [
  {
    names: ["-M", "-machine"],
    value: "virt[,dumpdtb=FILE][,dumpmap=FILE][,accel=interp|jit|check|tcg]",
    help: "the board; dumpdtb writes its device tree, dumpmap its memory map as JSON, and stops",
    apply: applyMachine,
  },
  {
    names: ["-accel"],
    value: "interp|jit|check|tcg[,threshold=N][,regions=N]",
    help:
      "how instructions run (jit); tcg is the best that there is, check compares jit with interp; threshold is how " +
      "often code runs until it is translated, regions how many translated ones are kept",
    apply: (line, value) => applyAccelerator(line, KeyValues.parse("-accel", value, "accel")),
  },
  {
    names: ["-cpu"],
    value: "rv64[,FEATURE=on|off]…",
    help: "the harts: RV64GC and, unless off, zba zbb zbc zbs zicond zicbom zicboz zihintpause sstc sv39 sv48 sv57 mmu",
    apply: applyCpu,
  },
  {
    names: ["-smp"],
    value: "[cpus=]N",
    help: `number of harts, 1 to ${MAX_HARTS} (1)`,
    apply: applySmp,
  },
  { names: ["-m"], value: "[size=]SIZE[k|M|G]", help: "RAM, up to 3G (128M)", apply: applyMemory },
  {
    names: ["-bios"],
    value: "FILE|none|default",
    help: "firmware; default is OpenSBI",
    apply: (line, value) => line.bios = value,
  },
  {
    names: ["-kernel"],
    value: "FILE",
    help: "kernel: ELF or Image, may be gzipped",
    apply: (line, value) => line.kernel = value,
  },
  { names: ["-initrd"], value: "FILE", help: "RAM disk for the kernel", apply: (line, value) => line.initrd = value },
  {
    names: ["-append"],
    value: "TEXT",
    help: "command line of the kernel",
    apply: (line, value) => line.append = value,
  },
  {
    names: ["-dtb"],
    value: "FILE",
    help: "device tree instead of the generated one",
    apply: (line, value) => line.deviceTree = value,
  },
  {
    names: ["-drive"],
    value: "file=FILE[,format=raw][,if=none|virtio][,id=ID][,readonly=on][,snapshot=on]",
    help: "a disk",
    apply: applyDrive,
  },
  {
    names: ["-blockdev"],
    value: "driver=file,filename=FILE,node-name=ID[,read-only=on]",
    help: "a disk image for -device …,drive=ID",
    apply: applyBlockdev,
  },
  {
    names: ["-snapshot"],
    help: "writes to every disk are forgotten at the end",
    apply: (line) => line.snapshot = true,
  },
  {
    names: ["-device"],
    value: "DRIVER[,PROPERTY=VALUE]…",
    help: "a device; -device help lists them",
    apply: applyDevice,
  },
  {
    names: ["-global"],
    value: "virtio-mmio.force-legacy=on|off",
    help: "a default for every device of a type",
    apply: applyGlobal,
  },
  {
    names: ["-chardev"],
    value: "stdio|null|file,id=ID[,mux=on|off][,path=FILE][,append=on|off]",
    help: "something to connect a serial line or console to",
    first: true,
    apply: applyCharacter,
  },
  {
    names: ["-serial"],
    value: "[mon:]stdio|null|none|file:FILE|chardev:ID",
    help: "what the UART is connected to (mon:stdio)",
    apply: applySerial,
  },
  {
    names: ["-monitor"],
    value: "none",
    help: "there is no monitor yet",
    apply: (_, value) => onlyNone("-monitor", value, "monitors come later"),
  },
  {
    names: ["-display"],
    value: "none",
    help: "there is no display",
    apply: (_, value) => onlyNone("-display", value, "there is no display"),
  },
  { names: ["-nographic"], help: "no display, UART on the terminal; this is the default", apply: () => {} },
  {
    names: ["-nodefaults"],
    help: "the UART is connected to nothing unless -serial says so",
    apply: (line) => line.serial ??= { id: "serial0", backend: "null" },
  },
  {
    names: ["-nic", "-net"],
    value: "none",
    help: "there is no network yet",
    apply: (_, value) => onlyNone("-nic", value, "networks come later"),
  },
  { names: ["-no-reboot"], help: "exit when the guest reboots", apply: (line) => line.rebootAllowed = false },
  { names: ["-name"], value: "NAME", help: "name of the guest in messages", apply: applyName },
  {
    names: ["-rtc"],
    value: "[base=utc|localtime|DATE][,clock=host|rt|vm]",
    help: "what the real-time clock shows at the start (utc)",
    apply: applyRtc,
  },
  {
    names: ["-icount"],
    value: "[shift=]N|auto[,sleep=on|off]",
    help: "an instruction takes 2^N ns of guest time: runs are repeatable",
    apply: applyIcount,
  },
  { names: ["-d"], value: "ITEM[,ITEM]…", help: "log items; -d help lists them", apply: applyLog },
  { names: ["-D"], value: "FILE", help: "log to a file, not to stderr", apply: (line, value) => line.log.file = value },
  {
    names: ["-L"],
    value: "DIRECTORY",
    help: "look for firmware here",
    apply: (line, value) => line.searchPath.push(value),
  },
  {
    names: ["-S"],
    help: "not yet: nothing could start the guest later",
    apply: () => {
      throw new OptionError("-S is not supported yet: without a monitor nothing could start the guest");
    },
  },
  { names: ["-h", "-help"], help: "this text", apply: (line) => line.print = help() },
  { names: ["-version"], help: "the version", apply: (line) => line.print = `Freehold emulator version ${VERSION}\n` },
];

/**
 * Reads a command line. An option is spelt with one or two dashes.
 *
 * @throws {OptionError} for an unknown option, a missing or bad value.
 */
export function parseCommandLine(args: readonly string[]): CommandLine {
  const line: CommandLine = {
    harts: 1,
    ramBytes: DEFAULT_RAM_BYTES,
    bios: "default",
    drives: [],
    snapshot: false,
    devices: [],
    globals: [],
    characters: [],
    rebootAllowed: true,
    accelerator: "jit",
    translation: {},
    clock: { sleep: true, base: "utc" },
    log: { items: [] },
    searchPath: [],
  };
  const given = [...pairs(args)];
  for (const [option, value] of [...given.filter(([o]) => o.first), ...given.filter(([o]) => !o.first)]) {
    option.apply(line, value);
    if (line.print !== undefined) break;
  }
  return line;
}

function* pairs(args: readonly string[]): Generator<[Option, string]> {
  for (let i = 0; i < args.length; i++) {
    const given = args[i] ?? "";
    if (!given.startsWith("-")) {
      throw new OptionError(`'${given}' is not an option; a disk image is given with -drive file=${given},format=raw`);
    }
    const name = given.replace(/^--/, "-");
    const option = OPTIONS.find((candidate) => candidate.names.includes(name));
    if (option === undefined) throw new OptionError(`${given} is not a known option; -h lists them`);
    const value = option.value === undefined ? "" : args[++i];
    if (value === undefined) throw new OptionError(`${given} needs a value: ${option.value}`);
    yield [option, value];
  }
}

function help(): string {
  const rows = OPTIONS.map(({ names, value = "", help }) =>
    `  ${names.join(", ")} ${value}`.trimEnd() + `\n        ${help}`
  );
  return `Freehold ${VERSION}: a system emulator for RISC-V

Usage: deno task virt [option]…     (without options: a demonstration guest)

${rows.join("\n")}

On the terminal, Ctrl-A x quits, Ctrl-A i tells what the translator has done, Ctrl-A h helps, and Ctrl-C goes to the guest.

Examples:
  deno task virt -M virt -m 256M -kernel Image -initrd initrd.gz -append "console=ttyS0"
  deno task virt -M virt -bios none -kernel program.elf -icount shift=0
  deno task virt -M virt -kernel Image -drive file=disk.img,format=raw,if=none,id=d -device virtio-blk-device,drive=d
`;
}

function applyLog(line: CommandLine, value: string): void {
  if (value === "help" || value === "?") {
    const rows = Object.entries(LOG_ITEMS).map(([item, meaning]) => `${item.padEnd(16)}${meaning}\n`);
    return void (line.print = `Log items (comma separated):\n${rows.join("")}`);
  }
  for (const item of value.split(",")) {
    if (!(item in LOG_ITEMS)) throw new OptionError(`-d ${item}: there is no such log item; -d help lists them`);
    line.log.items.push(item);
  }
}

function onlyNone(option: string, value: string, why: string): void {
  if (value !== "none") {
    throw new OptionError(`${option} ${value} is not supported: ${why}; ${option} none is accepted`);
  }
}
