/**
 * virtio-mmio: a slot that shows one virtio function as 512 bytes of registers (virtio 1.2, section 4.2; version 1 of the
 * interface is 4.2.4). Empty, it shows device ID 0. Which version a slot speaks is settled when the machine is built.
 *
 * @module
 */
import { deviceRow } from "../../../ecs/device.ts";
import type { Bus } from "../../../ecs/bus.ts";
import type { MmioOps } from "../../../ecs/region.ts";
import type { World } from "../../../ecs/world.ts";
import { createBus } from "../../../systems/create_device.ts";
import { connect, disconnect } from "../../../systems/interrupts.ts";
import {
  boolean,
  defineDevice,
  type Device,
  DeviceError,
  type Instance,
  type PropertiesOf,
  type Register,
  setLine,
  trace,
} from "../define.ts";
import { registerFile } from "../registers.ts";
import {
  acceptFeatures,
  acknowledge,
  functionId,
  offeredFeatures,
  readConfiguration,
  serveQueue,
  STATUS,
  VIRTIO_BUS,
  type VirtioInstance,
  virtioInstance,
  writeConfiguration,
  writeStatus,
} from "./function.ts";
import { QUEUE_LIMIT, setAddress } from "./queue.ts";

/** Bytes that a slot occupies. */
export const SLOT_BYTES = 0x200;
const CONFIGURATION = 0x100;
const MAGIC = 0x74726976; // "virt"
const VENDOR = 0x554d4551; // "QEMU": drivers show it, and some look for it
const DEFAULT_ALIGN = 4096;

interface State {
  featureSelect: number;
  acceptSelect: number;
  /** What the driver has accepted so far, low and high half; counts when it sets FEATURES_OK. */
  acceptedLow: number;
  acceptedHigh: number;
  /** Version 1: how many bits a page number is shifted, and the alignment of each queue's used ring. */
  pageShift: number;
  queueAlign: Uint32Array;
}

const properties = {
  "force-legacy": boolean("show version 1 of the interface instead of version 2", { default: true }),
};
type D = Instance<State, PropertiesOf<typeof properties>>;

const legacy = (d: D) => plugged(d) && d.properties["force-legacy"];
const modern = (d: D) => plugged(d) && !d.properties["force-legacy"];
const plugged = (d: D) => functionIn(d) !== undefined;

/** The function in the slot. Registers below that need one are only visible when there is. */
function functionIn(d: D): VirtioInstance | undefined {
  const bus = deviceRow(d.world, d.device).buses[0];
  const child = bus?.children[0];
  if (child === undefined) return undefined;
  const row = deviceRow(d.world, child);
  return row.stage === "realized" ? virtioInstance(d.world, child) : undefined;
}

/** Runs `action` on the function and the selected queue, if the function has it. */
function onQueue(d: D, action: (f: VirtioInstance, queue: number) => void): void {
  const f = functionIn(d);
  if (f === undefined) return;
  const queue = f.state.queueSelect;
  if (queue < f.state.queueSize.length) action(f, queue);
  else trace(d, "guest-error", `there is no queue ${queue}`);
}

function queueValue(d: D, value: (f: VirtioInstance, queue: number) => number | undefined): number {
  const f = functionIn(d);
  return (f && value(f, f.state.queueSelect)) ?? 0;
}

