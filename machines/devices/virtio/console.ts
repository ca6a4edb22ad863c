/**
 * virtio-serial: consoles and named byte channels (virtio 1.2, section 5.3). The function has a pair of queues per port and a
 * pair for control messages; ports are devices on a bus of their own: `virtconsole` (a guest's /dev/hvc0) and
 * `virtserialport` (/dev/vportNpM).
 *
 * @module
 */
import { type DeviceRow, deviceRow } from "../../../ecs/device.ts";
import type { Bus } from "../../../ecs/bus.ts";
import type { World } from "../../../ecs/world.ts";
import { createBus } from "../../../systems/create_device.ts";
import type { CharacterBackend } from "../../backends/character.ts";
import {
  atUnrealize,
  defineDevice,
  type Device,
  DeviceError,
  type Instance,
  integer,
  link,
  type PropertiesOf,
  text,
  trace,
} from "../define.ts";
import {
  accepted,
  contain,
  defineVirtioDevice,
  finishRequest,
  guestRam,
  peekRequest,
  reopenRequest,
  serveQueue,
  STATUS,
  takeRequest,
  type VirtioFunction,
  type VirtioState,
  virtioState,
} from "./function.ts";
import { type Chain, QueueFault, readFromChain, RING_FEATURES, writeToChain } from "./queue.ts";

/** Where ports are plugged in. */
const SERIAL_BUS = "virtio-serial-bus";
/** Feature bits (5.3.3). */
const FEATURE = { MULTIPORT: 1 << 1, EMERG_WRITE: 1 << 2 };
/** Control messages (5.3.6.2). */
const EVENT = {
  DEVICE_READY: 0,
  PORT_ADD: 1,
  PORT_REMOVE: 2,
  PORT_READY: 3,
  CONSOLE_PORT: 4,
  PORT_OPEN: 6,
  PORT_NAME: 7,
};
const CONTROL_BYTES = 8;
/** Queues (5.3.2): a pair for port 0, the pair of control, then a pair per port. */
const CONTROL_IN = 2;
const CONTROL_OUT = 3;
const PORT_QUEUE_SIZE = 128;
const CONTROL_QUEUE_SIZE = 32;
const MAX_PORTS = 31;

const CONFIGURATION_BYTES = 12;
const EMERGENCY_WRITE = 8;

const PIECE_BYTES = 4096;
/** Bytes taken from a guest for one notification before the rest waits for a bottom half; requests count as some. */
const BUDGET_BYTES = 16 * PIECE_BYTES;
const REQUEST_COST = 64;

const properties = {
  max_ports: integer("ports there may be", { default: MAX_PORTS, minimum: 1, maximum: MAX_PORTS }),
};
type Serial = Instance<VirtioState, PropertiesOf<typeof properties>>;

interface PortState {
  /** Port number, settled by realize. */
  number: number;
  /** Whether the guest has the port open. */
  guestOpen: boolean;
  /** Whether the host's end is connected. */
  hostOpen: boolean;
  /** The request that waits for the backend: its head, -1 if there is none, and how many of its bytes went out. */
  head: number;
  done: number;
}

const portProperties = {
  chardev: link<CharacterBackend>("where bytes go to and come from", { optional: true }),
  nr: integer("port number; -1 is the first free one", { default: -1, minimum: -1, maximum: MAX_PORTS - 1 }),
  name: text("name that the guest sees", { default: "", maximum: 255 }),
};
type Port = Instance<PortState, PropertiesOf<typeof portProperties>>;

const piece = new Uint8Array(PIECE_BYTES);
const control = new Uint8Array(CONTROL_BYTES);
const controlView = new DataView(control.buffer);

const inputOf = (port: number) => port === 0 ? 0 : 2 * port + 2;
const outputOf = (port: number) => inputOf(port) + 1;

// ---- ports ----------------------------------------------------------------------------------------------------------

