/**
 * The trap handlers of random programs. The machine's skips what trapped, sends control elsewhere now and then, and
 * answers environment calls by changing what may be changed: modes, spaces, page tables, protection, code.
 */
import { type Assembler, assembler } from "../../../machines/riscv/assemble.ts";
import { x } from "../../../machines/riscv/registers.ts";
import * as at from "./layout.ts";

const { zero, ra, sp, gp, tp, t0, t1, t2, t6, s0, s1 } = x;
/** Registers that the handler sets to addresses when it sends control elsewhere. */
export const POINTERS = [sp, gp, tp, s0, s1, ra] as const;

const MPP_MASK = 3 << 11,
  MPP_S = 1 << 11,
  MPIE = 1 << 7,
  MPRV = 1 << 17,
  SUM = 1 << 18,
  MXR = 1 << 19,
  FS = 3 << 13,
  FS_CLEAN = 2 << 13;
const SV39 = 8n << 60n;
const { SAVE } = at;

/** The value of satp for a space; it is also its address space identifier. */
export function satpOf(space: number, hart: number): bigint {
  const root = at.TABLES + (3 * space + hart * at.TABLE_PAGES) * at.PAGE;
  return SV39 | BigInt(space) << 44n | (at.RAM + BigInt(root)) >> 12n;
}

export interface HandlerOptions {
  /** At the trap limit the registers and memory go to the serial port, and the machine is turned off. */
  readonly dumps: boolean;
}

/** Offsets and lengths, in the order of the dump: registers last, since they tell least about what went before. */
export const DUMPED = [[at.LOG, at.LOG_ENTRY_BYTES * at.TRAP_LIMIT], [0, at.TABLES], [at.REGISTERS, 65 * 8]] as const;
const UART = 0x1000_0000, FINISHER = 0x10_0000, POWER_OFF = 0x5555;

/** The page at HANDLER. */
export function handlers({ dumps }: HandlerOptions): Uint8Array {
  const asm = assembler();
  machineHandler(asm, dumps);
  services(asm, dumps);
  finish(asm, dumps);
  asm.align(4);
  const room = at.SUPERVISOR_HANDLER - at.HANDLER - asm.offset;
  if (room < 0) throw new RangeError("the machine's handler is too long");
  asm.space(room);
  asm.csrw("sscratch", t0);
  // An interrupt comes no more before a service enables it.
  asm.csrr(t0, "scause");
  asm.bge(t0, zero, "exception");
  asm.csrw("sie", zero);
  asm.j("skipped");
  asm.label("exception");
  asm.csrr(t0, "sepc");
  asm.addi(t0, t0, 2);
  asm.csrw("sepc", t0);
  // The machine's handler is asked now and then, so that nobody skips for ever.
  asm.andi(t0, t0, 14);
  asm.bnez(t0, "skipped");
  asm.ecall();
  asm.label("skipped");
  asm.csrr(t0, "sscratch");
  asm.sret();
  return asm.finish({ base: at.RAM + BigInt(at.HANDLER) }).bytes;
}

