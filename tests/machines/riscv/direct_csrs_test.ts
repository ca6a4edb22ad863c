/** CSRs that generated code accesses by itself: it does what TypeScript does, and leaves to it what it cannot do. */
import { assertEquals } from "@std/assert";
import * as fc from "fast-check";
import type { Assembler } from "../../../machines/riscv/assemble.ts";
import { operateCsr } from "../../../machines/riscv/csr.ts";
import { csr } from "../../../machines/riscv/csr_names.ts";
import { SSTATUS, STORED_CSRS } from "../../../machines/riscv/direct_csrs.ts";
import { M_MODE, type Mode, S_MODE } from "../../../machines/riscv/hart_state.ts";
import * as at from "../../../machines/riscv/layout.ts";
import { x } from "../../../machines/riscv/registers.ts";
import { Bench, RAM } from "./bare_metal.ts";
import { TIERS, translationIn } from "./tiers.ts";

const { zero, t0, t1, a0, a1, s0, s1, s2, s3 } = x;
const PMPCFG0 = 0x3a0, PMPADDR0 = 0x3b0;
const SSIP = 1n << 1n;
const OPERATIONS = { write: "csrrw", set: "csrrs", clear: "csrrc" } as const;

interface Start {
  readonly number: number;
  readonly op: keyof typeof OPERATIONS;
  readonly immediate: boolean;
  readonly mode: Mode;
  readonly mstatus: bigint;
  /** What the register holds. */
  readonly before: bigint;
  readonly operand: bigint;
}

/** Puts a hart before a CSR instruction. */
function prepare(bench: Bench, { number, op, immediate, mode, mstatus, before, operand }: Start): void {
  const { hart } = bench;
  bench.load((asm) => {
    if (immediate) asm[`${OPERATIONS[op]}i`](t0, number, Number(operand & 31n));
    else asm[OPERATIONS[op]](t0, number, t1);
  });
  hart.writeCsr(PMPADDR0, (1n << 54n) - 1n);
  hart.writeCsr(PMPCFG0, 0x1fn);
  hart.writeCsr(number, before);
  hart.writeCsr(csr.mstatus, mstatus);
  hart.enterMode(mode);
  hart.writeRegister(t1, operand);
}

/** All that an access may change, apart from rd. */
function stateOf({ hart: { state, base } }: Bench) {
  return {
    csrs: Object.values(at.CSR).map((field) => state.get(field)),
    words: [at.FS, at.DATA_CONTEXT, at.FETCH_CONTEXT, at.MXR].map((field) => state.get32(field)),
    tables: [at.DATA_TLB, at.FETCH_TLB].map((field) => state.get32(field) - base),
  };
}

const values = fc.oneof(
  fc.bigInt(0n, 2n ** 64n - 1n),
  fc.nat({ max: 63 }).map((bit) => 1n << BigInt(bit)),
  fc.constant(0n),
);
const starts = fc.record({
  number: fc.constantFrom(SSTATUS, ...STORED_CSRS.keys()),
  op: fc.constantFrom("write", "set", "clear"),
  immediate: fc.boolean(),
  mode: fc.constantFrom<Mode[]>(S_MODE, M_MODE),
  mstatus: values,
  before: values,
  operand: values,
});

Deno.test("generated code accesses CSRs as TypeScript does", () => {
  const one = new Bench(), other = new Bench();
  let executed = 0;
  const execute = one.hart.execute.bind(one.hart);
  one.hart.execute = (base, slot, opcode) => {
    executed++;
    return execute(base, slot, opcode);
  };
  fc.assert(
    fc.property(starts, (start) => {
      const { number, op, immediate, operand, mode } = start;
      prepare(one, start);
      prepare(other, start);
      executed = 0;
      one.hart.run(1);
      const used = immediate ? operand & 31n : operand;
      const mxr = other.hart.state.get32(at.MXR);
      const isWrite = op === "write" || !immediate || used !== 0n;
      const value = operateCsr(other.hart, number, op, used, isWrite);
      const mayUse = mode === M_MODE || number < 0x200;
      assertEquals(value !== undefined, mayUse);
      if (value === undefined) return;
      assertEquals(one.hart.readRegister(t0), value);
      assertEquals(stateOf(one), stateOf(other));
      const isDirect = number !== SSTATUS || !isWrite || (mode === S_MODE && other.hart.state.get32(at.MXR) === mxr);
      assertEquals(executed, isDirect ? 0 : 1, "executed by TypeScript");
    }),
    { numRuns: 300 },
  );
  one.dispose();
  other.dispose();
});

