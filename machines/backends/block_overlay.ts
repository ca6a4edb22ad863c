/**
 * A disk whose writes never reach its base: clusters are copied to an overlay when first written, in memory or in a file.
 *
 * @module
 */
import { type BlockBackend, BlockError } from "./block.ts";

/** The unit of copying: large enough that a map of a full disk stays small, small enough that a 4 KiB write copies little. */
const CLUSTER_BYTES = 65536;

/** How much a guest may write into memory before its writes fail, in bytes: guests are hostile, host memory is shared. */
const DEFAULT_LIMIT = 2 ** 30;

/** Clusters of a disk held in memory. A discarded cluster costs nothing: it is the one shared page of zeros. */
class MemoryClusters {
  readonly #clusters = new Map<number, Uint8Array>();
  readonly #zeros = new Uint8Array(CLUSTER_BYTES);
  #bytes = 0;

  constructor(private readonly name: string, private readonly limit: number) {}

  has(index: number): boolean {
    return this.#clusters.has(index);
  }

  read(index: number, start: number, into: Uint8Array): void {
    const cluster = this.#clusters.get(index);
    if (cluster) into.set(cluster.subarray(start, start + into.length));
  }

  write(index: number, start: number, from: Uint8Array): void {
    let cluster = this.#clusters.get(index);
    if (!cluster || cluster === this.#zeros) {
      if (this.#bytes + CLUSTER_BYTES > this.limit) {
        throw new BlockError(`Cannot write overlay of ${this.name}: it holds its limit of ${this.limit} bytes`);
      }
      this.#bytes += CLUSTER_BYTES;
      cluster = new Uint8Array(CLUSTER_BYTES);
      this.#clusters.set(index, cluster);
    }
    cluster.set(from, start);
  }

  discard(index: number): void {
    const cluster = this.#clusters.get(index);
    if (cluster === undefined || cluster === this.#zeros) return;
    this.#bytes -= CLUSTER_BYTES;
    this.#clusters.set(index, this.#zeros);
  }

  flush(): void {}

  close(): void {
    this.#clusters.clear();
  }
}

/** Clusters of a disk held in another backend at the same offsets; which ones are there is known only while it is open. */
class StoredClusters {
  /** A bit per cluster. */
  readonly #present: Uint8Array;

  constructor(private readonly store: BlockBackend) {
    this.#present = new Uint8Array(Math.ceil(store.byteLength / CLUSTER_BYTES / 8));
  }

  has(index: number): boolean {
    return ((this.#present[index >> 3] ?? 0) & 1 << (index & 7)) !== 0;
  }

  read(index: number, start: number, into: Uint8Array): void {
    this.store.read(index * CLUSTER_BYTES + start, into);
  }

  write(index: number, start: number, from: Uint8Array): void {
    this.store.write(index * CLUSTER_BYTES + start, from);
    this.#present[index >> 3] = (this.#present[index >> 3] ?? 0) | 1 << (index & 7);
  }

  discard(index: number): void {
    if (this.has(index)) this.store.discard(index * CLUSTER_BYTES, CLUSTER_BYTES);
  }

  flush(): void {
    this.store.flush();
  }

  close(): void {
    this.store.close();
  }
}

/**
 * Lays a writable overlay over a base that is only ever read. Closing the overlay closes the base.
 *
 * @param options.store where written clusters go, at least as large as the base; memory if absent
 * @param options.limit bytes that an overlay in memory may hold; writes beyond it throw {@linkcode BlockError}
 */
export function createOverlay(
  base: BlockBackend,
  options: { store?: BlockBackend; limit?: number } = {},
): BlockBackend {
  const { store, limit = DEFAULT_LIMIT } = options;
  if (store && (store.byteLength < base.byteLength || store.readonly)) {
    throw new BlockError(`Cannot use ${store.name} as overlay of ${base.name}: it is smaller or read-only`);
  }
  return new Overlay(base, store ? new StoredClusters(store) : new MemoryClusters(base.name, limit));
}

class Overlay implements BlockBackend {
  readonly readonly = false;
  readonly name: string;
  readonly byteLength: number;
  readonly #base: BlockBackend;
  readonly #clusters: MemoryClusters | StoredClusters;

  constructor(base: BlockBackend, clusters: MemoryClusters | StoredClusters) {
    this.#base = base;
    this.#clusters = clusters;
    this.name = base.name;
    this.byteLength = base.byteLength;
  }

  read(offset: number, into: Uint8Array): void {
    for (const { index, start, from, length } of pieces(offset, into.length)) {
      const part = into.subarray(from, from + length);
      if (this.#clusters.has(index)) this.#clusters.read(index, start, part);
      else this.#base.read(offset + from, part);
    }
  }

  write(offset: number, bytes: Uint8Array): void {
    for (const { index, start, from, length } of pieces(offset, bytes.length)) {
      const part = bytes.subarray(from, from + length);
      if (length < CLUSTER_BYTES && !this.#clusters.has(index)) this.#copyUp(index, start, part);
      else this.#clusters.write(index, start, part);
    }
  }

  flush(): void {
    this.#clusters.flush();
  }

  discard(offset: number, length: number): void {
    for (const piece of pieces(offset, length)) {
      if (piece.length === CLUSTER_BYTES) this.#clusters.discard(piece.index);
    }
  }

  close(): void {
    this.#clusters.close();
    this.#base.close();
  }

  /** The first write to a part of a cluster brings the rest of it from the base, in one store: a failure leaves the base visible. */
  #copyUp(index: number, start: number, part: Uint8Array): void {
    const origin = index * CLUSTER_BYTES;
    const cluster = new Uint8Array(Math.min(CLUSTER_BYTES, this.byteLength - origin));
    this.#base.read(origin, cluster);
    cluster.set(part, start);
    this.#clusters.write(index, 0, cluster);
  }
}

/** Splits a range of the disk at cluster boundaries; `from` counts from the start of the range. */
function* pieces(offset: number, total: number) {
  for (let from = 0; from < total;) {
    const index = Math.floor((offset + from) / CLUSTER_BYTES);
    const start = offset + from - index * CLUSTER_BYTES;
    const length = Math.min(CLUSTER_BYTES - start, total - from);
    yield { index, start, from, length };
    from += length;
  }
}
