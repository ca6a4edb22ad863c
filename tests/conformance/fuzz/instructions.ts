/** Random instructions for the pieces of random functions, and which registers pieces use for what. */
import type { Assembler } from "../../../machines/riscv/assemble.ts";
import { encode, type OperandValues } from "../../../machines/riscv/encode.ts";
import { range } from "../../../machines/riscv/immediate.ts";
import type { Instruction } from "../../../machines/riscv/instruction.ts";
import { layoutOf } from "../../../machines/riscv/operands.ts";
import { x } from "../../../machines/riscv/registers.ts";
import { INSTRUCTIONS } from "../../../machines/riscv/table.ts";
import type { Random } from "../random.ts";

/** What a program has much of. */
export const THEMES = ["nothing", "memory", "calls", "changes"] as const;
export type Theme = (typeof THEMES)[number];

export interface Pieces {
  readonly asm: Assembler;
  readonly random: Random;
  readonly isPortable: boolean;
  readonly theme: Theme;
  /** Where the functions begin that are written already, from the start of the code. */
  readonly functions: readonly number[];
  /** Counts labels, so that each has a name of its own. */
  labels: number;
  /** Counts what may come back with other counters of loops. */
  calls: number;
  /** A piece begins here. */
  boundary(): void;
}

/** Writes one piece, within so many loops, in the function of this number. */
export type Writer = (pieces: Pieces, depth: number, current: number) => void;

const { zero, sp, gp, tp, s0, s1, s2, s3, s4 } = x;
export const BASES = [sp, gp, tp, s0, s0, gp, s1] as const;
/** Counters of loops, by nesting. */
export const COUNTERS = [s2, s3, s4] as const;
/** Returns, and rounds of loops that may not end, until the next service. */
export const PATIENCE = x.s5;
/** Counts the rounds of code that changes itself. */
export const ROUNDS = x.s11;
const KEPT: readonly number[] = [...COUNTERS, PATIENCE, ROUNDS];
/** Registers that hold nothing that is worth keeping. */
export const FREE = [5, 6, 7, 10, 11, 12, 13, 14, 15, 16, 17, 22, 23, 24, 25, 26, 28, 29, 30, 31] as const;

export const shaped = (...shapes: string[]) => INSTRUCTIONS.filter(({ semantics }) => shapes.includes(semantics.shape));
const COMPUTE = shaped("compute");
/** Without what the peer computes otherwise: see known_differences.ts. */
const PORTABLE_COMPUTE = COMPUTE.filter(({ name }) => name !== "ctzw");
export const MEMORY = shaped("load", "store");

export const computing = ({ isPortable }: Pieces) => isPortable ? PORTABLE_COMPUTE : COMPUTE;

export const fresh = (pieces: Pieces) => `l${pieces.labels++}`;

/** A random instruction of a list. */
export function instruction({ asm, random }: Pieces, list: readonly Instruction[]): void {
  asm.word(randomInstruction(random, random.pick(list)));
}

export function randomInstruction(random: Random, row: Instruction): number {
  const values: { -readonly [K in keyof OperandValues]: OperandValues[K] } = {};
  const { operands, immediate } = layoutOf(row.format);
  const { shape } = row.semantics;
  const isAccess = ["load", "store", "atomic", "loadReserved", "storeConditional"].includes(shape);
  for (const operand of operands) {
    if (operand === "imm") continue;
    if (operand === "rd") {
      values.rd = shape === "float" ? random.below(32) : random.chance(0.97) ? random.pick(FREE) : random.below(32);
      if (KEPT.includes(values.rd)) values.rd = zero;
    } else values[operand] = operand === "rs1" && isAccess ? random.pick(BASES) : random.below(32);
  }
  // A result for an integer register must not be a pointer's end either.
  if (row.semantics.shape === "float" && row.semantics.file === "x") values.rd = random.pick(FREE);
  if (immediate) {
    const [least, greatest] = range(immediate);
    const value = isAccess
      ? random.pick([
        0,
        8,
        1,
        -8,
        4 * random.below(64),
        random.below(256) - 128,
        -random.below(2048),
        random.below(2048),
      ])
      : random.pick([0, 1, -1, least, greatest, least + random.below(greatest - least)]);
    const bounded = Math.min(greatest, Math.max(least, value));
    values.imm = bounded - (((bounded % immediate.unit) + immediate.unit) % immediate.unit);
  }
  if (row.semantics.shape === "float" && row.semantics.rounds) values.rm = random.pick([0, 1, 2, 3, 4, 7, 7, 7, 7]);
  return encode(row, values);
}

/** Asks for a service now and then, so that nothing goes on for ever. */
export function beImpatient(pieces: Pieces): void {
  const { asm, random } = pieces;
  const patient = fresh(pieces);
  asm.addi(PATIENCE, PATIENCE, -1);
  asm.blt(zero, PATIENCE, patient);
  asm.li(PATIENCE, 1 + random.below(60));
  asm.ecall();
  asm.label(patient);
}