const REGISTERS: readonly Register<D>[] = [
  { name: "MagicValue", offset: 0x000, bytes: 4, access: "ro", read: () => MAGIC },
  { name: "Version", offset: 0x004, bytes: 4, access: "ro", read: (d) => d.properties["force-legacy"] ? 1 : 2 },
  { name: "DeviceID", offset: 0x008, bytes: 4, access: "ro", read: (d) => onFunction(d, functionId) },
  { name: "VendorID", offset: 0x00c, bytes: 4, access: "ro", read: () => VENDOR },
  { name: "DeviceFeatures", offset: 0x010, bytes: 4, access: "ro", when: plugged, read: deviceFeatures },
  { name: "DeviceFeaturesSel", offset: 0x014, bytes: 4, access: "wo", when: plugged, field: "featureSelect" },
  { name: "DriverFeatures", offset: 0x020, bytes: 4, access: "wo", when: plugged, write: driverFeatures },
  { name: "DriverFeaturesSel", offset: 0x024, bytes: 4, access: "wo", when: plugged, field: "acceptSelect" },
  { name: "GuestPageSize", offset: 0x028, bytes: 4, access: "wo", when: legacy, write: guestPageSize },
  { name: "QueueSel", offset: 0x030, bytes: 4, access: "wo", when: plugged, write: queueSelect },
  {
    name: "QueueNumMax",
    offset: 0x034,
    bytes: 4,
    access: "ro",
    when: plugged,
    read: (d) => queueValue(d, ({ state }, queue) => queue < state.queueSize.length ? QUEUE_LIMIT : 0),
  },
  { name: "QueueNum", offset: 0x038, bytes: 4, access: "wo", when: plugged, write: queueNum },
  { name: "QueueAlign", offset: 0x03c, bytes: 4, access: "wo", when: legacy, write: queueAlign },
  { name: "QueuePFN", offset: 0x040, bytes: 4, when: legacy, read: queuePage, write: placeQueue },
  {
    name: "QueueReady",
    offset: 0x044,
    bytes: 4,
    when: modern,
    read: (d) => queueValue(d, (f, queue) => f.state.queueReady[queue]),
    write: (d, value) => onQueue(d, (f, queue) => f.state.queueReady[queue] = value === 0 ? 0 : 1),
  },
  { name: "QueueNotify", offset: 0x050, bytes: 4, access: "wo", when: plugged, write: queueNotify },
  {
    name: "InterruptStatus",
    offset: 0x060,
    bytes: 4,
    access: "ro",
    when: plugged,
    read: (d) => onFunction(d, (f) => f.state.interruptStatus),
  },
  {
    name: "InterruptACK",
    offset: 0x064,
    bytes: 4,
    access: "wo",
    when: plugged,
    write: (d, causes) => void onFunction(d, (f) => acknowledge(f, causes)),
  },
  {
    name: "Status",
    offset: 0x070,
    bytes: 4,
    when: plugged,
    read: (d) => onFunction(d, (f) => f.state.status),
    write: status,
  },
  ...address("QueueDesc", 0x080, "queueDescriptors"),
  ...address("QueueDriver", 0x090, "queueDriver"),
  ...address("QueueDevice", 0x0a0, "queueDevice"),
  { name: "SHMSel", offset: 0x0ac, bytes: 4, access: "wo", when: modern },
  // No function here has shared memory: length and base are all ones (4.2.2). QEMU shows the length in version 1, too.
  { name: "SHMLen", offset: 0x0b0, bytes: 4, count: 2, access: "ro", when: plugged, read: () => 0xffffffff },
  { name: "SHMBase", offset: 0x0b8, bytes: 4, count: 2, access: "ro", when: modern, read: () => 0xffffffff },
  {
    name: "ConfigGeneration",
    offset: 0x0fc,
    bytes: 4,
    access: "ro",
    when: modern,
    read: (d) => onFunction(d, (f) => f.state.generation),
  },
];

/** The two halves of an address of the selected queue; it may not change while the queue is in use. */
function address(
  name: string,
  offset: number,
  column: "queueDescriptors" | "queueDriver" | "queueDevice",
): Register<D>[] {
  const half = (which: 0 | 1) => (d: D, value: number) =>
    onQueue(d, (f, queue) => {
      if (f.state.queueReady[queue]) trace(d, "guest-error", `${name} of queue ${queue} is written while it is ready`);
      else f.state[column][2 * queue + which] = value;
    });
  return [
    { name: `${name}Low`, offset, bytes: 4, access: "wo", when: modern, write: half(0) },
    { name: `${name}High`, offset: offset + 4, bytes: 4, access: "wo", when: modern, write: half(1) },
  ];
}

function onFunction(d: D, action: (f: VirtioInstance) => number | void): number {
  const f = functionIn(d);
  return (f && action(f)) ?? 0;
}

function deviceFeatures(d: D): number {
  const f = functionIn(d);
  if (f === undefined) return 0;
  const { low, high } = offeredFeatures(f);
  return (d.state.featureSelect === 0 ? low : d.state.featureSelect === 1 ? high : 0) >>> 0;
}

/** Version 1 has 32 features, which count at once. */
function driverFeatures(d: D, value: number): void {
  const { state } = d;
  if (state.acceptSelect === 0) state.acceptedLow = value;
  else if (state.acceptSelect === 1) state.acceptedHigh = value;
  const f = functionIn(d);
  if (f !== undefined && legacy(d)) acceptFeatures(f, state.acceptedLow, 0);
}

function guestPageSize(d: D, value: number): void {
  d.state.pageShift = value === 0 ? 0 : 31 - Math.clz32(value & -value);
}

function queueSelect(d: D, value: number): void {
  const f = functionIn(d);
  if (f !== undefined && value < QUEUE_LIMIT) f.state.queueSelect = value;
}

function queueNum(d: D, value: number): void {
  onQueue(d, (f, queue) => {
    const { state } = f;
    if (value === 0 || value > QUEUE_LIMIT) {
      return trace(d, "guest-error", `queue ${queue} can't have ${value} entries`);
    }
    if (!legacy(d) && state.queueReady[queue]) {
      return trace(d, "guest-error", `QueueNum of queue ${queue} is written while it is ready`);
    }
    state.queueSize[queue] = value;
    if (legacy(d)) placeRings(d, f, queue);
  });
}

function queueAlign(d: D, value: number): void {
  onQueue(d, (f, queue) => {
    if (value === 0) return;
    d.state.queueAlign[queue] = value;
    placeRings(d, f, queue);
  });
}

function queuePage(d: D): number {
  return queueValue(d, ({ state }, queue) => {
    const low = state.queueDescriptors[2 * queue] ?? 0;
    const high = state.queueDescriptors[2 * queue + 1] ?? 0;
    return Math.floor((high * 2 ** 32 + low) / 2 ** d.state.pageShift) % 2 ** 32;
  });
}

