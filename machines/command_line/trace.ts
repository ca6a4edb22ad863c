/** `-d` and `-D`: which lines about the guest are written, and where. */
import type { World } from "../../ecs/world.ts";
import { EXECUTION_ITEMS, executionLog } from "../logs/execution_log.ts";
import { type Symbol, Symbols } from "../loader/symbols.ts";
import type { ExecutionWatch } from "../riscv/watch.ts";
import { reason } from "./files.ts";
import { OptionError } from "./key_values.ts";
import type { CommandLine } from "./request.ts";

/** Log items for `-d`, and what each writes. */
export const LOG_ITEMS: Readonly<Record<string, string>> = {
  ...EXECUTION_ITEMS,
  jit: "what the translator has done, at the end (Ctrl-A i shows it at any time)",
  guest_errors: "accesses of the guest that no device takes",
  unimp: "what the guest asks for and is not modelled",
};

/** What the host failed to do for a device is always worth a line. */
const HOST_ERROR = ": host-error: ";
const UNIMPLEMENTED = ": unimplemented: ";

/** Text that waits to be written to a log file. */
const BUFFER_CHARACTERS = 1 << 16;

export interface Trace {
  /** To build the machine with, if an item asks for it. @param symbols name the guest's addresses. */
  watch(symbols: () => readonly Symbol[]): ExecutionWatch | undefined;
  attach(world: World): void;
  /** Text for an item, if it is wanted. It is made only then. */
  report(item: string, text: () => string): void;
  close(): void;
}

/** @throws {OptionError} if the log file can't be written. */
export function openTrace({ items, file: path }: CommandLine["log"]): Trace {
  const sink = path === undefined ? stderrSink : fileSink(path);
  const wanted = new Set(items);
  return {
    watch(symbols) {
      if (![...wanted].some((item) => item in EXECUTION_ITEMS)) return undefined;
      return executionLog(wanted, new Symbols(symbols()), sink.write);
    },
    attach(world) {
      world.trace = (line) => {
        const item = line.includes(UNIMPLEMENTED) ? "unimp" : "guest_errors";
        if (line.includes(HOST_ERROR) || wanted.has(item)) sink.write(line);
      };
    },
    report(item, text) {
      if (wanted.has(item)) sink.write(text().trimEnd());
    },
    close: () => sink.close(),
  };
}

interface Sink {
  /** Whole lines, without the last newline. */
  readonly write: (text: string) => void;
  readonly close: () => void;
}

const stderrSink: Sink = { write: (text) => console.error(text), close: () => {} };

function fileSink(path: string): Sink {
  const file = openLog(path);
  let buffer = "";
  const flush = () => {
    const bytes = new TextEncoder().encode(buffer);
    buffer = "";
    for (let at = 0; at < bytes.length;) at += file.writeSync(bytes.subarray(at));
  };
  return {
    write(text) {
      buffer += `${text}\n`;
      if (buffer.length >= BUFFER_CHARACTERS) flush();
    },
    close() {
      flush();
      file.close();
    },
  };
}

function openLog(path: string): Deno.FsFile {
  try {
    return Deno.openSync(path, { create: true, write: true, truncate: true });
  } catch (error) {
    throw new OptionError(`log file '${path}' can't be written: ${reason(error)}`);
  }
}
