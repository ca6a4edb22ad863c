/**
 * Published view: the memory that an address space shows, for readers on workers (`published_reader.ts`). It follows the
 * space's flat view: each of its chunks is a page of shared memory that never changes while a reader can see it, so a
 * commit writes the pages of the chunks that it touched, the small index above them, and at last the root.
 */
import { type AddressSpace, type Space, spaceOf, writeMirror } from "../ecs/address_space.ts";
import { EMPTY_VIEW, type FlatView, isWritable, type Range } from "../ecs/flat_view.ts";
import { handleOf, nameOf } from "../ecs/handle.ts";
import type { GuestMemory } from "../ecs/ram_block.ts";
import type { World } from "../ecs/world.ts";
import { currentEpoch, oldestReader, openReaders } from "./epoch.ts";
import { InUseError } from "./finalize.ts";
import { LEVEL, Page, placeOf, ROOT } from "./published_reader.ts";

/** The pages are all in use. Readers see an empty view until the next commit that finds room. */
export class PublishedViewFullError extends Error {
  override readonly name = "PublishedViewFullError";
}

/** A space that is published, and where. */
export interface PublishedView {
  readonly space: AddressSpace;
  readonly pages: SharedArrayBuffer;
  readonly memory: SharedArrayBuffer;
}

export interface PublishOptions {
  /** Pages of 2112 bytes, of which each holds up to 64 ranges; superseded ones are in use until readers have left. */
  readonly pages?: number;
}

/** Enough for 30 000 ranges at least, in 4 MiB that the host provides when they are used. */
const PAGES = 2048;

const PAGE_BYTES = Page.WORDS * Float64Array.BYTES_PER_ELEMENT;

/**
 * Publishes what a space shows of one guest memory: RAM, ROM, and ROM devices in ROM mode. From now on every commit that
 * changes the space does. Each published view is consistent in itself; two spaces are published one after the other.
 *
 * @throws {InUseError} if the space is published already.
 */
export function publish(
  world: World,
  space: AddressSpace,
  memory: GuestMemory,
  options: PublishOptions = {},
): PublishedView {
  const record = spaceOf(world, space);
  if (record.mirror !== undefined) {
    throw new InUseError(`address space "${nameOf(world, record.id)}" is published already`);
  }
  const mirror = new Mirror(world, record, memory, options.pages ?? PAGES);
  writeMirror(record, (view) => mirror.update(view));
  mirror.update(record.view);
  // A guest memory is shared by construction.
  return { space, pages: mirror.pages, memory: memory.bytes.buffer as SharedArrayBuffer };
}

/** Ends publication: who enters from now on sees nothing. Nothing happens if the space is not published. */
export function unpublish(world: World, space: AddressSpace): void {
  const record = spaceOf(world, space);
  record.mirror?.(EMPTY_VIEW);
  writeMirror(record, undefined);
}

type Chunk = readonly Range[];

/** The writer's side: which page holds what, and which may be written. */
class Mirror {
  readonly pages: SharedArrayBuffer;
  readonly #words: Float64Array;
  readonly #head: Int32Array;
  readonly #world: World;
  readonly #space: Space;
  readonly #memory: GuestMemory;
  /** Chunks of the published view, and the leaves of each. */
  #chunks: readonly Chunk[] = [];
  #leaves: readonly (readonly number[])[] = [];
  /** Pages above the leaves. */
  #inner: number[] = [];
  /** Pages that were never used start here. */
  #unused = 1;
  readonly #free: number[] = [];
  /** Superseded pages, by ascending epoch in which they were. */
  readonly #superseded: { stamp: number; pages: number[] }[] = [];
  /** Pages written for a view that is not published yet. */
  #draft: number[] = [];

  constructor(world: World, space: Space, memory: GuestMemory, pages: number) {
    this.#world = world;
    this.#space = space;
    this.#memory = memory;
    this.pages = new SharedArrayBuffer(pages * PAGE_BYTES);
    this.#words = new Float64Array(this.pages);
    this.#head = new Int32Array(this.pages, 0, 1);
  }

  /** Publishes a view; nothing, if there is no room for it, since what was published before is about to be freed. */
  update(view: FlatView): void {
    this.#recycle();
    try {
      this.#show(view.chunks);
    } catch (error) {
      if (!(error instanceof PublishedViewFullError)) throw error;
      this.#free.push(...this.#draft);
      this.#draft = [];
      this.#show([]);
      this.#world.reportFault(error);
    }
  }

