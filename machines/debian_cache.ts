/**
 * Where what was fetched from Debian is kept, for the Linux job and as the default firmware: one directory per user,
 * nothing system-wide.
 *
 * `debian/current/` holds the complete set of extracted files (it appears by one rename, so that it is whole or absent);
 * `debian/apt/` is the private state of apt.
 *
 * @module
 */

/** Neither XDG_CACHE_HOME nor HOME says where a cache may live. */
export class NoCacheDirectoryError extends Error {
  override name = "NoCacheDirectoryError";
}

/**
 * The job's private directory, not created by this call: `$XDG_CACHE_HOME/freehold`, else `$HOME/.cache/freehold`
 * (XDG base directory specification; a relative XDG_CACHE_HOME is to be ignored).
 *
 * @throws {NoCacheDirectoryError} if neither variable is set
 */
export function cacheDirectory(): string {
  const xdg = Deno.env.get("XDG_CACHE_HOME");
  if (xdg?.startsWith("/")) return `${xdg}/freehold`;
  const home = Deno.env.get("HOME");
  if (home) return `${home}/.cache/freehold`;
  throw new NoCacheDirectoryError("No cache directory: neither XDG_CACHE_HOME nor HOME is set.");
}

/** The extracted files of Debian's packages. */
export interface DebianFiles {
  /** Linux, in the form that Debian ships: an EFI-stub Image. */
  readonly kernel: string;
  /** OpenSBI's `fw_dynamic.bin`. */
  readonly firmware: string;
  /** Statically linked busybox for riscv64. */
  readonly busybox: string;
  /** Directory of kernel modules (`*.ko*`), flat. */
  readonly modules: string;
}

/** Names the files that a complete cache holds. */
export function debianFiles(cache = cacheDirectory()): DebianFiles {
  const current = `${cache}/debian/current`;
  return {
    kernel: `${current}/vmlinux`,
    firmware: `${current}/fw_dynamic.bin`,
    busybox: `${current}/busybox`,
    modules: `${current}/modules`,
  };
}

/** Whether `path` is a file with something in it. */
function isNonEmptyFile(path: string): boolean {
  try {
    const info = Deno.statSync(path);
    return info.isFile && info.size > 0;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return false;
    throw error;
  }
}

/** The cached files if the cache is complete. */
export function cachedDebianFiles(cache = cacheDirectory()): DebianFiles | undefined {
  const files = debianFiles(cache);
  return [files.kernel, files.firmware, files.busybox].every(isNonEmptyFile) ? files : undefined;
}

/** The cached OpenSBI, for machines started without `-bios`; undefined if the job never fetched it. */
export function firmwarePath(): string | undefined {
  try {
    const { firmware } = debianFiles();
    return isNonEmptyFile(firmware) ? firmware : undefined;
  } catch (error) {
    if (error instanceof NoCacheDirectoryError) return undefined;
    throw error;
  }
}
