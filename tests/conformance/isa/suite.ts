/**
 * A conformance suite: a program that checks an instruction set by recording values, and what each of them must be by the
 * specification. It runs on any machine with the `virt` board's UART and test finisher: it sends its records as raw bytes.
 */
import { type Assembled, type Assembler, assembler } from "../../../machines/riscv/assemble.ts";
import type { CsrName } from "../../../machines/riscv/csr_names.ts";
import { x } from "../../../machines/riscv/registers.ts";

import { OURS_ONLY_OFF, PEER_BIT_CPU, PEER_CPU } from "../peer.ts";

export const RAM = 0x8000_0000n;
export const RAM_BYTES = 16 << 20;
/** Memory that suites may use, each as it likes: 1 MiB, after the program and before the records. */
export const SCRATCH = RAM + 0x40_0000n;
const RECORDS = RAM + 0x80_0000n;
const UART = 0x1000_0000n, MTIMECMP = 0x200_4000n, FINISHER = 0x10_0000n, POWER_OFF = 0x5555;

export const U = 0, S = 1, M = 3;
export type Mode = typeof U | typeof S | typeof M;

/** What the attempt did if nothing else happened: it reached the ecall at its end. */
export const COMPLETED = "completed";
const ECALL_CAUSE: Readonly<Record<Mode, bigint>> = { [U]: 8n, [S]: 9n, [M]: 11n };

/** The peer's value where it is another: undefined for any. */
export interface Difference {
  readonly value: bigint | undefined;
  readonly because: string;
}

export interface Check {
  readonly what: string;
  readonly expected: (symbols: ReadonlyMap<string, bigint>) => bigint;
  readonly peer?: Difference | undefined;
}

/** An exception: its code, and its trap value (a label: its address). */
export interface Trap {
  readonly cause: number | bigint;
  readonly value?: bigint | string;
  /** Handled in supervisor mode. */
  readonly delegated?: boolean;
  readonly peer?: { readonly cause?: Difference; readonly epc?: Difference; readonly value?: Difference };
}

export interface Surroundings {
  /** Default: machine mode. */
  readonly mode?: Mode;
  /** Bits of mstatus during the attempt, beside MPP. */
  readonly status?: bigint;
  /** What is added to the addresses at which the attempt runs. */
  readonly offset?: bigint;
  /** Address instead of the attempt's own code. */
  readonly at?: bigint;
}

/** Kept by the frame: pointer to records, recovery address, and what the last trap was. */
const RECORD = x.s11, RECOVERY = x.s10, CAUSE = x.s9, SEEN = x.s8, EPC = x.s7, VALUE = x.s6, STATUS = x.s5;
const MPP = 3n << 11n, FS_INITIAL = 1n << 13n;
/** UXL and SXL of 64 bits: the peer lets them be changed. */
const WIDTHS = 0xa_0000_0000n;

/** What the harts have that a suite runs on, as the option `-cpu` says it. */
export interface Harts {
  readonly ours: string;
  /** Nothing if the peer cannot have that. */
  readonly peer?: string;
}

/** RV64GC with Sstc. */
export const PLAIN: Harts = { ours: PEER_CPU, peer: PEER_CPU };
/** With Zba, Zbb, Zbc and Zbs. */
export const WITH_BITS: Harts = { ours: PEER_BIT_CPU + OURS_ONLY_OFF, peer: PEER_BIT_CPU };
/** With all that we have. */
export const FULL: Harts = { ours: "rv64" };

export interface SuiteOptions {
  readonly compressed?: boolean;
  /** Default: RV64GC with Sstc. */
  readonly harts?: Harts;
}

export class Suite {
  readonly asm: Assembler;
  readonly checks: Check[] = [];
  #labels = 0;

  readonly harts: Harts;

  constructor(readonly name: string, write: (suite: Suite) => void, { compressed, harts = PLAIN }: SuiteOptions = {}) {
    this.asm = assembler(compressed === undefined ? {} : { compressed });
    this.harts = harts;
    this.#start();
    write(this);
    this.#end();
  }

  finish(): Assembled {
    return this.asm.finish({ base: RAM });
  }

  /** A label of its own for each call. */
  fresh(name = "l"): string {
    return `${name}.${this.#labels++}`;
  }

  /** The register must hold this value now. */
  expect(what: string, register: number, expected: bigint | string | Check["expected"], peer?: Difference): void {
    this.asm.sd(register, 0, RECORD);
    this.asm.addi(RECORD, RECORD, 8);
    this.checks.push({ what, expected: resolver(expected), peer });
  }

  /** The register that this reads must hold this value now. Uses t6. */
  expectCsr(name: CsrName | number, expected: bigint, what = `${name}`, peer?: Difference): void {
    this.asm.csrr(x.t6, name);
    this.expect(what, x.t6, expected, peer);
  }

  /** Uses t6. */
  setCsr(name: CsrName | number, value: bigint): void {
    this.asm.li(x.t6, value);
    this.asm.csrw(name, x.t6);
  }

  /** Writes a register and says what it reads then. Uses t6. */
  writes(name: CsrName | number, value: bigint, expected: bigint, what: string, peer?: Difference): void {
    this.setCsr(name, value);
    this.expectCsr(name, expected, `${name}: ${what}`, peer);
  }

  /** Stores a doubleword. Uses t5 and t6. */
  poke(address: bigint, value: bigint): void {
    this.asm.li(x.t5, address);
    this.asm.li(x.t6, value);
    this.asm.sd(x.t6, 0, x.t5);
  }

