/**
 * 32-bit encodings over all values of funct3 and funct7: which are legal, and what trap value the others leave. Our own decoder says which; the peer must agree.
 */
import { decode } from "../../../machines/riscv/decode.ts";
import { instructionSet } from "../../../machines/riscv/features.ts";
import { featuresOf } from "../peer.ts";
import { COMPLETED, type Harts, PLAIN, SCRATCH, Suite, type Trap, WITH_BITS } from "./suite.ts";
import { x } from "../../../machines/riscv/registers.ts";

const MEMORY = [0x03, 0x07, 0x23, 0x27];
/** Major opcodes but those of branches, jumps and SYSTEM; with them those that are nobody's, and the vector extension's. */
const OPCODES = [
  ...MEMORY,
  0x0b,
  0x0f,
  0x13,
  0x1b,
  0x2b,
  0x33,
  0x3b,
  0x43,
  0x47,
  0x4b,
  0x4f,
  0x53,
  0x57,
  0x5b,
  0x6b,
  0x77,
  0x7b,
];
const ATOMIC = 0x2f, FENCES = 0x0f, ARITHMETIC = [0x13, 0x1b, 0x33, 0x3b];

export const encodings = () => [
  encodingsOf("encodings", PLAIN, [...OPCODES, ATOMIC]),
  encodingsOf("encodings with bit manipulation", WITH_BITS, ARITHMETIC),
];

function encodingsOf(name: string, harts: Harts, opcodes: readonly number[]): Suite {
  const set = instructionSet(featuresOf(harts.ours));
  return new Suite(name, (s) => {
    const { asm } = s;
    for (const [i, opcode] of opcodes.entries()) {
      for (let word = 0; word < 1024; word++) {
        const funct3 = word & 7, funct7 = word >> 3;
        // Offsets of memory accesses stay small; of the others every third, other ones for each opcode.
        if (MEMORY.includes(opcode) ? funct7 > 3 && funct7 < 124 : (word + i) % 3 !== 0) continue;
        const rs1 = opcode === FENCES ? 0 : x.a1;
        for (const rs2 of opcode === 0x53 ? [0, 1, 2, 3] : opcode === ATOMIC ? [0] : [x.a2]) {
          const code = ((funct7 << 25) | (rs2 << 20) | (rs1 << 15) | (funct3 << 12) | (x.a0 << 7) | opcode) >>> 0;
          const outcome: Trap | typeof COMPLETED = decode(code, set) ? COMPLETED : { cause: 2, value: BigInt(code) };
          asm.li(x.a1, SCRATCH);
          s.attempt(`0x${code.toString(16).padStart(8, "0")}`, () => asm.word(code), outcome);
        }
      }
    }
  }, { harts });
}