/** The ports that work, in the order in which they were plugged in. */
function portsOf(d: Serial): Port[] {
  const bus = (d as unknown as DeviceRow).buses[0];
  const rows = (bus?.children ?? []).map((child) => deviceRow(d.world, child));
  return rows.filter(({ stage }) => stage === "realized" || stage === "realizing") as unknown as Port[];
}

function portNumbered(d: Serial, number: number): Port | undefined {
  return portsOf(d).find(({ state }) => state.number === number);
}

function isConsole(port: Port): boolean {
  return (port as unknown as DeviceRow).type === virtconsole as unknown;
}

function serialOf(port: Port): Serial {
  const { world, bus } = port as unknown as DeviceRow;
  if (bus === undefined) throw new DeviceError(`Port "${port.id}" is on no bus`);
  return deviceRow(world, bus.owner as Device) as unknown as Serial;
}

/** Port 0 is for a console, as in QEMU: guests take their first console from it. */
function chooseNumber(port: Port): number {
  const serial = serialOf(port);
  const limit = serial.properties.max_ports;
  const others = portsOf(serial).filter((other) => other !== port).map(({ state }) => state.number);
  const { nr } = port.properties;
  if (nr >= 0) {
    if (nr >= limit) throw new DeviceError(`Port "${port.id}" can't be number ${nr}: there are ${limit}`);
    if (others.includes(nr)) throw new DeviceError(`Port "${port.id}" can't be number ${nr}: it is taken`);
    if (nr === 0 && !isConsole(port)) throw new DeviceError(`Port "${port.id}" can't be number 0: that is a console's`);
    return nr;
  }
  for (let number = isConsole(port) ? 0 : 1; number < limit; number++) if (!others.includes(number)) return number;
  throw new DeviceError(`Port "${port.id}" finds no free number among ${limit}`);
}

function realizePort(port: Port): void {
  const { state, properties: { chardev } } = port;
  const serial = serialOf(port);
  state.number = chooseNumber(port);
  state.hostOpen = true;
  if (chardev === undefined) return;
  chardev.frontend = {
    acceptable: () => acceptable(serial, port),
    receive: (bytes) => receive(serial, port, bytes),
    writable: () => serveQueue(serial, outputOf(state.number)),
    opened(isOpen) {
      // A console stays: guests have no notion of one that goes away.
      if (isConsole(port) || state.hostOpen === isOpen) return;
      state.hostOpen = isOpen;
      sendControl(serial, state.number, EVENT.PORT_OPEN, isOpen ? 1 : 0);
      if (!isOpen) serveQueue(serial, outputOf(state.number));
    },
  };
  atUnrealize(port, () => chardev.frontend = undefined);
}

const portDeclaration = {
  bus: SERIAL_BUS,
  properties: portProperties,
  state: (): PortState => ({ number: -1, guestOpen: false, hostOpen: false, head: -1, done: 0 }),
  survivesReset: ["number", "hostOpen"] as const,
  realize: realizePort,
};

/** A console. On port 0 it is a guest's first. */
export const virtconsole = defineDevice<PortState, typeof portProperties>({
  type: "virtconsole",
  description: "console on a virtio-serial device",
  ...portDeclaration,
});

/** A byte channel with a name. */
export const virtserialport = defineDevice<PortState, typeof portProperties>({
  type: "virtserialport",
  description: "named byte channel on a virtio-serial device",
  ...portDeclaration,
});

// ---- host to guest --------------------------------------------------------------------------------------------------

/** A guest takes input once it drives the device and, with several ports, has opened this one. */
function acceptable(d: Serial, port: Port): number {
  if (!(d.state.status & STATUS.DRIVER_OK)) return 0;
  if (accepted(d, FEATURE.MULTIPORT) && !port.state.guestOpen) return 0;
  const request = contain(d, () => inputRequest(d, peekRequest(d, inputOf(port.state.number))));
  return Math.min(request?.writableBytes ?? 0, PIECE_BYTES);
}

