/**
 * Block backends: where a disk's bytes live on the host. All of them are synchronous and byte-addressed; a device asks for
 * pieces it has already bounded and checked against {@linkcode BlockBackend.byteLength}.
 *
 * @module
 */

/** The unit in which every disk counts: capacities are whole sectors (virtio 1.2, 5.2.4). */
export const SECTOR_BYTES = 512;

/** A block backend could not do what was asked: the sentence names the image and the host's reason. */
export class BlockError extends Error {
  override name = "BlockError";
}

/** Storage for one disk. Offsets and lengths are bytes inside `[0, byteLength)`; every method throws {@linkcode BlockError}. */
export interface BlockBackend {
  /** What the storage is called in messages, normally the image's path. */
  readonly name: string;
  /** Always a multiple of {@linkcode SECTOR_BYTES}. */
  readonly byteLength: number;
  readonly readonly: boolean;
  read(offset: number, into: Uint8Array): void;
  write(offset: number, from: Uint8Array): void;
  /** Returns once everything written is on stable storage. */
  flush(): void;
  /** The guest no longer needs these bytes: they may read as anything from now on, and storage may be freed. */
  discard(offset: number, length: number): void;
  /** Gives the host's resources back; a second call does nothing. */
  close(): void;
}
