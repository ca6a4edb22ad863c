/**
 * What the harts of one machine share, as they share one guest memory: the interpreter's instance and the decoded pages.
 * One hart runs at a time.
 */
import type { GuestMemory } from "../../ecs/ram_block.ts";
import { DecodedPages, decodedPagesBytes, type DecodedPageUsers } from "./decoded_pages.ts";
import { ALL_FEATURES, type HartFeatures, instructionSet } from "./features.ts";
import { createFloatUnit, type FloatUnit } from "./float_unit.ts";
import type { HartImportFunctions } from "./imports.ts";
import { type InterpreterExports, interpreterModule } from "./interpreter.ts";
import type { HartState } from "./hart_state.ts";
import * as at from "./layout.ts";
import { LoggedStores, loggedStoresBytes } from "./logged_stores.ts";
import { ENTRY_LIMIT } from "./opcodes.ts";
import { Translator, type TranslatorOptions } from "./translator/translator.ts";
import { type ExecutionWatch, type WatchedHart, watchImports } from "./watch.ts";

/** 32 KiB each: an 8 MiB kernel's hot pages and its programs' fit. */
const DECODED_PAGES = 1024;
/** To drop one page from a hart's write TLB costs as much as to empty it. */
const DROPPED_SINGLY = 4;

/** What the generated code calls while a hart runs. */
export interface RunningHart extends
  WatchedHart,
  Omit<
    { readonly [N in keyof HartImportFunctions]: HartImportFunctions[N] },
    "decodeRun" | "firstFloat" | "heat" | "dropRegions" | "checkRegion" | "createPage" | "retirePage" | "walked"
  > {
  readonly base: number;
  readonly state: HartState;
  flushFetches(): void;
  flushWrites(): void;
  /** Its next store-conditional fails. */
  loseReservation(): void;
  /** Ends the stretch after the current instruction. */
  leave(): void;
}

const EXECUTIONS: WeakMap<GuestMemory, Execution> = new WeakMap();

/**
 * The execution of a guest memory, made with its first hart; the watch is the first hart's.
 * @throws Error if that had other features.
 */
export function executionOf(
  memory: GuestMemory,
  features: HartFeatures = ALL_FEATURES,
  watch: ExecutionWatch = {},
): Execution {
  const known = EXECUTIONS.get(memory);
  if (known && known.features !== features) {
    throw new Error("harts of one memory share decoded code and need the same features");
  }
  if (known) return known;
  const execution = new Execution(memory, features, watch);
  EXECUTIONS.set(memory, execution);
  return execution;
}

/** Bytes of guest memory that harts take beside RAM; `memoryBytes` is the size of the whole memory. */
export function executionBytes(harts: number, memoryBytes: number): number {
  const shared = decodedPagesBytes(memoryBytes, DECODED_PAGES) + loggedStoresBytes(memoryBytes);
  return harts * at.HART_BYTES + shared + ENTRY_LIMIT * at.ENTRY_BYTES + 0x10000;
}

export class Execution implements DecodedPageUsers {
  readonly pages: DecodedPages;
  readonly logged: LoggedStores;
  readonly translator: Translator;
  readonly exports: InterpreterExports;
  readonly #harts: Set<RunningHart> = new Set();
  readonly #memory: GuestMemory;
  readonly #watch: ExecutionWatch;
  #floats: FloatUnit | undefined;
  #running: RunningHart | undefined;
  #last: RunningHart | undefined;

