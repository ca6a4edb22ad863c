/** From a command line to what a machine is built with: files are read, backends opened, device properties typed. */
import type { DeviceType } from "../../ecs/device.ts";
import type { Property } from "../../ecs/property.ts";
import type { BlockBackend } from "../backends/block.ts";
import { openRawImage } from "../backends/block_file.ts";
import { createOverlay } from "../backends/block_overlay.ts";
import { type HostedCharacterBackend, NullBackend } from "../backends/character.ts";
import { type EntropySource, hostEntropy, seededEntropy } from "../backends/entropy.ts";
import { FileBackend } from "../backends/file.ts";
import { virtioBlock } from "../devices/virtio/block.ts";
import { virtconsole, virtioSerial, virtserialport } from "../devices/virtio/console.ts";
import { virtioRng } from "../devices/virtio/rng.ts";
import type { AddedDevice, VirtOptions } from "../virt/options.ts";
import { readDeviceTreeFile, readFirmwareFile, readImage, reason } from "./files.ts";
import { OptionError, parseBoolean, parseInteger, parseSize } from "./key_values.ts";
import type { CharacterRequest, CommandLine, DeviceRequest } from "./request.ts";

/** What `-device` can name. */
export const DRIVERS: readonly DeviceType[] = [virtioBlock, virtioRng, virtioSerial, virtconsole, virtserialport]
  .map((type) => type as unknown as DeviceType);

/** Backends that are open, to be closed at the end. */
export interface OpenBackends {
  readonly drives: Map<string, BlockBackend>;
  readonly characters: Map<string, HostedCharacterBackend>;
}

const REPEATABLE_SEED = 1;

/**
 * Opens what the command line names.
 *
 * @param openTerminal Makes the one backend that talks to the process's standard streams.
 * @param backends Filled as backends are opened, also if a later one fails.
 * @throws {OptionError} or {BlockError} with one sentence.
 */
export function configureVirt(
  line: CommandLine,
  backends: OpenBackends,
  openTerminal: (request: CharacterRequest) => HostedCharacterBackend,
): VirtOptions {
  const { clock } = line;
  const firmware = readFirmwareFile(line.bios, line.searchPath);
  const kernel = line.kernel === undefined ? undefined : readImage("kernel", line.kernel);
  const initrd = line.initrd === undefined ? undefined : readImage("initrd", line.initrd);
  const deviceTree = line.deviceTree === undefined ? undefined : readDeviceTreeFile(line.deviceTree);
  if (line.append !== undefined && kernel === undefined) {
    throw new OptionError("-append is of no use without -kernel");
  }
  for (const { id, file, readonly, snapshot } of line.drives) {
    const image = openRawImage(file, { readonly: readonly || snapshot || line.snapshot });
    backends.drives.set(id, snapshot || line.snapshot ? createOverlay(image) : image);
  }
  const serialRequest: CharacterRequest = line.serial ?? { id: "serial0", backend: "stdio", escapes: true };
  let terminal: CharacterRequest | undefined;
  for (const request of new Set([...line.characters, serialRequest])) {
    if (request.backend === "stdio") {
      if (terminal !== undefined) throw new OptionError("two character devices ask for stdio, and there is one");
      terminal = request;
    }
    backends.characters.set(request.id, openCharacter(request, openTerminal));
  }
  const entropy = clock.shift === undefined ? hostEntropy : seededEntropy(REPEATABLE_SEED);
  const automatic = line.drives.filter((drive) => drive.automatic)
    .map(({ id }): DeviceRequest => ({ driver: virtioBlock.type, properties: new Map([["drive", id]]) }));
  const requests = [...line.devices, ...automatic];

  return {
    ...(line.name !== undefined && { name: line.name }),
    harts: line.harts,
    ...(line.features && { features: line.features }),
    ramBytes: line.ramBytes,
    ...(firmware && { firmware }),
    ...(kernel && { kernel }),
    ...(initrd && { initrd }),
    ...(line.append !== undefined && { append: line.append }),
    ...(deviceTree && { deviceTree }),
    ...(clock.shift !== undefined && { instructionClock: { shift: clock.shift, sleep: clock.sleep } }),
    ...epochOf(clock.base, clock.shift !== undefined),
    serial: backends.characters.get(serialRequest.id) ?? new NullBackend(),
    characters: [...backends.characters.values()],
    devices: requests.map((request) => typeProperties(line, request, backends, entropy)),
    legacyVirtio: legacyVirtio(line),
    entropy,
    rebootAllowed: line.rebootAllowed,
    accelerator: line.accelerator,
    translation: line.translation,
  };
}

