/** Parts of guest memory that a loader fills, and the check that they fit beside each other. */

/** Bytes at a guest-physical address; from `bytes.length` to `size` memory is zero. */
export interface LoadedPart {
  /** Names the file in errors: "kernel 'vmlinux'". */
  readonly what: string;
  readonly address: number;
  readonly bytes: Uint8Array;
  readonly size: number;
}

/** An image that can't be loaded. The message is one sentence that names the file. */
export class ImageError extends Error {
  override name = "ImageError";
}

const MIB = 2 ** 20;

/**
 * A part without what lies below RAM: linkers put an ELF file's headers into the page before the first section, and QEMU,
 * too, loses what goes where no memory is. A part that lies there wholly stays, to be refused.
 */
export function fromRamOn(part: LoadedPart, ramBase: number): LoadedPart {
  const below = ramBase - part.address;
  if (below <= 0 || below >= part.size) return part;
  return { ...part, address: ramBase, bytes: part.bytes.subarray(below), size: part.size - below };
}

/**
 * Refuses parts that leave RAM or overlap each other.
 *
 * @throws {ImageError} naming the file and the addresses.
 */
export function checkPlacement(parts: readonly LoadedPart[], ramBase: number, ramBytes: number): void {
  const ramEnd = ramBase + ramBytes;
  for (const { what, address, size } of parts) {
    if (size > ramBytes) {
      throw new ImageError(`${what} needs ${mib(size)} of memory, but the machine has ${mib(ramBytes)}; see -m`);
    }
    if (address < ramBase || address + size > ramEnd) {
      throw new ImageError(
        `${what} does not fit: it needs ${range(address, size)}, RAM is ${range(ramBase, ramBytes)}`,
      );
    }
  }
  const sorted = parts.toSorted((a, b) => a.address - b.address);
  for (const [i, upper] of sorted.entries()) {
    const lower = sorted[i - 1];
    if (lower === undefined || lower.address + lower.size <= upper.address) continue;
    const [a, b] = [lower, upper].map((part) => `${part.what} at ${range(part.address, part.size)}`);
    throw new ImageError(`${a} overlaps ${b}`);
  }
}

function range(address: number, size: number): string {
  return `0x${address.toString(16)}-0x${(address + size - 1).toString(16)}`;
}

function mib(bytes: number): string {
  return `${Math.ceil(bytes / MIB)} MiB`;
}
