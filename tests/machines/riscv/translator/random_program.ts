/** Programs of random instructions that run for ever: loops, calls, faults, stores into the code itself. */
import { encode } from "../../../../machines/riscv/encode.ts";
import type { Instruction } from "../../../../machines/riscv/instruction.ts";
import { x } from "../../../../machines/riscv/registers.ts";
import { INSTRUCTIONS } from "../../../../machines/riscv/table.ts";
import type { Bench } from "../bare_metal.ts";
import { RAM } from "../bare_metal.ts";
import { assembler } from "../../../../machines/riscv/assemble.ts";

/** The code straddles two pages; data lies behind it in the second one, and in a third. */
export const CODE = RAM + 0x1c00n, CODE_BYTES = 0x800;
const DATA = RAM + 0x2600n, HANDLER = RAM + 0x8000n;

const chosen = INSTRUCTIONS.filter(({ semantics: s }) =>
  s.shape !== "csr" && (s.shape !== "system" || s.action.startsWith("fence") || s.action === "ecall")
);
const of = (...shapes: string[]) => chosen.filter(({ semantics }) => shapes.includes(semantics.shape));
const MIX: readonly (readonly Instruction[])[] = [
  of("compute"),
  of("compute"),
  of("branch", "jump"),
  of("load", "store"),
  of("atomic", "loadReserved", "storeConditional"),
  of("float"),
  chosen,
];

const ACCESSES = ["load", "store", "atomic", "loadReserved", "storeConditional"];

/** Registers that hold addresses at first; random instructions write to them as well. */
const POINTERS = [x.s0, x.s1, x.a0, x.a1, x.a2];

/** Fills memory and registers the same way for the same numbers. */
export function loadRandomProgram(bench: Bench, next: () => number): void {
  const below = (limit: number) => next() % limit;
  const words: number[] = [];
  while (words.length * 4 < CODE_BYTES) words.push(randomWord(below));
  const code = new Uint8Array(Uint32Array.from(words).buffer);
  // A compressed instruction now and then, which also puts what follows at odd halfwords.
  for (let at = 0; at < CODE_BYTES; at += 2) {
    if (below(12) === 0) code[at] = (code[at] ?? 0) & ~3 | below(3);
  }
  bench.write(CODE, code);
  bench.write(HANDLER, handler());
  const { hart } = bench;
  hart.reset({ pc: CODE });
  hart.writeCsr(0x305, HANDLER);
  hart.writeCsr(0x300, 0x6000n);
  for (let number = 1; number < 64; number++) hart.writeRegister(number, randomValue(below));
  for (const pointer of POINTERS) hart.writeRegister(pointer, DATA + BigInt(below(0x400)));
  hart.writeRegister(x.s1, CODE + BigInt(below(CODE_BYTES)));
}

function randomWord(below: (limit: number) => number): number {
  const kind = MIX[below(MIX.length)] ?? chosen;
  const instruction = kind[below(kind.length)];
  if (!instruction) throw new Error("an instruction is chosen from an empty list");
  const { shape } = instruction.semantics;
  const usesPointer = [...ACCESSES, "cacheBlock"].includes(shape);
  const rs1 = usesPointer && below(8) > 0 ? POINTERS[below(POINTERS.length)] ?? 0 : below(32);
  // Pointers stay pointers for a while.
  let rd = below(32);
  if (POINTERS.includes(rd as typeof x.s0) && below(4) > 0) rd = x.t0;
  const imm = shape === "branch" || instruction.name === "jal"
    ? (below(64) - 32) * 2
    : instruction.format === "shift32"
    ? below(32)
    : instruction.format === "shift64"
    ? below(64)
    : instruction.format === "U"
    ? below(2 ** 20) << 12
    : below(256) - 128;
  const { semantics, format } = instruction;
  const rm = semantics.shape === "float" && semantics.rounds ? [0, 0, 7, below(5)][below(4)] : undefined;
  const operands = { rd, rs1, rs2: below(32), rs3: below(32), imm: format === "fence" ? 0 : imm };
  return encode(instruction, rm === undefined ? operands : { ...operands, rm });
}

function randomValue(below: (limit: number) => number): bigint {
  const bits = BigInt(below(2 ** 32)) << 32n | BigInt(below(2 ** 32));
  return [bits, BigInt.asIntN(8, bits), bits | 0xffff_ffff_0000_0000n, 1n << (bits & 63n)][below(4)] ?? bits;
}

/** Goes on behind the instruction that trapped, or at the start of the code if that is far away. */
function handler(): Uint8Array {
  const asm = assembler();
  asm.csrw("mscratch", x.t0);
  asm.csrw("sscratch", x.t1);
  asm.csrr(x.t0, "mepc");
  asm.addi(x.t0, x.t0, 2);
  asm.li(x.t1, CODE);
  asm.sub(x.t1, x.t0, x.t1);
  asm.srli(x.t1, x.t1, 11);
  asm.beqz(x.t1, "inside");
  asm.li(x.t0, CODE);
  asm.label("inside");
  asm.csrw("mepc", x.t0);
  asm.csrr(x.t0, "mscratch");
  asm.csrr(x.t1, "sscratch");
  asm.mret();
  return asm.finish({ base: HANDLER }).bytes;
}
