/**
 * What is taken for granted by code that runs again and again, and is changed from within it or from outside: each change
 * counts from the next instruction on.
 */
import { assertEquals } from "@std/assert";
import { type Assembler, assembler } from "../../../machines/riscv/assemble.ts";
import { S_MODE } from "../../../machines/riscv/hart_state.ts";
import { x } from "../../../machines/riscv/registers.ts";
import { Bench, DEVICE, RAM } from "./bare_metal.ts";
import { PTE, ROOT, Tables } from "./page_tables.ts";

const { zero, t0, t1, t2, a0, a1, a2, a3, a4, s0, s1 } = x;
const { R, W, X, U, A, D } = PTE;
const SUM = 1n << 18n, MXR = 1n << 19n, MPRV = 1n << 17n, MPP_S = 1n << 11n;

/** Where the loop and its data are seen; where they are; others that may be shown instead. */
const CODE = 0x1_0000_0000n, DATA = 0x1_0001_0000n;
const CODE_AT = RAM + 0x1000n, OTHER_CODE = RAM + 0x2000n, DATA_AT = RAM + 0x8000n, OTHER_DATA = RAM + 0x9000n;
const HANDLER = RAM, OTHER_ROOT = RAM + 0x18_0000n;
/** Rounds, and those still to go when the change is asked for. */
const ROUNDS = 300, AT = 40;

interface Change {
  readonly name: string;
  /** What machine mode does when it is asked; entries of the tables are known. */
  readonly change: (asm: Assembler, entries: { readonly code: bigint; readonly data: bigint }) => void;
  readonly status?: bigint;
  /** Rights of the data, beside A and D. */
  readonly rights?: bigint;
  readonly storesNothing?: boolean;
  /** The cause and the access that takes it; nothing if the loop goes on. */
  readonly fault?: { readonly cause: bigint; readonly at: "load" | "second" | "store" };
  /** What each round adds from then on: 1 before. */
  readonly then?: bigint;
}

const setEntry = (asm: Assembler, entry: bigint, to: bigint, flags: bigint) => {
  asm.li(t0, entry);
  asm.li(t1, to >> 2n | flags | PTE.V);
  asm.sd(t1, 0, t0);
};
const setStatus = (bits: bigint) => (asm: Assembler) => {
  asm.li(t0, bits);
  asm.csrrc(zero, "mstatus", t0);
};
const protect = (config: number) => (asm: Assembler) => {
  asm.li(t0, 0x1f00 | config);
  asm.csrw(0x3a0, t0);
  asm.sfence_vma(zero, zero);
};
const RW = R | W | A | D, NAPOT = 3 << 3;

const CHANGES: readonly Change[] = [
  { name: "protection takes the right to store", change: protect(NAPOT | 1), fault: { cause: 7n, at: "store" } },
  { name: "protection takes the right to load", change: protect(NAPOT), fault: { cause: 5n, at: "load" } },
  {
    name: "protection takes the right to load for a part of the page",
    change: (asm) => {
      asm.li(t0, (DATA_AT + 8n) >> 2n);
      asm.csrw(0x3b0, t0);
      protect(2 << 3)(asm);
    },
    fault: { cause: 5n, at: "second" },
  },
  {
    name: "the page may only be read, and a fence says so",
    change: (asm, { data }) => {
      setEntry(asm, data, DATA_AT, R | A | D);
      asm.li(t0, DATA);
      asm.sfence_vma(t0, zero);
    },
    fault: { cause: 15n, at: "store" },
  },
  {
    name: "the page is gone, and a fence says so",
    change: (asm, { data }) => {
      asm.li(t0, data);
      asm.sd(zero, 0, t0);
      asm.sfence_vma(zero, zero);
    },
    fault: { cause: 13n, at: "load" },
  },
  {
    name: "the page is another, and a fence says so",
    change: (asm, { data }) => {
      setEntry(asm, data, OTHER_DATA, RW);
      asm.sfence_vma(zero, zero);
    },
    then: 5n,
  },
  {
    name: "the code is another, and a fence says so",
    change: (asm, { code }) => {
      setEntry(asm, code, OTHER_CODE, R | X | A);
      asm.li(t0, CODE);
      asm.sfence_vma(t0, zero);
    },
    then: 7n,
  },
  {
    name: "the space is another, with another identifier",
    change: (asm) => {
      asm.li(t0, 8n << 60n | 1n << 44n | OTHER_ROOT >> 12n);
      asm.csrw("satp", t0);
    },
    then: 5n + 6n,
  },
  { name: "SUM goes", change: setStatus(SUM), status: SUM, rights: R | W | U, fault: { cause: 13n, at: "load" } },
  {
    name: "MXR goes",
    change: setStatus(MXR),
    status: MXR,
    rights: X,
    storesNothing: true,
    fault: { cause: 13n, at: "load" },
  },
];

