/**
 * The second tier: collects the places where the interpreter is often and has them translated in batches, here or in the
 * background. A region is entered by way of the decoded slot of its first instruction, whose opcode says so, and is
 * dropped as soon as one of the bytes that it was made from changes.
 */
import type { GuestMemory } from "../../../ecs/ram_block.ts";
import { decode } from "../decode.ts";
import type { DecodedPages } from "../decoded_pages.ts";
import { type InterpreterExports, NEVER } from "../interpreter.ts";
import * as at from "../layout.ts";
import { ENTRY_LIMIT } from "../opcodes.ts";
import type { BatchCompiler } from "./background_compiler.ts";
import {
  type BatchRequest,
  compileBatch,
  type CompiledBatch,
  type PageSource,
  type Place,
  type RegionPlan,
  type ShownBatch,
  slotOf,
} from "./batch.ts";
import { isCall, isReturn } from "./discovery.ts";
import { type RegionFunction, runRegion } from "./linkage.ts";
import { granulesOf } from "./granules.ts";
import { Hints } from "./hints.ts";
import { type CompiledModule, type Region, RegionCache } from "./region_cache.ts";
import { SelfCheck } from "./self_check.ts";
import { emptyStatistics, type TranslatorStatistics } from "./statistics.ts";

export interface TranslatorOptions {
  /** How often control comes to a place until it is translated: 1 to 65535. */
  readonly threshold: number;
  /** Regions that are kept at most: 1 to 32768. */
  readonly limit: number;
  /** Bytes of WebAssembly that are kept at most, one batch more or less. The engine takes about ten times as much. */
  readonly bytes?: number;
  /** Instructions that are translated on the harts' thread before the background is asked: see README. */
  readonly foreground?: number;
  /** Translates at once instead of in batches: for tests. */
  readonly eager: boolean;
  /** How often accesses that are checked together may lie in two pages. Default: 1000, but no more than `threshold`. */
  readonly straddles?: number | undefined;
  /** Runs whatever a region has done once more in the interpreter, and compares. Slow. */
  readonly isChecked?: boolean;
}

/** Counts are 16 bits wide; see `ENTRY_LIMIT` for regions. */
export const MAX_THRESHOLD = 65535, MAX_REGIONS = ENTRY_LIMIT;

/** Smaller regions have copies of what others have; without, a switch is in pieces: see README. */
const COPY_LIMIT = 50;

/** Measured with a boot of Linux; see README. */
export const DEFAULT_TRANSLATION: TranslatorOptions = { threshold: 10_000, limit: 8192, eager: false };

const MODULE_BYTES = 12 * 2 ** 20;
/** Places that are worth a module, and places of one module at most. */
const BATCH_LEAST = 24, BATCH_LIMIT = 96;
/** Instructions of one module, about. */
const BATCH_INSTRUCTIONS = 1500;
/** What a batch may take on the harts' thread. */
const BREAK_MS = 4;
/** What an instruction takes there at first, and how many of them that guess is worth. */
const FIRST_MS_PER_INSTRUCTION = 0.25, GUESS_INSTRUCTIONS = 100;
/** More than a short program has that are hot; a system that boots has ten times as many. */
const FOREGROUND_INSTRUCTIONS = 4000;
/**
 * How often accesses that are checked together turn out to be in two pages until they no longer are. An exit costs half
 * a microsecond, a new region ten milliseconds.
 */
const STRADDLE_LIMIT = 1000;
/** Stretches that a batch that is not full waits: on the harts' thread, and in the background. */
const PATIENCE = { foreground: 4, background: 8 };

/** Stretches for which a region is kept though it has turned out that another would be better. */
const RENEWAL_PATIENCE = 96;

/** Who wants to know what is translated. */
export interface TranslationWatch {
  /** Told of each batch before it is installed. */
  shown?(regions: readonly RegionPlan[], batch: ShownBatch): void;
  /** Regions are entered by way of {@linkcode Translator.check}. */
  readonly entries?: boolean;
}

/** A batch that is being compiled in the background. */
interface Pending {
  readonly request: BatchRequest;
  /** Granules of its pages that have changed since. */
  readonly touched: Map<number, bigint>;
  readonly replaced: ReadonlySet<Region>;
  isWanted: boolean;
}

