/**
 * The second tier: collects the places where the interpreter is often, translates them in batches, and keeps the
 * translated regions of a machine. A region is entered by way of the decoded slot of its first instruction, whose
 * opcode says so, and is dropped as soon as one of the bytes that it was made from changes.
 */
import { allocateRange, freeRange, type GuestMemory } from "../../../ecs/ram_block.ts";
import { decode } from "../decode.ts";
import type { DecodedPages } from "../decoded_pages.ts";
import { type InterpreterExports, NEVER } from "../interpreter.ts";
import * as at from "../layout.ts";
import { ENTRY_LIMIT, FIRST_ENTRY, UNDECODED } from "../opcodes.ts";
import { type Block, discover, type End, isCall, isReturn, type Shape } from "./discovery.ts";
import { regionModule } from "./region_module.ts";
import { type RegionFunction, SelfCheck } from "./self_check.ts";
import { type DropReason, emptyStatistics, type Extent, type TranslatorStatistics } from "./statistics.ts";

export interface TranslatorOptions {
  /** How often control comes to a place until it is translated: 1 to 65535. */
  readonly threshold: number;
  /** Regions that are kept at most: 1 to 32768. */
  readonly limit: number;
  /** Translates at once instead of in batches: for tests. */
  readonly eager: boolean;
  /** Runs whatever a region has done once more in the interpreter, and compares. Slow. */
  readonly isChecked?: boolean;
}

/** Counts are 16 bits wide; see `ENTRY_LIMIT` for regions. */
export const MAX_THRESHOLD = 65535, MAX_REGIONS = ENTRY_LIMIT;

/** Measured with a boot of Linux; see README. */
export const DEFAULT_TRANSLATION: TranslatorOptions = { threshold: 3000, limit: 8192, eager: false };

/** What was compiled at once: in memory as long as one of its regions is. */
interface Batch {
  readonly bytes: number;
  regions: number;
}

interface Region {
  readonly batch: Batch;
  readonly page: number;
  /** Its first slot. */
  readonly head: number;
  /** Places of its jumps by register. */
  readonly jumps: readonly number[];
  /** The 64-byte pieces of the page that it was made from. */
  readonly granules: bigint;
  readonly instructions: number;
  /** Where it is entered: indices in the table. */
  readonly entries: number[];
}

interface Entry {
  readonly region: Region;
  readonly slot: number;
}

/** Regions of one module. */
const BATCH_LIMIT = 24;
/** Instructions of one module, about: what takes some milliseconds. */
const BATCH_INSTRUCTIONS = 500;
/** Targets of a register jump that are translated with it; a large switch has more. */
const SEEN_LIMIT = 64;
/** Stretches that a batch that is not full waits. */
const PATIENCE = 24;

export class Translator {
  readonly statistics: TranslatorStatistics = emptyStatistics();
  /** Address of the table of entries. */
  readonly entries: number;
  readonly table: WebAssembly.Table = new WebAssembly.Table({ element: "anyfunc", initial: 256 });
  readonly #memory: GuestMemory;
  readonly #pages: DecodedPages;
  readonly #u16: Uint16Array;
  readonly #u64: BigUint64Array;
  readonly #entries: (Entry | undefined)[] = [];
  readonly #free: number[] = [];
  /** Oldest first. */
  readonly #regions: Set<Region> = new Set();
  /** Regions by decoded page. */
  readonly #byPage: Map<number, Set<Region>> = new Map();
  readonly #hot: Set<number> = new Set();
  /** Where register jumps went, by their slots: places in the same page. */
  readonly #seen: Map<number, Set<number>> = new Map();
  /** Regions to be translated anew. */
  readonly #stale: Set<Region> = new Set();
  #options: TranslatorOptions | undefined;
  #patience = PATIENCE;
  /** Base of the only hart. */
  #hart: number | undefined;
  #interpreter: InterpreterExports | undefined;
  #selfCheck: SelfCheck | undefined;

  constructor(memory: GuestMemory, pages: DecodedPages) {
    this.#memory = memory;
    this.#pages = pages;
    this.#u16 = new Uint16Array(memory.memory.buffer);
    this.#u64 = new BigUint64Array(memory.memory.buffer);
    this.entries = allocateRange(memory, ENTRY_LIMIT * at.ENTRY_BYTES, 8);
  }

