/** RV64I, RV64M, Zb* and Zicond: arithmetic, loads and stores, branches and jumps (unprivileged specification, chapters 2, 4 and "M"). */
import type { Assembler, InstructionName } from "../../../machines/riscv/assemble.ts";
import { INSTRUCTIONS } from "../../../machines/riscv/table.ts";
import { INTEGER_MODEL } from "../../machines/riscv/integer_model.ts";
import { COMPLETED, FULL, SCRATCH, Suite, U, WITH_BITS } from "./suite.ts";
import { x } from "../../../machines/riscv/registers.ts";

const MIN = -(1n << 63n), MAX = (1n << 63n) - 1n;
const VALUES = [
  0n,
  1n,
  -1n,
  2n,
  MIN,
  MAX,
  0x7fff_ffffn,
  -0x8000_0000n,
  0x8000_0000n,
  0xffff_ffffn,
  0x1_0000_0000n,
  31n,
  32n,
  63n,
  0x0123_4567_89ab_cdefn,
  -0x5555_5555_5555_5556n,
];
/** Values whose bytes and bits are told apart by counts and orders. */
const SPREAD = [
  ...Array.from({ length: 8 }, (_, i) => 0x80n << BigInt(8 * i)),
  ...Array.from({ length: 8 }, (_, i) => BigInt.asIntN(64, ~(1n << BigInt(8 * i + i)))),
  0x00ff_0100_8000_7f01n,
];
const IMMEDIATES = [0n, 1n, -1n, 2047n, -2048n, 0x555n];
const AMOUNTS = { shift32: [0n, 1n, 15n, 31n], shift64: [0n, 1n, 31n, 32n, 63n] };

/** A bigint as the register holds it. */
const held = (value: bigint | boolean | undefined) => BigInt.asUintN(64, BigInt(value ?? 0n));

function emit(asm: Assembler, name: string, ...operands: (number | string)[]): void {
  asm.instruction(name as InstructionName, ...operands as never);
}

const CTZW = "the zeros of the low word alone count, 32 at most (chapter B); the peer goes on in the upper word";

export const arithmetic = () => [
  new Suite("integer arithmetic", (s) => {
    results(s, ["I", "M"]);
    upperImmediates(s);
  }),
  new Suite("bit manipulation", (s) => results(s, ["Zba", "Zbb", "Zbc", "Zbs"]), { harts: WITH_BITS }),
  new Suite("conditional zero", (s) => results(s, ["Zicond"]), { harts: FULL }),
];

