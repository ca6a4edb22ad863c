/**
 * Speed of the interpreter on integer kernels, in millions of instructions per second, with fetch translation and memory
 * checks as they are in a machine: the kernels run in supervisor mode under Sv39.
 *
 *     deno run bench/interpreter_bench.ts
 */
import { allocateRange, createGuestMemory } from "../ecs/ram_block.ts";
import { type Assembler, assembler } from "../machines/riscv/assemble.ts";
import type { Bus } from "../machines/riscv/bus.ts";
import { executionBytes } from "../machines/riscv/execution.ts";
import { Hart } from "../machines/riscv/hart.ts";
import { STORES_WRITE } from "../machines/riscv/layout.ts";
import { x } from "../machines/riscv/registers.ts";

const { zero, t0, t1, t2, t3, t4, a0, a1, a2, a3, a4, s0, s1, s2, s3, ra, sp } = x;
const RAM = 0x8000_0000n, RAM_BYTES = 0x80_0000, DATA = RAM + 0x20_0000n, STACK = RAM + 0x60_0000n;
const TABLE = RAM + 0x70_0000n;

/** Fills 64 KiB with the xorshift sequence, over and over. */
function fill(asm: Assembler) {
  asm.li(a0, 88172645463325252n);
  asm.label("round");
  asm.li(s0, DATA);
  asm.li(a1, 8192);
  asm.label("next");
  asm.slli(t0, a0, 13);
  asm.xor(a0, a0, t0);
  asm.srli(t0, a0, 7);
  asm.xor(a0, a0, t0);
  asm.slli(t0, a0, 17);
  asm.xor(a0, a0, t0);
  asm.sd(a0, 0, s0);
  asm.addi(s0, s0, 8);
  asm.addi(a1, a1, -1);
  asm.bnez(a1, "next");
  asm.j("round");
}

/** Sieve of Eratosthenes over 64 Ki bytes. */
function sieve(asm: Assembler) {
  asm.label("round");
  asm.li(s0, DATA);
  asm.li(s1, 65536);
  asm.mv(t0, s0);
  asm.add(t1, s0, s1);
  asm.label("clear");
  asm.sd(zero, 0, t0);
  asm.addi(t0, t0, 8);
  asm.bltu(t0, t1, "clear");
  asm.li(a0, 2);
  asm.li(a3, 0);
  asm.label("candidate");
  asm.add(t0, s0, a0);
  asm.lbu(t2, 0, t0);
  asm.bnez(t2, "composite");
  asm.addi(a3, a3, 1);
  asm.mul(t3, a0, a0);
  asm.bgeu(t3, s1, "composite");
  asm.li(t4, 1);
  asm.label("strike");
  asm.add(t0, s0, t3);
  asm.sb(t4, 0, t0);
  asm.add(t3, t3, a0);
  asm.bltu(t3, s1, "strike");
  asm.label("composite");
  asm.addi(a0, a0, 1);
  asm.bltu(a0, s1, "candidate");
  asm.j("round");
}

/** Recursive Fibonacci numbers: calls, returns and a stack. */
function calls(asm: Assembler) {
  asm.li(sp, STACK);
  asm.label("round");
  asm.li(a0, 20);
  asm.call("fibonacci");
  asm.j("round");
  asm.label("fibonacci");
  asm.slti(t0, a0, 2);
  asm.bnez(t0, "small");
  asm.addi(sp, sp, -24);
  asm.sd(ra, 0, sp);
  asm.sd(s0, 8, sp);
  asm.mv(s0, a0);
  asm.addi(a0, a0, -1);
  asm.call("fibonacci");
  asm.sd(a0, 16, sp);
  asm.addi(a0, s0, -2);
  asm.call("fibonacci");
  asm.ld(t0, 16, sp);
  asm.add(a0, a0, t0);
  asm.ld(s0, 8, sp);
  asm.ld(ra, 0, sp);
  asm.addi(sp, sp, 24);
  asm.label("small");
  asm.ret();
}

/** Product of two 4096-bit numbers by 64-bit digits: mulhu and carries. */
function bignum(asm: Assembler) {
  asm.label("round");
  asm.li(s0, DATA);
  asm.li(a2, 64);
  asm.label("row");
  asm.li(s1, DATA + 0x1000n);
  asm.li(s2, DATA + 0x2000n);
  asm.li(a3, 64);
  asm.li(a4, 0);
  asm.ld(a0, 0, s0);
  asm.label("digit");
  asm.ld(a1, 0, s1);
  asm.mulhu(t1, a0, a1);
  asm.mul(t0, a0, a1);
  asm.add(t0, t0, a4);
  asm.sltu(t2, t0, a4);
  asm.add(a4, t1, t2);
  asm.ld(t3, 0, s2);
  asm.add(t0, t0, t3);
  asm.sltu(t2, t0, t3);
  asm.add(a4, a4, t2);
  asm.sd(t0, 0, s2);
  asm.addi(s1, s1, 8);
  asm.addi(s2, s2, 8);
  asm.addi(a3, a3, -1);
  asm.bnez(a3, "digit");
  asm.addi(s0, s0, 8);
  asm.addi(a2, a2, -1);
  asm.bnez(a2, "row");
  asm.j("round");
}