Deno.test("a pending interrupt is taken before the instruction behind the one that enables it", () => {
  const bench = new Bench();
  const { hart } = bench;
  const symbols = bench.load((asm) => {
    asm.csrrsi(zero, csr.sstatus, 2);
    asm.li(t1, 7);
    asm.label("handler");
    asm.j("handler");
  });
  const start = () => {
    hart.pc = RAM;
    hart.writeRegister(t1, 0n);
    hart.writeCsr(csr.mstatus, 0n);
    hart.enterMode(S_MODE);
  };
  hart.writeCsr(PMPADDR0, (1n << 54n) - 1n);
  hart.writeCsr(PMPCFG0, 0x1fn);
  hart.writeCsr(csr.mideleg, SSIP);
  hart.writeCsr(csr.mie, SSIP);
  hart.writeCsr(csr.stvec, symbols.get("handler") ?? 0n);
  start();
  hart.run(2);
  assertEquals([hart.readRegister(t1), hart.readCsr(csr.scause)], [7n, 0n]);
  hart.writeCsr(csr.mip, SSIP);
  start();
  hart.run(2);
  assertEquals([hart.readRegister(t1), hart.readCsr(csr.scause)], [0n, 1n << 63n | 1n]);
  assertEquals(hart.readCsr(csr.sepc), RAM + 4n);
  bench.dispose();
});

const ROUNDS = 40;
const USER_PAGE = 0x4000_0000n, ROOT = RAM + 0x10_0000n, MIDDLE = ROOT + 0x1000n, LEAVES = ROOT + 0x2000n;

/** Counts a trap in s2 and goes on behind the instruction. */
function countingHandler(asm: Assembler): void {
  asm.label("handler");
  asm.csrrw(t0, csr.sscratch, t0);
  asm.addi(s2, s2, 1);
  asm.csrrs(t0, csr.sepc, zero);
  asm.addi(t0, t0, 4);
  asm.csrrw(zero, csr.sepc, t0);
  asm.csrrw(t0, csr.sscratch, t0);
  asm.sret();
}

/** Runs a program in supervisor mode, whose exceptions are its own, to its label "end". */
function runToEnd(
  bench: Bench,
  symbols: ReadonlyMap<string, bigint>,
  registers: readonly (readonly [number, bigint])[],
): void {
  const { hart } = bench;
  hart.writeCsr(PMPADDR0, (1n << 54n) - 1n);
  hart.writeCsr(PMPCFG0, 0x1fn);
  hart.writeCsr(csr.medeleg, 0xffffn);
  hart.writeCsr(csr.stvec, symbols.get("handler") ?? 0n);
  hart.writeCsr(csr.mstatus, 0n);
  for (const [register, value] of registers) hart.writeRegister(register, value);
  hart.enterMode(S_MODE);
  for (let turns = 0; turns < 100 && hart.pc !== symbols.get("end"); turns++) hart.run(100);
  assertEquals(hart.pc, symbols.get("end"));
}

/** Sv39: RAM for the supervisor, where it is, and one page for the user. */
function mapUserPage(bench: Bench): void {
  const leaf = 0xcfn, user = 0x10n;
  bench.poke(ROOT + 8n * 2n, RAM >> 2n | leaf);
  bench.poke(ROOT + 8n * 1n, MIDDLE >> 2n | 1n);
  bench.poke(MIDDLE, LEAVES >> 2n | 1n);
  bench.poke(LEAVES, (ROOT + 0x3000n) >> 2n | leaf | user);
  bench.poke(ROOT + 0x3000n, 5n);
}

