/**
 * Control and status registers (privileged specification, chapters 2 to 4): which exist, who may use them, and what
 * they read and accept. A number that is not here traps.
 */
import { blockControls, legalizeBlockControls } from "./cache_blocks.ts";
import type { Counter } from "./counters.ts";
import type { HartFeatures } from "./features.ts";
import { lowestMode, SSTATUS, STORED_CSRS } from "./direct_csrs.ts";
import { type HartState, M_MODE, type Mode, S_MODE } from "./hart_state.ts";
import { ALL_INTERRUPTS, SEI, STI, SUPERVISOR_INTERRUPTS } from "./interrupts.ts";
import {
  CSR,
  EVENT_SELECTOR_COUNT,
  EVENT_SELECTORS,
  FFLAGS,
  FRM,
  FS,
  IDLE_COUNTER_COUNT,
  IDLE_COUNTERS,
  PMP_LIMIT,
} from "./layout.ts";
import type { Pmp } from "./pmp.ts";
import { MSTATUS, readMstatus, readSstatus, statusBits, writeMstatus, writeSstatus } from "./status.ts";

/** What CSRs need of their hart. */
export interface CsrHart {
  readonly id: number;
  readonly state: HartState;
  readonly mode: Mode;
  readonly features: HartFeatures;
  readonly pmp: Pmp;
  /** Interrupt lines from outside, as bits of mip. */
  readonly lines: number;
  time(): bigint;
  /** Instructions retired before the current one, unless mcountinhibit stops the counter. */
  readCounter(counter: Counter): bigint;
  /** The next instruction reads this value. */
  writeCounter(counter: Counter, value: bigint): void;
  /** Bits of mcountinhibit. */
  inhibitCounters(bits: bigint): void;
  /** satp changed: translations of user and supervisor are void. */
  translationChanged(): void;
  /** mstatus changed: the TLB context may be another; with MXR so are the translations. */
  statusChanged(before: number): void;
  /** menvcfg or senvcfg changed. */
  environmentChanged(): void;
  /** PMP changed: all translations are void. */
  protectionChanged(): void;
  /** Other interrupts may be pending than before. */
  interruptsChanged(): void;
  /** The hart's own timer interrupts earlier than it was going to. */
  deadlineChanged(): void;
}

interface Register {
  read(hart: CsrHart): bigint;
  /** Absent where the number itself says read-only. */
  write?(hart: CsrHart, value: bigint): void;
  /** What read-modify-write instructions modify, if not what they read. */
  readToModify?(hart: CsrHart): bigint;
  /** False if the access is illegal for other reasons than mode. */
  allows?(hart: CsrHart): boolean;
}

const MASK_32 = 0xffff_ffffn;
/** RV64 with A, C, D, F, I, M, S and U. Fixed. */
const MISA = 2n << 62n | 0x14_112dn;
const STCE = 1n << 63n;
const FIOM = 1n;
/** fence.i aside, every exception that can occur below machine mode (bits 0 to 9, 12, 13 and 15). */
const DELEGABLE_EXCEPTIONS = 0xb3ffn;
/** Cycle and instret can be stopped. */
const INHIBITABLE = 0b101n;
const TM = 1n << 1n;
/** Software sets these in mip; STIP only where stimecmp does not drive it. */
const SSIP = 1n << 1n, STIP = 1n << 5n, SEIP = 1n << 9n;
/** satp's modes are 8 for Sv39 with its three levels, 9 for Sv48, 10 for Sv57. */
const SATP_MODE_OF_LEVELS = 5;

const field = (offset: number, legalize = (value: bigint) => value): Register => ({
  read: ({ state }) => state.get(offset),
  write: ({ state }, value) => state.set(offset, legalize(value)),
});
const masked = (offset: number, mask: bigint) => field(offset, (value) => value & mask);
const constant = (value: bigint): Register => ({ read: () => value, write: () => {} });
/** Direct or vectored; a write of another mode is ignored. */
const vector = (offset: number): Register => ({
  read: ({ state }) => state.get(offset),
  write: ({ state }, value) => {
    if ((value & 2n) === 0n) state.set(offset, value);
  },
});