  #show(chunks: readonly Chunk[]): void {
    const leaves: (readonly number[])[] = [];
    const superseded: number[] = [];
    let old = 0;
    for (const chunk of chunks) {
      while (old < this.#chunks.length && this.#chunks[old]![0]!.start < chunk[0]!.start) {
        superseded.push(...this.#leaves[old++]!);
      }
      leaves.push(this.#chunks[old] === chunk ? this.#leaves[old++]! : this.#writeLeaves(chunk));
    }
    while (old < this.#chunks.length) superseded.push(...this.#leaves[old++]!);
    const isSame = superseded.length + this.#draft.length === 0;
    const inner: number[] = [];
    const root = isSame ? 0 : this.#writeIndex(leaves.flat(), inner);
    this.#chunks = chunks;
    this.#leaves = leaves;
    if (isSame) return;
    Atomics.store(this.#head, ROOT, root);
    superseded.push(...this.#inner);
    this.#inner = inner;
    this.#draft = [];
    this.#superseded.push({ stamp: currentEpoch(this.#world), pages: superseded });
  }

  /** Writes the memory that a chunk shows. */
  #writeLeaves(chunk: Chunk): number[] {
    const shared = chunk.filter((range) => range.ram !== undefined && range.ram.memory === this.#memory);
    const leaves: number[] = [];
    for (let at = 0; at < shared.length; at += Page.LEAF_ENTRIES) {
      leaves.push(this.#writeLeaf(shared.slice(at, at + Page.LEAF_ENTRIES)));
    }
    return leaves;
  }

  #writeLeaf(ranges: readonly Range[]): number {
    const page = this.#takePage();
    const words = this.#words;
    words[page * Page.WORDS] = ranges.length;
    let at = page * Page.WORDS + Page.HEAD;
    for (const range of ranges) {
      const offset = (range.ram?.offset ?? 0) + (range.start - range.base);
      words[at] = range.start;
      words[at + Page.LEAF_ENTRIES] = range.end;
      words[at + 2 * Page.LEAF_ENTRIES] = handleOf(this.#world, range.region);
      words[at + 3 * Page.LEAF_ENTRIES] = placeOf(offset, !isWritable(range));
      at++;
    }
    return page;
  }

  /** Writes the levels above some pages, and notes their pages in `inner`; returns the root. */
  #writeIndex(nodes: readonly number[], inner: number[]): number {
    let level = 0;
    for (; nodes.length > 1; level++) {
      const above: number[] = [];
      for (let at = 0; at < nodes.length; at += Page.INNER_ENTRIES) {
        above.push(this.#writeInner(nodes.slice(at, at + Page.INNER_ENTRIES)));
      }
      inner.push(...above);
      nodes = above;
    }
    return nodes.length === 0 ? 0 : level * LEVEL + nodes[0]!;
  }

  #writeInner(nodes: readonly number[]): number {
    const page = this.#takePage();
    const words = this.#words;
    words[page * Page.WORDS] = nodes.length;
    let at = page * Page.WORDS + Page.HEAD;
    for (const node of nodes) {
      words[at] = words[node * Page.WORDS + Page.HEAD]!;
      words[at + Page.INNER_ENTRIES] = node;
      at++;
    }
    return page;
  }

  #takePage(): number {
    let page = this.#free.pop();
    if (page === undefined) {
      if ((this.#unused + 1) * PAGE_BYTES > this.pages.byteLength) throw this.#full();
      page = this.#unused++;
    }
    this.#draft.push(page);
    return page;
  }

  /** Superseded pages that no reader can see any more may be written again. */
  #recycle(): void {
    const oldest = oldestReader(this.#world);
    let passed = 0;
    while (passed < this.#superseded.length && this.#superseded[passed]!.stamp < oldest) passed++;
    for (const { pages } of this.#superseded.splice(0, passed)) this.#free.push(...pages);
  }

  #full(): PublishedViewFullError {
    const name = nameOf(this.#world, this.#space.id);
    const readers = openReaders(this.#world).join(", ");
    const why = readers === "" ? "" : `; ${readers} holds on to superseded ones`;
    return new PublishedViewFullError(`the published view of address space "${name}" has no page left${why}`);
  }
}