for (const tier of TIERS) {
  Deno.test(`user memory is there while SUM is set, and not a moment longer: ${tier.name}`, () => {
    const bench = new Bench();
    const { hart } = bench;
    hart.translate(translationIn(tier));
    mapUserPage(bench);
    const symbols = bench.load((asm) => {
      asm.label("round");
      asm.csrrs(zero, csr.sstatus, s3);
      asm.ld(a0, 0, s0);
      asm.csrrc(zero, csr.sstatus, s3);
      asm.ld(a0, 0, s0); // traps
      asm.call("allow");
      asm.ld(a0, 0, s0);
      asm.call("forbid");
      asm.ld(a0, 0, s0); // traps
      asm.addi(s1, s1, -1);
      asm.bnez(s1, "round");
      asm.label("end");
      asm.j("end");
      asm.label("allow");
      asm.csrrs(zero, csr.sstatus, s3);
      asm.ret();
      asm.label("forbid");
      asm.csrrc(zero, csr.sstatus, s3);
      asm.ret();
      countingHandler(asm);
    });
    hart.writeCsr(csr.satp, 8n << 60n | ROOT >> 12n);
    runToEnd(bench, symbols, [[s0, USER_PAGE], [s1, BigInt(ROUNDS)], [s3, 1n << 18n]]);
    assertEquals([hart.readRegister(a0), hart.readRegister(s2)], [5n, BigInt(2 * ROUNDS)]);
    bench.dispose();
  });

  Deno.test(`the floating-point unit is off, clean or dirty as sstatus says: ${tier.name}`, () => {
    const bench = new Bench();
    const { hart } = bench;
    hart.translate(translationIn(tier));
    const symbols = bench.load((asm) => {
      asm.label("round");
      asm.csrrs(zero, csr.sstatus, s3);
      asm.fadd_d(0, 0, 0);
      asm.csrrc(zero, csr.sstatus, s0);
      asm.fadd_d(0, 0, 0);
      asm.csrrs(a0, csr.sstatus, zero);
      asm.srli(a0, a0, 63);
      asm.add(a1, a1, a0);
      asm.csrrc(zero, csr.sstatus, s3);
      asm.fadd_d(0, 0, 0); // traps
      asm.addi(s1, s1, -1);
      asm.bnez(s1, "round");
      asm.label("end");
      asm.j("end");
      countingHandler(asm);
    });
    runToEnd(bench, symbols, [[s0, 2n << 13n], [s1, BigInt(ROUNDS)], [s3, 3n << 13n]]);
    assertEquals([hart.readRegister(a1), hart.readRegister(s2)], [BigInt(ROUNDS), BigInt(ROUNDS)]);
    bench.dispose();
  });

  Deno.test(`code that the supervisor has run may not access its CSRs for the user: ${tier.name}`, () => {
    const bench = new Bench();
    const { hart } = bench;
    hart.translate(translationIn(tier));
    const symbols = bench.load((asm) => {
      asm.label("round");
      asm.call("probe");
      asm.addi(s1, s1, -1);
      asm.bnez(s1, "round");
      asm.la(t0, "user");
      asm.csrrw(zero, csr.sepc, t0);
      asm.sret();
      asm.label("user");
      asm.call("probe");
      asm.label("end");
      asm.j("end");
      asm.label("probe");
      asm.csrrw(a0, csr.scause, s0); // traps in user mode
      asm.csrrs(a1, csr.sstatus, zero); // and this
      asm.ret();
      countingHandler(asm);
    });
    runToEnd(bench, symbols, [[s0, 7n], [s1, BigInt(ROUNDS)]]);
    assertEquals([hart.readRegister(a0), hart.readRegister(s2)], [7n, 2n]);
    bench.dispose();
  });
}
