/** Files that a command line names: opened with one sentence about what is wrong with them. */
import { MAX_DEVICE_TREE_BYTES } from "../loader/flattened_device_tree.ts";
import type { ImageFile } from "../loader/image.ts";
import { firmwarePath } from "../debian_cache.ts";
import { MAX_RAM_BYTES } from "../virt/memory_map.ts";
import { OptionError } from "./key_values.ts";

/** @throws {OptionError} if the file can't be read, or is larger than any guest's memory. */
export function readImage(what: string, path: string, most = MAX_RAM_BYTES): ImageFile {
  try {
    const info = Deno.statSync(path);
    if (!info.isFile && !info.isCharDevice && !info.isFifo) throw new OptionError(`${what} '${path}' is not a file`);
    if (info.size > most) throw new OptionError(`${what} '${path}' is larger than ${most / 2 ** 20} MiB`);
    return { name: path, bytes: Deno.readFileSync(path) };
  } catch (error) {
    if (error instanceof OptionError) throw error;
    throw new OptionError(`${what} '${path}' can't be read: ${reason(error)}`);
  }
}

/** A device tree of the user, as bytes. */
export function readDeviceTreeFile(path: string): Uint8Array {
  return readImage("device tree", path, MAX_DEVICE_TREE_BYTES).bytes;
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
