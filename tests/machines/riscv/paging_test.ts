import { assertEquals } from "@std/assert";
import type { Assembler } from "../../../machines/riscv/assemble.ts";
import { executionOf } from "../../../machines/riscv/execution.ts";
import { M_MODE, type Mode, S_MODE, U_MODE } from "../../../machines/riscv/hart_state.ts";
import { x } from "../../../machines/riscv/registers.ts";
import { Bench, DEVICE, NOWHERE, RAM } from "./bare_metal.ts";
import { PTE, ROOT, Tables } from "./page_tables.ts";

const { t0, t1, a0, a1, a2, a3, a4, s0 } = x;
const { V, R, W, X, U, A, D } = PTE;
const SUM = 1n << 18n, MXR = 1n << 19n, MPRV = 1n << 17n;

/** Where programs and data of these tests are seen. */
const CODE = 0x1_0000_0000n, DATA = 0x1_0001_0000n;
/** Shares no table with them but the root. */
const FAR = DATA + (1n << 34n);
const DATA_PAGE = RAM + 0x8_0000n;

interface Setup {
  readonly mode?: Mode;
  readonly status?: bigint;
  readonly levels?: 3 | 4 | 5;
  readonly map?: (tables: Tables) => void;
}

/** All of memory to everybody. */
function openProtection(bench: Bench) {
  bench.hart.writeCsr(0x3b0, (1n << 54n) - 1n);
  bench.hart.writeCsr(0x3a0, 0x1fn);
}

const HANDLER = RAM + 0x7_0000n;

/** Runs a program at CODE in a mode below machine; traps go to machine mode and end it. */
function run(write: (asm: Assembler) => void, { mode = S_MODE, status = 0n, levels = 3, map }: Setup = {}): Bench {
  const bench = new Bench();
  bench.load((asm) => {
    asm.csrr(a2, "mcause");
    asm.csrr(a3, "mtval");
    asm.csrr(a4, "mepc");
    asm.wfi();
  }, HANDLER);
  bench.load(write, RAM);
  const tables = new Tables(bench, levels);
  tables.map(CODE, RAM, R | X | A | (mode === U_MODE ? U : 0n));
  map?.(tables);
  openProtection(bench);
  const { hart } = bench;
  hart.writeCsr(0x305, HANDLER);
  hart.writeCsr(0x180, BigInt(levels + 5) << 60n | ROOT >> 12n);
  hart.writeCsr(0x341, CODE);
  // An mret at HANDLER − 4 enters the program.
  bench.write(HANDLER - 4n, Uint8Array.of(0x73, 0x00, 0x20, 0x30));
  hart.writeCsr(0x300, status | BigInt(mode) << 11n);
  hart.pc = HANDLER - 4n;
  hart.run(100_000);
  assertEquals(hart.waiting, true, `did not end: pc ${hart.pc.toString(16)}`);
  return bench;
}

const outcome = ({ hart }: Bench) => ({ cause: hart.readRegister(a2), value: hart.readRegister(a3) });
const ECALL_S = { cause: 9n, value: 0n };

for (const levels of [3, 4, 5] as const) {
  Deno.test(`${levels} levels translate loads, stores and fetches`, () => {
    const high = levels === 3 ? -0x10_0000_0000n : levels === 4 ? -0x1000_0000_0000n : -0x80_0000_0000_0000n;
    const bench = run((asm) => {
      asm.li(s0, high);
      asm.li(a0, 0x1234);
      asm.sd(a0, 8, s0);
      asm.ld(a1, 8, s0);
      asm.ecall();
    }, { levels, map: (tables) => tables.map(high, DATA_PAGE, R | W | A | D) });
    assertEquals(outcome(bench), ECALL_S);
    assertEquals(bench.hart.readRegister(a1), 0x1234n);
    assertEquals(bench.peek(DATA_PAGE + 8n), 0x1234n);
  });
}

Deno.test("an address whose upper bits do not repeat the highest translated one faults", () => {
  const bench = run((asm) => {
    asm.li(s0, DATA | 1n << 39n);
    asm.ld(a0, 0, s0);
  }, { map: (tables) => tables.map(DATA, DATA_PAGE, R | A) });
  assertEquals(outcome(bench), { cause: 13n, value: DATA | 1n << 39n });
});