/** mip with what drives it from outside: lines, and the comparison of stimecmp with time. */
export function pendingInterrupts(hart: CsrHart): number {
  const { state } = hart;
  // No bigint where a bit will do. STCE is the sign of menvcfg.
  const pending = state.get32(CSR.mip) | hart.lines;
  if (state.get32(CSR.menvcfg + 4) >= 0) return pending;
  return hart.time() >= state.get(CSR.stimecmp) ? pending | 1 << STI : pending & ~(1 << STI);
}

/** Ticks of `time` at which stimecmp raises an interrupt, or nothing if it cannot. */
export function nextComparison(state: HartState): bigint | undefined {
  const wanted = (state.get(CSR.menvcfg) & STCE) !== 0n && (state.get(CSR.mie) & STIP) !== 0n;
  return wanted ? state.get(CSR.stimecmp) : undefined;
}

/** A register that says whether, or when, the hart's own timer interrupts. */
function timed(register: Register): Register {
  return {
    ...register,
    write: (hart, value) => {
      const before = nextComparison(hart.state);
      register.write?.(hart, value);
      const after = nextComparison(hart.state);
      hart.interruptsChanged();
      if (after !== undefined && (before === undefined || after < before)) hart.deadlineChanged();
    },
  };
}

const withoutLines = (hart: CsrHart): bigint =>
  BigInt(pendingInterrupts(hart) & ~(hart.lines & 1 << SEI)) | (hart.state.get(CSR.mip) & SEIP);

const mip: Register = {
  read: (hart) => BigInt(pendingInterrupts(hart)),
  // SEIP is the OR of a line and a bit: only the bit is modified (3.1.9).
  readToModify: withoutLines,
  write: (hart, value) => {
    const { state } = hart;
    const timer = (state.get(CSR.menvcfg) & STCE) === 0n ? STIP : 0n;
    const writable = SSIP | SEIP | timer;
    state.set(CSR.mip, (state.get(CSR.mip) & ~writable) | (value & writable));
    hart.interruptsChanged();
  },
};

/** sie and sip show the interrupts that are delegated; of them, SSIP alone is written through sip. */
const delegated = ({ state }: CsrHart) => state.get(CSR.mideleg);
const sip: Register = {
  read: (hart) => BigInt(pendingInterrupts(hart)) & delegated(hart),
  write: (hart, value) => {
    const { state } = hart;
    const writable = SSIP & delegated(hart);
    state.set(CSR.mip, (state.get(CSR.mip) & ~writable) | (value & writable));
    hart.interruptsChanged();
  },
};
const sie: Register = timed({
  read: (hart) => hart.state.get(CSR.mie) & delegated(hart),
  write: (hart, value) => {
    const { state } = hart;
    state.set(CSR.mie, (state.get(CSR.mie) & ~delegated(hart)) | (value & delegated(hart)));
  },
});

const status = (read: (state: HartState) => bigint, write: (state: HartState, value: bigint) => void): Register => ({
  read: ({ state }) => read(state),
  write: (hart, value) => {
    const before = statusBits(hart.state);
    write(hart.state, value);
    hart.statusChanged(before);
  },
});

/** Without any page table, satp is read-only zero. */
const hasTranslation = ({ features }: CsrHart, mode: number) =>
  features.levels !== 0 && (mode === 0 || (mode >= 8 && mode <= features.levels + SATP_MODE_OF_LEVELS));

const satp: Register = {
  read: ({ state }) => state.get(CSR.satp),
  write: (hart, value) => {
    // A write with an unsupported mode has no effect at all (4.1.11).
    if (!hasTranslation(hart, Number(value >> 60n)) || value === hart.state.get(CSR.satp)) return;
    hart.state.set(CSR.satp, value);
    hart.translationChanged();
  },
  allows: ({ mode, state }) => mode !== S_MODE || (statusBits(state) & MSTATUS.TVM) === 0,
};

