/**
 * A program that runs every instruction of the table in a loop of its own: with corner values in turn, every way in which
 * its operands can be the same registers or x0, corner immediates, all rounding modes. What it gives is stored.
 */
import { type Assembler, assembler } from "../../../../machines/riscv/assemble.ts";
import { compress } from "../../../../machines/riscv/compressed.ts";
import { encode, type OperandValues } from "../../../../machines/riscv/encode.ts";
import { range } from "../../../../machines/riscv/immediate.ts";
import type { Instruction } from "../../../../machines/riscv/instruction.ts";
import { layoutOf, type RegisterField, registerFiles } from "../../../../machines/riscv/operands.ts";
import { x } from "../../../../machines/riscv/registers.ts";
import { INSTRUCTIONS } from "../../../../machines/riscv/table.ts";
import { Random } from "../../../conformance/random.ts";
import { DEVICE, RAM } from "../bare_metal.ts";

const PAGE = 0x1000n;
/** Behind the code, a page for each instruction: operands, what is accessed, where each one's results begin, results. */
const VALUES = RAM + 0x20_0000n, MEMORY = RAM + 0x21_0000n, STARTS = RAM + 0x22_0000n, RESULTS = RAM + 0x30_0000n;
export const RESULT_BYTES = 0xc0_0000, RAM_BYTES = 0x100_0000;
const [RESULTS_AT, STARTS_AT, MEMORY_AT] = [RESULTS, STARTS, MEMORY].map((address) => Number(address - RAM));
export const AT = {
  results: RESULTS_AT ?? 0,
  starts: STARTS_AT ?? 0,
  memory: MEMORY_AT ?? 0,
  memoryBytes: 0x4000,
} as const;

const ROUNDS = 24;
/** Sources and, if they are none, the destination: of both files, such that short forms have them. */
const A = 10, B = 11, C = 12, D = 13;
/** Pointers to operands and results, rounds to go, and what was trapped for. */
const OPERANDS = x.s0, COUNTER = x.s1, LEFT = x.s2, NEXT_RESULT = x.s11, TRAPS = x.s10;
const { zero, t0, t1 } = x;

const MODES = [0, 1, 2, 3, 4, 7];
const INTEGERS = [
  ...[0n, 1n, -1n, 2n, 31n, 32n, 63n, 64n, 0x7fff_ffffn, 0x8000_0000n, -0x8000_0000n, 0xffff_ffffn, 0x1_0000_0000n],
  ...[(1n << 63n) - 1n, -(1n << 63n), 0x0123_4567_89ab_cdefn, 0x00ff_0100_8000_7f01n],
];
const FLOATS = [
  ...[0n, 1n << 63n, 0x3ff0n << 48n, 0xbff8n << 48n, 0x7ff0n << 48n, 0xfff0n << 48n, 0x7ff8n << 48n],
  ...[0x7ff0_0000_0000_0001n, 1n, 0x000f_ffff_ffff_ffffn, 0x0010n << 48n, 0x7fef_ffff_ffff_ffffn, 0x43e0n << 48n],
  ...[0xffff_ffff_0000_0000n, 0xffff_ffff_8000_0000n, 0xffff_ffff_3f80_0000n, 0xffff_ffff_7f80_0000n],
  ...[0xffff_ffff_7f80_0001n, 0xffff_ffff_0000_0001n, 0xffff_ffff_4f00_0000n, 0x3f80_0000n, 0x3ff1_2345_6789_abcdn],
];
/** Ends and middles of pages, a device, nothing; mostly aligned. */
const ADDRESSES = [
  ...[0n, 8n, 0x800n, PAGE - 8n, PAGE - 4n, PAGE - 1n, PAGE, PAGE + 3n, 2n * PAGE - 2n, 2n * PAGE - 64n]
    .map((place) => MEMORY + PAGE + place),
  DEVICE + 0x10n,
  0n,
];

/** Operands of a round: three of each file, then an address. */
const ROUND_BYTES = 56, ADDRESS_AT = 48;

export function operandTable(seed: number): Uint8Array {
  const random = new Random(seed);
  const words = new BigUint64Array(ROUNDS * ROUND_BYTES / 8);
  for (let round = 0; round < ROUNDS; round++) {
    for (let i = 0; i < 6; i++) {
      const value = random.chance(0.2) ? random.bits64() : random.pick(i < 3 ? INTEGERS : FLOATS);
      words[round * 7 + i] = BigInt.asUintN(64, value);
    }
    words[round * 7 + 6] = random.pick(ADDRESSES);
  }
  return new Uint8Array(words.buffer);
}