/** Version 1: page 0 resets the device, as in QEMU, whichever queue is selected. */
function placeQueue(d: D, page: number): void {
  if (page === 0) return status(d, 0);
  onQueue(d, (f, queue) => {
    setAddress(f.state.queueDescriptors, queue, page * 2 ** d.state.pageShift);
    f.state.queueReady[queue] = 1;
    placeRings(d, f, queue);
  });
}

/** Version 1: the other two rings follow from the first (virtio 1.2, 2.7.2). */
function placeRings(d: D, f: VirtioInstance, queue: number): void {
  const { state } = f;
  if (!state.queueReady[queue]) return;
  const size = state.queueSize[queue] ?? 0;
  const align = d.state.queueAlign[queue] || DEFAULT_ALIGN;
  const table = (state.queueDescriptors[2 * queue + 1] ?? 0) * 2 ** 32 + (state.queueDescriptors[2 * queue] ?? 0);
  const driver = table + 16 * size;
  setAddress(state.queueDriver, queue, driver);
  setAddress(state.queueDevice, queue, Math.ceil((driver + 6 + 2 * size) / align) * align);
}

function queueNotify(d: D, queue: number): void {
  const f = functionIn(d);
  if (f !== undefined && queue < f.state.queueSize.length) serveQueue(f, queue);
}

/** The driver's FEATURES_OK stays unset if it accepted what was not on offer (virtio 1.2, 2.2.2). */
function status(d: D, value: number): void {
  const f = functionIn(d);
  if (f === undefined) return;
  let written = value & 0xff;
  if (modern(d) && written & ~f.state.status & STATUS.FEATURES_OK) {
    if (!acceptFeatures(f, d.state.acceptedLow, d.state.acceptedHigh)) written &= ~STATUS.FEATURES_OK;
  }
  writeStatus(f, written);
  if (written === 0) d.state.acceptedLow = d.state.acceptedHigh = 0;
}

const registers = registerFile(REGISTERS);

/** Registers take 32-bit accesses only, the configuration any width (4.2.2.2). */
const ops: MmioOps<D> = {
  read(d, offset, size, access) {
    const f = functionIn(d);
    if (offset >= CONFIGURATION) return f === undefined ? 0 : readConfiguration(f, offset - CONFIGURATION, size);
    if (size === 4 || f === undefined) return registers.read?.(d, offset, size, access) ?? 0;
    trace(d, "guest-error", `read of ${size} at offset 0x${offset.toString(16)}`);
    return 0;
  },
  peek(d, offset, size) {
    const f = functionIn(d);
    if (offset >= CONFIGURATION) return f === undefined ? 0 : readConfiguration(f, offset - CONFIGURATION, size);
    return registers.peek?.(d, offset, size) ?? 0;
  },
  write(d, offset, value, size, access) {
    const f = functionIn(d);
    if (f === undefined) return;
    if (offset >= CONFIGURATION) writeConfiguration(f, offset - CONFIGURATION, Number(value), size);
    else if (size === 4) registers.write?.(d, offset, value, size, access);
    else trace(d, "guest-error", `write of ${size} at offset 0x${offset.toString(16)}`);
  },
  impl: { min: 1, max: 4 },
};

/** The transport. Region `registers`, output `irq`; offers a bus for one function, see {@linkcode virtioBus}. */
export const virtioMmio = defineDevice<State, typeof properties>({
  type: "virtio-mmio",
  description: "slot for a virtio device among memory-mapped registers",
  properties,
  state: () => ({
    featureSelect: 0,
    acceptSelect: 0,
    acceptedLow: 0,
    acceptedHigh: 0,
    pageShift: 0,
    queueAlign: new Uint32Array(QUEUE_LIMIT),
  }),
  outputs: { irq: 1 },
  inputs: { interrupt: { set: (d, _index, level) => setLine(d, "irq", level) } },
  regions: { registers: { size: SLOT_BYTES, ops } },
  realize(d) {
    const { world, device: owner, id } = d;
    const interrupt = { device: owner, line: "interrupt" };
    // A slot that is realized again has its bus already.
    if (deviceRow(world, owner).buses.length > 0) return;
    createBus(world, {
      name: `${id}.bus`,
      owner,
      type: VIRTIO_BUS,
      capacity: 1,
      plugged(child) {
        virtioInstance(world, child).state.legacy = d.properties["force-legacy"];
        connect(world, { device: child, line: "interrupt" }, interrupt);
      },
      unplugged: (child) => disconnect(deviceRow(world, child)),
    });
  },
});

/** The bus of a realized transport. @throws {DeviceError} if `transport` offers none */
export function virtioBus(world: World, transport: Device): Bus {
  const row = deviceRow(world, transport);
  const bus = row.buses.find(({ type }) => type === VIRTIO_BUS);
  if (bus === undefined) throw new DeviceError(`Device "${row.id}" (${row.type.type}) has no free virtio bus`);
  return bus;
}