/** mscratch holds the hart's save area, and t6 its address while the handler runs. */
function machineHandler(asm: Assembler, dumps: boolean): void {
  asm.csrrw(t6, "mscratch", t6);
  asm.sd(t0, SAVE.t0, t6);
  asm.sd(t1, SAVE.t1, t6);
  asm.sd(t2, SAVE.t2, t6);
  asm.csrr(t0, "mscratch");
  asm.sd(t0, SAVE.t6, t6);
  asm.li(t0, MPIE);
  asm.csrrs(zero, "mstatus", t0);
  // From here on MPP may become another mode, as which the handler's own loads must not be translated.
  asm.li(t0, MPRV);
  asm.csrrc(zero, "mstatus", t0);
  increment(asm, t0, SAVE.traps);
  asm.ld(t1, SAVE.limit, t6);
  asm.bgeu(t0, t1, "finish");
  if (dumps) {
    asm.slli(t0, t0, 5);
    asm.li(t1, at.RAM + BigInt(at.LOG));
    asm.add(t1, t1, t0);
    asm.csrr(t0, "mepc");
    asm.sd(t0, 0, t1);
    asm.ld(t0, SAVE.t6, t6);
    for (const field of [SAVE.t0, SAVE.t1, SAVE.t2]) {
      asm.ld(t2, field, t6);
      asm.add(t0, t0, t2);
    }
    for (let register = 1; register < 31; register++) {
      if (register !== t0 && register !== t1 && register !== t2) asm.add(t0, t0, register);
    }
    asm.sd(t0, 8, t1);
    asm.csrr(t0, "mcause");
    asm.sd(t0, 16, t1);
    asm.csrr(t0, "mtval");
    asm.sd(t0, 24, t1);
  }
  asm.csrr(t1, "mcause");
  asm.blt(t1, zero, "interrupt");
  asm.addi(t2, t1, -8);
  asm.li(t0, 4);
  asm.bltu(t2, t0, "service");
  // What could not be fetched can't be skipped.
  asm.li(t0, 1);
  asm.beq(t1, t0, "elsewhere");
  asm.li(t0, 12);
  asm.beq(t1, t0, "elsewhere");
  asm.csrr(t0, "mepc");
  asm.slli(t0, t0, 34);
  asm.srli(t0, t0, 34);
  asm.li(t1, at.CODE);
  asm.sub(t2, t0, t1);
  asm.li(t1, at.CODE_PAGES * at.PAGE);
  asm.bgeu(t2, t1, "elsewhere");
  // By its length, as it is in memory: where the page is shown elsewhere, too, control goes on somewhere.
  asm.li(t1, at.RAM);
  asm.or(t0, t0, t1);
  asm.lhu(t2, 0, t0);
  asm.csrr(t0, "mepc");
  asm.addi(t0, t0, 2);
  asm.andi(t2, t2, 3);
  asm.addi(t2, t2, -3);
  asm.bnez(t2, "short");
  asm.addi(t0, t0, 2);
  asm.label("short");
  asm.csrw("mepc", t0);
  asm.ld(t0, SAVE.traps, t6);
  asm.andi(t0, t0, 15);
  asm.beqz(t0, "elsewhere");
  asm.j("restore");

  // Level-sensitive: it is not enabled again before a service does so.
  asm.label("interrupt");
  asm.slli(t1, t1, 1);
  asm.srli(t1, t1, 1);
  if (dumps) {
    asm.li(t0, 7);
    asm.beq(t1, t0, "timer");
  }
  asm.li(t0, 1);
  asm.sll(t0, t0, t1);
  asm.csrrc(zero, "mie", t0);
  asm.j("restore");

  asm.label("elsewhere");
  increment(asm, t0, SAVE.turns);
  asm.andi(t1, t0, at.FUNCTIONS - 1);
  asm.slli(t1, t1, 3);
  asm.add(t1, t1, t6);
  asm.ld(t1, SAVE.functions, t1);
  // Half of the time by the second window, except in machine mode.
  asm.andi(t0, t0, at.FUNCTIONS);
  asm.beqz(t0, "first window");
  asm.csrr(t2, "mstatus");
  asm.li(t0, MPP_MASK);
  asm.and(t2, t2, t0);
  asm.beq(t2, t0, "first window");
  asm.li(t0, BigInt.asIntN(64, at.WINDOWS[1] - at.WINDOWS[0]));
  asm.add(t1, t1, t0);
  asm.label("first window");
  asm.csrw("mepc", t1);
  POINTERS.forEach((pointer, i) => asm.ld(pointer, SAVE.pointers + 8 * i, t6));

  asm.label("restore");
  asm.ld(t0, SAVE.t6, t6);
  asm.csrw("mscratch", t6);
  asm.mv(t2, t6);
  asm.mv(t6, t0);
  asm.ld(t0, SAVE.t0, t2);
  asm.ld(t1, SAVE.t1, t2);
  asm.ld(t2, SAVE.t2, t2);
  asm.mret();
}