export interface LoopOptions {
  readonly isCompressed: boolean;
  /** How often each loop runs with all operands: only the last time's results are kept. */
  readonly repeats: number;
}

/** Loads the program and its operands. */
export function load(write: (address: bigint, bytes: Uint8Array) => void, options: LoopOptions): void {
  const { isCompressed } = options;
  write(VALUES, operandTable(1));
  const asm = assembler({ compressed: isCompressed });
  begin(asm);
  INSTRUCTIONS.forEach((instruction, index) => writeLoop(asm, instruction, index, options));
  asm.csrw("mie", zero);
  asm.wfi();
  const { bytes } = asm.finish({ base: RAM });
  if (bytes.length > Number(VALUES - RAM)) throw new RangeError("the program reaches its operands");
  write(RAM, bytes);
}

function begin(asm: Assembler): void {
  asm.la(t0, "trap");
  asm.csrw("mtvec", t0);
  asm.li(t0, -1);
  asm.csrw(0x3b0, t0);
  asm.li(t0, 0x1f);
  asm.csrw(0x3a0, t0);
  asm.li(t0, 3 << 13);
  asm.csrw("mstatus", t0);
  asm.li(NEXT_RESULT, RESULTS);
  asm.li(TRAPS, 0);
  asm.j("first");
  // Goes on behind the instruction, in machine mode.
  asm.align(4);
  asm.label("trap");
  asm.csrr(t0, "mepc");
  asm.lhu(t1, 0, t0);
  asm.addi(t0, t0, 2);
  asm.andi(t1, t1, 3);
  asm.addi(t1, t1, -3);
  asm.bnez(t1, "short");
  asm.addi(t0, t0, 2);
  asm.label("short");
  asm.csrw("mepc", t0);
  asm.slli(t1, TRAPS, 5);
  asm.sub(TRAPS, t1, TRAPS);
  for (const csr of ["mcause", "mtval"] as const) {
    asm.csrr(t0, csr);
    asm.add(TRAPS, TRAPS, t0);
  }
  asm.li(t0, 3 << 11);
  asm.csrrs(zero, "mstatus", t0);
  asm.mret();
  asm.label("first");
}

function writeLoop(asm: Assembler, instruction: Instruction, index: number, options: LoopOptions): void {
  asm.align(Number(PAGE));
  asm.li(t0, STARTS + BigInt(8 * index));
  asm.sd(NEXT_RESULT, 0, t0);
  asm.li(LEFT, options.repeats);
  asm.label(`repeat ${index}`);
  asm.li(t0, STARTS + BigInt(8 * index));
  asm.ld(NEXT_RESULT, 0, t0);
  asm.li(OPERANDS, VALUES);
  asm.li(COUNTER, ROUNDS);
  asm.label(`round ${index}`);
  // Every rounding mode; NX raised or not, which decides about how results are found.
  asm.li(t0, 5);
  asm.remu(t0, COUNTER, t0);
  asm.slli(t0, t0, 5);
  asm.andi(t1, COUNTER, 1);
  asm.or(t0, t0, t1);
  asm.csrw("fcsr", t0);
  const random = new Random(index);
  for (const registers of assignments(instruction)) {
    const values = { ...registers, ...immediateOf(instruction, random) };
    writeCase(asm, instruction, values, options.isCompressed);
  }
  asm.csrr(t0, "fcsr");
  keep(asm, "x", t0);
  keep(asm, "x", TRAPS);
  asm.addi(OPERANDS, OPERANDS, ROUND_BYTES);
  asm.addi(COUNTER, COUNTER, -1);
  asm.bnez(COUNTER, `round ${index}`);
  asm.addi(LEFT, LEFT, -1);
  asm.bnez(LEFT, `repeat ${index}`);
}

/** Every combination of registers that are the same or not; for four operands a sample. */
function assignments(instruction: Instruction): OperandValues[] {
  const fields = layoutOf(instruction.format).operands.filter((operand) => operand !== "imm");
  const files = registerFiles(instruction);
  const isMany = fields.length > 3;
  const choices: Readonly<Record<RegisterField, readonly number[]>> = {
    rd: isMany ? [D, A, B] : [D, A, B, zero],
    rs1: instruction.format === "csri" ? [0, 1, 31] : isMany || files.rs1 === "f" ? [A] : [A, zero],
    rs2: files.rs2 === "f" ? [B, A] : [B, A, zero],
    rs3: [C, A, B],
  };
  return fields.reduce<OperandValues[]>(
    (found, field) => found.flatMap((values) => choices[field].map((register) => ({ ...values, [field]: register }))),
    [{}],
  );
}

