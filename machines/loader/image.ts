/**
 * Files that go into guest memory: kernels, firmware and RAM disks, in the forms in which distributions ship them. What a
 * file is follows from its first bytes; what is wrong with it is one sentence.
 *
 * Source: Linux Documentation/arch/riscv/boot-image-header.rst; PE/COFF for the EFI stub; RFC 1952 for gzip.
 */
import { isElf, readElf } from "./elf.ts";
import { ImageError, type LoadedPart } from "./part.ts";

/** A file given by the user: `name` appears in messages. */
export interface ImageFile {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** Firmware: an ELF file at its own addresses, anything else as it is at `address`. */
export function readFirmware(file: ImageFile, address: number): LoadedPart[] {
  const what = `firmware '${file.name}'`;
  const bytes = notEmpty(file.bytes, what);
  return isElf(bytes) ? readElf(bytes, what) : [{ what, address, bytes, size: bytes.length }];
}

/**
 * A kernel: ELF at its own physical addresses; a flat Image, with or without EFI stub, at `address`. Either may be
 * compressed with gzip.
 *
 * @param ramBytes What unpacks to more is not unpacked.
 * @throws {ImageError} if the file is empty, cut short or of a kind that can't be started.
 */
export function readKernel(file: ImageFile, address: number, ramBytes: number): LoadedPart[] {
  const what = `kernel '${file.name}'`;
  let bytes = notEmpty(file.bytes, what);
  if (isGzip(bytes)) bytes = notEmpty(gunzip(bytes, what, ramBytes), what);
  if (isElf(bytes)) return readElf(bytes, what);
  if (isCompressedEfi(bytes)) {
    throw new ImageError(`${what} is a compressed EFI program, which only UEFI firmware can start; give its Image`);
  }
  return [{ what, address, bytes, size: Math.max(bytes.length, imageMemory(bytes, what)) }];
}

/** A RAM disk goes as it is; the kernel unpacks it. */
export function readRamDisk(file: ImageFile, address: number): LoadedPart {
  const what = `initrd '${file.name}'`;
  const bytes = notEmpty(file.bytes, what);
  return { what, address, bytes, size: bytes.length };
}

function notEmpty(bytes: Uint8Array, what: string): Uint8Array {
  if (bytes.length === 0) throw new ImageError(`${what} is empty`);
  return bytes;
}

function isGzip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b;
}

function gunzip(bytes: Uint8Array, what: string, most: number): Uint8Array {
  // Imported above, it would take every machine 15 ms to start.
  const { gunzipSync } = globalThis.process.getBuiltinModule("node:zlib");
  try {
    return gunzipSync(bytes, { maxOutputLength: most });
  } catch (error) {
    const tooMuch = `unpacks to more than the machine's ${Math.floor(most / 2 ** 20)} MiB; see -m`;
    const reason = error instanceof RangeError ? tooMuch : "is damaged or cut short";
    throw new ImageError(`${what} is compressed with gzip and ${reason}`);
  }
}

/** "MZ" and "zimg": an EFI program that carries a compressed kernel. */
function isCompressedEfi(bytes: Uint8Array): boolean {
  return magicAt(bytes, 0, "MZ") && magicAt(bytes, 4, "zimg");
}

/** What a flat kernel needs in memory by its own header, 0 if it has none: the file leaves out what starts as zero. */
function imageMemory(bytes: Uint8Array, what: string): number {
  if (bytes.length < 64 || !magicAt(bytes, 0x30, "RISCV\0\0\0")) return 0;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = portableExecutableEnd(view);
  if (end > bytes.length) throw new ImageError(`${what} is cut short: it has ${bytes.length} of ${end} bytes`);
  return Number(view.getBigUint64(16, true));
}

/** Where the last section of an EFI stub's file ends; 0 without a stub. */
function portableExecutableEnd(view: DataView): number {
  if (view.getUint16(0, true) !== 0x5a4d) return 0;
  const header = view.getUint32(0x3c, true);
  if (header + 24 > view.byteLength) return header + 24;
  const sections = view.getUint16(header + 6, true);
  const table = header + 24 + view.getUint16(header + 20, true);
  let end = table + 40 * sections;
  if (end > view.byteLength) return end;
  for (let at = table; at < table + 40 * sections; at += 40) {
    end = Math.max(end, view.getUint32(at + 16, true) + view.getUint32(at + 20, true));
  }
  return end;
}

function magicAt(bytes: Uint8Array, at: number, magic: string): boolean {
  return [...magic].every((character, i) => bytes[at + i] === character.charCodeAt(0));
}