  constructor(memory: GuestMemory, readonly features: HartFeatures, watch: ExecutionWatch) {
    this.#memory = memory;
    this.#watch = watch;
    this.pages = new DecodedPages(memory, DECODED_PAGES, instructionSet(features), this);
    this.logged = new LoggedStores(memory, (start, value, length) => this.fillBytes(start, value, length));
    this.translator = new Translator(memory, this.pages, {
      ...(watch.translated && {
        shown: (regions, batch) => watch.translated?.(regions, batch, this.pages, [...this.#harts]),
      }),
      entries: watch.flow !== undefined,
    });
    const running = (): RunningHart => {
      if (this.#running === undefined) throw new Error("the interpreter calls while no hart runs");
      return this.#running;
    };
    const imports: HartImportFunctions = {
      decodeRun: (slot) => this.pages.decodeRun(unsigned(slot)),
      heat: (slot) => {
        const hart = running();
        this.translator.heat(unsigned(slot), hart.state.get32(at.LAST_JUMP));
        if (this.translator.isEager) hart.leave();
      },
      dropRegions: (page, first, last) => this.translator.changed(unsigned(page), first, last),
      checkRegion: (base, index) => this.translator.check(base, index, () => this.exports.run(base)),
      createPage: (_base, source) => this.pages.create(unsigned(source)),
      retirePage: (_base, source) => this.pages.retire(unsigned(source)),
      logStore: (base, address) => {
        this.logged.delete(unsigned(address));
        running().logStore(base, unsigned(address));
      },
      decodeSingle: (base, slot, word) => running().decodeSingle(base, unsigned(slot), word),
      breakpoint: (base) => running().breakpoint(base),
      execute: (base, slot, opcode) => running().execute(base, unsigned(slot), opcode),
      firstFloat: (base, slot, opcode) => this.#floatUnit().step(base, slot, opcode),
      raise: (base, cause) => running().raise(base, cause),
      raiseIllegal: (base, slot) => running().raiseIllegal(base, unsigned(slot)),
      load: (base, bytes) => running().load(base, bytes),
      store: (base, bytes) => running().store(base, bytes),
      loadPhysical: (base) => running().loadPhysical(base),
      storePhysical: (base) => running().storePhysical(base),
      fetchHalfword: (base) => running().fetchHalfword(base),
      walked: (_base, access, context, answer) => watch.walked?.(running(), { access, context, answer }),
    };
    const instance = new WebAssembly.Instance(interpreterModule(watch.walked !== undefined), {
      env: {
        memory: memory.memory,
        table: this.translator.table,
        ...watchImports(imports, watch, this.pages, running),
      },
    });
    // The generator defines exactly these exports.
    this.exports = instance.exports as unknown as InterpreterExports;
    this.translator.table.set(at.FLOAT_UNIT, this.exports.firstFloat);
  }

  add(hart: RunningHart): void {
    this.#harts.add(hart);
    this.#tell();
  }

  /** Whether a hart that gives up its turn gives it to another. */
  get isShared(): boolean {
    return this.#harts.size > 1;
  }

  /** Chooses the tiers: with options code that is run often is translated, without them it never is. */
  translate(options: TranslatorOptions | undefined): void {
    this.translator.configure(options, this.exports, () => this.#floatUnit());
  }

  /** The floating-point unit, which is made by the first who asks for it. */
  #floatUnit(): FloatUnit {
    if (this.#floats === undefined) {
      this.#floats = createFloatUnit(this.#memory.memory, this.exports.flags);
      this.translator.table.set(at.FLOAT_UNIT, this.#floats.step);
    }
    return this.#floats;
  }

  /** With its last hart, the execution gives back its share of guest memory. */
  remove(hart: RunningHart): void {
    this.#harts.delete(hart);
    if (this.#last === hart) this.#last = undefined;
    if (this.#harts.size > 0) return this.#tell();
    EXECUTIONS.delete(this.#memory);
    this.translator.dispose();
    this.pages.dispose();
    this.logged.dispose();
  }

  /** Runs a hart until its budget is spent. */
  run(hart: RunningHart): void {
    this.translator.translate();
    if (this.#running !== undefined) throw new Error("a hart runs already in this guest memory");
    this.#running = hart;
    // A store-conditional looks at the value alone: whoever had a turn meanwhile may have changed it and back again.
    if (this.#last !== hart) this.#last?.loseReservation();
    this.#last = hart;
    const { flow } = this.#watch;
    flow?.began(hart);
    try {
      this.exports.run(hart.base);
    } finally {
      flow?.ended(hart);
      this.#running = undefined;
    }
  }

  #tell(): void {
    this.translator.serve([...this.#harts].map((hart) => hart.base));
  }

  pageCreated(source: number): void {
    for (const hart of this.#harts) this.exports.dropWriters(hart.base, source);
  }

  /** Stores to these bytes of guest memory have to be told: none of them stays in a write TLB. */
  logStores(offset: number, length: number): void {
    this.logged.add(offset, length);
    const first = offset - offset % at.PAGE_BYTES;
    for (const hart of this.#harts) {
      if (length > DROPPED_SINGLY * at.PAGE_BYTES) hart.flushWrites();
      else {for (let page = first; page < offset + length; page += at.PAGE_BYTES) {
          this.exports.dropWriters(hart.base, page);
        }}
    }
  }

  fillBytes(start: number, value: number, length: number): void {
    this.exports.fillBytes(start, value, length);
  }

  pageChanged(page: number, first: number, last: number): void {
    this.translator.changed(page, first, last);
  }

  pagesDropped(): void {
    for (const hart of this.#harts) hart.flushFetches();
  }
}

/** Addresses leave WebAssembly as signed numbers. */
function unsigned(address: number): number {
  return address >>> 0;
}
