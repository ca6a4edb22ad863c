/** Files that a command line names: opened with one sentence about what is wrong with them. */
import { DeviceTreeError, MAX_DEVICE_TREE_BYTES, readDeviceTree } from "../loader/flattened_device_tree.ts";
import type { ImageFile } from "../loader/image.ts";
import { firmwarePath } from "../debian_cache.ts";
import { MAX_RAM_BYTES } from "../virt/memory_map.ts";
import { OptionError } from "./key_values.ts";

/** Images are piped in, such as from a decompressor; devices may never end. */
const MAX_STREAM_BYTES = 512 << 20;
const STREAM_PIECE_BYTES = 1 << 16;

/** @throws {OptionError} if the file can't be read, or is larger than any guest's memory. */
export function readImage(what: string, path: string, most = MAX_RAM_BYTES): ImageFile {
  try {
    const info = Deno.statSync(path);
    if (!info.isFile && !info.isCharDevice && !info.isFifo) throw new OptionError(`${what} '${path}' is not a file`);
    if (info.size > most) throw new OptionError(`${what} '${path}' is larger than ${most / 2 ** 20} MiB`);
    const bytes = info.isFile ? Deno.readFileSync(path) : readStream(path, Math.min(most, MAX_STREAM_BYTES));
    if (bytes === undefined) throw new OptionError(`${what} '${path}' is no file, and does not end`);
    return { name: path, bytes };
  } catch (error) {
    if (error instanceof OptionError) throw error;
    throw new OptionError(`${what} '${path}' can't be read: ${reason(error)}`);
  }
}

/** All that a pipe or a character device gives; undefined if that is more than `most` bytes. */
function readStream(path: string, most: number): Uint8Array | undefined {
  using file = Deno.openSync(path);
  const pieces: Uint8Array[] = [];
  let length = 0;
  for (;;) {
    const piece = new Uint8Array(STREAM_PIECE_BYTES);
    const count = file.readSync(piece);
    if (count === null) break;
    if (length + count > most) return undefined;
    pieces.push(piece.subarray(0, count));
    length += count;
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}

/** A device tree of the user, as bytes. @throws {OptionError} if it is none. */
export function readDeviceTreeFile(path: string): Uint8Array {
  const { bytes } = readImage("device tree", path, MAX_DEVICE_TREE_BYTES);
  try {
    readDeviceTree(bytes);
  } catch (error) {
    if (!(error instanceof DeviceTreeError)) throw error;
    throw new OptionError(`device tree '${path}' ${error.message}`);
  }
  return bytes;
}

/** Where distributions put OpenSBI for `virt`. */
const FIRMWARE_NAMES = ["fw_dynamic.bin", "opensbi-riscv64-generic-fw_dynamic.bin"];
const FIRMWARE_DIRECTORIES = ["/usr/lib/riscv64-linux-gnu/opensbi/generic", "/usr/share/qemu"];

/**
 * The firmware that `-bios` means: nothing for "none", and for "default" OpenSBI of `-L`, of the Linux job's cache or of the
 * host's distribution.
 */
export function readFirmwareFile(bios: string, searchPath: readonly string[]): ImageFile | undefined {
  if (bios === "none") return undefined;
  if (bios !== "default") return readImage("firmware", firstThatIs([bios, ...within(searchPath, [bios])]) ?? bios);
  const cached = firmwarePath();
  const candidates = [
    ...within(searchPath, FIRMWARE_NAMES),
    ...(cached === undefined ? [] : [cached]),
    ...within(FIRMWARE_DIRECTORIES, FIRMWARE_NAMES),
  ];
  const found = firstThatIs(candidates);
  if (found !== undefined) return readImage("firmware", found);
  throw new OptionError(
    "there is no OpenSBI firmware here: run 'deno task linux' once, or give -bios FILE or -bios none",
  );
}

function within(directories: readonly string[], names: readonly string[]): string[] {
  return directories.flatMap((directory) => names.map((name) => `${directory}/${name}`));
}

function firstThatIs(paths: readonly string[]): string | undefined {
  return paths.find((path) => {
    try {
      return Deno.statSync(path).isFile;
    } catch {
      return false;
    }
  });
}

/** What the file system said, without Deno's prefix. */
export function reason(error: unknown): string {
  if (error instanceof Deno.errors.NotFound) return "there is no such file";
  if (error instanceof Deno.errors.PermissionDenied) return "permission denied";
  if (error instanceof Deno.errors.NotCapable) return "Deno was not given permission; run it with --allow-read";
  return error instanceof Error ? error.message : String(error);
}
