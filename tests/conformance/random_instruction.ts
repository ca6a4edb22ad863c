/** Random instruction words: valid ones from the table with telling operands, compressed ones, and damaged ones. */

import { encode, type OperandValues } from "../../machines/riscv/encode.ts";
import { range } from "../../machines/riscv/immediate.ts";
import type { Instruction } from "../../machines/riscv/instruction.ts";
import { layoutOf } from "../../machines/riscv/operands.ts";
import { INSTRUCTIONS } from "../../machines/riscv/table.ts";
import type { Random } from "./random.ts";

export interface RandomWord {
  readonly word: number;
  readonly length: 2 | 4;
}

/** Registers that cases load with addresses. */
export const POINTERS = [8, 9, 10, 11, 12, 13, 14, 15] as const;

/** The register that cases load with a value for mstatus or sstatus. */
export const STATUS_VALUE = 5;

/** CSRs that streams read and write. */
const WRITABLE_CSRS = [
  ...[0x001, 0x002, 0x003, 0x100, 0x105, 0x140, 0x142, 0x143, 0x180],
  ...[0x300, 0x301, 0x305, 0x340, 0x342, 0x343],
];
/**
 * Read into x0 only: they count; or writing them would let an interrupt in, or lock the machine's memory; or the peer keeps
 * bits that must be zero (xepc, xcounteren,
 * mideleg, medeleg).
 */
const TOUCHED_CSRS = [
  0x141,
  0x341,
  0xc00,
  0xc01,
  0xc02,
  0xb00,
  0xb02,
  0x304,
  0x104,
  0x344,
  0x144,
  0x3a0,
  0x3b0,
  0xf14,
  0x10a,
  0x30a,
];
/** These do not exist: OpenSBI and Linux probe for them. */
const ABSENT_CSRS = [0x30c, 0xda0, 0xfb0, 0x3a1, 0x200, 0x600, 0xc80, 0x5c0, 0x9ff];

/** Waits for what does not come; and MRET with MPRV on, which leaves the peer with stale translations. */
const AVOIDED = [0x1050_0073, 0x3020_0073];
/** Zawrs, which the peer has and we have not: WRS.NTO and WRS.STO. */
const FOREIGN = [0x00d0_0073, 0x01d0_0073];

/** Some rows matter more often than one in two hundred. */
const MEMORY = INSTRUCTIONS.filter(({ semantics: { shape } }) => ["load", "store", "atomic"].includes(shape));
const FLOAT = INSTRUCTIONS.filter(({ extension }) => /[FD]/.test(extension));
const CSR = INSTRUCTIONS.filter(({ semantics: { shape } }) => shape === "csr");
const BASE = INSTRUCTIONS.filter(({ extension }) => /[IM]$/.test(extension));
const BITS = INSTRUCTIONS.filter(({ extension }) => extension.startsWith("Zb"));
const ROWS = [MEMORY, FLOAT, CSR, BASE, BITS, INSTRUCTIONS];

/** A word for a stream; never one to avoid or that only the peer knows. */
export function randomWord(random: Random): RandomWord {
  for (;;) {
    const candidate = anyWord(random);
    if (candidate.length === 2 || ![...AVOIDED, ...FOREIGN].includes(candidate.word)) return candidate;
  }
}

function anyWord(random: Random): RandomWord {
  const kind = random.below(100);
  if (kind < 14) {
    const half = random.bits32() & 0xffff;
    return { word: (half & 3) === 3 ? half & ~1 : half, length: 2 };
  }
  if (kind < 18) return { word: (random.bits32() | 3) >>> 0, length: 4 };
  const row = random.pick(random.pick(ROWS));
  const word = encode(row, operands(random, row));
  if (kind < 24 && row.semantics.shape !== "csr") return { word: (word ^ 1 << 2 + random.below(30)) >>> 0, length: 4 };
  return { word, length: 4 };
}

function operands(random: Random, row: Instruction): OperandValues {
  if (row.format === "csr" || row.format === "csri") return csrOperands(random, row);
  const values: { -readonly [K in keyof OperandValues]: OperandValues[K] } = {};
  const { operands, immediate } = layoutOf(row.format);
  const accessesMemory = ["load", "store", "atomic", "loadReserved", "storeConditional"].includes(row.semantics.shape);
  for (const operand of operands) {
    if (operand === "imm") continue;
    const base = operand === "rs1" && accessesMemory && random.chance(0.95);
    values[operand] = base
      ? random.pick(POINTERS)
      : operand === "rd"
      ? random.below(32)
      : random.below(random.pick([8, 32]));
  }
  // Pointers live long enough to be used.
  if (values.rd === STATUS_VALUE) values.rd = 0;
  if (POINTERS.some((pointer) => pointer === values.rd) && random.chance(0.8)) values.rd = 16 + random.below(16);
  if (immediate) {
    const [least, greatest] = range(immediate);
    const near = random.pick([0, 4, 8, 16, -8, -1, 1, least, greatest, least + random.below(greatest - least)]);
    const bounded = Math.min(greatest, Math.max(least, near));
    values.imm = Math.max(least, bounded - (((bounded % immediate.unit) + immediate.unit) % immediate.unit));
  }
  if (row.semantics.shape === "float" && row.semantics.rounds) values.rm = random.pick([0, 1, 2, 3, 4, 7, 7, 7]);
  return values;
}

function csrOperands(random: Random, row: Instruction): OperandValues {
  const kind = random.below(10);
  if (kind < 7) {
    const imm = random.pick(WRITABLE_CSRS);
    const isStatus = imm === 0x100 || imm === 0x300;
    // The peer takes any UXL, VS and MPP: status registers are written from a register with a legal one, and never cleared.
    if (isStatus && row.name === "csrrc") return { imm, rd: 16 + random.below(16), rs1: 0 };
    return { imm, rd: 16 + random.below(16), rs1: isStatus && row.format === "csr" ? STATUS_VALUE : random.below(32) };
  }
  if (kind < 9) return { imm: random.pick(TOUCHED_CSRS), rd: 0, rs1: 0 };
  return { imm: random.pick(ABSENT_CSRS), rd: 16 + random.below(16), rs1: random.below(32) };
}