const hasSstc = ({ features }: CsrHart) => features.extensions.has("Sstc");

const stimecmp: Register = {
  ...timed(field(CSR.stimecmp)),
  allows: (hart) => {
    if (hart.mode === M_MODE) return hasSstc(hart);
    // STCE is never set without Sstc.
    const { state } = hart;
    return (state.get(CSR.menvcfg) & STCE) !== 0n && (state.get(CSR.mcounteren) & TM) !== 0n;
  },
};

/** menvcfg or senvcfg: FIOM, without effect since all accesses are in order; what cache blocks have; and `more`. */
const environment = (offset: number, more: (hart: CsrHart) => bigint): Register => ({
  read: ({ state }) => state.get(offset),
  write: (hart, value) => {
    const { state, features } = hart;
    const kept = legalizeBlockControls(state.get(offset), value) & (FIOM | blockControls(features) | more(hart));
    state.set(offset, kept);
    hart.environmentChanged();
  },
});

/** Float state is there unless mstatus.FS is Off; writing makes it Dirty. */
const float = (read: (state: HartState) => number, write: (state: HartState, value: number) => void): Register => ({
  read: ({ state }) => BigInt(read(state)),
  write: ({ state }, value) => {
    write(state, Number(value & 0xffn));
    state.set32(FS, 3);
  },
  allows: ({ state }) => state.get32(FS) !== 0,
});
const setFlags = (state: HartState, value: number) => state.set32(FFLAGS, value & 0x1f);
const setRounding = (state: HartState, value: number) => state.set32(FRM, value & 7);

const counter = (which: Counter): Register => ({
  read: (hart) => hart.readCounter(which),
  write: (hart, value) => hart.writeCounter(which, value),
});

/** The unprivileged view of counter `index`: mcounteren guards it from S and U, scounteren from U. */
const view = (index: number, read: (hart: CsrHart) => bigint): Register => ({
  read,
  allows: ({ mode, state }) => {
    const bit = 1n << BigInt(index);
    if (mode === M_MODE) return true;
    if ((state.get(CSR.mcounteren) & bit) === 0n) return false;
    return mode === S_MODE || (state.get(CSR.scounteren) & bit) !== 0n;
  },
});

const series = (first: number, count: number, make: (index: number) => Register): [number, Register][] =>
  Array.from({ length: count }, (_, i) => [first + i, make(i)]);

const config = (first: number): Register => ({
  read: ({ pmp }) => pmp.readConfigs(first),
  write: (hart, value) => {
    hart.pmp.writeConfigs(first, value);
    hart.protectionChanged();
  },
});
const protectedAddress = (index: number): Register => ({
  read: ({ pmp }) => pmp.readAddress(index),
  write: (hart, value) => {
    hart.pmp.writeAddress(index, value);
    hart.protectionChanged();
  },
});