function increment(asm: Assembler, register: number, field: number): void {
  asm.ld(register, field, t6);
  asm.addi(register, register, 1);
  asm.sd(register, field, t6);
}

/** Each ends in `restore` or `elsewhere`; they come in turn. */
function services(asm: Assembler, dumps: boolean): void {
  const csrs = (csr: "mstatus" | "mie", bits: number) => (asm.li(t0, bits), asm.csrrs(zero, csr, t0));
  const csrc = (csr: "mstatus", bits: number) => (asm.li(t0, bits), asm.csrrc(zero, csr, t0));
  const space = (number: number, mode: number) => {
    csrc("mstatus", MPP_MASK);
    if (mode !== 0) csrs("mstatus", mode);
    asm.li(t0, satpOf(number, 0));
    asm.ld(t1, SAVE.tables, t6);
    asm.add(t0, t0, t1);
    asm.csrw("satp", t0);
  };
  const toggle = (bits: number) => {
    asm.csrr(t1, "mstatus");
    asm.li(t0, bits);
    asm.xor(t1, t1, t0);
    asm.csrw("mstatus", t1);
  };
  /** Swaps two entries in the leaf table of the space that satp names; leaves the first one's address in t1. */
  const swap = (first: number, second: number) => {
    asm.csrr(t1, "satp");
    asm.slli(t1, t1, 20);
    asm.srli(t1, t1, 8);
    asm.beqz(t1, "restore");
    asm.li(t0, 2 * at.PAGE);
    asm.add(t1, t1, t0);
    asm.ld(t0, (first / at.PAGE) * 8, t1);
    asm.ld(t2, (second / at.PAGE) * 8, t1);
    asm.sd(t2, (first / at.PAGE) * 8, t1);
    asm.sd(t0, (second / at.PAGE) * 8, t1);
  };
  const bodies: (() => void)[] = [
    () => space(0, MPP_S),
    () => space(2, 0),
    () => space(1, MPP_S),
    () => space(3, 0),
    () => csrs("mstatus", MPP_MASK),
    () => {
      // The peer lets the supervisor run a user's page that it has read with SUM.
      if (!dumps) toggle(SUM);
    },
    () => toggle(MXR),
    () => {
      swap(at.DATA, at.DATA + at.PAGE);
      asm.sfence_vma(zero, zero);
    },
    () => {
      swap(at.CODE + at.PAGE, at.CODE + 2 * at.PAGE);
      for (const window of at.WINDOWS.slice(0, 2)) {
        for (const page of [1, 2]) {
          asm.li(t0, window + BigInt(at.CODE + page * at.PAGE));
          asm.sfence_vma(t0, zero);
        }
      }
    },
    () => {
      // The peer checks an access that crosses pages once only.
      if (dumps) return;
      // The first entry bounds one page of data; the second one lets everything be done.
      asm.csrr(t0, 0x3a0);
      asm.addi(t0, t0, 1);
      asm.andi(t0, t0, 7);
      // Writable without readable is reserved.
      asm.andi(t1, t0, 2);
      asm.srli(t1, t1, 1);
      asm.or(t0, t0, t1);
      asm.li(t1, 0x1f18);
      asm.or(t0, t0, t1);
      asm.csrw(0x3a0, t0);
      asm.sfence_vma(zero, zero);
    },
    () => {
      asm.csrr(t0, "medeleg");
      asm.li(t1, 1 << 2 | 1 << 3 | 1 << 13 | 1 << 15);
      asm.xor(t0, t0, t1);
      asm.csrw("medeleg", t0);
    },
    () => {
      asm.sfence_vma(zero, zero);
      asm.fence_i();
      asm.li(t0, -1);
      asm.csrw("mie", t0);
    },
    () => {
      asm.ld(t0, SAVE.services, t6);
      asm.srli(t0, t0, 4);
      asm.andi(t0, t0, at.TEMPLATES - 1);
      asm.slli(t0, t0, 3);
      asm.add(t0, t0, t6);
      asm.ld(t1, SAVE.templatePlaces, t0);
      asm.lwu(t0, SAVE.templates, t0);
      asm.sh(t0, 0, t1);
      asm.srli(t0, t0, 16);
      asm.sh(t0, 2, t1);
      asm.fence_i();
    },
    () => {
      // Off if it was on; else clean, so that it shows what makes it dirty.
      asm.csrr(t0, "mstatus");
      asm.li(t1, FS);
      asm.and(t2, t0, t1);
      asm.csrrc(zero, "mstatus", t1);
      asm.bnez(t2, "restore");
      csrs("mstatus", FS_CLEAN);
    },
    () => csrs("mie", 1 << 1 | 1 << 5 | 1 << 9 | 1 << 3 | 1 << 11),
    () => {
      csrc("mstatus", FS);
      csrs("mstatus", FS_CLEAN);
      asm.j("elsewhere");
    },
  ];
  asm.label("service");
  asm.csrr(t0, "mepc");
  asm.addi(t0, t0, 4);
  asm.csrw("mepc", t0);
  increment(asm, t0, SAVE.services);
  asm.andi(t0, t0, 15);
  asm.slli(t0, t0, 2);
  asm.la(t1, "services");
  asm.add(t1, t1, t0);
  asm.jr(t1);
  asm.label("services");
  bodies.forEach((_, i) => asm.j(`service ${i}`));
  bodies.forEach((body, i) => {
    asm.label(`service ${i}`);
    body();
    asm.j("restore");
  });
}