/** Insertion sort of 256 words in a pseudo-random order: loads, stores and branches that are hard to predict. */
function sort(asm: Assembler) {
  asm.li(a0, 12345);
  asm.li(a4, 1103515245);
  asm.label("round");
  asm.li(s0, DATA);
  asm.li(a1, 256);
  asm.mv(t0, s0);
  asm.label("fill");
  asm.mulw(a0, a0, a4);
  asm.addiw(a0, a0, 1013);
  asm.sw(a0, 0, t0);
  asm.addi(t0, t0, 4);
  asm.addi(a1, a1, -1);
  asm.bnez(a1, "fill");
  asm.mv(s3, t0);
  asm.addi(s1, s0, 4);
  asm.label("outer");
  asm.lw(t1, 0, s1);
  asm.mv(t2, s1);
  asm.label("inner");
  asm.beq(t2, s0, "place");
  asm.lw(t3, -4, t2);
  asm.bge(t1, t3, "place");
  asm.sw(t3, 0, t2);
  asm.addi(t2, t2, -4);
  asm.j("inner");
  asm.label("place");
  asm.sw(t1, 0, t2);
  asm.addi(s1, s1, 4);
  asm.bltu(s1, s3, "outer");
  asm.j("round");
}

/** CRC-32 of 4 KiB, bit by bit. */
function crc(asm: Assembler) {
  asm.li(a4, 0xedb88320n);
  asm.label("round");
  asm.li(s0, DATA);
  asm.li(s1, DATA + 0x1000n);
  asm.li(a0, 0xffffffffn);
  asm.label("byte");
  asm.lbu(t0, 0, s0);
  asm.xor(a0, a0, t0);
  asm.li(t1, 8);
  asm.label("bit");
  asm.andi(t0, a0, 1);
  asm.srli(a0, a0, 1);
  asm.beqz(t0, "skip");
  asm.xor(a0, a0, a4);
  asm.label("skip");
  asm.addi(t1, t1, -1);
  asm.bnez(t1, "bit");
  asm.addi(s0, s0, 1);
  asm.bltu(s0, s1, "byte");
  asm.j("round");
}

const KERNELS = { fill, sieve, calls, bignum, sort, crc };

/** A hart in supervisor mode at the start of a kernel, one gigapage mapping addresses to themselves. */
function prepare(kernel: (asm: Assembler) => void): Hart {
  const memory = createGuestMemory(RAM_BYTES + executionBytes(1, RAM_BYTES + 0x400_0000));
  const offset = allocateRange(memory, RAM_BYTES, 4096);
  const bus: Bus = {
    read: () => 0,
    write: () => true,
    high: 0,
    failed: true,
    ranges: () => [{ first: RAM, last: RAM + BigInt(RAM_BYTES) - 1n, offset, stores: STORES_WRITE }],
    enter: () => {},
    leave: () => {},
    dispose: () => {},
  };
  const hart = new Hart({ memory, connect: () => bus, id: 0, time: () => 0n });
  const asm = assembler();
  asm.mret();
  kernel(asm);
  memory.bytes.set(asm.finish({ base: RAM }).bytes, offset);
  memory.view.setBigUint64(offset + Number(TABLE - RAM) + 16, RAM >> 2n | 0xcfn, true);
  hart.reset({ pc: RAM });
  hart.writeCsr(0x3b0, (1n << 54n) - 1n);
  hart.writeCsr(0x3a0, 0x1fn);
  hart.writeCsr(0x180, 8n << 60n | TABLE >> 12n);
  hart.writeCsr(0x341, RAM + 4n);
  hart.writeCsr(0x300, 1n << 11n);
  return hart;
}

/** Nanoseconds of a fixed loop: what this host is worth now. */
function calibrate(): number {
  const start = performance.now();
  let sum = 0;
  for (let i = 0; i < 1e8; i++) sum = (sum * 31 + i) | 0;
  return sum === 1 ? 0 : (performance.now() - start) * 1e6 / 1e8;
}

const INSTRUCTIONS = 100_000_000, PORTION = 10_000_000;

if (import.meta.main) {
  for (const [name, kernel] of Object.entries(KERNELS)) {
    const hart = prepare(kernel);
    hart.run(INSTRUCTIONS / 4);
    const start = performance.now();
    hart.run(INSTRUCTIONS);
    const milliseconds = performance.now() - start;
    console.log(`${name.padEnd(8)} ${(INSTRUCTIONS / milliseconds / 1000).toFixed(0).padStart(5)} MIPS`);
    hart.dispose();
  }
  console.log(`calibration loop: ${calibrate().toFixed(2)} ns a round`);
} else {
  for (const [name, kernel] of Object.entries(KERNELS)) {
    const hart = prepare(kernel);
    Deno.bench(`${name}, ${PORTION / 1e6} million instructions`, () => void hart.run(PORTION));
  }
}
