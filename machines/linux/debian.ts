/**
 * Debian's kernel, OpenSBI and busybox for riscv64: fetched once with a private apt, then kept in the cache.
 *
 * @module
 */

import {
  AptError,
  configure,
  dependencies,
  download,
  extract,
  hostMirrors,
  type PrivateApt,
  updateIndex,
} from "./apt.ts";
import { cachedDebianFiles, cacheDirectory, type DebianFiles, debianFiles } from "../debian_cache.ts";
import { GUEST_MODULES } from "./modules.ts";

/** The release whose kernel the job boots, whatever release the host is. */
const SUITE = "trixie";

/** Debian's packages can't be had; the message says why in one sentence. */
export class DebianUnavailableError extends Error {
  override name = "DebianUnavailableError";
}

/** Receives one short line of progress; `percent` is undefined when the step has no measure. */
export type Progress = (step: string, percent?: number) => void;

/**
 * The files of Debian's packages, from the cache or else fetched.
 *
 * @param progress told what is being done
 * @throws {DebianUnavailableError} if they are not cached and can't be fetched
 */
export async function obtainDebian(progress: Progress, cache = cacheDirectory()): Promise<DebianFiles> {
  const cached = cachedDebianFiles(cache);
  if (cached !== undefined) return cached;
  try {
    return await fetchDebian(progress, cache);
  } catch (error) {
    if (error instanceof AptError) throw new DebianUnavailableError(error.message);
    if (error instanceof Deno.errors.PermissionDenied || error instanceof Deno.errors.NotADirectory) {
      throw new DebianUnavailableError(`The cache directory ${cache} cannot be written.`);
    }
    throw error;
  }
}

/** Makes the next {@linkcode obtainDebian} fetch. */
export function forgetDebian(cache = cacheDirectory()): void {
  try {
    Deno.removeSync(`${cache}/debian/current`, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

async function fetchDebian(progress: Progress, cache: string): Promise<DebianFiles> {
  const apt: PrivateApt = { directory: `${cache}/debian/apt`, architecture: "riscv64" };
  await Deno.mkdir(apt.directory, { recursive: true });
  await indexFromAnyMirror(apt, progress);
  const kernel = (await dependencies(apt, "linux-image-riscv64")).find((name) => name.startsWith("linux-image-"));
  if (kernel === undefined) throw new AptError("The index of Debian's packages names no riscv64 kernel.");
  const archives = await download(
    apt,
    [kernel, "busybox-static", "opensbi"],
    `${apt.directory}/archives`,
    (percent) => progress(`fetching ${kernel}, busybox and OpenSBI`, percent),
  );
  progress("unpacking");
  const files = await unpack(archives, cache);
  await Deno.remove(`${apt.directory}/archives`, { recursive: true });
  progress("ready");
  return files;
}

/** Verifies the index of the first configured mirror that has the suite. */
async function indexFromAnyMirror(apt: PrivateApt, progress: Progress): Promise<void> {
  let refusal: unknown;
  for (const mirror of await hostMirrors(`${apt.directory}/none`)) {
    try {
      await configure(apt, mirror, SUITE);
      await updateIndex(apt, (percent) => progress(`fetching the index of Debian ${SUITE}`, percent));
      return;
    } catch (error) {
      if (!(error instanceof AptError)) throw error;
      refusal ??= error;
    }
  }
  throw refusal;
}

/** Extracts what a machine needs, flat, and makes it `current` by one rename. */
async function unpack(archives: string[], cache: string): Promise<DebianFiles> {
  const raw = `${cache}/debian/unpacked`;
  const next = `${cache}/debian/next`;
  for (const stale of [raw, next]) await removeTree(stale);
  const patterns = [
    "./boot/vmlinu*",
    "./usr/bin/busybox",
    "./usr/lib/riscv64-linux-gnu/opensbi/generic/fw_dynamic.bin",
    ...GUEST_MODULES.map((name) => `*/${name}.ko*`),
  ];
  for (const archive of archives) await extract(archive, patterns, raw);
  await Deno.mkdir(`${next}/modules`, { recursive: true });
  for await (const path of filesBelow(raw)) {
    const name = path.slice(path.lastIndexOf("/") + 1);
    if (name.startsWith("vmlinu")) await Deno.rename(path, `${next}/vmlinux`);
    else if (/\.ko(\.|$)/.test(name)) await Deno.rename(path, `${next}/modules/${name}`);
    else await Deno.rename(path, `${next}/${name}`);
  }
  await removeTree(raw);
  await removeTree(`${cache}/debian/current`);
  await Deno.rename(next, `${cache}/debian/current`);
  const files = cachedDebianFiles(cache);
  if (files === undefined) {
    throw new AptError(`Debian's packages lack one of ${Object.values(debianFiles("")).join(", ")}.`);
  }
  return files;
}

async function* filesBelow(directory: string): AsyncGenerator<string> {
  for (const entry of await Array.fromAsync(Deno.readDir(directory))) {
    const path = `${directory}/${entry.name}`;
    if (entry.isDirectory) yield* filesBelow(path);
    else if (entry.isFile) yield path;
  }
}

async function removeTree(path: string): Promise<void> {
  try {
    await Deno.remove(path, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
