import { assertEquals } from "@std/assert";
import type { Assembler } from "../../../machines/riscv/assemble.ts";
import { M_MODE, type Mode, S_MODE, U_MODE } from "../../../machines/riscv/hart_state.ts";
import { x } from "../../../machines/riscv/registers.ts";
import { Bench, RAM } from "./bare_metal.ts";

const { a0, a1, s0, t0 } = x;
const R = 1, W = 2, X = 4, TOR = 1 << 3, NA4 = 2 << 3, NAPOT = 3 << 3, L = 0x80;
const DATA = RAM + 0x4000n;
const ALL = { address: (1n << 54n) - 1n, config: NAPOT | R | W | X };

interface Entry {
  readonly address: bigint;
  readonly config: number;
}

/** pmpaddr of a naturally aligned power of two. */
const napot = (start: bigint, size: bigint) => start >> 2n | (size / 8n - 1n);

function protect({ hart }: Bench, entries: readonly Entry[]) {
  entries.forEach(({ address }, i) => hart.writeCsr(0x3b0 + i, address));
  let config = 0n;
  entries.forEach((entry, i) => config |= BigInt(entry.config) << BigInt(8 * i));
  hart.writeCsr(0x3a0, config);
}

/** Runs one instruction in a mode, with s0 = DATA, under these entries; gives its cause, or 0. */
function attempt(entries: readonly Entry[], mode: Mode, write: (asm: Assembler) => void, count = 1): bigint {
  const bench = new Bench();
  bench.load((asm) => {
    asm.mret();
    write(asm);
  });
  const { hart } = bench;
  protect(bench, entries);
  hart.writeCsr(0x305, RAM + 0x1000n);
  hart.writeCsr(0x341, RAM + 4n);
  hart.writeCsr(0x300, BigInt(mode) << 11n);
  hart.writeRegister(s0, DATA);
  hart.run(1 + count);
  return hart.readCsr(0x342) ?? -1n;
}

const load = (offset: number) => (asm: Assembler) => asm.lw(a0, offset, s0);
const store = (offset: number) => (asm: Assembler) => asm.sw(a0, offset, s0);
const program = { address: napot(RAM, 0x1000n), config: NAPOT | X };

Deno.test("without a matching entry machine mode may all, and other modes nothing", () => {
  assertEquals(attempt([], M_MODE, load(0)), 0n);
  assertEquals(attempt([program], U_MODE, load(0)), 5n);
  assertEquals(attempt([program], S_MODE, store(0)), 7n);
  assertEquals(attempt([], S_MODE, (asm) => asm.nop()), 1n);
});

Deno.test("permissions are those of the first entry that matches", () => {
  const readable = { address: napot(DATA, 0x1000n), config: NAPOT | R };
  for (
    const [entries, access, cause] of [
      [[program, readable, ALL], load(0), 0n],
      [[program, readable, ALL], store(0), 7n],
      [[program, ALL, readable], store(0), 0n],
      [[program, { ...readable, config: NAPOT }, ALL], load(0), 5n],
    ] as const
  ) assertEquals(attempt(entries, U_MODE, access), cause);
});

Deno.test("entries smaller than a page bound accesses to the byte", () => {
  const word = { address: DATA + 0x10n >> 2n, config: NA4 | R | W };
  const eight = { address: napot(DATA + 0x20n, 8n), config: NAPOT | R };
  const from = { address: DATA + 0x40n >> 2n, config: 0 };
  const to = { address: DATA + 0x4cn >> 2n, config: TOR | R };
  const entries = [program, word, eight, from, to];
  const rows: [(asm: Assembler) => void, bigint][] = [
    [load(0x10), 0n],
    [store(0x10), 0n],
    [load(0x0c), 5n],
    [load(0x14), 5n],
    [load(0x0e), 5n], // partly inside
    [(asm) => asm.ld(a0, 0x10, s0), 5n],
    [(asm) => asm.ld(a0, 0x20, s0), 0n],
    [store(0x20), 7n],
    [load(0x3c), 5n],
    [load(0x40), 0n],
    [load(0x48), 0n],
    [load(0x4c), 5n],
    [(asm) => asm.lbu(a0, 0x4b, s0), 0n],
  ];
  for (const [access, cause] of rows) assertEquals(attempt(entries, U_MODE, access), cause);
});