function receive(d: Serial, port: Port, bytes: Uint8Array): void {
  const queue = inputOf(port.state.number);
  contain(d, () => {
    for (let done = 0; done < bytes.length;) {
      const request = inputRequest(d, takeRequest(d, queue));
      if (request === undefined) return;
      const written = writeToChain(guestRam(d), request, 0, bytes.subarray(done));
      finishRequest(d, queue, request, written);
      done += written;
    }
  });
}

function inputRequest(d: Serial, request: Chain | undefined): Chain | undefined {
  if (request?.writableBytes === 0) throw new QueueFault(`request ${request.head} of ${d.id} has no room for input`);
  return request;
}

/** Sends a control message; a driver that leaves no buffers for them misses it. */
function sendControl(d: Serial, port: number, event: number, value: number, name = ""): void {
  if (!accepted(d, FEATURE.MULTIPORT)) return;
  contain(d, () => {
    const request = takeRequest(d, CONTROL_IN);
    if (request === undefined) return trace(d, "guest-error", `no buffer for control message ${event} of port ${port}`);
    // A name ends with a zero; other messages end with the value.
    const text = new TextEncoder().encode(name === "" ? "" : `${name}\0`);
    const message = new Uint8Array(CONTROL_BYTES + text.length);
    const view = new DataView(message.buffer);
    view.setUint32(0, port, true);
    view.setUint16(4, event, true);
    view.setUint16(6, value, true);
    message.set(text, CONTROL_BYTES);
    finishRequest(d, CONTROL_IN, request, writeToChain(guestRam(d), request, 0, message));
  });
}

// ---- guest to host --------------------------------------------------------------------------------------------------

/** Takes output of a port until there is none, the backend is full, or enough was done. @returns whether there may be more */
function transmit(d: Serial, queue: number): boolean {
  const port = portNumbered(d, queue === 1 ? 0 : (queue - 3) / 2);
  const waiting = port?.state ?? { head: -1, done: 0 };
  for (let budget = BUDGET_BYTES; budget > 0;) {
    const request = waiting.head < 0 ? takeRequest(d, queue) : reopenRequest(d, queue, waiting.head);
    if (request === undefined) return false;
    if (waiting.head < 0) {
      waiting.head = request.head;
      waiting.done = 0;
    }
    const part = piece.subarray(0, readFromChain(guestRam(d), request, waiting.done, piece));
    const sent = send(port, part);
    waiting.done += sent;
    budget -= sent + REQUEST_COST;
    if (sent < part.length) return false;
    if (waiting.done < request.readableBytes) continue;
    waiting.head = -1;
    finishRequest(d, queue, request, 0);
  }
  return true;
}

/** @returns how many of the bytes the port's backend took; where no backend is, they are gone */
function send(port: Port | undefined, bytes: Uint8Array): number {
  const chardev = port?.state.hostOpen ? port.properties.chardev : undefined;
  if (chardev === undefined) return bytes.length;
  const refused = bytes.findIndex((byte) => !chardev.send(byte));
  return refused < 0 ? bytes.length : refused;
}

/** Control messages of the driver (5.3.6.2). */
function obey(d: Serial): boolean {
  for (let budget = BUDGET_BYTES; budget > 0; budget -= REQUEST_COST) {
    const request = takeRequest(d, CONTROL_OUT);
    if (request === undefined) return false;
    if (readFromChain(guestRam(d), request, 0, control) === CONTROL_BYTES) {
      obeyMessage(d, controlView.getUint32(0, true), controlView.getUint16(4, true), controlView.getUint16(6, true));
    } else {
      trace(d, "guest-error", "control message is too short");
    }
    finishRequest(d, CONTROL_OUT, request, 0);
  }
  return true;
}

