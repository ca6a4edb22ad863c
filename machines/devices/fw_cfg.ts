/**
 * fw_cfg: items of configuration data for firmware, read through a data register or by DMA.
 *
 * Source: QEMU's documentation, "QEMU Firmware Configuration (fw_cfg) Device", MMIO layout of `virt`: data at 0 (8 bytes),
 * selector at 8 (2 bytes, big-endian), DMA address at 16 (8 bytes, big-endian).
 */
import type { AccessSize, MmioOps } from "../../ecs/region.ts";
import type { World } from "../../ecs/world.ts";
import { read, write } from "../../systems/dma.ts";
import { defineDevice, type Device, DeviceError, type Instance, instance, schedule, trace } from "./define.ts";

/** Keys of items that are not files. */
export const Key = {
  SIGNATURE: 0x00,
  ID: 0x01,
  CPUS: 0x05,
  KERNEL_SIZE: 0x08,
  INITRD_SIZE: 0x0b,
  FILE_DIRECTORY: 0x19,
  KERNEL_DATA: 0x11,
  INITRD_DATA: 0x12,
  COMMAND_LINE_SIZE: 0x14,
  COMMAND_LINE_DATA: 0x15,
  FIRST_FILE: 0x20,
} as const;

/** Keys above are neither items nor files: 32 generic slots and 32 files, as QEMU has by default. */
const LAST_KEY = 0x3f;
const FILE_NAME_BYTES = 56;
/** Reads as this where the DMA address is written. */
const DMA_SIGNATURE = new TextEncoder().encode("QEMU CFG");

interface State {
  /** Items by key; an empty one does not exist. */
  items: Uint8Array[];
  fileNames: string[];
  selected: number;
  /** Next byte of the selected item. */
  offset: number;
  /** High half of the DMA address, written before the low half. */
  dmaHigh: number;
  /** Of a request that reads beyond the end of its item: its address, and where how many zeros are still to be written. */
  zerosRequest: bigint;
  zerosTarget: bigint;
  zerosLeft: number;
}

type FwCfg = Instance<State, object>;

const DATA = 0;
const SELECTOR = 8;
const DMA = 16;

/** Bits of the control word of a DMA request. */
const Control = { ERROR: 1, READ: 2, SKIP: 4, SELECT: 8, WRITE: 16 };
const REQUEST_BYTES = 16;
/**
 * Zeros after the end of an item that are written at once. A guest may ask for 4 GiB of them; the rest is written between
 * slices, so that the host stays responsive, and the control word says when the request is done, as the interface has it.
 */
const ZEROS = new Uint8Array(4 << 20);

function powerOn(): State {
  const items = Array.from({ length: LAST_KEY + 1 }, () => new Uint8Array(0));
  items[Key.SIGNATURE] = new TextEncoder().encode("QEMU");
  items[Key.ID] = Uint8Array.of(3, 0, 0, 0); // traditional interface and DMA
  items[Key.FILE_DIRECTORY] = new Uint8Array(4);
  return {
    items,
    fileNames: [],
    selected: Key.SIGNATURE,
    offset: 0,
    dmaHigh: 0,
    zerosRequest: 0n,
    zerosTarget: 0n,
    zerosLeft: 0,
  };
}

function select(d: FwCfg, key: number): void {
  d.state.selected = key;
  d.state.offset = 0;
}

function selectedItem(d: FwCfg): Uint8Array {
  return d.state.items[d.state.selected] ?? new Uint8Array(0);
}

/** The next byte of the item; zeros after its end. */
function nextByte(d: FwCfg): number {
  const item = selectedItem(d);
  return d.state.offset < item.length ? item[d.state.offset++] ?? 0 : 0;
}

/** Handles the request at `address`; its control word becomes 0, or the error bit. */
function transfer(d: FwCfg, address: bigint): void {
  if (d.state.zerosLeft > 0) {
    trace(d, "guest-error", `DMA request at 0x${address.toString(16)} while another is under way`);
    return finish(d, address, false);
  }
  const request = new Uint8Array(REQUEST_BYTES);
  if (read(d.world, d.addressSpace, address, request) !== 0) {
    trace(d, "guest-error", `DMA request at 0x${address.toString(16)} can't be read`);
    return finish(d, address, false);
  }
  const view = new DataView(request.buffer);
  const control = view.getUint32(0);
  const length = view.getUint32(4);
  if (control & Control.SELECT) select(d, control >>> 16);
  if (control & Control.READ) return copyOut(d, address, length, view.getBigUint64(8));
  if (control & Control.WRITE) return finish(d, address, length === 0); // no item is writable
  if (control & Control.SKIP) d.state.offset = Math.min(d.state.offset + length, selectedItem(d).length);
  finish(d, address, true);
}

function finish(d: FwCfg, request: bigint, isDone: boolean): void {
  write(d.world, d.addressSpace, request, Uint8Array.of(0, 0, 0, isDone ? 0 : Control.ERROR));
}

/** Copies the item from its next byte on, and zeros where it ends. */
function copyOut(d: FwCfg, request: bigint, length: number, target: bigint): void {
  const piece = selectedItem(d).subarray(d.state.offset, d.state.offset + length);
  d.state.offset += piece.length;
  if (!put(d, target, piece)) return finish(d, request, false);
  d.state.zerosRequest = request;
  d.state.zerosTarget = target + BigInt(piece.length);
  d.state.zerosLeft = length - piece.length;
  fillZeros(d);
}