/** What the instructions of these extensions give, for corner values in all pairs, shared registers and x0. */
function results(s: Suite, extensions: readonly string[]): void {
  const { asm } = s;
  for (const { name, format, semantics } of INSTRUCTIONS.filter(({ extension }) => extensions.includes(extension))) {
    const model = INTEGER_MODEL[name];
    if (semantics.shape !== "compute" || model === undefined) continue;
    const result = (rs1: bigint, rs2: bigint, imm: bigint) => held(model({ rs1, rs2, imm, pc: 0n }));
    if (format === "R") {
      for (const rs1 of VALUES) {
        for (const rs2 of VALUES) {
          asm.li(x.a1, rs1);
          asm.li(x.a2, rs2);
          emit(asm, name, x.a0, x.a1, x.a2);
          s.expect(`${name} of ${rs1} and ${rs2}`, x.a0, result(rs1, rs2, 0n));
        }
      }
      asm.li(x.a0, 77n);
      asm.li(x.a1, -3n);
      emit(asm, name, x.a0, x.a0, x.a1);
      s.expect(`${name} with rd = rs1`, x.a0, result(77n, -3n, 0n));
      asm.li(x.a0, 77n);
      emit(asm, name, x.a1, x.a0, x.a1);
      s.expect(`${name} with rd = rs2`, x.a1, result(77n, -3n, 0n));
      asm.li(x.a0, -9n);
      emit(asm, name, x.a0, x.a0, x.a0);
      s.expect(`${name} with all the same`, x.a0, result(-9n, -9n, 0n));
      emit(asm, name, x.a0, 0, x.a1);
      s.expect(`${name} of x0`, x.a0, result(0n, BigInt.asIntN(64, result(77n, -3n, 0n)), 0n));
      asm.li(x.a1, -1n);
      emit(asm, name, 0, x.a1, x.a1);
      s.expect(`${name} into x0`, 0, 0n);
    } else if (format === "R2") {
      for (const value of [...VALUES, ...SPREAD]) {
        const differs = name === "ctzw" && BigInt.asUintN(32, value) === 0n
          ? { value: undefined, because: CTZW }
          : undefined;
        asm.li(x.a1, value);
        emit(asm, name, x.a0, x.a1);
        s.expect(`${name} of ${value}`, x.a0, result(value, 0n, 0n), differs);
        emit(asm, name, x.a1, x.a1);
        s.expect(`${name} of ${value} into its operand`, x.a1, result(value, 0n, 0n), differs);
      }
      emit(asm, name, x.a0, 0);
      s.expect(
        `${name} of x0`,
        x.a0,
        result(0n, 0n, 0n),
        name === "ctzw" ? { value: undefined, because: CTZW } : undefined,
      );
      emit(asm, name, 0, x.a0);
      s.expect(`${name} into x0`, 0, 0n);
    } else if (format === "I" || format === "shift32" || format === "shift64") {
      for (const rs1 of VALUES) {
        for (const imm of format === "I" ? IMMEDIATES : AMOUNTS[format]) {
          asm.li(x.a1, rs1);
          emit(asm, name, x.a0, x.a1, Number(imm));
          s.expect(`${name} of ${rs1} and ${imm}`, x.a0, result(rs1, 0n, imm));
        }
      }
      emit(asm, name, 0, x.a1, 1);
      s.expect(`${name} into x0`, 0, 0n);
    }
  }
}

function upperImmediates(s: Suite): void {
  const { asm } = s;
  for (const upper of [0, 1, 0x7ffff, -0x80000, -1, 0x12345]) {
    asm.lui(x.a0, upper);
    s.expect(`lui ${upper}`, x.a0, BigInt(upper) << 12n);
    const here = s.fresh("auipc");
    asm.label(here);
    asm.auipc(x.a0, upper);
    s.expect(`auipc ${upper}`, x.a0, (symbols) => held((symbols.get(here) ?? 0n) + (BigInt(upper) << 12n)));
  }
}

