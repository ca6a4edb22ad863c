/**
 * The translated regions of a machine: where they are entered, from which bytes they were made, and room for new ones.
 * The decoded slot of each entry holds an opcode that says which one it is; what the slot held is kept beside.
 */
import { allocateRange, freeRange, type GuestMemory } from "../../../ecs/ram_block.ts";
import type { DecodedPages } from "../decoded_pages.ts";
import * as at from "../layout.ts";
import { ENTRY_LIMIT, FIRST_ENTRY, UNDECODED } from "../opcodes.ts";
import { type RegionPlan, slotOf } from "./batch.ts";
import { ALL_GRANULES } from "./granules.ts";
import type { RegionFunction } from "./linkage.ts";
import type { DropReason, Extent, TranslatorStatistics } from "./statistics.ts";

/** What was compiled at once: in memory as long as one of its regions is. */
export interface CompiledModule {
  readonly bytes: number;
  regions: number;
}

export interface Region extends Omit<RegionPlan, "entries"> {
  readonly module: CompiledModule;
  /** Indices in the table. */
  readonly entries: readonly number[];
}

export class RegionCache {
  /** Address of the table of entries. */
  readonly entries: number;
  readonly table: WebAssembly.Table = new WebAssembly.Table({ element: "anyfunc", initial: 256 });
  readonly #memory: GuestMemory;
  readonly #pages: DecodedPages;
  readonly #statistics: TranslatorStatistics;
  readonly #u16: Uint16Array;
  readonly #u64: BigUint64Array;
  /** Slots of entries, by index. */
  readonly #slots: (number | undefined)[] = new Array(at.FIRST_REGION).fill(undefined);
  readonly #free: number[] = [];
  /** Oldest first. */
  readonly #regions: Set<Region> = new Set();
  /** By decoded page. */
  readonly #byPage: Map<number, Set<Region>> = new Map();
  /** Pages of which every change is told. */
  readonly #watched: Set<number> = new Set();

  constructor(memory: GuestMemory, pages: DecodedPages, statistics: TranslatorStatistics) {
    this.#memory = memory;
    this.#pages = pages;
    this.#statistics = statistics;
    this.#u16 = new Uint16Array(memory.memory.buffer);
    this.#u64 = new BigUint64Array(memory.memory.buffer);
    this.entries = allocateRange(memory, ENTRY_LIMIT * at.ENTRY_BYTES, 8);
  }

  dispose(): void {
    freeRange(this.#memory, this.entries, ENTRY_LIMIT * at.ENTRY_BYTES);
  }

  get size(): number {
    return this.#regions.size;
  }

  isEntry(slot: number): boolean {
    return this.#pages.writer.opcode(slot) >= FIRST_ENTRY;
  }

  /** Regions made from this page. */
  of(page: number): ReadonlySet<Region> {
    return this.#byPage.get(page) ?? NONE;
  }

  /** Where regions of this page are entered, but for those that are to be replaced: places. */
  entriesIn(page: number, replaced: ReadonlySet<Region>): Map<number, number> {
    const found = new Map<number, number>();
    for (const region of this.of(page)) {
      if (replaced.has(region)) continue;
      for (const index of region.entries) {
        found.set(((this.#slots[index] ?? page) - page) >>> at.SLOT_SHIFT, region.instructions);
      }
    }
    return found;
  }

  /** Installs what a module exports. Entries that others have taken meanwhile stay theirs. */
  add(module: CompiledModule, plan: RegionPlan, run: RegionFunction): void {
    const { page } = plan, entries: number[] = [];
    for (const [ordinal, place] of plan.entries.entries()) {
      const slot = slotOf({ page, head: place });
      if (this.isEntry(slot)) continue;
      const index = this.#free.pop() ?? this.#slots.length;
      if (index >= ENTRY_LIMIT) break;
      this.#enter(index, slot, ordinal, run);
      entries.push(index);
    }
    const region = { ...plan, module, entries };
    this.#regions.add(region);
    const others = this.#byPage.get(page);
    if (others) others.add(region);
    else this.#byPage.set(page, new Set([region]));
    this.#mark(page);
    this.#count({ regions: 1, entries: entries.length, instructions: plan.instructions });
    if (module.regions++ === 0) this.#count({ modules: 1, bytes: module.bytes });
  }

  #enter(index: number, slot: number, ordinal: number, run: RegionFunction): void {
    if (this.#pages.writer.opcode(slot) === UNDECODED) this.#pages.decodeRun(slot);
    this.#slots[index] = slot;
    if (index >= this.table.length) this.table.grow(this.table.length);
    this.table.set(index, run);
    const half = (this.entries + index * at.ENTRY_BYTES) >>> 1;
    this.#u16[half + at.ENTRY_OPCODE / 2] = this.#pages.writer.opcode(slot);
    this.#u16[half + at.ENTRY_ORDINAL / 2] = ordinal;
    this.#u16[(slot + at.SLOT_OPCODE) >>> 1] = FIRST_ENTRY + index;
  }

  drop(region: Region, reason: DropReason): void {
    if (!this.#regions.delete(region)) return;
    const { module, page, entries } = region;
    for (const index of entries) {
      const slot = this.#slots[index] ?? 0;
      this.#slots[index] = undefined;
      this.#free.push(index);
      this.table.set(index, null);
      const half = slot >>> 1;
      if (this.#u16[half] !== FIRST_ENTRY + index) continue;
      this.#u16[half] = this.#u16[(this.entries + index * at.ENTRY_BYTES + at.ENTRY_OPCODE) >>> 1] ?? UNDECODED;
      this.#pages.writer.forgetCount(slot);
    }
    const others = this.#byPage.get(page);
    others?.delete(region);
    if (others?.size === 0) this.#byPage.delete(page);
    this.#mark(page);
    const { present, dropped } = this.#statistics;
    dropped[reason]++;
    present.regions--;
    present.entries -= entries.length;
    present.instructions -= region.instructions;
    if (--module.regions > 0) return;
    present.modules--;
    present.bytes -= module.bytes;
  }

  clear(reason: DropReason): void {
    for (const region of this.#regions) this.drop(region, reason);
  }

  /** The oldest quarter goes. */
  makeRoom(): void {
    let count = Math.max(1, this.#regions.size >>> 2);
    this.#statistics.evictions++;
    for (const region of this.#regions) {
      this.drop(region, "cache was full");
      if (--count === 0) break;
    }
  }

  /** Has stores to all of the page told from now on, or no more. */
  watch(page: number, isWatched: boolean): void {
    if (isWatched) this.#watched.add(page);
    else this.#watched.delete(page);
    this.#mark(page);
  }

  #mark(page: number): void {
    let granules = this.#watched.has(page) ? ALL_GRANULES : 0n;
    for (const region of this.of(page)) granules |= region.granules;
    this.#u64[(page + at.PAGE_TRANSLATED) >>> 3] = granules;
  }

  /** What was made is there, at first. */
  #count(added: Partial<Extent>): void {
    for (const [key, count] of Object.entries(added) as [keyof Extent, number][]) {
      this.#statistics.made[key] += count;
      this.#statistics.present[key] += count;
    }
  }
}

const NONE: ReadonlySet<Region> = new Set();