Deno.test("accessed and dirty bits are set by the hart: dirty by stores only", () => {
  let read = 0n, written = 0n, atomic = 0n;
  const bench = run((asm) => {
    asm.li(s0, DATA);
    asm.li(t0, 0x1000);
    asm.ld(a0, 0, s0);
    asm.add(s0, s0, t0);
    asm.sb(a0, 0, s0);
    asm.add(s0, s0, t0);
    asm.amoadd_w(a0, a0, s0);
    asm.ecall();
  }, {
    map: (tables) => {
      read = tables.map(DATA, DATA_PAGE, R | W);
      written = tables.map(DATA + 0x1000n, DATA_PAGE + 0x1000n, R | W);
      atomic = tables.map(DATA + 0x2000n, DATA_PAGE + 0x2000n, R | W);
    },
  });
  assertEquals(outcome(bench), ECALL_S);
  assertEquals([read, written, atomic].map((entry) => bench.peek(entry) & (A | D)), [A, A | D, A | D]);
});

Deno.test("permissions of pages", () => {
  const load = (asm: Assembler) => asm.ld(a0, 0, s0);
  const store = (asm: Assembler) => asm.sd(a0, 0, s0);
  const fetch = (asm: Assembler) => asm.jr(s0);
  const add = (asm: Assembler) => asm.amoadd_d(a0, a0, s0);
  const reserve = (asm: Assembler) => asm.lr_d(a0, s0);
  const rows: [string, bigint, Mode, bigint, (asm: Assembler) => void, bigint | undefined][] = [
    ["read of a readable page", R, S_MODE, 0n, load, undefined],
    ["write of a read-only page", R, S_MODE, 0n, store, 15n],
    ["atomic on a read-only page", R, S_MODE, 0n, add, 15n],
    ["load-reserved on a read-only page", R, S_MODE, 0n, reserve, undefined],
    ["fetch from a page without X", R | W, S_MODE, 0n, fetch, 12n],
    ["read of an execute-only page", X, S_MODE, 0n, load, 13n],
    ["read of an execute-only page with MXR", X, S_MODE, MXR, load, undefined],
    ["write of an execute-only page with MXR", X, S_MODE, MXR, store, 15n],
    ["W without R is reserved", W, S_MODE, 0n, store, 15n],
    ["supervisor reads a user page", R | U, S_MODE, 0n, load, 13n],
    ["supervisor reads a user page with SUM", R | U, S_MODE, SUM, load, undefined],
    ["supervisor writes a user page with SUM", R | W | U, S_MODE, SUM, store, undefined],
    ["supervisor never fetches from a user page", R | X | U, S_MODE, SUM, fetch, 12n],
    ["user reads a supervisor page", R, U_MODE, 0n, load, 13n],
    ["user reads a supervisor page with SUM", R, U_MODE, SUM, load, 13n],
    ["user writes a user page", R | W | U, U_MODE, 0n, store, undefined],
  ];
  for (const [name, flags, mode, status, access, cause] of rows) {
    const bench = run((asm) => {
      asm.li(s0, DATA);
      access(asm);
      asm.ecall();
    }, { mode, status, map: (tables) => tables.map(DATA, DATA_PAGE, flags | A | D) });
    const expected = cause === undefined ? { cause: 8n + BigInt(mode), value: 0n } : { cause, value: DATA };
    assertEquals(outcome(bench), expected, name);
  }
});

Deno.test("malformed entries fault", () => {
  const rows: [string, (tables: Tables) => void][] = [
    ["not valid", (tables) => tables.bench.poke(tables.map(FAR, DATA_PAGE, R | A), DATA_PAGE >> 2n | R | A)],
    ["reserved bit 54", (tables) => tables.map(FAR, DATA_PAGE, R | A | 1n << 54n)],
    ["Svpbmt bits", (tables) => tables.map(FAR, DATA_PAGE, R | A | 1n << 61n)],
    ["Svnapot bit", (tables) => tables.map(FAR, DATA_PAGE, R | A | 1n << 63n)],
    ["pointer at the last level", (tables) => tables.map(FAR, DATA_PAGE, 0n)],
    ["pointer with A", (tables) => tables.map(FAR, DATA_PAGE, A, 1)],
    ["misaligned 2 MiB page", (tables) => tables.map(FAR, RAM + 0x1000n, R | A, 1)],
    ["misaligned 1 GiB page", (tables) => tables.map(FAR, RAM + 0x20_0000n, R | A, 2)],
  ];
  for (const [name, map] of rows) {
    const bench = run((asm) => {
      asm.li(s0, FAR);
      asm.ld(a0, 0, s0);
      asm.ecall();
    }, { map });
    assertEquals(outcome(bench), { cause: 13n, value: FAR }, name);
  }
});