function openCharacter(
  request: CharacterRequest,
  openTerminal: (request: CharacterRequest) => HostedCharacterBackend,
): HostedCharacterBackend {
  if (request.backend === "stdio") return openTerminal(request);
  if (request.backend === "null" || request.path === undefined) return new NullBackend();
  try {
    return new FileBackend(request.path, { append: request.append ?? false });
  } catch (error) {
    throw new OptionError(`'${request.path}' can't be written: ${reason(error)}`);
  }
}

/** Milliseconds since 1970. With a repeatable clock the host's time must not show unless it is asked for. */
function epochOf(base: number | "utc" | "localtime", repeatable: boolean): { epoch?: number } {
  if (typeof base === "number") return { epoch: base };
  if (base === "utc") return repeatable ? {} : { epoch: Date.now() };
  const now = new Date();
  return { epoch: now.getTime() - now.getTimezoneOffset() * 60_000 };
}

function legacyVirtio(line: CommandLine): boolean {
  let legacy = true;
  for (const { driver, property, value } of line.globals) {
    if (driver === "virtio-mmio" && property === "force-legacy") legacy = parseBoolean("-global", value);
    else if (!DRIVERS.some(({ type }) => type === driver)) {
      throw new OptionError(`-global ${driver}.${property}: there is no such property`);
    }
  }
  return legacy;
}

/** A request's texts as values of the type's declared properties. */
function typeProperties(
  line: CommandLine,
  request: DeviceRequest,
  backends: OpenBackends,
  entropy: EntropySource,
): AddedDevice {
  const what = `-device ${request.driver}`;
  const type = DRIVERS.find((driver) => driver.type === request.driver);
  if (type === undefined) throw new OptionError(`${what}: there is no such device; -device help lists them`);
  const texts = new Map(line.globals.filter((g) => g.driver === type.type).map((g) => [g.property, g.value]));
  for (const [name, value] of request.properties) texts.set(name, value);
  const bus = texts.get("bus");
  texts.delete("bus");
  const properties: Record<string, unknown> = {};
  for (const [name, value] of texts) {
    const declared = type.properties?.[name];
    if (declared === undefined) throw new OptionError(`${what} has no property '${name}'`);
    properties[name] = typed(`${what}: ${name}`, name, declared, value, backends);
  }
  if (type.properties?.rng !== undefined) properties.rng ??= entropy;
  if (type.properties?.drive !== undefined && properties.drive === undefined) {
    throw new OptionError(`${what} needs drive=ID of a -drive or -blockdev`);
  }
  const id = request.id;
  return { type, properties, ...(id !== undefined && { id }), ...(bus !== undefined && { bus: busName(bus) }) };
}

/** QEMU's name of a virtio slot, or of the bus of a serial controller, as the name of our bus. */
function busName(name: string): string {
  const slot = /^virtio-mmio-bus\.(\d+)$/.exec(name)?.[1];
  if (slot !== undefined) return `virtio-mmio.${slot}.bus`;
  return name.replace(/\.0$/, ".ports");
}

function typed(what: string, name: string, declared: Property, value: string, backends: OpenBackends): unknown {
  switch (declared.kind) {
    case "boolean":
      return parseBoolean(what, value);
    case "integer":
      return parseInteger(what, value, declared.minimum, declared.maximum);
    case "size":
      return parseSize(what, value, 1);
    case "link": {
      const target = name === "drive" ? backends.drives.get(value) : backends.characters.get(value);
      if (target === undefined) throw new OptionError(`${what}: there is no ${name} '${value}'`);
      return target;
    }
    default:
      return value;
  }
}