/** Adds up what is at DATA, and 0 or what another copy of the code adds; asks for the change in one round. */
function loopOf(constant: number, storesNothing: boolean) {
  return (asm: Assembler) => {
    asm.label("round");
    asm.label("load");
    asm.ld(t0, 0, s0);
    asm.label("second");
    asm.ld(t1, 8, s0);
    asm.add(a1, a1, t0);
    asm.addi(a1, a1, constant);
    asm.label("store");
    if (storesNothing) asm.nop();
    else asm.sd(t1, 16, s0);
    asm.addi(a0, a0, -1);
    asm.beqz(a0, "done");
    asm.li(t2, AT);
    asm.bne(a0, t2, "round");
    asm.ecall();
    asm.j("round");
    asm.label("done");
    asm.ebreak();
  };
}

for (const { name, change, status = 0n, rights = R | W, storesNothing = false, fault, then = 1n } of CHANGES) {
  Deno.test(`when ${name}, a hot loop ${fault ? "faults" : "follows"} from its next access on`, () => {
    const bench = new Bench();
    const { hart } = bench;
    const tables = new Tables(bench), others = new Tables(bench, 3, OTHER_ROOT);
    const entries = { code: tables.map(CODE, CODE_AT, R | X | A), data: tables.map(DATA, DATA_AT, rights | A | D) };
    others.map(CODE, OTHER_CODE, R | X | A);
    others.map(DATA, OTHER_DATA, RW);
    bench.load((asm) => {
      asm.csrr(a2, "mcause");
      asm.addi(t0, a2, -9);
      asm.bnez(t0, "end");
      change(asm, entries);
      asm.csrr(t0, "mepc");
      asm.addi(t0, t0, 4);
      asm.csrw("mepc", t0);
      asm.mret();
      asm.label("end");
      asm.csrr(a3, "mepc");
      asm.csrr(a4, "mtval");
      asm.wfi();
    }, HANDLER);
    const symbols = bench.load(loopOf(0, storesNothing), CODE_AT);
    bench.load(loopOf(6, storesNothing), OTHER_CODE);
    bench.poke(DATA_AT, 1n);
    bench.poke(OTHER_DATA, 5n);
    hart.writeCsr(0x305, HANDLER);
    hart.writeCsr(0x3b0, DATA_AT >> 2n | 0x1ffn);
    hart.writeCsr(0x3b1, (1n << 54n) - 1n);
    hart.writeCsr(0x3a0, 0x1f1fn);
    hart.writeCsr(0x180, 8n << 60n | ROOT >> 12n);
    hart.writeCsr(0x341, CODE);
    hart.writeCsr(0x300, status | BigInt(S_MODE) << 11n);
    hart.writeRegister(s0, DATA);
    hart.writeRegister(a0, BigInt(ROUNDS));
    bench.write(RAM + 0x4000n, Uint8Array.of(0x73, 0x00, 0x20, 0x30)); // mret
    hart.pc = RAM + 0x4000n;
    hart.run(100_000);
    assertEquals(hart.waiting, true, `did not end: pc ${hart.pc.toString(16)}`);
    const place = (label: string) => CODE + (symbols.get(label) ?? 0n) - CODE_AT;
    const before = BigInt(ROUNDS - AT);
    const results = [a2, a3, a1, a0].map((register) => hart.readRegister(register));
    if (fault === undefined) {
      assertEquals(results, [3n, place("done"), before + then * BigInt(AT), 0n]);
    } else {
      const seen = fault.at === "store" ? 1n : 0n;
      assertEquals(results, [fault.cause, place(fault.at), before + seen, BigInt(AT)]);
    }
    bench.dispose();
  });
}