Deno.test("a superpage maps all of its bytes, and a fence at any of its addresses forgets every piece", () => {
  const far = 0x40_0000_0000n - 0x80_0000_0000n;
  const bench = run((asm) => {
    asm.li(s0, far);
    asm.li(t0, 0x5_0000);
    asm.add(t0, t0, s0);
    asm.ld(a0, 0, t0); // a piece of the large page is cached
    asm.li(t1, DATA); // where the page table can be written
    asm.sd(x.zero, 0, t1);
    asm.ld(a1, 0, t0); // may be stale: not checked
    asm.li(t1, 0x1f_f000);
    asm.add(t1, t1, s0);
    asm.sfence_vma(t1, x.zero);
    asm.ld(a1, 0, t0);
  }, {
    map: (tables) => {
      tables.bench.poke(RAM + 0x5_0000n, 99n);
      const entry = tables.map(far, RAM, R | A, 1);
      tables.map(DATA, entry & ~0xfffn, R | W | A | D);
      // The program stores at the start of the table's page: the entry must be there.
      assertEquals(entry & 0xfffn, 0n);
    },
  });
  assertEquals(bench.hart.readRegister(a0), 99n);
  assertEquals(outcome(bench), { cause: 13n, value: BigInt.asUintN(64, far + 0x5_0000n) });
});

Deno.test("a fence at a program's address spares all others where a kernel maps memory by large pages", () => {
  // The first addresses of its half of Sv39, Sv48 and Sv57.
  for (const [levels, far] of [[3, -1n << 38n], [4, -1n << 47n], [5, -1n << 56n]] as const) {
    const bench = run((asm) => {
      asm.li(s0, far);
      for (let i = 0; i < 4; i++) {
        asm.ld(a0, 0, s0);
        asm.li(t0, 1n << 21n);
        asm.add(s0, s0, t0);
      }
      asm.ecall();
    }, {
      levels,
      map: (tables) => {
        for (let i = 0n; i < 4n; i++) tables.map(BigInt.asUintN(64, far + (i << 21n)), RAM, R | A, 1);
      },
    });
    assertEquals(outcome(bench), ECALL_S);
    const { fenceAddress } = executionOf(bench.memory).exports;
    const drops = (address: bigint) => fenceAddress(bench.hart.base, address) !== 0;
    assertEquals(drops(far + (1n << 21n)), true);
    // Where programs begin.
    const pages = Array.from({ length: 8 }, (_, i) => BigInt(i) << 21n);
    assertEquals(pages.filter(drops), [], `with ${levels} levels`);
  }
});

Deno.test("a fence for one address makes a changed entry count", () => {
  const bench = run((asm) => {
    asm.li(s0, DATA);
    asm.ld(a0, 0, s0);
    asm.li(t0, DATA + 0x1000n);
    asm.li(t1, RAM / 4n + 0x8_2000n / 4n + 0xc3n); // DATA → third data page, readable and accessed
    asm.sd(t1, 128, t0);
    asm.sfence_vma(s0, x.zero);
    asm.ld(a1, 0, s0);
    asm.ecall();
  }, {
    map: (tables) => {
      tables.bench.poke(DATA_PAGE, 1n);
      tables.bench.poke(DATA_PAGE + 0x2000n, 3n);
      const entry = tables.map(DATA, DATA_PAGE, R | A);
      tables.map(DATA + 0x1000n, entry & ~0xfffn, R | W | A | D);
      tables.map(DATA + 0x2000n, DATA_PAGE, R | A);
      // The program stores at this entry of the table's page.
      assertEquals(entry & 0xfffn, 128n);
    },
  });
  assertEquals(outcome(bench), ECALL_S);
  assertEquals([bench.hart.readRegister(a0), bench.hart.readRegister(a1)], [1n, 3n]);
});

