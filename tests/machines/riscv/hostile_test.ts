/** Whatever a guest does, it ends as its own trap: never as an exception or a hang of the host. */
import { assert, assertEquals } from "@std/assert";
import { current, INTERPRETED } from "./tiers.ts";
import { Bench, DEVICE, RAM, RAM_BYTES } from "./bare_metal.ts";

/** Repeatable noise (xorshift). */
function noise(seed: number) {
  let state = BigInt(seed) * 0x9e3779b97f4a7c15n & (1n << 64n) - 1n;
  return () => {
    state ^= state << 13n & (1n << 64n) - 1n;
    state ^= state >> 7n;
    state ^= state << 17n & (1n << 64n) - 1n;
    return state;
  };
}

function noisyBytes(seed: number): Uint8Array {
  const words = new Uint32Array(RAM_BYTES / 4);
  let state = seed;
  for (let i = 0; i < words.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[i] = state;
  }
  return new Uint8Array(words.buffer);
}

const INTERESTING = [0n, 1n, -1n, RAM, RAM + 0xffen, RAM + BigInt(RAM_BYTES) - 2n, DEVICE, 1n << 63n, (1n << 38n) - 4n];

Deno.test("noise as code, page tables, registers and CSRs", () => {
  let retired = 0;
  // Most of it is translated for one execution.
  const turns = current.tier === INTERPRETED ? 50 : 8;
  for (let seed = 1; seed <= 40; seed++) {
    const next = noise(seed);
    const value = () => {
      const n = next();
      if (n % 4n === 0n) return INTERESTING[Number(n >> 8n) % INTERESTING.length] ?? 0n;
      return n % 4n === 1n ? RAM + (n >> 8n) % BigInt(RAM_BYTES) : n;
    };
    const bench = new Bench();
    const { hart } = bench;
    bench.write(RAM, noisyBytes(seed));
    hart.reset({ pc: RAM });
    for (let register = 1; register < 64; register++) hart.writeRegister(register, value());
    for (let csr = 0; csr < 4096; csr++) hart.writeCsr(csr, value());
    // Half of the tables lead to memory at least.
    if (seed % 2 === 0) hart.writeCsr(0x180, (8n + next() % 3n) << 60n | RAM >> 12n);
    hart.writeCsr(0x3a0, 0x1fn);
    hart.writeCsr(0x3b0, (1n << 54n) - 1n);
    hart.writeCsr(0x305, value() & ~3n);
    hart.writeCsr(0x300, next());
    for (let turn = 0; turn < turns; turn++) {
      const ran = hart.run(2000);
      assert(ran <= 2000);
      if (hart.waiting) hart.setInterrupt(7, turn % 2 === 0 ? 1 : 0);
      if (turn % 10 === 9) {
        hart.pc = value();
        hart.writeCsr(0x300, next());
      }
    }
    assert(hart.instret >= 0);
    retired += hart.instret;
    bench.dispose();
  }
  assert(retired > 200 * turns, `only ${retired} instructions retired: the noise tests nothing`);
});

Deno.test("a page table that is its own child ends by its levels", () => {
  const bench = new Bench();
  bench.load((asm) => asm.mret());
  const table = RAM + 0x10_0000n;
  for (let i = 0n; i < 512n; i++) bench.poke(table + i * 8n, table >> 2n | 1n);
  const { hart } = bench;
  hart.writeCsr(0x3b0, (1n << 54n) - 1n);
  hart.writeCsr(0x3a0, 0x1fn);
  for (const mode of [8n, 9n, 10n]) {
    hart.pc = RAM;
    hart.writeCsr(0x180, mode << 60n | table >> 12n);
    hart.writeCsr(0x341, 0x1000n);
    hart.writeCsr(0x305, RAM + 0x1000n);
    hart.writeCsr(0x300, 1n << 11n);
    hart.run(2);
    assertEquals([hart.readCsr(0x342), hart.readCsr(0x343)], [12n, 0x1000n]);
  }
});
