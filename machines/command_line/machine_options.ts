/** Options about the board itself: harts, memory, clocks. */
import { KeyValues, OptionError, parseInteger, parseSize } from "./key_values.ts";
import type { CommandLine } from "./request.ts";
import { MAX_REGIONS, MAX_THRESHOLD } from "../riscv/translator/translator.ts";
import { MAX_HARTS, MAX_RAM_BYTES } from "../virt/memory_map.ts";

const MIB = 2 ** 20;

export function applyMachine(line: CommandLine, value: string): void {
  if (value === "help") {
    return void (line.print = "Supported machines are:\nvirt                 RISC-V VirtIO board\n");
  }
  const list = KeyValues.parse("-M", value, "type");
  const type = list.take("type") ?? "virt";
  if (type !== "virt") throw new OptionError(`-M ${type}: there is no such machine; -M help lists them`);
  line.dumpDeviceTree = list.take("dumpdtb") ?? line.dumpDeviceTree;
  line.dumpMemoryMap = list.take("dumpmap") ?? line.dumpMemoryMap;
  if (list.takeBoolean("aclint")) {
    throw new OptionError("-M virt: the ACLINT's own layout is not modelled, only the CLINT's");
  }
  if (list.takeBoolean("usb")) throw new OptionError("-M virt: there is no USB");
  applyAccelerator(line, list);
}

/** As in QEMU, `tcg` is the best there is. */
export function applyAccelerator(line: CommandLine, list: KeyValues): void {
  const wanted = list.takeChoice("accel", ["interp", "jit", "check", "tcg"]);
  if (wanted !== undefined) line.accelerator = wanted === "tcg" ? "jit" : wanted;
  const threshold = list.takeInteger("threshold", 1, MAX_THRESHOLD),
    regions = list.takeInteger("regions", 1, MAX_REGIONS);
  line.translation = {
    ...line.translation,
    ...(threshold !== undefined && { threshold }),
    ...(regions !== undefined && { regions }),
  };
  list.takeChoice("thread", ["single", "multi"]);
  list.take("tb-size");
  list.finish();
}

export function applySmp(line: CommandLine, value: string): void {
  const list = KeyValues.parse("-smp", value, "cpus");
  const [sockets = 1, cores = 1, threads = 1] = ["sockets", "cores", "threads"].map((key) =>
    list.takeInteger(key, 1, MAX_HARTS)
  );
  line.harts = list.takeInteger("cpus", 1, MAX_HARTS) ?? sockets * cores * threads;
  list.takeInteger("maxcpus", line.harts, MAX_HARTS);
  list.finish();
  if (line.harts > MAX_HARTS) throw new OptionError(`-smp ${value}: there can be at most ${MAX_HARTS} harts`);
}

export function applyMemory(line: CommandLine, value: string): void {
  const list = KeyValues.parse("-m", value, "size");
  line.ramBytes = parseSize("-m", list.require("size"), MIB);
  list.finish();
  if (line.ramBytes < MIB || line.ramBytes > MAX_RAM_BYTES || line.ramBytes % 4096 !== 0) {
    throw new OptionError(`-m ${value}: RAM must be whole pages of 4k, from 1M to 3G`);
  }
}

export function applyName(line: CommandLine, value: string): void {
  const list = KeyValues.parse("-name", value, "guest");
  const name = list.take("guest");
  list.takeBoolean("debug-threads");
  list.take("process");
  list.finish();
  if (name !== undefined) line.name = name;
}

export function applyRtc(line: CommandLine, value: string): void {
  const list = KeyValues.parse("-rtc", value);
  const base = list.take("base") ?? "utc";
  list.takeChoice("clock", ["host", "rt", "vm"]);
  list.takeChoice("driftfix", ["none"]);
  list.finish();
  if (base === "utc" || base === "localtime") return void (line.clock.base = base);
  const date = /^\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d)?$/.test(base)
    ? Date.parse(base.includes("T") ? base + "Z" : base)
    : NaN;
  if (Number.isNaN(date)) {
    throw new OptionError(`-rtc base=${base}: write utc, localtime or a date such as 2026-01-31T12:00:00`);
  }
  line.clock.base = date * 1e6;
}

export function applyIcount(line: CommandLine, value: string): void {
  const list = KeyValues.parse("-icount", value, "shift");
  const shift = list.take("shift") ?? "auto";
  line.clock.shift = shift === "auto" ? 3 : parseInteger("-icount: shift", shift, 0, 10);
  line.clock.sleep = list.takeBoolean("sleep") ?? true;
  if (list.takeBoolean("align")) throw new OptionError("-icount align=on is not supported");
  list.finish();
}