/** Ends a program at its trap limit ("E") or because its time is over ("T"). */
function finish(asm: Assembler, dumps: boolean): void {
  asm.label("timer");
  asm.li(t2, "T".charCodeAt(0));
  asm.j("end");
  asm.label("finish");
  asm.li(t2, "E".charCodeAt(0));
  asm.label("end");
  if (!dumps) {
    asm.j("restore");
    return;
  }
  asm.li(t1, UART);
  send(asm, "mark");
  asm.csrw("mscratch", t6);
  asm.ld(t0, SAVE.t0, t6);
  asm.ld(t1, SAVE.t1, t6);
  asm.ld(t2, SAVE.t2, t6);
  asm.ld(t6, SAVE.t6, t6);
  asm.csrw("sscratch", t6);
  asm.li(t6, at.RAM + BigInt(at.REGISTERS));
  for (let register = 1; register < 31; register++) asm.sd(register, 8 * register, t6);
  asm.csrr(t0, "sscratch");
  asm.sd(t0, 8 * 31, t6);
  asm.li(t0, FS);
  asm.csrrs(zero, "mstatus", t0);
  for (let register = 0; register < 32; register++) asm.fsd(register, 256 + 8 * register, t6);
  asm.csrr(t0, "fcsr");
  asm.sd(t0, 512, t6);
  asm.li(t1, UART);
  // The tables are not told: their A and D bits may differ.
  for (const [from, bytes] of DUMPED) {
    asm.li(s0, at.RAM + BigInt(from));
    asm.li(s1, at.RAM + BigInt(from + bytes));
    asm.label(`dump ${from}`);
    asm.lbu(t2, 0, s0);
    send(asm, `byte ${from}`);
    asm.addi(s0, s0, 1);
    asm.bltu(s0, s1, `dump ${from}`);
  }
  asm.li(t0, FINISHER);
  asm.li(t1, POWER_OFF);
  asm.sw(t1, 0, t0);
  asm.label("off");
  asm.j("off");
}

/** Sends t2; t1 is the port. Uses t0. */
function send(asm: Assembler, label: string): void {
  asm.label(label);
  asm.lbu(t0, 5, t1);
  asm.andi(t0, t0, 0x20);
  asm.beqz(t0, label);
  asm.sb(t2, 0, t1);
}