function obeyMessage(d: Serial, number: number, event: number, value: number): void {
  if (event === EVENT.DEVICE_READY) {
    if (value === 1) { for (const { state } of portsOf(d)) sendControl(d, state.number, EVENT.PORT_ADD, 1); }
    return;
  }
  const port = portNumbered(d, number);
  if (port === undefined) {
    return trace(d, "guest-error", `control message ${event} for port ${number}, which is not there`);
  }
  if (event === EVENT.PORT_OPEN) {
    port.state.guestOpen = value === 1;
  } else if (event === EVENT.PORT_READY && value === 1) {
    if (isConsole(port)) sendControl(d, number, EVENT.CONSOLE_PORT, 1);
    if (port.properties.name !== "") sendControl(d, number, EVENT.PORT_NAME, 1, port.properties.name);
    if (port.state.hostOpen) sendControl(d, number, EVENT.PORT_OPEN, 1);
  }
}

// ---- the function ---------------------------------------------------------------------------------------------------

/** The configuration (5.3.4): no window size, the number of ports, and the emergency output, which is write-only. */
function configuration(d: Serial): Uint8Array {
  const bytes = new Uint8Array(CONFIGURATION_BYTES);
  new DataView(bytes.buffer).setUint32(4, d.properties.max_ports, true);
  return bytes;
}

const virtio: VirtioFunction<Serial> = {
  id: 3,
  features: (d) =>
    FEATURE.EMERG_WRITE | (d.properties.max_ports > 1 ? FEATURE.MULTIPORT : 0) |
    (d.state.legacy ? RING_FEATURES.ANY_LAYOUT : 0),
  configuration,
  configure(d, offset, value) {
    if (offset === EMERGENCY_WRITE) send(portNumbered(d, 0), Uint8Array.of(value & 0xff));
  },
  serve(d, queue) {
    if (queue === CONTROL_OUT) return obey(d);
    // Input waits in its backend until that is asked to deliver; only output is worked on here.
    return queue % 2 === 1 ? transmit(d, queue) : false;
  },
};

/** The function; its ports go on {@linkcode serialBus}. */
export const virtioSerial = defineVirtioDevice<VirtioState, typeof properties>({
  type: "virtio-serial-device",
  description: "consoles and byte channels",
  properties,
  state({ max_ports }) {
    const sizes = Array.from({ length: 2 * (max_ports + 1) }, () => PORT_QUEUE_SIZE);
    sizes[CONTROL_IN] = sizes[CONTROL_OUT] = CONTROL_QUEUE_SIZE;
    return virtioState(sizes);
  },
  virtio,
  realize(d) {
    const { world, device: owner, id } = d;
    // A device that is realized again has its bus already.
    if (deviceRow(world, owner).buses.length > 0) return;
    createBus(world, {
      name: `${id}.ports`,
      owner,
      type: SERIAL_BUS,
      capacity: MAX_PORTS,
      plugged: (child) => sendControl(d, asPort(world, child).state.number, EVENT.PORT_ADD, 1),
      unplugged: (child) => withdrawPort(d, asPort(world, child)),
    });
  },
});

function asPort(world: World, device: Device): Port {
  return deviceRow(world, device) as unknown as Port;
}

/** Output that waits for a backend which goes away is dropped; the guest has its buffer back. */
function withdrawPort(d: Serial, { state }: Port): void {
  sendControl(d, state.number, EVENT.PORT_REMOVE, 1);
  const { head } = state;
  if (head >= 0) {
    state.head = -1;
    contain(d, () => finishRequest(d, outputOf(state.number), reopenRequest(d, outputOf(state.number), head), 0));
  }
}

/** The bus for ports of a realized virtio-serial device. @throws {DeviceError} if `serial` is something else */
export function serialBus(world: World, serial: Device): Bus {
  const row = deviceRow(world, serial);
  const bus = row.buses.find(({ type }) => type === SERIAL_BUS);
  if (bus === undefined) throw new DeviceError(`Device "${row.id}" (${row.type.type}) takes no virtio-serial ports`);
  return bus;
}