Deno.test("a misaligned access whose second page faults names that page, and stores nothing", () => {
  const bench = run((asm) => {
    asm.li(s0, DATA);
    asm.li(a0, -1);
    asm.li(t0, 0xffd);
    asm.add(s0, s0, t0);
    asm.sd(a0, 0, s0);
  }, { map: (tables) => tables.map(DATA, DATA_PAGE, R | W | A | D) });
  assertEquals(outcome(bench), { cause: 15n, value: DATA + 0x1000n });
  assertEquals(bench.peek(DATA_PAGE + 0xff8n), 0n);
});

Deno.test("a straddling instruction whose second half faults names that half and its own address", () => {
  const bench = run((asm) => {
    asm.li(t0, CODE + 0xffen);
    asm.jr(t0);
    asm.space(0xffe - asm.offset);
    asm.half(0x0513); // lower half of addi a0, a0, …
  });
  assertEquals(outcome(bench), { cause: 12n, value: CODE + 0x1000n });
  assertEquals(bench.hart.readRegister(a4), CODE + 0xffen);
});

Deno.test("page tables outside of memory give access faults", () => {
  const bench = run((asm) => {
    asm.li(s0, DATA + (1n << 34n));
    asm.ld(a0, 0, s0);
  }, { map: (tables) => tables.bench.poke(ROOT + ((DATA + (1n << 34n)) >> 30n & 511n) * 8n, NOWHERE >> 2n | V) });
  assertEquals(outcome(bench), { cause: 5n, value: DATA + (1n << 34n) });
});

Deno.test("mapped devices are reached through translation", () => {
  const bench = run((asm) => {
    asm.li(s0, DATA);
    asm.lw(a0, 4, s0);
    asm.sw(a0, 8, s0);
    asm.ecall();
  }, { map: (tables) => tables.map(DATA, DEVICE, R | W | A | D) });
  assertEquals(outcome(bench), ECALL_S);
  assertEquals(bench.accesses.map(({ address }) => address), [DEVICE + 4n, DEVICE + 8n]);
});

Deno.test("a satp write with an unsupported mode changes nothing", () => {
  const bench = new Bench();
  bench.hart.writeCsr(0x180, 8n << 60n | 0x1234n << 44n | 0x8_0000n);
  bench.hart.writeCsr(0x180, 7n << 60n | 1n);
  assertEquals(bench.hart.readCsr(0x180), 8n << 60n | 0x1234n << 44n | 0x8_0000n);
});

Deno.test("machine mode is translated only with MPRV, and then as the previous mode", () => {
  const bench = new Bench();
  const tables = new Tables(bench);
  bench.poke(DATA_PAGE, 55n);
  tables.map(DATA, DATA_PAGE, R | A);
  openProtection(bench);
  bench.load((asm) => {
    asm.li(s0, DATA);
    asm.li(t0, MPRV | 1n << 11n);
    asm.csrrs(x.zero, "mstatus", t0);
    asm.ld(a0, 0, s0);
    asm.csrrc(x.zero, "mstatus", t0);
    asm.li(s0, DATA_PAGE);
    asm.ld(a1, 0, s0);
    asm.wfi();
  });
  openProtection(bench);
  bench.hart.writeCsr(0x180, 8n << 60n | ROOT >> 12n);
  bench.hart.run(100);
  assertEquals([bench.hart.mode, bench.hart.readRegister(a0), bench.hart.readRegister(a1)], [M_MODE, 55n, 55n]);
});

Deno.test("what MXR made readable is not when MXR is cleared", () => {
  const bench = run((asm) => {
    asm.li(s0, DATA);
    asm.ld(a0, 0, s0);
    asm.li(t0, MXR);
    asm.csrrc(x.zero, "sstatus", t0);
    asm.ld(a1, 8, s0);
  }, { status: MXR, map: (tables) => tables.map(DATA, DATA_PAGE, X | A) });
  assertEquals(outcome(bench), { cause: 13n, value: DATA + 8n });
});
