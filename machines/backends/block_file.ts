/**
 * A raw image file as a disk: byte n of the file is byte n of the disk.
 *
 * @module
 */
import { type BlockBackend, BlockError, SECTOR_BYTES } from "./block.ts";

/**
 * Opens a raw image.
 *
 * A file that ends inside a sector is a disk with that sector whole: what the file lacks reads as zero.
 *
 * The file is locked, for writing alone or for reading with other readers, as long as it is open.
 *
 * @throws {BlockError} if the file cannot be opened, is not a regular file or is open elsewhere for writing
 */
export function openRawImage(path: string, options: { readonly?: boolean } = {}): BlockBackend {
  const readonly = options.readonly ?? false;
  let file: Deno.FsFile;
  try {
    file = Deno.openSync(path, { read: true, write: !readonly });
  } catch (error) {
    throw new BlockError(`Cannot open image ${path}: ${reason(error)}`);
  }
  const info = file.statSync();
  if (!info.isFile) {
    file.close();
    throw new BlockError(`Cannot open image ${path}: it is not a regular file`);
  }
  if (!lock(file, !readonly)) {
    file.close();
    throw new BlockError(`Cannot open image ${path}: another drive or process uses it`);
  }
  return new RawImage(path, file, Math.ceil(info.size / SECTOR_BYTES) * SECTOR_BYTES, readonly);
}

/** Makes an empty raw image of the given size, replacing what was there, and opens it. */
export function createRawImage(path: string, byteLength: number): BlockBackend {
  try {
    const file = Deno.openSync(path, { read: true, write: true, create: true, truncate: true });
    file.truncateSync(byteLength);
    return new RawImage(path, file, byteLength, false);
  } catch (error) {
    throw new BlockError(`Cannot create image ${path}: ${reason(error)}`);
  }
}

class RawImage implements BlockBackend {
  #file: Deno.FsFile | undefined;

  constructor(readonly name: string, file: Deno.FsFile, readonly byteLength: number, readonly readonly: boolean) {
    this.#file = file;
  }

  read(offset: number, into: Uint8Array): void {
    this.#attempt("read", (file) => {
      file.seekSync(offset, Deno.SeekMode.Start);
      let done = 0;
      while (done < into.length) {
        const count = file.readSync(into.subarray(done));
        if (count === null || count === 0) break;
        done += count;
      }
      into.fill(0, done);
    });
  }

  write(offset: number, from: Uint8Array): void {
    if (this.readonly) throw new BlockError(`Cannot write image ${this.name}: it was opened read-only`);
    this.#attempt("write", (file) => {
      file.seekSync(offset, Deno.SeekMode.Start);
      for (let done = 0; done < from.length;) done += file.writeSync(from.subarray(done));
    });
  }

  flush(): void {
    if (!this.readonly) this.#attempt("flush", (file) => file.syncDataSync());
  }

  /** Deno offers no hole punching, and keeping the old bytes is a legal outcome. */
  discard(): void {}

  close(): void {
    this.#file?.close();
    this.#file = undefined;
  }

  #attempt(verb: string, action: (file: Deno.FsFile) => void): void {
    if (!this.#file) throw new BlockError(`Cannot ${verb} image ${this.name}: it is closed`);
    try {
      action(this.#file);
    } catch (error) {
      throw new BlockError(`Cannot ${verb} image ${this.name}: ${reason(error)}`);
    }
  }
}

/** Two writers would corrupt an image. Where the file system has no locks, nothing can be told. */
function lock(file: Deno.FsFile, exclusive: boolean): boolean {
  try {
    return file.tryLockSync(exclusive);
  } catch {
    return true;
  }
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