Deno.test("an instruction that lies in two pages is what the second one of them is at the moment", () => {
  const bench = new Bench();
  const { hart } = bench;
  const tables = new Tables(bench);
  const NEXT = [RAM + 0x3000n, RAM + 0x5000n] as const, STEPS = [1, 5] as const;
  tables.map(CODE, CODE_AT, R | X | A);
  const entry = tables.map(CODE + 0x1000n, NEXT[0], R | X | A);
  bench.load((asm) => {
    asm.csrr(a2, "mcause");
    asm.addi(t0, a2, -9);
    asm.bnez(t0, "end");
    setEntry(asm, entry, NEXT[1], R | X | A);
    asm.li(t0, CODE + 0x1000n);
    asm.sfence_vma(t0, zero);
    asm.csrr(t0, "mepc");
    asm.addi(t0, t0, 4);
    asm.csrw("mepc", t0);
    asm.mret();
    asm.label("end");
    asm.wfi();
  }, HANDLER);
  STEPS.forEach((step, i) => {
    const asm = assembler();
    asm.label("round");
    asm.addi(a0, a0, -1);
    asm.beqz(a0, "done");
    asm.li(t2, AT);
    asm.bne(a0, t2, "on");
    asm.ecall();
    asm.label("on");
    asm.j("straddling");
    asm.label("done");
    asm.ebreak();
    asm.space(0xffe - asm.offset);
    asm.label("straddling");
    asm.addi(a1, a1, step);
    asm.jr(s1);
    const { bytes } = asm.finish();
    bench.write(CODE_AT, bytes.subarray(0, 0x1000));
    bench.write(NEXT[i] ?? 0n, bytes.subarray(0x1000));
  });
  hart.reset({ pc: RAM + 0x4000n });
  bench.write(RAM + 0x4000n, Uint8Array.of(0x73, 0x00, 0x20, 0x30)); // mret
  for (
    const [csr, value] of [
      [0x305, HANDLER],
      [0x3b0, (1n << 54n) - 1n],
      [0x3a0, 0x1fn],
      [0x180, 8n << 60n | ROOT >> 12n],
      [0x341, CODE],
      [0x300, BigInt(S_MODE) << 11n],
    ] as const
  ) hart.writeCsr(csr, value);
  hart.writeRegister(s1, CODE);
  hart.writeRegister(a0, BigInt(ROUNDS));
  hart.run(100_000);
  assertEquals(hart.waiting, true, `did not end: pc ${hart.pc.toString(16)}`);
  assertEquals([hart.readRegister(a2), hart.readRegister(a1)], [3n, BigInt(ROUNDS - AT - 1 + 5 * AT)]);
  bench.dispose();
});

Deno.test("MPRV that comes and goes within a hot loop decides about each access", () => {
  const bench = new Bench();
  const tables = new Tables(bench);
  tables.map(DATA_AT, OTHER_DATA, RW);
  bench.poke(DATA_AT, 1n);
  bench.poke(OTHER_DATA, 100n);
  bench.runToWait((asm) => {
    for (const [csr, value] of [[0x3b0, (1n << 54n) - 1n], [0x3a0, 0x1fn], [0x180, 8n << 60n | ROOT >> 12n]] as const) {
      asm.li(t0, value);
      asm.csrw(csr, t0);
    }
    asm.li(s0, DATA_AT);
    asm.li(s1, MPRV);
    asm.li(a0, ROUNDS);
    asm.li(t0, MPP_S);
    asm.csrrs(zero, "mstatus", t0);
    asm.label("round");
    asm.ld(t0, 0, s0);
    asm.add(a1, a1, t0);
    asm.csrrs(zero, "mstatus", s1);
    asm.ld(t0, 0, s0);
    asm.add(a1, a1, t0);
    asm.sd(t0, 8, s0);
    asm.csrrc(zero, "mstatus", s1);
    asm.ld(t0, 8, s0);
    asm.add(a1, a1, t0);
    asm.addi(a0, a0, -1);
    asm.bnez(a0, "round");
  }, 100_000);
  assertEquals(bench.hart.readRegister(a1), BigInt(ROUNDS) * 101n);
  assertEquals([bench.peek(DATA_AT + 8n), bench.peek(OTHER_DATA + 8n)], [0n, 100n]);
  bench.dispose();
});