function fillZeros(d: FwCfg): void {
  const { state } = d;
  const chunk = ZEROS.subarray(0, state.zerosLeft);
  const isWritten = put(d, state.zerosTarget, chunk);
  state.zerosTarget += BigInt(chunk.length);
  state.zerosLeft = isWritten ? state.zerosLeft - chunk.length : 0;
  if (state.zerosLeft > 0) schedule(d, "zeros");
  else finish(d, state.zerosRequest, isWritten);
}

function put(d: FwCfg, target: bigint, bytes: Uint8Array): boolean {
  const address = BigInt.asUintN(64, target);
  const isWritten = bytes.length === 0 || write(d.world, d.addressSpace, address, bytes) === 0;
  if (!isWritten) trace(d, "guest-error", `DMA to 0x${address.toString(16)} fails`);
  return isWritten;
}

/** Sets an item of at most 4 GiB. The bytes are not copied. @throws {DeviceError} if the key is out of range. */
export function addItem(world: World, device: Device, key: number, bytes: Uint8Array): void {
  const d = instance(world, device, fwCfg);
  if (!(key >= 0 && key < Key.FIRST_FILE)) throw new DeviceError(`fw_cfg item ${key} is not from 0 to 31`);
  d.state.items[key] = bytes;
}

/**
 * Adds a file. Files have keys in the order of their names.
 *
 * @throws {DeviceError} if the name is longer than 55 bytes or in use, or 32 files exist.
 */
export function addFile(world: World, device: Device, name: string, bytes: Uint8Array): void {
  const { state } = instance(world, device, fwCfg);
  const { fileNames, items } = state;
  if (new TextEncoder().encode(name).length >= FILE_NAME_BYTES) {
    throw new DeviceError(`fw_cfg file name "${name}" is longer than ${FILE_NAME_BYTES - 1} bytes`);
  }
  if (fileNames.includes(name)) throw new DeviceError(`fw_cfg file "${name}" exists already`);
  if (Key.FIRST_FILE + fileNames.length > LAST_KEY) throw new DeviceError(`fw_cfg has no room for file "${name}"`);
  const before = fileNames.filter((other) => other < name).length;
  fileNames.splice(before, 0, name);
  items.splice(Key.FIRST_FILE + before, 0, bytes);
  items.pop();
  items[Key.FILE_DIRECTORY] = directory(state);
}

/** Number of files, then for each: size, key, reserved half, name; big-endian. */
function directory({ fileNames, items }: State): Uint8Array {
  const entry = 8 + FILE_NAME_BYTES;
  const bytes = new Uint8Array(4 + entry * fileNames.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, fileNames.length);
  fileNames.forEach((name, index) => {
    const at = 4 + entry * index;
    view.setUint32(at, items[Key.FIRST_FILE + index]?.length ?? 0);
    view.setUint16(at + 4, Key.FIRST_FILE + index);
    bytes.set(new TextEncoder().encode(name), at + 8);
  });
  return bytes;
}

function readRegister(offset: number, size: AccessSize, next: () => number): number | bigint {
  const bytes = Array.from({ length: size }, (_, index) => offset < DMA ? next() : DMA_SIGNATURE[offset - DMA + index]);
  const value = bytes.reduceRight((high, byte) => high << 8n | BigInt(byte ?? 0), 0n);
  return size === 8 ? value : Number(value);
}

/** The registers are a byte stream and big-endian numbers, so that a register file would not describe them. */
const OPS: MmioOps<FwCfg> = {
  read: (d, offset, size) => readRegister(offset, size, () => nextByte(d)),
  peek(d, offset, size) {
    let at = d.state.offset;
    return readRegister(offset, size, () => selectedItem(d)[at++] ?? 0);
  },
  write(d, offset, value, size) {
    const bytes = new DataView(new ArrayBuffer(8));
    bytes.setBigUint64(0, BigInt(value), true);
    if (offset === SELECTOR) return select(d, bytes.getUint16(0));
    if (offset < DMA) return; // no item is writable
    if (size === 4 && offset === DMA) {
      d.state.dmaHigh = bytes.getUint32(0);
      return;
    }
    const address = size === 8 ? bytes.getBigUint64(0) : BigInt(d.state.dmaHigh) << 32n | BigInt(bytes.getUint32(0));
    d.state.dmaHigh = 0;
    transfer(d, address);
  },
  impl: { min: 1, max: 8 },
  valid: {
    min: 1,
    max: 8,
    accepts(_, offset, size, isWrite) {
      if (offset < SELECTOR) return offset === DATA;
      if (offset < DMA) return isWrite && offset === SELECTOR && size === 2;
      return !isWrite || size === 8 || size === 4;
    },
  },
};

export const fwCfg = defineDevice<State>({
  type: "fw_cfg_mem",
  description: "configuration data for firmware",
  state: powerOn,
  survivesReset: ["items", "fileNames"],
  bottomHalves: { zeros: { guarded: true, run: fillZeros } },
  regions: { registers: { size: 0x18, ops: OPS } },
});
