/**
 * Writer of "newc" cpio archives, the form that Linux takes as an initial file system
 * (Linux: Documentation/driver-api/early-userspace/buffer-format.rst).
 *
 * @module
 */

/** One member: a directory, a file, a symbolic link or a character device. Paths are relative, without a leading slash. */
export type CpioMember =
  | { readonly path: string; readonly kind: "directory" }
  | { readonly path: string; readonly kind: "file"; readonly data: Uint8Array; readonly executable?: boolean }
  | { readonly path: string; readonly kind: "link"; readonly target: string }
  | { readonly path: string; readonly kind: "characterDevice"; readonly major: number; readonly minor: number };

/** A member that the format cannot carry. */
export class CpioError extends Error {
  override name = "CpioError";
}

const TYPE_AND_MODE = { directory: 0o040755, file: 0o100644, link: 0o120777, characterDevice: 0o020600 } as const;
const EXECUTABLE = 0o111;
const HEADER_BYTES = 110;
const TRAILER = "TRAILER!!!";

const encoder = new TextEncoder();
const aligned = (length: number) => (length + 3) & ~3;

/**
 * The archive of `members`, in their order: parents must precede what they hold. Owners are root and times are zero, so
 * that equal members make equal bytes.
 *
 * @throws {CpioError} if a path is empty, absolute or repeated, or a file is 4 GiB or longer
 */
export function writeCpio(members: readonly CpioMember[]): Uint8Array<ArrayBuffer> {
  const seen = new Set<string>();
  for (const { path } of members) {
    if (path === "" || path.startsWith("/") || path.includes("\0") || path === TRAILER) {
      throw new CpioError(`A cpio member cannot be named "${path}".`);
    }
    if (seen.has(path)) throw new CpioError(`The cpio member "${path}" comes twice.`);
    seen.add(path);
  }
  const records = members.map((member, index) => ({
    name: encoder.encode(member.path),
    data: dataOf(member),
    member,
    index,
  }));
  const trailer = { name: encoder.encode(TRAILER), data: new Uint8Array(0), member: undefined, index: -1 };
  const all = [...records, trailer];
  const archive = new Uint8Array(
    all.reduce((total, { name, data }) => total + aligned(HEADER_BYTES + name.length + 1) + aligned(data.length), 0),
  );
  let at = 0;
  for (const { name, data, member, index } of all) {
    archive.set(encoder.encode(header(member, index + 1, name.length + 1, data.length)), at);
    archive.set(name, at + HEADER_BYTES);
    at += aligned(HEADER_BYTES + name.length + 1);
    archive.set(data, at);
    at += aligned(data.length);
  }
  return archive;
}

function dataOf(member: CpioMember): Uint8Array {
  if (member.kind === "link") return encoder.encode(member.target);
  if (member.kind !== "file") return new Uint8Array(0);
  if (member.data.length > 0xffffffff) throw new CpioError(`The cpio member "${member.path}" is too long.`);
  return member.data;
}

function header(member: CpioMember | undefined, inode: number, nameBytes: number, dataBytes: number): string {
  const device = member?.kind === "characterDevice" ? member : undefined;
  let mode = member === undefined ? 0 : TYPE_AND_MODE[member.kind];
  if (member?.kind === "file" && member.executable) mode |= EXECUTABLE;
  const links = member?.kind === "directory" ? 2 : 1;
  const [user, group, time, deviceMajor, deviceMinor, check] = [0, 0, 0, 0, 0, 0];
  const fields = [
    inode,
    mode,
    user,
    group,
    links,
    time,
    dataBytes,
    deviceMajor,
    deviceMinor,
    device?.major ?? 0,
    device?.minor ?? 0,
    nameBytes,
    check,
  ];
  return "070701" + fields.map((value) => value.toString(16).padStart(8, "0")).join("");
}