Deno.test("an access that was allowed in a page does not open the rest of it", () => {
  const entries = [program, { address: napot(DATA, 0x20n), config: NAPOT | R | W }];
  const both = (second: (asm: Assembler) => void) => (asm: Assembler) => {
    load(0)(asm);
    store(0)(asm);
    second(asm);
  };
  assertEquals(attempt(entries, U_MODE, both(load(0x20)), 3), 5n);
  assertEquals(attempt(entries, U_MODE, both(store(0x20)), 3), 7n);
  assertEquals(attempt(entries, U_MODE, both(store(0x1c)), 3), 0n);
});

Deno.test("code is bounded to the instruction", () => {
  // mret is at RAM; of what follows, the first two instructions may run.
  const two = { address: napot(RAM, 8n), config: NAPOT | X };
  const one = { address: RAM + 8n >> 2n, config: NA4 | X };
  const nops = (asm: Assembler) => {
    for (let i = 0; i < 4; i++) asm.nop();
  };
  assertEquals(attempt([two, one], U_MODE, nops, 2), 0n);
  assertEquals(attempt([two, one], U_MODE, nops, 3), 1n);
});

Deno.test("locked entries bind machine mode and cannot be changed", () => {
  const locked = { address: napot(DATA, 0x1000n), config: NAPOT | R | L };
  assertEquals(attempt([locked], M_MODE, load(0)), 0n);
  assertEquals(attempt([locked], M_MODE, store(0)), 7n);
  assertEquals(attempt([{ ...locked, config: NAPOT | R }], M_MODE, store(0)), 0n);
  const bench = new Bench();
  protect(bench, [{ address: 4n, config: 0 }, { address: 8n, config: TOR | R | L }]);
  bench.hart.writeCsr(0x3a0, 0n);
  bench.hart.writeCsr(0x3b0, 0n); // the start of a locked range
  bench.hart.writeCsr(0x3b1, 0n);
  assertEquals([0x3a0, 0x3b0, 0x3b1].map((n) => bench.hart.readCsr(n)), [BigInt(TOR | R | L) << 8n, 4n, 8n]);
});

Deno.test("writable without readable is reserved and not taken", () => {
  const bench = new Bench();
  protect(bench, [{ address: 4n, config: NAPOT | R }]);
  protect(bench, [{ address: 4n, config: NAPOT | W }]);
  assertEquals(bench.hart.readCsr(0x3a0), BigInt(NAPOT | R));
});

Deno.test("a change of protection counts for the next access", () => {
  const bench = new Bench();
  bench.load((asm) => {
    asm.li(t0, (1n << 54n) - 1n);
    asm.csrw(0x3b1, t0);
    asm.lw(a0, 0, s0);
    asm.li(t0, (NAPOT | L) << 8);
    asm.csrw(0x3a0, t0);
    asm.lw(a1, 0, s0);
  });
  bench.hart.writeRegister(s0, DATA);
  bench.hart.writeCsr(0x305, RAM + 0x1000n);
  bench.hart.run(12);
  // Machine mode itself lost X: the next fetch already faults.
  assertEquals(bench.hart.readCsr(0x342), 1n);
});

Deno.test("page walks are supervisor accesses to memory", () => {
  const root = RAM + 0x10_0000n;
  const forbidden = { address: napot(root, 0x1000n), config: NAPOT };
  const readOnly = { address: napot(root, 0x1000n), config: NAPOT | R };
  // One gigapage that maps addresses to themselves, without A and D.
  const walk = (entries: readonly Entry[], flags: bigint): bigint => {
    const bench = new Bench();
    bench.load((asm) => {
      asm.mret();
      asm.lw(a0, 0, s0);
    });
    bench.poke(root + 16n, 0x8000_0000n >> 2n | flags);
    const { hart } = bench;
    protect(bench, entries);
    hart.writeCsr(0x180, 8n << 60n | root >> 12n);
    hart.writeCsr(0x305, RAM + 0x1000n);
    hart.writeCsr(0x341, RAM + 4n);
    hart.writeCsr(0x300, 1n << 11n);
    hart.writeRegister(s0, DATA);
    hart.run(2);
    return hart.readCsr(0x342) ?? -1n;
  };
  assertEquals(walk([ALL], 0xfn), 0n);
  assertEquals(walk([forbidden, ALL], 0xcfn), 1n);
  assertEquals(walk([readOnly, ALL], 0xcfn), 0n);
  assertEquals(walk([readOnly, ALL], 0xfn), 1n, "A cannot be set");
});