export class Translator {
  readonly statistics: TranslatorStatistics = emptyStatistics();
  readonly #memory: GuestMemory;
  readonly #pages: DecodedPages;
  readonly #cache: RegionCache;
  readonly #hot: Set<number> = new Set();
  readonly #hints = new Hints();
  /** Regions to be translated anew. */
  readonly #stale: Set<Region> = new Set();
  /** Their slots, as long as they are not yet hot, and the stretches until then. */
  readonly #renewals: Set<number> = new Set();
  #renewIn = 0;
  #options: TranslatorOptions | undefined;
  #patience = PATIENCE.foreground;
  #msPerInstruction = FIRST_MS_PER_INSTRUCTION;
  /** Base of the only hart. */
  #hart: number | undefined;
  #interpreter: InterpreterExports | undefined;
  #floats: () => WebAssembly.ModuleImports = () => ({});
  #selfCheck: SelfCheck | undefined;
  #compiler: BatchCompiler | undefined;
  #pending: Pending | undefined;
  readonly #watch: TranslationWatch;

  constructor(memory: GuestMemory, pages: DecodedPages, watch: TranslationWatch = {}) {
    this.#watch = watch;
    this.#memory = memory;
    this.#pages = pages;
    this.#cache = new RegionCache(memory, pages, this.statistics);
  }

  /** Translates from now on, or no more. `floats` gives the floating-point unit, which is made when it is needed. */
  configure(
    options: TranslatorOptions | undefined,
    interpreter: InterpreterExports,
    floats: () => WebAssembly.ModuleImports,
  ): void {
    this.#options = options;
    this.#interpreter = interpreter;
    this.#floats = floats;
    interpreter.threshold.value = options?.threshold ?? NEVER;
    this.#selfCheck = options?.isChecked ? new SelfCheck(this.#memory, interpreter) : undefined;
    interpreter.entering.value = this.#selfCheck || this.#watch.entries ? at.ENTER_CHECKED : at.ENTER_DIRECTLY;
    this.#clear();
    this.#hot.clear();
    this.#hints.clear();
  }

  /** Says which harts there are, by their bases. */
  serve(harts: readonly number[]): void {
    this.#hart = harts.length === 1 ? harts[0] : undefined;
    this.#clear();
  }

  /** Translates there from now on, or on this thread. */
  translateBy(compiler: BatchCompiler | undefined): void {
    this.#compiler = undefined;
    if (this.#pending) this.#settle(this.#pending);
    this.#compiler = this.#options?.eager ? undefined : compiler;
  }

  /** Who translates the next batch, if not this thread. */
  get #background(): BatchCompiler | undefined {
    const { foreground = FOREGROUND_INSTRUCTIONS } = this.#options ?? {};
    return this.#compiler?.isUsable && this.statistics.foreground >= foreground ? this.#compiler : undefined;
  }

  /** Address of the table of entries. */
  get entries(): number {
    return this.#cache.entries;
  }

  get table(): WebAssembly.Table {
    return this.#cache.table;
  }

  get isEager(): boolean {
    return this.#options?.eager === true && this.#interpreter?.entering.value !== at.ENTER_NEVER;
  }

  dispose(): void {
    this.#cache.dispose();
  }

