/** Options about what is plugged into the board: disks, devices, character backends. */
import { KeyValues, OptionError } from "./key_values.ts";
import type { CharacterRequest, CommandLine, DriveRequest } from "./request.ts";

const BACKENDS = ["stdio", "null", "file"] as const;

export function applyDrive(line: CommandLine, value: string): void {
  const list = KeyValues.parse("-drive", value);
  const file = list.require("file");
  list.takeChoice("format", ["raw"]);
  list.takeChoice("media", ["disk"]);
  const automatic = list.takeChoice("if", ["none", "virtio"]) !== "none";
  const id = list.take("id") ?? `drive${line.drives.length}`;
  const readonly = list.takeBoolean("readonly") ?? list.takeBoolean("read-only") ?? false;
  const snapshot = list.takeBoolean("snapshot") ?? false;
  for (const harmless of ["cache", "aio", "discard", "index", "werror", "rerror"]) list.take(harmless);
  list.finish();
  addDrive(line, { id, file, readonly, snapshot, automatic });
}

export function applyBlockdev(line: CommandLine, value: string): void {
  if (value.startsWith("{")) throw new OptionError("-blockdev in JSON is not supported; write key=value,…");
  const list = KeyValues.parse("-blockdev", value, "driver");
  const driver = list.takeChoice("driver", ["raw", "file"]);
  const id = list.require("node-name");
  const readonly = list.takeBoolean("read-only") ?? false;
  if (driver === "raw") {
    const below = list.take("file");
    const drive = line.drives.find((candidate) => candidate.id === below);
    if (below !== undefined && drive === undefined) {
      throw new OptionError(`-blockdev ${id}: there is no node '${below}'`);
    }
    list.takeChoice("file.driver", ["file"]);
    const file = drive?.file ?? list.require("file.filename");
    list.finish();
    return addDrive(line, {
      id,
      file,
      readonly: readonly || drive?.readonly === true,
      snapshot: false,
      automatic: false,
    });
  }
  const file = list.require("filename");
  for (const harmless of ["aio", "cache.direct", "discard", "auto-read-only", "locking"]) list.take(harmless);
  list.finish();
  addDrive(line, { id, file, readonly, snapshot: false, automatic: false });
}

function addDrive(line: CommandLine, drive: DriveRequest): void {
  if (line.drives.some((other) => other.id === drive.id)) throw new OptionError(`there are two drives '${drive.id}'`);
  line.drives.push(drive);
}

export function applyDevice(line: CommandLine, value: string): void {
  const list = KeyValues.parse("-device", value, "driver");
  const driver = list.require("driver");
  const id = list.take("id");
  if (id !== undefined && line.devices.some((other) => other.id === id)) {
    throw new OptionError(`there are two devices '${id}'`);
  }
  line.devices.push({ driver, ...(id === undefined ? {} : { id }), properties: list.rest() });
}

export function applyGlobal(line: CommandLine, value: string): void {
  const match = /^([^.=]+)\.([^.=]+)=(.*)$/.exec(value);
  if (match === null) throw new OptionError(`-global ${value}: write driver.property=value`);
  const [, driver = "", property = "", setting = ""] = match;
  line.globals.push({ driver, property, value: setting });
}

export function applyCharacter(line: CommandLine, value: string): void {
  const list = KeyValues.parse("-chardev", value, "backend");
  const backend = list.takeChoice("backend", BACKENDS) ?? "null";
  const id = list.require("id");
  if (line.characters.some((other) => other.id === id)) throw new OptionError(`there are two chardevs '${id}'`);
  const request: CharacterRequest = { id, backend, escapes: list.takeBoolean("mux") ?? false };
  list.takeBoolean("signal");
  if (backend === "file") {
    request.path = list.require("path");
    request.append = list.takeBoolean("append") ?? false;
  }
  list.finish();
  line.characters.push(request);
}

export function applySerial(line: CommandLine, value: string): void {
  const serial = serialRequest(line, value);
  if (line.serial !== undefined && serial.backend !== "null") {
    throw new OptionError(`-serial ${value}: the board has one UART, and it is connected already`);
  }
  line.serial ??= serial;
}

function serialRequest(line: CommandLine, value: string): CharacterRequest {
  const id = "serial0";
  if (value === "stdio" || value === "mon:stdio") return { id, backend: "stdio", escapes: value !== "stdio" };
  if (value === "null" || value === "none") return { id, backend: "null" };
  if (value.startsWith("file:")) return { id, backend: "file", path: value.slice("file:".length) };
  if (!value.startsWith("chardev:")) {
    throw new OptionError(
      `-serial ${value} is not supported; possible: stdio, mon:stdio, null, none, file:FILE, chardev:ID`,
    );
  }
  const name = value.slice("chardev:".length);
  const found = line.characters.find((candidate) => candidate.id === name);
  if (found === undefined) throw new OptionError(`-serial ${value}: there is no chardev '${name}' before it`);
  return found;
}
