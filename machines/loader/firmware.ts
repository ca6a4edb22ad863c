/**
 * How a machine without a boot ROM of its own comes up: where firmware, kernel, RAM disk and device tree go, what the reset
 * vector does, and what it tells the firmware. Addresses are QEMU's (`virt` of 7.2), so that what boots there boots here.
 *
 * Source: OpenSBI docs/firmware/fw_dynamic.md; QEMU docs/system/riscv/virt.rst.
 */
import { cells, chosenNode, type DeviceTree, text, writeDeviceTree } from "./flattened_device_tree.ts";
import { type ImageFile, readFirmware, readKernel, readRamDisk } from "./image.ts";
import { checkPlacement, fromRamOn, ImageError, type LoadedPart } from "./part.ts";

export interface BootFiles {
  /** Runs first, in machine mode. Without it the kernel, or whatever is at the start of RAM, does. */
  readonly firmware?: ImageFile;
  readonly kernel?: ImageFile;
  readonly initrd?: ImageFile;
  /** The kernel's command line. */
  readonly append?: string;
}

/** What is in memory when the harts leave reset. */
export interface BootPlan {
  /** Parts of RAM, the device tree last. */
  readonly parts: readonly LoadedPart[];
  readonly resetVector: Uint8Array;
}

const MIB = 2 ** 20;
/** A RAM disk stays clear of a kernel that unpacks itself, yet in memory that the kernel maps early. */
const INITRD_DISTANCE = 128 * MIB;
/** Firmware of 32 bits reads the device tree too. */
const DEVICE_TREE_LIMIT = 0xc000_0000;
const RANDOM_SEED_BYTES = 32;

/**
 * Places everything and completes the device tree: command line, RAM disk and seed go into `/chosen`.
 *
 * @param tree Is changed.
 * @param fillRandom Supplies the seed.
 * @throws {ImageError} if a file can't be read, or what is to be loaded does not fit.
 */
export function planBoot(
  files: BootFiles,
  ramBase: number,
  ramBytes: number,
  tree: DeviceTree,
  fillRandom: (bytes: Uint8Array) => void,
): BootPlan {
  const parts: LoadedPart[] = [];
  const chosen = chosenNode(tree).properties;

  const inRam = (part: LoadedPart) => fromRamOn(part, ramBase);
  if (files.firmware !== undefined) parts.push(...readFirmware(files.firmware, ramBase).map(inRam));
  const firmwareEnd = Math.max(ramBase, ...parts.map((part) => part.address + part.size));

  let kernelEntry = 0;
  if (files.kernel !== undefined) {
    const kernel = readKernel(files.kernel, alignUp(firmwareEnd, 2 * MIB), ramBytes);
    // The lowest address, not the ELF entry point: what fw_dynamic jumps to is the same for every form of a kernel.
    kernelEntry = Math.min(...kernel.map((part) => part.address));
    parts.push(...kernel.map(inRam));
  }
  if (files.initrd !== undefined) {
    if (files.kernel === undefined) throw new ImageError("an initrd is of no use without a kernel; see -kernel");
    const start = kernelEntry + Math.min(Math.floor(ramBytes / 2), INITRD_DISTANCE);
    const initrd = readRamDisk(files.initrd, start);
    chosen.set("linux,initrd-start", cells(start));
    chosen.set("linux,initrd-end", cells(start + initrd.size));
    parts.push(initrd);
  }
  if (files.append) chosen.set("bootargs", text(files.append));
  const seed = new Uint8Array(RANDOM_SEED_BYTES);
  fillRandom(seed);
  chosen.set("rng-seed", seed);

  const flattened = writeDeviceTree(tree);
  const deviceTreeAddress = alignDown(Math.min(ramBase + ramBytes, DEVICE_TREE_LIMIT) - flattened.length, 2 * MIB);
  parts.push({ what: "the device tree", address: deviceTreeAddress, bytes: flattened, size: flattened.length });
  checkPlacement(parts, ramBase, ramBytes);
  return { parts, resetVector: resetVector(ramBase, deviceTreeAddress, kernelEntry) };
}

const FW_DYNAMIC_MAGIC = 0x4942534f; // "OSBI"
const FW_DYNAMIC_VERSION = 2;
const NEXT_MODE_SUPERVISOR = 1;

/** First instructions of every hart: a0 = hart, a1 = device tree, a2 = fw_dynamic information, then into RAM. */
function resetVector(start: number, deviceTree: number, kernelEntry: number): Uint8Array {
  const words = new DataView(new ArrayBuffer(40 + 48));
  const code = [
    0x00000297, //     auipc t0, 0
    0x02828613, //     addi  a2, t0, 40      fw_dynamic information
    0xf1402573, //     csrr  a0, mhartid
    0x0202b583, //     ld    a1, 32(t0)      device tree
    0x0182b283, //     ld    t0, 24(t0)      start
    0x00028067, //     jr    t0
  ];
  code.forEach((word, i) => words.setUint32(4 * i, word, true));
  const data = [start, deviceTree, FW_DYNAMIC_MAGIC, FW_DYNAMIC_VERSION, kernelEntry, NEXT_MODE_SUPERVISOR];
  data.forEach((value, i) => words.setBigUint64(24 + 8 * i, BigInt(value), true));
  // What follows, options and boot hart, is zero.
  return new Uint8Array(words.buffer);
}

function alignUp(address: number, alignment: number): number {
  return Math.ceil(address / alignment) * alignment;
}

function alignDown(address: number, alignment: number): number {
  return Math.floor(address / alignment) * alignment;
}
