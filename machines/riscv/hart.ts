/**
 * A hart (hardware thread) of RV64GC with machine, supervisor and user mode: its state in guest memory, and what the
 * generated interpreter leaves to TypeScript: traps, CSRs, system instructions, and accesses that are not guest memory.
 */
import { allocateRange, freeRange, type GuestMemory } from "../../ecs/ram_block.ts";
import type { Bus, BusEvents } from "./bus.ts";
import { Breakpoints } from "./breakpoints.ts";
import { allowedBlockActions } from "./cache_blocks.ts";
import { type Counter, Counters } from "./counters.ts";
import { nextComparison, peekCsr, pendingInterrupts, pokeCsr } from "./csr.ts";
import { type Execution, executionOf, type RunningHart } from "./execution.ts";
import { ALL_FEATURES, type HartFeatures } from "./features.ts";
import { HartState, M_MODE, type Mode, S_MODE, U_MODE } from "./hart_state.ts";
import { firstInterrupt, takableInterrupts } from "./interrupts.ts";
import * as at from "./layout.ts";
import { formOf, ILLEGAL, SENTINEL } from "./opcodes.ts";
import { OutsideAccess } from "./outside_access.ts";
import { Pmp } from "./pmp.ts";
import { MSTATUS, statusBits } from "./status.ts";
import { executePrivileged, type PrivilegedHart } from "./privileged.ts";
import { NO_RESERVATION, resetState } from "./reset.ts";
import { Tlb } from "./tlb.ts";
import { enterTrap } from "./trap.ts";
import type { BatchCompiler } from "./translator/background_compiler.ts";
import { reportOf, type TranslationReport } from "./translator/statistics.ts";
import type { TranslatorOptions } from "./translator/translator.ts";
import { type ExecutionWatch, WatchedTlb } from "./watch.ts";

/** What a hart needs; `createHart` makes the bus. */
export interface HartParts {
  readonly memory: GuestMemory;
  /** The hart's view of its address space; the hart disposes of it. */
  connect(events: BusEvents): Bus;
  readonly features?: HartFeatures;
  readonly id: number;
  time(): bigint;
  readonly watch?: ExecutionWatch;
}

/** What a hart starts with; the rest of its state is that of the specification's reset, and 0. */
export interface ResetState {
  readonly pc: bigint;
  readonly a0?: bigint;
  readonly a1?: bigint;
  readonly a2?: bigint;
}

/**
 * Longest stretch without leaving the interpreter, in instructions: V8 replaces its baseline code by optimised code
 * only when the function is entered again.
 */
const STRETCH = 200_000;

export class Hart implements PrivilegedHart, RunningHart, BusEvents {
  readonly id: number;
  readonly base: number;
  readonly state: HartState;
  readonly pmp: Pmp;
  readonly features: HartFeatures;
  /** In WFI, with nothing pending: `run` does nothing until an interrupt is. */
  waiting = false;
  lines = 0;
  readonly time: () => bigint;
  readonly #memory: GuestMemory;
  readonly #execution: Execution;
  readonly #watch: ExecutionWatch | undefined;
  readonly #bus: Bus;
  readonly #outside: OutsideAccess;
  readonly #tlb: Tlb;
  readonly #u16: Uint16Array;
  readonly #counters = new Counters();
  #mode: Mode = M_MODE;
  /** Instructions started before this stretch; of all started, those that trapped instead of retiring. */
  #started = 0;
  #trapped = 0;
  #isRunning = false;
  #stretch = 0;
  /** What is left of a stretch that was cut short. */
  #deferred = 0;
  /** An instruction is being executed: it has started but not retired. */
  #isExecuting = false;
  #exitRequested = false;
  readonly #breakpoints: Breakpoints;
  /** Mode or mapping changed during the current instruction: what the interpreter keeps in locals is stale. */
  #isStale = false;
  /** Cache-block instructions that a mode may use, by its number. */
  readonly #blockActions = [0, 0, 0, 0];

