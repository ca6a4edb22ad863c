/**
 * 64-bit little-endian RISC-V executables: which bytes go where. Files are untrusted; every offset is checked.
 *
 * Source: System V ABI, ELF-64 object file format; `e_machine` from the RISC-V ELF psABI.
 */
import { ImageError, type LoadedPart } from "./part.ts";

const ELF_HEADER_BYTES = 64;
const PROGRAM_HEADER_BYTES = 56;
const CLASS_64 = 2, LITTLE_ENDIAN = 1, MACHINE_RISCV = 243, LOAD = 1;

export function isElf(bytes: Uint8Array): boolean {
  return bytes[0] === 0x7f && bytes[1] === 0x45 && bytes[2] === 0x4c && bytes[3] === 0x46;
}

/**
 * The loadable segments, at their physical addresses.
 *
 * @param what Names the file in errors: "kernel 'vmlinux'".
 * @throws {ImageError} if the file is not an executable for this machine, or cut short.
 */
export function readElf(bytes: Uint8Array, what: string): LoadedPart[] {
  if (bytes.length < ELF_HEADER_BYTES) throw new ImageError(`${what} is cut short: it ends inside its ELF header`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes[4] !== CLASS_64 || bytes[5] !== LITTLE_ENDIAN || view.getUint16(18, true) !== MACHINE_RISCV) {
    throw new ImageError(`${what} is an ELF file, but not one for 64-bit little-endian RISC-V`);
  }
  const table = Number(view.getBigUint64(32, true));
  const stride = view.getUint16(54, true);
  const count = view.getUint16(56, true);
  if (count > 0 && stride < PROGRAM_HEADER_BYTES) throw new ImageError(`${what} has a malformed ELF program header`);
  if (table + count * stride > bytes.length) {
    throw new ImageError(`${what} is cut short: it ends inside its ELF program headers`);
  }
  const parts: LoadedPart[] = [];
  for (let at = table; at < table + count * stride; at += stride) {
    if (view.getUint32(at, true) !== LOAD) continue;
    const offset = Number(view.getBigUint64(at + 8, true));
    const address = Number(view.getBigUint64(at + 24, true));
    const fileBytes = Number(view.getBigUint64(at + 32, true));
    const size = Number(view.getBigUint64(at + 40, true));
    if (size === 0) continue;
    if (fileBytes > size) throw new ImageError(`${what} has an ELF segment that is larger in the file than in memory`);
    if (offset + fileBytes > bytes.length) {
      throw new ImageError(`${what} is cut short: an ELF segment ends at byte ${offset + fileBytes} of the file`);
    }
    parts.push({ what, address, bytes: bytes.subarray(offset, offset + fileBytes), size });
  }
  if (parts.length === 0) throw new ImageError(`${what} is an ELF file without anything to load`);
  return parts;
}
