/** RV64C: every 16-bit encoding that computes does what its 32-bit form does; the others are illegal (chapter "C"). */
import { decode } from "../../../machines/riscv/decode.ts";
import { encode } from "../../../machines/riscv/encode.ts";
import { SCRATCH, Suite } from "./suite.ts";
import { x } from "../../../machines/riscv/registers.ts";

const C_NOP = 1;
/** Registers that an encoding may not touch here: those of the frame and of the bookkeeping. */
const KEPT = new Set<number>([x.s11, x.s10, x.t6, x.t5, x.gp, x.tp]);

export const compressed = () =>
  new Suite("compressed instructions", (s) => {
    const { asm } = s;
    const BASE = SCRATCH + 0x800n;
    for (let i = -256n; i < 512n; i += 8n) s.poke(BASE + i, BigInt.asUintN(64, i * 0x0123_4567_89ab_cdefn));
    let state = 1;
    const next = () => state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    for (let half = 0; half < 0x10000; half++) {
      // A sample of each group of encodings, other operands in each.
      if ((half & 3) === 3 || next() % 24 !== 0) continue;
      const decoded = decode(half);
      const name = `0x${half.toString(16).padStart(4, "0")}`;
      if (decoded === undefined) {
        s.attempt(name, () => asm.half(half, C_NOP), { cause: 2, value: BigInt(half) });
        continue;
      }
      const { instruction, rd, rs1, rs2, imm } = decoded;
      const { shape } = instruction.semantics;
      if (instruction.semantics.shape !== "compute" && shape !== "load" && shape !== "store") continue;
      if ("file" in instruction.semantics && instruction.semantics.file === "f") continue;
      if (KEPT.has(rd) || KEPT.has(rs1) || KEPT.has(rs2)) continue;
      const run = (write: () => void) => {
        if (rs2 !== 0) asm.li(rs2, BigInt(next()) << 20n ^ BigInt(next()));
        if (rd !== 0 && rd !== rs2) asm.li(rd, 0x5555n);
        if (rs1 !== 0 && (shape !== "compute" || rs1 !== rs2)) {
          asm.li(rs1, shape === "compute" ? BigInt(next()) << 32n ^ BigInt(next()) : BASE);
        }
        write();
      };
      const seed = state;
      run(() => asm.half(half, C_NOP));
      asm.mv(x.t5, rd);
      if (shape === "store") {
        asm.li(x.t5, BASE + BigInt(imm & ~7));
        asm.ld(x.t5, 0, x.t5);
      }
      state = seed;
      // The long form, with the same operands; the difference must be none.
      asm.csrw("mscratch", x.t5);
      run(() => asm.word(encode(instruction, { rd, rs1, rs2, imm })));
      asm.mv(x.t5, rd);
      if (shape === "store") {
        asm.li(x.t5, BASE + BigInt(imm & ~7));
        asm.ld(x.t5, 0, x.t5);
      }
      asm.csrr(x.t6, "mscratch");
      asm.sub(x.t5, x.t5, x.t6);
      s.expect(`${name} as ${instruction.name}`, x.t5, 0n);
    }
  });