  constructor(options: HartParts) {
    this.id = options.id;
    this.time = options.time;
    this.#memory = options.memory;
    this.#u16 = new Uint16Array(options.memory.memory.buffer);
    this.base = allocateRange(options.memory, at.HART_BYTES, 64);
    this.state = new HartState(options.memory, this.base);
    this.pmp = new Pmp(this.state);
    this.features = options.features ?? ALL_FEATURES;
    this.#watch = options.watch;
    this.#execution = executionOf(options.memory, this.features, options.watch);
    this.#execution.add(this);
    this.#breakpoints = new Breakpoints(this.#execution.pages);
    this.state.set32(at.CODE_MAP, this.#execution.pages.map);
    this.state.set32(at.LOGGED_MAP, this.#execution.logged.map);
    this.state.set32(at.REGION_ENTRIES, this.#execution.translator.entries);
    const { writer } = this.#execution.pages;
    for (let single = 0; single < at.SINGLE_COUNT; single++) {
      const start = this.base + at.SINGLES + single * at.SINGLE_BYTES;
      for (const slot of [1, 2]) writer.special(start + slot * at.SLOT_BYTES, SENTINEL, 2);
      this.decodeSingle(this.base, start, -1);
    }
    // All are to be forgotten before they are looked at.
    this.state.set(at.WINDOWS_USED, BigInt.asUintN(64, -1n));
    const { fillBytes } = this.#execution.exports;
    this.#tlb = options.watch?.flushed
      ? new WatchedTlb(this, options.watch, fillBytes, this.state)
      : new Tlb(fillBytes, this.state);
    this.#bus = options.connect(this);
    this.#outside = new OutsideAccess(this.state, this.#bus);
    this.mapChanged();
    this.reset({ pc: 0n });
  }

  dispose(): void {
    this.#breakpoints.dispose();
    this.#bus.dispose();
    this.#execution.remove(this);
    freeRange(this.#memory, this.base, at.HART_BYTES);
  }

  /**
   * Sets the state that the specification asks for (3.4), and clears all else.
   * @throws Error while the hart runs: a device asks for the end of `run` first.
   */
  reset({ pc, a0 = 0n, a1 = 0n, a2 = 0n }: ResetState): void {
    if (this.#isRunning) throw new Error(`hart ${this.id} is reset while it runs`);
    const { state } = this;
    // Images may have been loaded since, without a word.
    this.#execution.pages.drop(0, this.#memory.bytes.length);
    resetState(state);
    this.writeRegister(10, a0);
    this.writeRegister(11, a1);
    this.writeRegister(12, a2);
    state.set(at.PC, BigInt.asUintN(64, pc));
    this.pmp.reset();
    this.inhibitCounters(0n);
    for (const counter of ["cycle", "instret"] as const) this.#counters.write(counter, 0n, this.instret);
    this.waiting = false;
    this.environmentChanged();
    this.enterMode(M_MODE);
    this.protectionChanged();
  }

  /**
   * Runs until `maxInstructions` were started, or an exit was requested, or the hart waits for an interrupt.
   * @returns Instructions started: those that retired, and those that trapped. Never more than asked for.
   */
  run(maxInstructions: number): number {
    const before = this.#started;
    const end = before + Math.floor(maxInstructions);
    this.#exitRequested = false;
    this.#bus.enter();
    try {
      while (this.#started < end && !this.#exitRequested) {
        if (this.waiting && (pendingInterrupts(this) & this.state.get32(at.CSR.mie)) === 0) break;
        this.waiting = false;
        this.interruptsChanged();
        this.#takeInterrupt();
        this.#runStretch(Math.min(end - this.#started, STRETCH));
      }
    } finally {
      this.#bus.leave();
    }
    return this.#started - before;
  }

  /** Leaves `run` after the current instruction. */
  requestExit(): void {
    this.#exitRequested = true;
    this.leave();
  }

  /**
   * Has `run` end before the instruction at this virtual address, in whatever mode and address space. The next `run`
   * executes it. Code that is not in guest memory is not looked at.
   */
  setBreakpoint(address: bigint): void {
    this.#breakpoints.set(BigInt.asUintN(64, address));
  }

  clearBreakpoint(address: bigint): void {
    this.#breakpoints.clear(BigInt.asUintN(64, address));
  }

  /** Whether `run` has ended at a breakpoint: the instruction at `pc` is still to come. */
  get isAtBreakpoint(): boolean {
    return this.#breakpoints.hasStopped(this.pc, this.#startedNow);
  }

  /** Chooses the tiers of all harts of this memory: code that runs often is translated, or never is. */
  translate(options: TranslatorOptions | undefined): void {
    this.#execution.translate(options);
  }

  /** Where code of this memory is translated: in the background, or on this thread. */
  translateBy(compiler: BatchCompiler | undefined): void {
    this.#execution.translator.translateBy(compiler);
  }

  /** What the translator that all harts of this memory share has done; entries and exits are this hart's own. */
  get translation(): TranslationReport {
    const counts = (first: number) =>
      Array.from({ length: at.EXIT_OPCODES }, (_, i) => Number(this.state.get(at.EXITS + (first + i) * 8)));
    return reportOf(this.#execution.translator.statistics, counts(0), counts(at.EXIT_OPCODES));
  }

  /** Drives an interrupt line from outside: a bit of mip. */
  setInterrupt(line: number, level: 0 | 1): void {
    const bit = 1 << line;
    this.lines = level === 1 ? this.lines | bit : this.lines & ~bit;
    this.interruptsChanged();
    if (level === 1 && this.#isRunning && (takableInterrupts(this.state, this.#mode) & bit) !== 0) this.leave();
  }

  /** Ticks of `time` at which the hart's own timer (stimecmp) interrupts, or nothing if it is off. */
  nextDeadline(): bigint | undefined {
    return nextComparison(this.state);
  }

  /** Instructions retired since the hart was made. Exact at any time. */
  get instret(): number {
    return this.#startedNow - this.#trapped;
  }

  get #startedNow(): number {
    const inStretch = this.#isRunning ? this.#stretch - this.#deferred - this.state.get32(at.BUDGET) : 0;
    return this.#started + inStretch;
  }

  get mode(): Mode {
    return this.#mode;
  }

  get pc(): bigint {
    return this.state.get(at.PC);
  }

  set pc(value: bigint) {
    this.state.set(at.PC, BigInt.asUintN(64, value) & ~1n);
  }

  /** x0 to x31 are 0 to 31, f0 to f31 are 32 to 63. */
  readRegister(number: number): bigint {
    return this.state.get(registerField(number));
  }

  writeRegister(number: number, value: bigint): void {
    if (number !== 0) this.state.set(registerField(number), BigInt.asUintN(64, value));
  }

  /** As a debugger: in any mode. Nothing if the register does not exist. */
  readCsr(number: number): bigint | undefined {
    return peekCsr(this, number);
  }

  /** As a debugger: in any mode. @returns false if the register does not exist or is read-only. */
  writeCsr(number: number, value: bigint): boolean {
    return pokeCsr(this, number, value);
  }

  // --- CsrHart

  readCounter(counter: Counter): bigint {
    return this.#counters.read(counter, this.instret - (this.#isExecuting ? 1 : 0));
  }

  writeCounter(counter: Counter, value: bigint): void {
    this.#counters.write(counter, value, this.instret);
  }

  inhibitCounters(bits: bigint): void {
    this.#counters.inhibit(bits, this.instret);
    this.state.set(at.CSR.mcountinhibit, bits);
  }

  translationChanged(): void {
    const satp = this.state.get(at.CSR.satp);
    const mode = Number(satp >> 60n);
    // Sv39, Sv48 and Sv57 are modes 8, 9 and 10, of three, four and five levels.
    this.state.set32(at.LEVELS, mode === 0 ? 0 : mode - 5);
    this.state.set(at.ROOT, (satp & ((1n << 44n) - 1n)) << 12n);
    this.#flush(at.MACHINE);
  }

  statusChanged(before: number): void {
    const { MPRV, SUM, MXR, MPP } = MSTATUS;
    const changed = before ^ statusBits(this.state);
    if ((changed & (MPRV | SUM | MXR | MPP)) === 0) return;
    if ((changed & MXR) !== 0) this.#flush(at.MACHINE);
    this.#updateContexts();
  }

  protectionChanged(): void {
    this.#flush(at.CONTEXTS);
  }

  environmentChanged(): void {
    const { menvcfg, senvcfg } = at.CSR;
    for (const mode of [U_MODE, S_MODE, M_MODE] as const) {
      this.#blockActions[mode] = allowedBlockActions(mode, this.state.get(menvcfg), this.state.get(senvcfg));
    }
    this.#chooseBlockActions();
  }

  interruptsChanged(): void {
    this.state.set32(at.PENDING, pendingInterrupts(this));
  }

  /** Whoever gave the budget of this run did so up to the old deadline. */
  deadlineChanged(): void {
    this.requestExit();
  }

  // --- PrivilegedHart

  enterMode(mode: Mode): void {
    this.#mode = mode;
    // Between contexts no reservation may survive; a trap and its return may end one (unprivileged specification, 8.2).
    this.state.set(at.RESERVATION, NO_RESERVATION);
    this.#chooseBlockActions();
    this.#updateContexts();
  }

  advance(length: number): void {
    this.state.set(at.PC, BigInt.asUintN(64, this.state.get(at.PC) + BigInt(length)));
  }

  wait(): void {
    this.waiting = true;
    this.#isStale = true;
    this.leave();
  }

  pause(): void {
    if (this.#execution.isShared) this.requestExit();
  }

  fence(address: bigint | undefined): void {
    this.#isStale = true;
    if (address !== undefined && this.#execution.exports.fenceAddress(this.base, address) === 0) {
      return this.#watch?.flushed?.(this, `0x${BigInt.asUintN(64, address).toString(16)}`);
    }
    this.#flush(at.MACHINE);
  }

  // --- RunningHart: called by the interpreter

  decodeSingle(_base: number, slot: number, word: number): void {
    const { writer } = this.#execution.pages;
    const decoded = this.#execution.pages.decode(word >>> 0);
    if (decoded) writer.instruction(slot, decoded, undefined);
    else writer.special(slot, ILLEGAL, (word & 3) === 3 ? 4 : 2);
    this.state.set32(slot - this.base + at.SINGLE_WORD, word);
  }

  breakpoint(): number {
    // The instruction that is about to begin has been counted.
    if (!this.#breakpoints.stops(this.pc, this.#startedNow - 1)) return at.CONTINUE;
    this.state.set32(at.BUDGET, this.state.get32(at.BUDGET) + 1);
    this.requestExit();
    return at.RELOAD;
  }

  execute(_base: number, slot: number, opcode: number): number {
    const form = formOf(opcode);
    if (!form) throw new Error(`opcode ${opcode} is no instruction's`);
    const { semantics } = form.instruction;
    this.#isStale = false;
    this.#isExecuting = true;
    const isLegal = executePrivileged(this, semantics, form.length, {
      rd: this.#u16[(slot + at.SLOT_RD) >>> 1] ?? at.SINK,
      rs1: this.#u16[(slot + at.SLOT_RS1) >>> 1] ?? 0,
      csr: this.#u16[(slot + at.SLOT_IMM) >>> 1] ?? 0,
    });
    this.#isExecuting = false;
    if (!isLegal) {
      this.raiseIllegal(this.base, slot);
      return at.RELOAD;
    }
    if (this.#isStale) {
      if (semantics.shape === "csr") this.advance(form.length);
      // A hart that begins to wait looks for interrupts when it runs again.
      if (!this.waiting) this.#takeInterrupt();
      return at.RELOAD;
    }
    if ((takableInterrupts(this.state, this.#mode) & this.state.get32(at.PENDING)) === 0) return at.CONTINUE;
    this.advance(form.length);
    this.#takeInterrupt();
    return at.RELOAD;
  }

  raise(_base: number, cause: number): void {
    const { instructionAccess, instructionPage } = at.CAUSE;
    this.#trapped++;
    // An instruction that could not be fetched has not started: it has to cost something all the same, or a trap
    // handler that cannot be fetched would keep the hart busy for ever.
    if (cause === instructionAccess || cause === instructionPage) {
      this.state.set32(at.BUDGET, this.state.get32(at.BUDGET) - 1);
    }
    this.#trap(cause, false, this.state.get(at.TVAL));
  }

  raiseIllegal(_base: number, slot: number): void {
    const field = slot - this.base;
    const isSingle = field >= at.SINGLES && field < at.HART_BYTES;
    const word = isSingle ? this.state.get32(field + at.SINGLE_WORD) >>> 0 : this.#execution.pages.wordAt(slot);
    this.state.set(at.TVAL, BigInt(word));
    this.raise(this.base, at.CAUSE.illegal);
  }

  load(_base: number, bytes: number): number {
    this.#isStale = false;
    if (!this.#outside.read(bytes)) return this.#accessFault(at.CAUSE.loadAccess);
    return this.#isStale ? at.FETCH_AGAIN : at.CONTINUE;
  }

  store(_base: number, bytes: number): number {
    this.#isStale = false;
    if (!this.#outside.write(bytes)) return this.#accessFault(at.CAUSE.storeAccess);
    return this.#isStale ? at.FETCH_AGAIN : at.CONTINUE;
  }

  loadPhysical(): number {
    return this.#outside.read(8) ? 0 : 1;
  }

  storePhysical(): number {
    return this.#outside.write(8) ? 0 : 1;
  }

  fetchHalfword(): number {
    return this.#outside.read(2) ? this.state.get32(at.VALUE) : -1;
  }

  flushFetches(): void {
    this.#tlb.flushFetches();
  }

  flushWrites(): void {
    this.#tlb.flushWrites();
  }

  logStore(_base: number, address: number): void {
    this.#bus.logStore?.(address);
  }

  loseReservation(): void {
    this.state.set(at.RESERVATION, NO_RESERVATION);
  }

  // --- BusEvents

  mapChanged(): void {
    this.#tlb.setRanges(this.#bus.ranges());
    this.#isStale = true;
  }

  unmapped(offset: number, length: number): void {
    this.#execution.pages.drop(offset, length);
  }

  stored(offset: number, length: number): void {
    this.#execution.pages.clear(offset, length);
  }

  cleaned(offset: number, length: number): void {
    this.#execution.logStores(offset, length);
  }

  // --- inside

  #runStretch(budget: number) {
    this.#stretch = budget;
    this.#deferred = 0;
    this.state.set32(at.BUDGET, budget);
    this.#isRunning = true;
    try {
      this.#execution.run(this);
    } finally {
      this.#isRunning = false;
      this.#started += this.#stretch - this.#deferred - this.state.get32(at.BUDGET);
    }
  }

  leave(): void {
    if (!this.#isRunning) return;
    this.#deferred += this.state.get32(at.BUDGET);
    this.state.set32(at.BUDGET, 0);
  }

  #takeInterrupt() {
    const pending = takableInterrupts(this.state, this.#mode) & this.state.get32(at.PENDING);
    if (pending !== 0) this.#trap(firstInterrupt(this.state, pending), true, 0n);
  }

  #trap(cause: number, isInterrupt: boolean, value: bigint) {
    this.#watch?.trapped?.(this, { cause, isInterrupt, value, pc: this.pc, from: this.#mode });
    this.enterMode(enterTrap(this.state, this.#mode, cause, isInterrupt, value));
  }

  #chooseBlockActions() {
    this.state.set32(at.BLOCK_ACTIONS, this.#blockActions[this.#mode] ?? 0);
  }

  #updateContexts() {
    this.#execution.exports.chooseContexts(this.base, this.#mode);
    this.#isStale = true;
  }

  /** Empties the TLBs of the first contexts: those below machine mode, or all. */
  #flush(contexts: number) {
    this.#tlb.flush(contexts);
    this.#isStale = true;
  }

  #accessFault(cause: number): number {
    this.raise(this.base, cause);
    return at.RELOAD;
  }
}

function registerField(number: number): number {
  return number < 32 ? at.X + 8 * number : at.F + 8 * (number - 32);
}