const REGISTERS: ReadonlyMap<number, Register> = new Map<number, Register>([
  [0x001, float((s) => s.get32(FFLAGS), setFlags)],
  [0x002, float((s) => s.get32(FRM), setRounding)],
  [
    0x003,
    float((s) => s.get32(FFLAGS) | s.get32(FRM) << 5, (s, value) => {
      setFlags(s, value);
      setRounding(s, value >> 5);
    }),
  ],

  ...Array.from(
    STORED_CSRS,
    ([number, { field, zeros }]): [number, Register] => [number, masked(field, ~BigInt(zeros))],
  ),

  [SSTATUS, status(readSstatus, writeSstatus)],
  [0x104, sie],
  [0x105, vector(CSR.stvec)],
  [0x106, masked(CSR.scounteren, MASK_32)],
  [0x10a, environment(CSR.senvcfg, () => 0n)],
  [0x144, sip],
  [0x14d, stimecmp],
  [0x180, satp],

  [0x300, status(readMstatus, writeMstatus)],
  [0x301, constant(MISA)],
  [0x302, masked(CSR.medeleg, DELEGABLE_EXCEPTIONS)],
  [0x303, masked(CSR.mideleg, SUPERVISOR_INTERRUPTS)],
  [0x304, timed(masked(CSR.mie, ALL_INTERRUPTS))],
  [0x305, vector(CSR.mtvec)],
  [0x306, masked(CSR.mcounteren, MASK_32)],
  [0x30a, timed(environment(CSR.menvcfg, (hart) => hasSstc(hart) ? STCE : 0n))],
  [0x320, {
    read: ({ state }) => state.get(CSR.mcountinhibit),
    write: (hart, value) => hart.inhibitCounters(value & INHIBITABLE),
  }],
  // Hardware performance monitor: counters 3 to 18 keep what is written, and count nothing.
  ...series(0x323, EVENT_SELECTOR_COUNT, (i) => field(EVENT_SELECTORS + 8 * i)),
  [0x344, mip],
  [0x3a0, config(0)],
  [0x3a2, config(8)],
  ...series(0x3b0, PMP_LIMIT, protectedAddress),

  // The debug module's triggers: tselect names one that does not exist.
  ...series(0x7a0, 4, () => constant(0n)),

  [0xb00, counter("cycle")],
  [0xb02, counter("instret")],
  ...series(0xb03, IDLE_COUNTER_COUNT, (i) => field(IDLE_COUNTERS + 8 * i)),
  [0xc00, view(0, (hart) => hart.readCounter("cycle"))],
  [0xc01, view(1, (hart) => hart.time())],
  [0xc02, view(2, (hart) => hart.readCounter("instret"))],
  ...series(0xc03, IDLE_COUNTER_COUNT, (i) => view(3 + i, ({ state }) => state.get(IDLE_COUNTERS + 8 * i))),

  // Vendor, architecture and implementation are not commercial: 0. No configuration structure.
  [0xf11, constant(0n)],
  [0xf12, constant(0n)],
  [0xf13, constant(0n)],
  [0xf14, { read: ({ id }) => BigInt(id) }],
  [0xf15, constant(0n)],
]);

const BY_NUMBER: readonly (Register | undefined)[] = Array.from({ length: 4096 }, (_, i) => REGISTERS.get(i));
const NEVER_ALLOWED: Register = { read: () => 0n, allows: () => false };

/** The register if this mode may use it so; bits 9..8 of a number are the lowest mode, 11..10 = 3 means read-only. */
function access(hart: CsrHart, number: number, isWrite: boolean): Register | undefined {
  const register = BY_NUMBER[number] ?? NEVER_ALLOWED;
  if (hart.mode < lowestMode(number) || (isWrite && number >> 10 === 3)) return undefined;
  return register.allows === undefined || register.allows(hart) ? register : undefined;
}

export type CsrOperation = "write" | "set" | "clear";

/**
 * One CSR instruction.
 * @param isWrite False for set and clear of x0 or 0: these don't write.
 * @returns what rd gets, or nothing if the instruction is illegal.
 */
export function operateCsr(
  hart: CsrHart,
  number: number,
  operation: CsrOperation,
  operand: bigint,
  isWrite: boolean,
): bigint | undefined {
  const register = access(hart, number, isWrite);
  if (register === undefined) return undefined;
  const value = register.read(hart);
  if (!isWrite || register.write === undefined) return value;
  if (operation === "write") {
    register.write(hart, operand);
    return value;
  }
  const before = register.readToModify?.(hart) ?? value;
  register.write(hart, operation === "set" ? before | operand : before & ~operand);
  return value;
}

/** What a register reads, whatever the mode; nothing if it does not exist. */
export function peekCsr(hart: CsrHart, number: number): bigint | undefined {
  return BY_NUMBER[number]?.read(hart);
}

/** Writes a register, whatever the mode. @returns false if it does not exist or is read-only. */
export function pokeCsr(hart: CsrHart, number: number, value: bigint): boolean {
  const register = BY_NUMBER[number];
  if (register?.write === undefined || number >> 10 === 3) return false;
  register.write(hart, BigInt.asUintN(64, value));
  return true;
}