export const memoryAndJumps = () =>
  new Suite("loads, stores, branches and jumps", (s) => {
    const { asm } = s;
    const MIDDLE = SCRATCH + 0x1000n;
    const pattern = Uint8Array.from({ length: 64 }, (_, i) => i * 37 + 0x81);
    const view = new DataView(pattern.buffer);
    for (let i = 0; i < 64; i += 8) s.poke(MIDDLE - 32n + BigInt(i), view.getBigUint64(i, true));
    const LOADS = { lb: 1, lbu: 1, lh: 2, lhu: 2, lw: 4, lwu: 4, ld: 8 };
    for (const [name, bytes] of Object.entries(LOADS)) {
      for (let offset = -32; offset + bytes <= 32; offset++) {
        let value = 0n;
        for (let i = bytes - 1; i >= 0; i--) value = value << 8n | BigInt(pattern[32 + offset + i] ?? 0);
        if (!name.endsWith("u")) value = BigInt.asIntN(8 * bytes, value);
        asm.li(x.a1, MIDDLE);
        emit(asm, name, x.a0, offset, x.a1);
        s.expect(`${name} at ${offset} from a page`, x.a0, value);
      }
      for (const far of [-2048, 2047]) {
        asm.li(x.a1, MIDDLE - BigInt(far));
        emit(asm, name, x.a1, far, x.a1);
        const word = view.getBigUint64(32, true);
        const value = name.endsWith("u") ? BigInt.asUintN(8 * bytes, word) : BigInt.asIntN(8 * bytes, word);
        s.expect(`${name} with offset ${far}, into its base`, x.a1, value);
      }
    }
    for (const [name, bytes] of [["sb", 1], ["sh", 2], ["sw", 4], ["sd", 8]] as const) {
      for (let offset = -16; offset <= 8; offset++) {
        for (let i = -32n; i < 32n; i += 8n) s.poke(MIDDLE + i, 0xa5a5_a5a5_a5a5_a5a5n);
        const memory = new Uint8Array(64).fill(0xa5);
        const value = 0x1122_3344_5566_7788n;
        for (let i = 0; i < bytes; i++) memory[32 + offset + i] = Number(value >> BigInt(8 * i) & 0xffn);
        asm.li(x.a1, MIDDLE);
        asm.li(x.a0, value);
        emit(asm, name, x.a0, offset, x.a1);
        for (let i = -16; i < 16; i += 8) {
          const wanted = new DataView(memory.buffer).getBigUint64(32 + i, true);
          s.expectMemory(`${name} at ${offset} from a page: at ${i}`, MIDDLE + BigInt(i), wanted);
        }
      }
    }

    const PAIRS = VALUES.flatMap((a, i) => [[a, VALUES[(i + 1) % VALUES.length] ?? 0n], [a, a]] as const);
    for (const name of ["beq", "bne", "blt", "bge", "bltu", "bgeu"]) {
      for (const [rs1, rs2] of PAIRS) {
        const isTaken = INTEGER_MODEL[name]?.({ rs1, rs2, imm: 0n, pc: 0n }) === true;
        for (const isBack of [false, true]) {
          const there = s.fresh("there"), end = s.fresh("end"), start = s.fresh("start");
          asm.li(x.a1, rs1);
          asm.li(x.a2, rs2);
          if (isBack) {
            asm.j(start);
            asm.label(there);
            asm.li(x.a0, 1);
            asm.j(end);
            asm.label(start);
          }
          emit(asm, name, x.a1, x.a2, there);
          asm.li(x.a0, 0);
          if (!isBack) {
            asm.j(end);
            asm.label(there);
            asm.li(x.a0, 1);
          }
          asm.label(end);
          s.expect(`${name} ${isBack ? "back" : "on"} with ${rs1} and ${rs2}`, x.a0, isTaken ? 1n : 0n);
        }
      }
    }
    // Far branches and jumps, both ways.
    for (const [name, distance] of [["beq", 4094], ["jal", 0x4000]] as const) {
      const [there, back, end] = [s.fresh(), s.fresh(), s.fresh()];
      asm.li(x.a0, 0);
      if (name === "beq") asm.beq(0, 0, there);
      else asm.jal(x.ra, there);
      asm.label(back);
      asm.addi(x.a0, x.a0, 2);
      asm.j(end);
      asm.space(distance - 12 & ~3);
      asm.label(there);
      asm.addi(x.a0, x.a0, 1);
      if (name === "beq") asm.beq(0, 0, back);
      else asm.jalr(0, 0, x.ra);
      asm.label(end);
      s.expect(`${name} far and back`, x.a0, 3n);
    }
    // Code that is stored runs after fence.i.
    const code = SCRATCH + 0x3000n;
    for (const value of [1, 2, 3]) {
      s.poke(code, 0x0000_8067_0000_0513n | BigInt(value) << 20n);
      asm.fence_i();
      asm.li(x.a1, code);
      asm.jalr(x.ra, 0, x.a1);
      s.expect(`stored code, version ${value}`, x.a0, BigInt(value));
    }
    s.attempt(
      "fences in U",
      () => {
        asm.fence();
        asm.fence("r", "rw");
        asm.fence_i();
      },
      COMPLETED,
      { mode: U },
    );
  });