  /** Translates from now on, or no more. `exports` are the interpreter's. */
  configure(options: TranslatorOptions | undefined, interpreter: InterpreterExports): void {
    this.#options = options;
    this.#interpreter = interpreter;
    interpreter.threshold.value = options?.threshold ?? NEVER;
    this.#selfCheck = options?.isChecked ? new SelfCheck(this.#memory, interpreter) : undefined;
    interpreter.entering.value = this.#selfCheck ? at.ENTER_CHECKED : at.ENTER_DIRECTLY;
    for (const region of this.#regions) this.#drop(region, "configured anew");
    this.#hot.clear();
    this.#seen.clear();
  }

  /** Says which harts there are, by their bases. */
  serve(harts: readonly number[]): void {
    this.#hart = harts.length === 1 ? harts[0] : undefined;
    for (const region of this.#regions) this.#drop(region, "configured anew");
  }

  get isEager(): boolean {
    return this.#options?.eager === true && this.#interpreter?.entering.value !== at.ENTER_NEVER;
  }

  dispose(): void {
    freeRange(this.#memory, this.entries, ENTRY_LIMIT * at.ENTRY_BYTES);
  }

  /** Runs the region that is entered by this index, and once more in the interpreter, which `again` runs. */
  check(base: number, index: number, again: () => void): number {
    if (!this.#selfCheck) throw new Error("regions are not checked");
    return this.#selfCheck.run(base, index, this.table.get(index) as RegionFunction, again);
  }

  /** Control has often come to this slot; the last time perhaps from the register jump in slot `jump`. */
  heat(slot: number, jump: number): void {
    if (!this.#options) return;
    if (jump === 0 || !this.#follow(jump, slot)) this.#hot.add(slot);
  }

  /**
   * Remembers where a jump goes, and has the region that holds it translated anew, with the place in it. False if there
   * is no such region.
   */
  #follow(jump: number, slot: number): boolean {
    const page = this.#pages.pageAt(jump);
    if (page === undefined || page !== this.#pages.pageAt(slot) || this.#isEntry(slot)) return false;
    const decoded = decode(this.#pages.wordAt(jump));
    if (!decoded || decoded.instruction.semantics.shape !== "jump" || isCall(decoded) || isReturn(decoded)) {
      return false;
    }
    const seen = this.#seen.get(jump) ?? new Set();
    if (seen.size >= SEEN_LIMIT) return false;
    this.#seen.set(jump, seen.add((slot - page) >>> at.SLOT_SHIFT));
    const place = (jump - page) >>> at.SLOT_SHIFT;
    const region = [...this.#byPage.get(page) ?? []].find(({ jumps }) => jumps.includes(place));
    if (!region) return false;
    this.#stale.add(region);
    this.#hot.add(region.head);
    return true;
  }

  /** Translates what is hot, if it is enough for a module or has waited long enough. */
  translate(): void {
    if (this.#hot.size === 0 || !this.#options) return;
    if (!this.#options.eager && this.#hot.size < BATCH_LIMIT && --this.#patience > 0) return;
    this.#patience = PATIENCE;
    this.#translate([...this.#hot].slice(0, BATCH_LIMIT));
  }

  /** Bytes of a page change, from one place in it to another (inclusive): drops what was made from them. */
  changed(page: number, first: number, last: number): void {
    const touched = granulesOf(first, last);
    for (const region of [...this.#byPage.get(page) ?? []]) {
      if ((region.granules & touched) === 0n) continue;
      for (const jump of region.jumps) this.#seen.delete(page + (jump << at.SLOT_SHIFT));
      this.#drop(region, "code changed");
    }
  }

  #translate(batch: readonly number[]): void {
    const started = performance.now();
    for (const region of this.#stale) if (batch.includes(region.head)) this.#drop(region, "jumps to more places");
    const found: Shape[] = [];
    /** Slots that regions of this batch will be entered by. */
    const taken = new Set<number>();
    let room = BATCH_INSTRUCTIONS;
    for (const slot of batch) {
      if (room <= 0) break;
      this.#hot.delete(slot);
      const page = this.#pages.pageAt(slot);
      if (page === undefined || taken.has(slot) || this.#isEntry(slot)) continue;
      const source = new DataView(this.#memory.memory.buffer, this.#pages.source(page), at.PAGE_BYTES);
      const slotOf = (offset: number) => page + (offset << at.SLOT_SHIFT);
      const isElsewhere = (offset: number) => taken.has(slotOf(offset)) || this.#isEntry(slotOf(offset));
      const shape = discover(
        page,
        source,
        (slot - page) >>> at.SLOT_SHIFT,
        isElsewhere,
        (offset) => [...this.#seen.get(slotOf(offset)) ?? []],
      );
      if (!shape) continue;
      found.push(shape);
      for (const { count } of shape.blocks) room -= count;
      for (const { offset } of entriesOf(shape)) taken.add(slotOf(offset));
      for (const { end } of shape.blocks) {
        if (end.kind === "jump") end.seen.forEach((place) => taken.add(slotOf(place)));
      }
    }
    if (found.length === 0) return;
    const bytes = regionModule(found, this.#memory.bytes.length, this.#hart, this.#selfCheck !== undefined);
    const generated = performance.now();
    const module = new WebAssembly.Module(bytes);
    const { exports } = new WebAssembly.Instance(module, {
      env: {
        ...this.#interpreter,
        memory: this.#memory.memory,
        table: this.table,
        logStore: (address: number) => this.#selfCheck?.log(address >>> 0),
      },
    });
    const made: Batch = { bytes: bytes.length, regions: 0 };
    this.#count({ modules: 1, bytes: bytes.length });
    for (const [i, shape] of found.entries()) this.#add(made, shape, exports[`region${i}`] as RegionFunction);
    this.#time(started, generated, performance.now());
  }

  #isEntry(slot: number): boolean {
    return this.#pages.writer.opcode(slot) >= FIRST_ENTRY;
  }

  #add(batch: Batch, shape: Shape, run: RegionFunction): void {
    const { page, blocks } = shape;
    if (this.#regions.size >= (this.#options?.limit ?? 0)) this.#evict();
    let granules = 0n, instructions = 0;
    for (const { steps, end } of blocks) {
      for (const step of "step" in end ? [...steps, end.step] : steps) {
        granules |= granulesOf(step.offset, step.offset + step.decoded.length - 1);
        instructions++;
      }
    }
    const jumps = blocks.flatMap(({ end }) => isByRegister(end) ? [end.step.offset] : []);
    const head = page + ((blocks[0]?.offset ?? 0) << at.SLOT_SHIFT);
    const region: Region = { batch, page, head, granules, instructions, jumps, entries: [] };
    for (const [ordinal, { offset }] of entriesOf(shape).entries()) {
      const slot = page + (offset << at.SLOT_SHIFT);
      const index = this.#free.pop() ?? this.#entries.length;
      if (index >= ENTRY_LIMIT) break;
      if (this.#pages.writer.opcode(slot) === UNDECODED) this.#pages.decodeRun(slot);
      this.#entries[index] = { region, slot };
      region.entries.push(index);
      if (index >= this.table.length) this.table.grow(this.table.length);
      this.table.set(index, run);
      const half = (this.entries + index * at.ENTRY_BYTES) >>> 1;
      this.#u16[half + at.ENTRY_OPCODE / 2] = this.#pages.writer.opcode(slot);
      this.#u16[half + at.ENTRY_ORDINAL / 2] = ordinal;
      this.#u16[(slot + at.SLOT_OPCODE) >>> 1] = FIRST_ENTRY + index;
    }
    this.#regions.add(region);
    const others = this.#byPage.get(page);
    if (others) others.add(region);
    else this.#byPage.set(page, new Set([region]));
    this.#mark(page);
    batch.regions++;
    this.#count({ regions: 1, entries: region.entries.length, instructions });
  }

  /** What was made is there, at first. */
  #count(added: Partial<Extent>): void {
    for (const [key, count] of Object.entries(added) as [keyof Extent, number][]) {
      this.statistics.made[key] += count;
      this.statistics.present[key] += count;
    }
  }

  #time(started: number, generated: number, installed: number): void {
    this.statistics.generateMs += generated - started;
    this.statistics.installMs += installed - generated;
    this.statistics.longestMs = Math.max(this.statistics.longestMs, installed - started);
  }

  /** Room for new regions: the oldest quarter goes. */
  #evict(): void {
    let count = Math.max(1, this.#regions.size >>> 2);
    this.statistics.evictions++;
    for (const region of this.#regions) {
      this.#drop(region, "cache was full");
      if (--count === 0) break;
    }
  }

  #drop(region: Region, reason: DropReason): void {
    const { batch, page, entries } = region;
    for (const index of entries) {
      const slot = this.#entries[index]?.slot ?? 0;
      this.#entries[index] = undefined;
      this.#free.push(index);
      this.table.set(index, null);
      const half = slot >>> 1;
      if (this.#u16[half] !== FIRST_ENTRY + index) continue;
      this.#u16[half] = this.#u16[(this.entries + index * at.ENTRY_BYTES + at.ENTRY_OPCODE) >>> 1] ?? UNDECODED;
      this.#u16[half + at.SLOT_COUNT / 2] = 0;
    }
    this.#regions.delete(region);
    this.#stale.delete(region);
    const others = this.#byPage.get(page);
    others?.delete(region);
    if (others?.size === 0) this.#byPage.delete(page);
    this.#mark(page);
    const { present, dropped } = this.statistics;
    dropped[reason]++;
    present.regions--;
    present.entries -= entries.length;
    present.instructions -= region.instructions;
    if (--batch.regions > 0) return;
    present.modules--;
    present.bytes -= batch.bytes;
  }

  #mark(page: number): void {
    let granules = 0n;
    for (const region of this.#byPage.get(page) ?? []) granules |= region.granules;
    this.#u64[(page + at.PAGE_TRANSLATED) >>> 3] = granules;
  }
}

function isByRegister(end: End): end is Extract<End, { kind: "jump" }> {
  return end.kind === "jump" && !isCall(end.step.decoded) && !isReturn(end.step.decoded);
}

function entriesOf({ blocks, entries }: Shape): readonly Block[] {
  return entries.flatMap((position) => blocks[position] ?? []);
}

/** The 64-byte pieces of a page that bytes lie in, from the first to the last. */
function granulesOf(first: number, last: number): bigint {
  const from = BigInt(first >>> at.GRANULE_SHIFT), count = BigInt(last >>> at.GRANULE_SHIFT) - from + 1n;
  return ((1n << count) - 1n) << from;
}
