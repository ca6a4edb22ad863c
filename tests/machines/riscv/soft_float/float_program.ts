/**
 * A bare-metal program that runs every instruction of F and D on operands of its own data and sends results and flags
 * over the UART, for any machine that is compatible with QEMU's virt.
 */
import { assert, assertEquals } from "@std/assert";
import { type Assembler, assembler } from "../../../../machines/riscv/assemble.ts";
import type { Instruction } from "../../../../machines/riscv/instruction.ts";
import { x } from "../../../../machines/riscv/registers.ts";
import { createInstructionMachine, ENTRIES } from "./instructions.ts";
import { operationOf } from "./operations.ts";
import { operandsFor, Random } from "./vectors.ts";

/** Where the program sends its answers: a 16550A, polled. */
export const UART = 0x1000_0000;
const TEST_FINISHER = 0x10_0000, POWER_OFF = 0x5555;
const CASE_BYTES = 32, ANSWER_BYTES = 9;

export interface Case {
  readonly operands: readonly bigint[];
  readonly rm: number;
  readonly before: number;
}

const DYNAMIC = 7;
const RD = 10, RS1 = 11, RS2 = 12, RS3 = 13;

/** The word with operands a0 or fa0 from a1 or fa1, fa2, fa3, and the dynamic rounding mode. */
function wordOf({ match, format, semantics }: Instruction): number {
  let word = match | (RD << 7) | (RS1 << 15);
  if (format === "R" || format === "R4") word |= RS2 << 20;
  if (format === "R4") word |= RS3 << 27;
  if (semantics.shape === "float" && semantics.rounds) word |= DYNAMIC << 12;
  return word >>> 0;
}

/** Runs the instruction on each of its cases: loads operands and fcsr, then sends the result and fflags. */
function emitLoop(p: Assembler, instruction: Instruction, index: number, cases: number) {
  const { semantics } = instruction;
  assert(semantics.shape === "float");
  p.la(x.s0, `cases ${index}`);
  p.li(x.s2, cases);
  p.label(`loop ${index}`);
  p.fld(RS1, 0, x.s0);
  p.ld(x.a1, 0, x.s0);
  p.fld(RS2, 8, x.s0);
  p.fld(RS3, 16, x.s0);
  p.ld(x.t0, 24, x.s0);
  p.csrw("fcsr", x.t0);
  p.word(wordOf(instruction));
  p.csrr(x.a1, "fflags");
  if (semantics.file === "f") p.fmv_x_d(x.a0, RD);
  p.call("send");
  p.addi(x.s0, x.s0, CASE_BYTES);
  p.addi(x.s2, x.s2, -1);
  p.bnez(x.s2, `loop ${index}`);
}

/** Sends the eight bytes of a0, then the lowest of a1. */
function emitSend(p: Assembler) {
  p.label("send");
  p.li(x.t1, UART);
  p.li(x.t2, ANSWER_BYTES);
  p.label("wait");
  p.lbu(x.t3, 5, x.t1);
  p.andi(x.t3, x.t3, 0x20); // the transmitter has room
  p.beqz(x.t3, "wait");
  p.sb(x.a0, 0, x.t1);
  p.srli(x.a0, x.a0, 8);
  p.addi(x.t2, x.t2, -1);
  p.li(x.t3, 1);
  p.bne(x.t2, x.t3, "not last");
  p.mv(x.a0, x.a1);
  p.label("not last");
  p.bnez(x.t2, "wait");
  p.ret();
}

export interface FloatProgram {
  readonly image: Uint8Array<ArrayBuffer>;
  /** @throws AssertionError naming the first case whose answer is not that of the soft-float functions. */
  check(answers: Uint8Array): void;
}

const INSTRUCTIONS = ENTRIES.filter(({ semantics }) => semantics.shape === "float");

/** The program for so many random cases of each instruction. */
export function floatProgram(cases: number, seed: number): FloatProgram {
  const random = new Random(seed);
  const all = INSTRUCTIONS.map(({ name }): Case[] =>
    Array.from({ length: cases }, () => ({
      operands: operandsFor(random, operationOf(name)),
      rm: random.below(5),
      before: random.pick([0, 1]),
    }))
  );
  return { image: assemble(all, cases), check: (answers) => check(answers, all) };
}

function assemble(all: readonly (readonly Case[])[], cases: number): Uint8Array<ArrayBuffer> {
  const p = assembler();
  p.li(x.t0, 0x6000); // mstatus.FS: Dirty
  p.csrrs(x.zero, "mstatus", x.t0);
  p.la(x.t0, "end"); // without a test finisher, too
  p.csrw("mtvec", x.t0);
  INSTRUCTIONS.forEach((instruction, i) => emitLoop(p, instruction, i, cases));
  p.li(x.t0, TEST_FINISHER);
  p.li(x.t1, POWER_OFF);
  p.sw(x.t1, 0, x.t0);
  p.align(4);
  p.label("end");
  p.wfi();
  p.j("end");
  emitSend(p);
  p.align(8);
  all.forEach((list, i) => {
    p.label(`cases ${i}`);
    for (const { operands: [a = 0n, b = 0n, c = 0n], rm, before } of list) p.dword(a, b, c, (rm << 5) | before);
  });
  return p.finish().bytes;
}

function check(answers: Uint8Array, all: readonly (readonly Case[])[]) {
  assertEquals(answers.length, all.flat().length * ANSWER_BYTES, "the answer is not complete");
  const view = new DataView(answers.buffer, answers.byteOffset);
  const machine = createInstructionMachine();
  const show = (register: bigint, flags: number) => `0x${register.toString(16).padStart(16, "0")} flags ${flags}`;
  let at = 0;
  INSTRUCTIONS.forEach(({ name }, i) => {
    for (const { operands: [a = 0n, b = 0n, c = 0n], rm, before } of all[i] ?? []) {
      const { register, flags } = machine.run(name, [a, b, c], rm, before);
      const given = show(view.getBigUint64(at, true), view.getUint8(at + 8));
      const operands = [a, b, c].map((operand) => `0x${operand.toString(16)}`).join(", ");
      assertEquals(given, show(register, flags), `${name} of ${operands}, mode ${rm}, flags before ${before}`);
      at += ANSWER_BYTES;
    }
  });
}