/** Physical addresses that the host moves. */
const WINDOW = 0x6000_0000n;

Deno.test("code that asks a device to show it from elsewhere goes on there", () => {
  const bench = new Bench();
  const copies = [1, 100].map((step) => {
    const asm = assembler();
    asm.label("round");
    asm.addi(a1, a1, step);
    asm.addi(a0, a0, -1);
    asm.andi(t0, a0, 15);
    asm.bnez(t0, "round");
    asm.sw(a0, 0, s0);
    asm.bnez(a0, "round");
    asm.jr(s1);
    return asm.finish().bytes;
  });
  copies.forEach((bytes, i) => bench.write(CODE_AT + BigInt(0x1000 * i), bytes));
  const show = (copy: number) => {
    const [ram] = bench.ranges;
    if (ram) {
      bench.ranges.splice(1, 1, {
        ...ram,
        first: WINDOW,
        last: WINDOW + 0xfffn,
        offset: bench.offset + 0x1000 * (copy + 1),
      });
    }
    bench.mapChanged();
  };
  show(0);
  let shown = 0;
  bench.onAccess = () => show(shown = 1 - shown);
  bench.runToWait((asm) => {
    asm.li(s0, DEVICE);
    asm.la(s1, "end");
    asm.li(a0, 16 * 20);
    asm.li(t1, WINDOW);
    asm.jr(t1);
  }, 100_000);
  assertEquals(bench.hart.readRegister(a1), BigInt(16 * 10 * (1 + 100)));
  bench.dispose();
});

Deno.test("harts that run each other's changed code follow it, at a fence of their own", () => {
  const bench = new Bench(2);
  const labels = bench.load((asm) => {
    asm.bnez(a0, "writer");
    asm.label("reader");
    asm.fence_i();
    asm.call("leaf");
    asm.call("far");
    asm.addi(s0, s0, 1);
    asm.j("reader");
    asm.label("leaf");
    asm.addi(a1, a1, 1);
    asm.ret();
    // Adds 2 where 1 was added, and the other way round.
    asm.label("writer");
    asm.la(s0, "leaf");
    asm.la(s1, "far");
    asm.li(t2, 3 << 20);
    asm.label("again");
    for (const place of [s0, s1]) {
      asm.lw(t0, 0, place);
      asm.xor(t0, t0, t2);
      asm.sw(t0, 0, place);
    }
    asm.fence_i();
    asm.addi(a1, a1, 1);
    asm.wfi();
    asm.j("again");
    asm.align(0x1000);
    asm.label("far");
    asm.addi(a2, a2, 1);
    asm.ret();
  });
  const [reader, writer] = bench.harts;
  if (!reader || !writer) throw new Error("there are two harts");
  writer.reset({ pc: RAM, a0: 1n });
  let wanted = 0n, step = 1n, rounds = 0n;
  const boundary = labels.get("reader");
  for (let turn = 0; turn < 40; turn++) {
    reader.run(200);
    while (reader.pc !== boundary) reader.run(1);
    wanted += step * (reader.readRegister(s0) - rounds);
    rounds = reader.readRegister(s0);
    assertEquals([a1, a2].map((register) => reader.readRegister(register)), [wanted, wanted]);
    writer.waiting = false;
    writer.run(100);
    step = 3n - step;
  }
  bench.dispose();
});