  /**
   * Runs the region that is entered by this index; if regions are checked, once more in the interpreter, which `again`
   * runs; else without the regions that it calls, so that whoever watches sees them entered.
   */
  check(base: number, index: number, again: () => void): number {
    const region = this.table.get(index) as RegionFunction;
    if (this.#selfCheck) return this.#selfCheck.run(base, index, region, again);
    return runRegion(this.#memory.view, region, base, 0, index);
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
    if (page === undefined || page !== this.#pages.pageAt(slot) || this.#cache.isEntry(slot)) return false;
    const decoded = decode(this.#pages.wordAt(jump));
    if (!decoded || decoded.instruction.semantics.shape !== "jump" || isCall(decoded) || isReturn(decoded)) {
      return false;
    }
    const place = (jump - page) >>> at.SLOT_SHIFT;
    if (!this.#hints.jumped(page, place, (slot - page) >>> at.SLOT_SHIFT)) return false;
    const region = [...this.#cache.of(page)].find(({ jumps }) => jumps.includes(place));
    if (!region) return false;
    this.#renew(region);
    // Control may come there in other ways, too: then it becomes an entry, when it has been hot once more.
    this.#pages.writer.forgetCount(slot);
    return true;
  }

  /** Has the regions with this access translated anew, without relying on what follows to be in the same page. */
  #split(slot: number): void {
    const page = this.#pages.pageAt(slot);
    if (page === undefined) return;
    const place = (slot - page) >>> at.SLOT_SHIFT;
    const register = decode(this.#pages.wordAt(slot))?.rs1 ?? 0;
    const { threshold = STRADDLE_LIMIT, straddles = Math.min(STRADDLE_LIMIT, threshold) } = this.#options ?? {};
    if (!this.#hints.straddled(page, place, register, straddles)) return;
    for (const region of this.#cache.of(page)) {
      if ((region.granules & granulesOf(place, place)) === 0n) continue;
      this.#renew(region);
    }
  }

  /** Has a region translated anew, but not at once: more may be learned soon. */
  #renew(region: Region): void {
    this.#stale.add(region);
    if (this.#renewals.size === 0) this.#renewIn = this.#options?.eager ? 0 : RENEWAL_PATIENCE;
    this.#renewals.add(slotOf(region));
  }

  /**
   * Translates what is hot, if it is enough for a module or has waited long enough; or installs what was translated in
   * the background.
   */
  translate(): void {
    if (this.#renewals.size > 0 && this.#renewIn-- <= 0) {
      for (const slot of this.#renewals) this.#hot.add(slot);
      this.#renewals.clear();
    }
    if (this.#pending && !this.#settle(this.#pending)) return;
    if (this.#hot.size === 0 || !this.#options) return;
    if (!this.#options.eager && this.#hot.size < BATCH_LEAST && --this.#patience > 0) return;
    const background = this.#background;
    this.#patience = background ? PATIENCE.background : PATIENCE.foreground;
    const replaced = new Set(this.#stale);
    const request = this.#request(replaced, background ? Infinity : BREAK_MS / this.#msPerInstruction);
    if (request.places.length === 0) return;
    const pending = {
      request,
      replaced,
      touched: new Map([...request.pages.keys()].map((page) => [page, 0n])),
      isWanted: true,
    };
    if (background) this.#translateBehind(background, pending);
    else this.#translateHere(pending);
  }

  /** What is to be translated next, about so many instructions at most, with all that has to be known for it. */
  #request(replaced: Set<Region>, most: number): BatchRequest {
    const pages = new Map<number, PageSource>();
    const places: Place[] = [];
    const chosen = [...this.#hot].slice(0, BATCH_LIMIT);
    for (const region of replaced) if (!chosen.includes(slotOf(region))) replaced.delete(region);
    for (const slot of chosen) {
      this.#hot.delete(slot);
      const page = this.#pages.pageAt(slot);
      if (page === undefined) continue;
      const head = (slot - page) >>> at.SLOT_SHIFT;
      const source = pages.get(page) ?? this.#source(page, replaced);
      if (source.entries.has(head)) continue;
      pages.set(page, source);
      places.push({ page, head });
    }
    const room = Math.min(BATCH_INSTRUCTIONS, most);
    const memoryBytes = this.#memory.bytes.length, isChecked = this.#selfCheck !== undefined;
    const isShown = this.#watch.shown !== undefined;
    const { instructionSet } = this.#pages;
    // Where all code is translated, copies of it would only take the room.
    const copies = this.#options?.eager ? 0 : COPY_LIMIT;
    return { pages, places, room, copies, instructionSet, memoryBytes, hart: this.#hart, isChecked, isShown };
  }

  /** The page as it is now. */
  #source(page: number, replaced: ReadonlySet<Region>): PageSource {
    const first = this.#pages.source(page);
    const last = this.#pages.straddlingWord(page);
    const bytes = new Uint8Array(at.PAGE_BYTES + (last === undefined ? 0 : 2));
    bytes.set(this.#memory.bytes.subarray(first, first + at.PAGE_BYTES));
    if (last !== undefined) new DataView(bytes.buffer).setUint16(at.PAGE_BYTES, last >>> 16, true);
    const stops = new Set(this.#pages.stops.keys());
    // Where places are translated at once, nothing behind them has run.
    const hasRun = this.#options?.eager ? undefined : this.#pages.decodedIn(page);
    return { bytes, hasRun, entries: this.#cache.entriesIn(page, replaced), stops, ...this.#hints.of(page) };
  }

  #translateHere(pending: Pending): void {
    const started = performance.now();
    const batch = compileBatch(pending.request);
    this.#install(pending, batch);
    this.statistics.longestMs = Math.max(this.statistics.longestMs, performance.now() - started);
    const instructions = batch.regions.reduce((sum, region) => sum + region.instructions, 0);
    this.statistics.foreground += instructions;
    this.#msPerInstruction = (this.#msPerInstruction * GUESS_INSTRUCTIONS + batch.milliseconds) /
      (GUESS_INSTRUCTIONS + instructions);
  }

  #translateBehind(compiler: BatchCompiler, pending: Pending): void {
    this.#pending = pending;
    for (const page of pending.request.pages.keys()) this.#cache.watch(page, true);
    compiler.begin(pending.request);
  }

  /** Installs what was compiled in the background. False as long as it is under way. */
  #settle(pending: Pending): boolean {
    const batch = this.#compiler?.take();
    if (!batch && this.#compiler?.isUsable) return false;
    this.#pending = undefined;
    for (const page of pending.request.pages.keys()) this.#cache.watch(page, false);
    if (batch && pending.isWanted) this.#install(pending, batch);
    else if (pending.isWanted) this.#putBack(pending.request.places);
    return true;
  }

  #putBack(places: readonly Place[]): void {
    for (const place of places) this.#hot.add(slotOf(place));
  }

  #install({ touched, replaced }: Pending, batch: CompiledBatch): void {
    const { module, bytes, regions, left, milliseconds, shown } = batch;
    if (shown) this.#watch.shown?.(regions, shown);
    const started = performance.now();
    this.#putBack(left);
    for (const region of replaced) {
      if (left.some((place) => slotOf(place) === slotOf(region))) continue;
      this.#stale.delete(region);
      this.#cache.drop(region, "jumps to more places");
    }
    const { limit = 0, bytes: most = MODULE_BYTES } = this.#options ?? {};
    while (this.statistics.present.bytes + bytes > most && this.#cache.size > 0) this.#cache.makeRoom();
    const { exports } = module ? new WebAssembly.Instance(module, this.#importsOf(module)) : { exports: {} };
    const made: CompiledModule = { bytes, regions: 0 };
    for (const [i, plan] of regions.entries()) {
      if (((touched.get(plan.page) ?? 0n) & plan.granules) !== 0n) {
        this.#abandon(plan);
        continue;
      }
      if (this.#cache.size >= limit) this.#cache.makeRoom();
      this.#cool(plan);
      this.#cache.add(made, plan, exports[`region${i}`] as RegionFunction);
    }
    const took = performance.now() - started;
    this.statistics.translateMs += milliseconds;
    this.statistics.installMs += took;
    this.statistics.longestMs = Math.max(this.statistics.longestMs, took);
  }

  #importsOf(module: WebAssembly.Module): WebAssembly.Imports {
    const logStore = (address: number) => this.#selfCheck?.log(address >>> 0);
    const straddles = (slot: number) => this.#split(slot);
    const env = { ...this.#interpreter, memory: this.#memory.memory, table: this.table, logStore, straddles };
    const isComplete = WebAssembly.Module.imports(module).every(({ name }) => name in env);
    return { env: isComplete ? env : { ...env, ...this.#floats() } };
  }

  /** Control came often to the blocks of a region as long as there was none: from here on that is counted anew. */
  #cool({ page, blocks }: RegionPlan): void {
    const awaited = new Set([...this.#stale].map(slotOf));
    for (const head of blocks) {
      const slot = slotOf({ page, head });
      if (awaited.has(slot)) continue;
      this.#hot.delete(slot);
      this.#pages.writer.forgetCount(slot);
    }
  }

  /** Its code changed meanwhile: what is there now is counted anew. */
  #abandon(place: Place): void {
    this.statistics.abandoned++;
    const slot = slotOf(place);
    if (this.#pages.pageAt(slot) !== undefined) this.#pages.writer.forgetCount(slot);
  }

  /** Bytes of a page change, from one place in it to another (inclusive): drops what was made from them. */
  changed(page: number, first: number, last: number): void {
    const changed = granulesOf(first, last);
    const touched = this.#pending?.touched;
    const before = touched?.get(page);
    if (before !== undefined) touched?.set(page, before | changed);
    for (const region of [...this.#cache.of(page)]) {
      if ((region.granules & changed) === 0n) continue;
      this.#stale.delete(region);
      this.#cache.drop(region, "code changed");
    }
    this.#hints.changed(page, changed);
  }

  #clear(): void {
    if (this.#pending) this.#pending.isWanted = false;
    this.#cache.clear("configured anew");
    this.#stale.clear();
    this.#renewals.clear();
  }
}
