/** `-d` and `-D`: which lines about the guest are written, and where. */
import type { World } from "../../ecs/world.ts";
import { reason } from "./files.ts";
import { OptionError } from "./key_values.ts";
import type { CommandLine } from "./request.ts";

/** What the host failed to do for a device is always worth a line. */
const HOST_ERROR = ": host-error: ";
const UNIMPLEMENTED = ": unimplemented: ";

export interface Trace {
  attach(world: World): void;
  close(): void;
}

/** @throws {OptionError} if the log file can't be written. */
export function openTrace({ items, file: path }: CommandLine["log"]): Trace {
  const file = path === undefined ? undefined : openLog(path);
  const write = (line: string) => {
    if (file === undefined) console.error(line);
    else file.writeSync(new TextEncoder().encode(line + "\n"));
  };
  return {
    attach(world) {
      world.trace = (line) => {
        const item = line.includes(UNIMPLEMENTED) ? "unimp" : "guest_errors";
        if (line.includes(HOST_ERROR) || items.includes(item)) write(line);
      };
    },
    close: () => file?.close(),
  };
}

function openLog(path: string): Deno.FsFile {
  try {
    return Deno.openSync(path, { create: true, write: true, truncate: true });
  } catch (error) {
    throw new OptionError(`log file '${path}' can't be written: ${reason(error)}`);
  }
}