const CSRS = [0x001, 0x002, 0x003, 0x340, 0x140, 0x141, 0x142, 0x143, 0xb02, 0xc00, 0xf14, 0x7c0];

function immediateOf(instruction: Instruction, random: Random): OperandValues {
  const { semantics: s, format } = instruction;
  const rm = s.shape === "float" && s.rounds ? { rm: random.pick(MODES) } : {};
  const { immediate } = layoutOf(format);
  if (!immediate) return rm;
  if (format === "csr" || format === "csri") return { imm: random.pick(CSRS) };
  if (format === "fence") return { imm: 0xff };
  if (s.shape === "branch" || format === "J") return { imm: 8 };
  const [least, greatest] = range(immediate);
  const wanted = random.pick([0, 1, -1, 8, -8, 31, 4, least, greatest, least + random.below(greatest - least)]);
  const bounded = Math.min(greatest, Math.max(least, wanted));
  return { imm: bounded - ((bounded % immediate.unit) + immediate.unit) % immediate.unit, ...rm };
}

function writeCase(asm: Assembler, instruction: Instruction, values: OperandValues, isCompressed: boolean): void {
  const { name, semantics: s } = instruction;
  const files = registerFiles(instruction);
  const isAccess = ["load", "store", "atomic", "loadReserved", "storeConditional", "cacheBlock"].includes(s.shape);
  const given = new Map([[A, 0], [B, 8], [C, 16]]);
  for (const [register, at] of given) {
    asm.ld(register, isAccess && register === A ? ADDRESS_AT : at, OPERANDS);
    if (s.shape === "float" || files.rd === "f" || files.rs2 === "f") asm.fld(register, 24 + at, OPERANDS);
  }
  const { rd = zero, rs1 = zero, rs2 = zero, imm = 0 } = values;
  asm.li(D, 0);
  if (s.shape === "storeConditional") asm.word(encode(rowOf(s.bytes === 8 ? "lr.d" : "lr.w"), { rd: C, rs1 }));
  const label = `${name} ${asm.offset}`;
  if (name === "jalr" && rs1 !== zero) {
    asm.la(rs1, label);
    asm.li(t0, -(imm & ~1));
    asm.add(rs1, rs1, t0);
  }
  if (s.shape === "system") prepare(asm, s.action, label);
  const start = asm.offset;
  const short = isCompressed ? compress(name, { rd, rs1, rs2, imm }) : undefined;
  // With x0 as its base a jump leads nowhere from which there is a way back.
  if (name === "jalr" && rs1 === zero) asm.nop();
  else if (short === undefined) asm.word(encode(instruction, values));
  else asm.half(short);
  if (name === "jalr") {
    asm.addi(C, C, 1);
    asm.label(label);
  } else if (s.shape === "branch" || s.shape === "jump") {
    if (asm.offset === start + 2) asm.half(1);
    asm.word(encode(rowOf("addi"), { rd: C, rs1: C, imm: 1 }));
  } else if (s.shape === "system") {
    asm.label(label);
    // Back to machine mode.
    if (s.action === "sret") asm.ecall();
    if (s.action === "wfi") asm.csrw("mie", zero);
  }
  keep(asm, files.rd, rd);
  keep(asm, "x", A);
  if (s.shape === "branch" || s.shape === "jump" || s.shape === "storeConditional") keep(asm, "x", C);
}

/** What an instruction needs so that it goes on at a label. */
function prepare(asm: Assembler, action: string, label: string): void {
  if (action === "mret" || action === "sret") {
    asm.la(t0, label);
    asm.csrw(action === "mret" ? "mepc" : "sepc", t0);
    asm.li(t0, 3 << 13 | 3 << 11 | 1 << 8);
    asm.csrw("mstatus", t0);
  }
  // The timer's interrupt is pending and not taken.
  if (action !== "wfi") return;
  asm.li(t0, 1 << 7);
  asm.csrw("mie", t0);
}

function rowOf(name: string): Instruction {
  const row = INSTRUCTIONS.find((instruction) => instruction.name === name);
  if (!row) throw new Error(`there is no instruction ${name}`);
  return row;
}

function keep(asm: Assembler, file: "x" | "f", register: number): void {
  if (file === "x") asm.sd(register, 0, NEXT_RESULT);
  else asm.fsd(register, 0, NEXT_RESULT);
  asm.addi(NEXT_RESULT, NEXT_RESULT, 8);
}