  /** The doubleword in memory must be this one now. Uses t5 and t6. */
  expectMemory(what: string, address: bigint, expected: bigint, peer?: Difference): void {
    this.asm.li(x.t5, address);
    this.asm.ld(x.t6, 0, x.t5);
    this.expect(what, x.t6, expected, peer);
  }

  /**
   * Runs code in a mode, and says which exception it takes, where and with which value. The code may use all registers
   * below s5 and t0 to t4; what it leaves in them is there afterwards. It calls `fault` before the instruction that traps,
   * if that is not its first one.
   */
  attempt(what: string, code: (fault: () => void) => void, outcome: Trap | typeof COMPLETED, where: Surroundings = {}) {
    const { asm } = this;
    const { mode = M, status = FS_INITIAL, offset = 0n, at } = where;
    const body = this.fresh("body"), recovery = this.fresh("recovery"), end = this.fresh("end");
    let faulting = body;
    asm.la(RECOVERY, recovery);
    asm.li(CAUSE, -1);
    asm.li(SEEN, 0);
    this.setCsr("mstatus", WIDTHS | (status & ~MPP) | BigInt(mode) << 11n);
    if (at === undefined) asm.la(x.t6, body);
    else asm.li(x.t6, at);
    if (offset !== 0n) {
      asm.li(x.t5, offset);
      asm.add(x.t6, x.t6, x.t5);
    }
    asm.csrw("mepc", x.t6);
    asm.mret();
    asm.label(body);
    code(() => asm.label(faulting = this.fresh("fault")));
    asm.align(4);
    asm.label(end);
    asm.ecall();
    asm.label(recovery);
    const trap: Trap = outcome === COMPLETED ? { cause: Number(ECALL_CAUSE[mode]), value: 0n } : outcome;
    const place = outcome === COMPLETED ? end : faulting;
    this.expect(`${what}: cause`, CAUSE, BigInt(trap.cause), trap.peer?.cause);
    this.expect(
      `${what}: epc`,
      EPC,
      (symbols) => at !== undefined && outcome !== COMPLETED ? at + offset : address(symbols, place) + offset,
      trap.peer?.epc,
    );
    if (trap.value !== undefined) this.expect(`${what}: tval`, VALUE, trap.value, trap.peer?.value);
    this.expect(`${what}: delegated`, SEEN, trap.delegated ? 1n : 0n);
  }

  /** mstatus, or sstatus if delegated, as the handler of the last attempt saw it. */
  expectStatus(what: string, expected: bigint, peer?: Difference): void {
    this.expect(what, STATUS, expected, peer);
  }

  /** Everything may be accessed by all modes; traps go to the frame; no interrupt is pending. */
  #start(): void {
    const { asm } = this;
    const supervisor = "supervisor trap", machine = "machine trap", seen = "seen";
    asm.j("start");
    asm.align(4);
    asm.label(machine);
    asm.bnez(SEEN, seen);
    asm.csrr(CAUSE, "mcause");
    asm.csrr(EPC, "mepc");
    asm.csrr(VALUE, "mtval");
    asm.csrr(STATUS, "mstatus");
    asm.label(seen);
    asm.jr(RECOVERY);
    asm.align(4);
    asm.label(supervisor);
    asm.li(SEEN, 1);
    asm.csrr(CAUSE, "scause");
    asm.csrr(EPC, "sepc");
    asm.csrr(VALUE, "stval");
    asm.csrr(STATUS, "sstatus");
    asm.ecall();
    asm.align(4);
    asm.label("start");
    asm.la(x.t6, machine);
    asm.csrw("mtvec", x.t6);
    asm.la(x.t6, supervisor);
    asm.csrw("stvec", x.t6);
    this.openMemory();
    this.poke(MTIMECMP, (1n << 64n) - 1n);
    asm.li(RECORD, RECORDS);
  }

  /** One entry of physical memory protection that lets every mode access everything. */
  openMemory(): void {
    this.setCsr(0x3b0, (1n << 54n) - 1n);
    this.setCsr(0x3a0, 0x1fn);
  }

  /** Sends the records and powers off. */
  #end(): void {
    const { asm } = this;
    const { t0, t1, t2, t3 } = x;
    asm.li(t0, RECORDS);
    asm.li(t1, UART);
    asm.label("send");
    asm.bgeu(t0, RECORD, "sent");
    asm.label("wait");
    asm.lbu(t2, 5, t1);
    asm.andi(t2, t2, 0x20);
    asm.beqz(t2, "wait");
    asm.lbu(t3, 0, t0);
    asm.sb(t3, 0, t1);
    asm.addi(t0, t0, 1);
    asm.j("send");
    asm.label("sent");
    asm.li(t0, FINISHER);
    asm.li(t1, POWER_OFF);
    asm.sw(t1, 0, t0);
    asm.label("off");
    asm.j("off");
  }
}

function resolver(expected: bigint | string | Check["expected"]): Check["expected"] {
  if (typeof expected === "function") return expected;
  return typeof expected === "bigint" ? () => BigInt.asUintN(64, expected) : (symbols) => address(symbols, expected);
}

function address(symbols: ReadonlyMap<string, bigint>, label: string): bigint {
  const value = symbols.get(label);
  if (value === undefined) throw new Error(`the suite has no label "${label}"`);
  return value;
}
