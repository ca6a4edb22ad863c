import { assert, assertEquals } from "@std/assert";
import { x } from "../../../machines/riscv/registers.ts";
import type { Assembler } from "../../../machines/riscv/assemble.ts";
import { Bench, DEVICE, NOWHERE, RAM } from "./bare_metal.ts";

const { zero, ra, sp, t0, t1, t2, a0, a1, a2, a3, a4, s0, s1 } = x;
const u64 = (value: bigint) => BigInt.asUintN(64, value);

/** Runs a program to its wfi. Traps go to the label "trap" if there is one. */
function run(write: (asm: Assembler) => void, harts = 1): Bench {
  return new Bench(harts).runToWait(write, 1_000_000);
}

const read = (bench: Bench, ...numbers: number[]) => numbers.map((n) => bench.hart.readRegister(n));

/** A machine-mode handler that leaves cause, value and pc of the last trap in a2, a3, a4, and skips 4 bytes. */
function skippingHandler(asm: Assembler) {
  asm.align(4);
  asm.label("trap");
  asm.csrr(a2, "mcause");
  asm.csrr(a3, "mtval");
  asm.csrr(a4, "mepc");
  asm.addi(t2, a4, 4);
  asm.csrw("mepc", t2);
  asm.mret();
}

Deno.test("writes to x0 are dropped, whatever writes", () => {
  const bench = run((asm) => {
    asm.li(a0, 5);
    asm.addi(zero, a0, 1);
    asm.lui(zero, 0x1000);
    asm.auipc(s0, 0);
    asm.ld(zero, 0, s0);
    asm.jal(zero, "on");
    asm.label("on");
    asm.csrr(zero, "mstatus");
    asm.add(a1, zero, zero);
  });
  assertEquals(read(bench, zero, a1), [0n, 0n]);
});

Deno.test("a word's operation sign-extends, an upper half product is that of 128 bits", () => {
  const values = [0n, 1n, -1n, 0x7fff_ffff_ffff_ffffn, -0x8000_0000_0000_0000n, 0x1234_5678_9abc_def0n, 0xffff_ffffn];
  for (const left of values) {
    for (const right of values) {
      const bench = run((asm) => {
        asm.li(a0, left);
        asm.li(a1, right);
        asm.mulhu(s0, a0, a1);
        asm.mulh(s1, a0, a1);
        asm.mulhsu(t0, a0, a1);
        asm.addw(t1, a0, a1);
        asm.mul(t2, a0, a1);
      });
      const expected = [
        u64(left) * u64(right) >> 64n,
        left * right >> 64n,
        left * u64(right) >> 64n,
        BigInt.asIntN(32, left + right),
        left * right,
      ];
      assertEquals(read(bench, s0, s1, t0, t1, t2), expected.map(u64), `${left} and ${right}`);
    }
  }
});

Deno.test("jalr links after it read its target from the same register", () => {
  const bench = run((asm) => {
    asm.la(ra, "there");
    asm.jalr(ra, 1, ra); // the lowest bit is cleared
    asm.label("back");
    asm.li(a0, 1);
    asm.label("there");
    asm.mv(a1, ra);
  });
  assertEquals(read(bench, a0, a1), [0n, RAM + 12n]);
});

Deno.test("loops, calls and far jumps cross pages", () => {
  const bench = run((asm) => {
    asm.li(a0, 0);
    asm.li(a1, 1000);
    asm.j("far");
    asm.align(4096);
    asm.label("add");
    asm.add(a0, a0, a1);
    asm.ret();
    asm.align(4096);
    asm.label("far");
    asm.call("add");
    asm.addi(a1, a1, -1);
    asm.bnez(a1, "far");
  });
  assertEquals(read(bench, a0), [500500n]);
});

Deno.test("instructions run over the end of a page, halved or not", () => {
  const bench = new Bench();
  bench.load((asm) => {
    asm.half(0x0505); // c.addi a0, 1: from here on 32-bit instructions are at odd halfwords
    while (asm.offset < 4094 + 4) asm.addi(a0, a0, 1);
    asm.half(0x0505);
    asm.label("end");
    asm.wfi();
  });
  bench.hart.run(10_000);
  assertEquals([bench.hart.readRegister(a0), bench.hart.waiting], [1026n, true]);
});

Deno.test("a halved instruction follows a change of either half", () => {
  const bench = new Bench();
  bench.load((asm) => {
    asm.la(s0, "patch");
    asm.li(s1, 0);
    asm.li(a1, 2);
    asm.j("start");
    while (asm.offset < 4088) asm.nop();
    asm.label("start");
    asm.half(0x0001, 0x0001, 0x0001); // c.nop
    asm.label("patch");
    asm.addi(a0, a0, 1); // upper half, in the next page, holds the immediate
    asm.addi(s1, s1, 1);
    asm.li(t0, 0x0640); // addi a0, a0, 100 with the lower half's bits 15..0 kept
    asm.ori(t0, t0, 5);
    asm.sh(t0, 2, s0);
    asm.blt(s1, a1, "start");
    asm.wfi();
  });
  bench.hart.run(10_000);
  // rs1 of `addi a0, a0` spans the halves: 0x0645 is immediate 100 with rs1's upper bits.
  assertEquals(bench.hart.readRegister(a0), 101n);
});

Deno.test("halved instructions are decoded once, also those that share a place there", () => {
  const bench = new Bench();
  const { hart } = bench;
  const pages = [1, 2, 65];
  const symbols = bench.load((asm) => {
    asm.li(s1, 50);
    asm.label("round");
    for (const page of pages) {
      asm.li(t0, RAM + BigInt(4096 * page - 2));
      asm.jalr(ra, 0, t0);
    }
    asm.addi(s1, s1, -1);
    asm.bnez(s1, "round");
    asm.wfi();
    asm.label("trap");
    asm.csrrs(a1, 0x343, zero);
    asm.wfi();
    for (const page of pages) {
      while (asm.offset < 4096 * page - 2) asm.half(0x0001);
      asm.addi(a0, a0, page);
      asm.ret();
    }
    while (asm.offset < 4096 * 66 - 2) asm.half(0x0001);
    asm.label("illegal");
    asm.half(0xffff, 0x1234);
  });
  let decoded = 0;
  const decodeSingle = hart.decodeSingle.bind(hart);
  hart.decodeSingle = (base, slot, word) => {
    decoded++;
    decodeSingle(base, slot, word);
  };
  hart.run(10_000);
  assertEquals([hart.readRegister(a0), hart.waiting], [50n * 68n, true]);
  // Page 65 and page 1 take turns.
  assertEquals(decoded, 1 + 2 * 50);
  hart.writeCsr(0x305, symbols.get("trap") ?? 0n);
  hart.pc = symbols.get("illegal") ?? 0n;
  hart.waiting = false;
  hart.run(3);
  assertEquals(hart.readRegister(a1), 0x1234_ffffn);
  bench.dispose();
});

Deno.test("loads extend, and misaligned ones within and across pages see the same bytes", () => {
  const bench = run((asm) => {
    asm.li(s0, RAM + 0x10ff9n);
    asm.li(t0, 0x8192_a3b4_c5d6_e7f8n);
    asm.sd(t0, 0, s0); // within the page
    asm.ld(a0, 0, s0);
    asm.sd(t0, 4, s0); // across
    asm.ld(a1, 4, s0);
    asm.lw(a2, 4, s0);
    asm.lwu(a3, 4, s0);
    asm.lh(a4, 6, s0);
    asm.lbu(s1, 11, s0);
    asm.lb(t1, 11, s0);
  });
  assertEquals(
    read(bench, a0, a1, a2, a3, a4, s1, t1),
    [
      0x8192_a3b4_c5d6_e7f8n,
      0x8192_a3b4_c5d6_e7f8n,
      -0x3a291808n,
      0xc5d6_e7f8n,
      -0x3a2an,
      0x81n,
      -0x7fn,
    ].map(u64),
  );
});

Deno.test("a device sees each access once, with its width", () => {
  const bench = new Bench();
  bench.onAccess = ({ kind, size }) => kind === "read" ? 0xfedc_ba98_7654_3280n >> BigInt(64 - 8 * size) : undefined;
  bench.load((asm) => {
    asm.li(s0, DEVICE);
    asm.lb(a0, 1, s0);
    asm.lhu(a1, 2, s0);
    asm.lw(a2, 4, s0);
    asm.ld(a3, 8, s0);
    asm.sd(a3, 16, s0);
    asm.sb(a0, 3, s0);
    asm.wfi();
  });
  bench.hart.run(100);
  assertEquals(bench.accesses.map(({ kind, address, size }) => [kind, address - DEVICE, size]), [
    ["read", 1n, 1],
    ["read", 2n, 2],
    ["read", 4n, 4],
    ["read", 8n, 8],
    ["write", 16n, 8],
    ["write", 3n, 1],
  ]);
  assertEquals(bench.accesses.slice(4).map((access) => access.value), [0xfedc_ba98_7654_3280n, 0xfen]);
  assertEquals(read(bench, a0, a1, a2, a3), [u64(-2n), 0xfedcn, u64(-0x1234568n), 0xfedc_ba98_7654_3280n]);
});

Deno.test("accesses where nothing is trap precisely, with their address", () => {
  for (
    const [write, cause, address] of [
      [(asm: Assembler) => asm.ld(a0, 8, s0), 5n, NOWHERE + 8n],
      [(asm: Assembler) => asm.sb(a0, -1, s0), 7n, NOWHERE - 1n],
      [(asm: Assembler) => asm.lr_w(a0, s0), 5n, NOWHERE],
      [(asm: Assembler) => asm.amoadd_d(a0, a1, s0), 7n, NOWHERE],
    ] as const
  ) {
    const bench = run((asm) => {
      asm.li(s0, NOWHERE);
      asm.li(a0, 77);
      asm.label("faulting");
      write(asm);
      asm.j("end");
      skippingHandler(asm);
    });
    assertEquals(read(bench, a0, a2, a3), [77n, cause, address]);
  }
});

Deno.test("a jump to where nothing is traps at its target", () => {
  const bench = run((asm) => {
    asm.li(s0, NOWHERE);
    asm.la(s1, "end");
    asm.jalr(ra, 0, s0);
    asm.align(4);
    asm.label("trap");
    asm.csrr(a2, "mcause");
    asm.csrr(a3, "mtval");
    asm.csrr(a4, "mepc");
    asm.csrw("mepc", s1);
    asm.mret();
  });
  assertEquals(read(bench, a2, a3, a4), [1n, NOWHERE, NOWHERE]);
});

Deno.test("illegal instructions give their bits", () => {
  for (const [word, length] of [[0xffff_ffff, 4], [0x0000_0000, 2], [0x9c41_8082 & 0xffff | 0x9c41, 2]] as const) {
    const bench = run((asm) => {
      asm.half(...(length === 4 ? [word & 0xffff, word >>> 16] : [word & 0xffff]));
      asm.align(4);
      asm.j("end");
      skippingHandler(asm);
    });
    assertEquals(read(bench, a2, a3, a4), [2n, BigInt((length === 4 ? word : word & 0xffff) >>> 0), RAM]);
  }
});

Deno.test("ecall and ebreak trap with their own address", () => {
  const bench = run((asm) => {
    asm.ecall();
    asm.mv(s0, a2);
    asm.mv(s1, a4);
    asm.ebreak();
    asm.j("end");
    skippingHandler(asm);
  });
  assertEquals(read(bench, s0, s1, a2, a4), [11n, RAM, 3n, RAM + 12n]);
});

Deno.test("an atomic gives what was there and stores what follows", () => {
  const bench = run((asm) => {
    asm.li(s0, RAM + 0x2000n);
    asm.li(t0, -5);
    asm.sd(t0, 0, s0);
    asm.li(a0, 3);
    asm.amoadd_w(a1, a0, s0);
    asm.lw(a2, 0, s0);
    asm.li(a0, 7);
    asm.amomaxu_w(a3, a0, s0);
    asm.amomax_d(a4, a0, s0);
    asm.amoswap_d(zero, sp, s0);
  });
  assertEquals(read(bench, a1, a2, a3, a4), [u64(-5n), u64(-2n), u64(-2n), u64(-2n)]);
  assertEquals(bench.peek(RAM + 0x2000n), 0n);
});

Deno.test("misaligned atomics trap, and load-reserved as a load", () => {
  for (
    const [write, cause] of [
      [(asm: Assembler) => asm.amoor_d(a0, a1, s0), 6n],
      [(asm: Assembler) => asm.sc_w(a0, a1, s1), 6n],
      [(asm: Assembler) => asm.lr_d(a0, s0), 4n],
    ] as const
  ) {
    const bench = run((asm) => {
      asm.li(s0, RAM + 0x2004n);
      asm.li(s1, RAM + 0x2002n);
      write(asm);
      asm.j("end");
      skippingHandler(asm);
    });
    assertEquals(read(bench, a2)[0], cause);
  }
});

Deno.test("store-conditional succeeds once, at the reserved address, while memory is unchanged", () => {
  const bench = run((asm) => {
    asm.li(s0, RAM + 0x2000n);
    asm.li(a0, 42);
    asm.lr_d(t0, s0);
    asm.sc_d(a1, a0, s0); // succeeds
    asm.sc_d(a2, a0, s0); // the reservation is gone
    asm.lr_w(t0, s0);
    asm.addi(t1, s0, 8);
    asm.sc_w(a3, a0, t1); // elsewhere
    asm.lr_w(t0, s0);
    asm.sw(s0, 0, s0);
    asm.sc_w(a4, a0, s0); // changed in between
  });
  assertEquals(read(bench, a1, a2, a3, a4), [0n, 1n, 1n, 1n]);
});

Deno.test("store-conditional fails if another hart stored in between, even what was there", () => {
  const bench = new Bench(2);
  const symbols = bench.load((asm) => {
    asm.lr_d(t0, s0);
    asm.sc_d(a1, a0, s0);
    asm.label("other");
    asm.sd(zero, 0, s0);
    asm.sd(t0, 0, s0);
  });
  const [first, second] = bench.harts;
  assert(first && second);
  second.reset({ pc: symbols.get("other") ?? 0n });
  for (const hart of bench.harts) hart.writeRegister(s0, RAM + 0x2000n);
  first.run(1);
  second.run(2);
  first.run(1);
  assertEquals(first.readRegister(a1), 1n);
  bench.dispose();
});

Deno.test("code that stores into itself runs what it stored", () => {
  const bench = run((asm) => {
    asm.li(s0, 0);
    asm.la(s1, "patched");
    asm.la(t0, "template");
    asm.lw(t1, 0, t0);
    asm.label("again");
    asm.label("patched");
    asm.addi(a0, a0, 1);
    asm.sw(t1, 0, s1);
    asm.addi(s0, s0, 1);
    asm.li(t2, 3);
    asm.blt(s0, t2, "again");
    asm.j("end");
    asm.label("template");
    asm.addi(a0, a0, 100);
  });
  assertEquals(read(bench, a0), [201n]);
});

Deno.test("a page written as data after it was code becomes writable at full speed, and still runs", () => {
  const bench = run((asm) => {
    asm.la(s1, "data");
    asm.li(s0, 2000);
    asm.label("again");
    asm.sd(s0, 0, s1);
    asm.addi(s0, s0, -1);
    asm.bnez(s0, "again");
    asm.ld(a0, 0, s1);
    asm.j("end");
    asm.align(8);
    asm.label("data");
    asm.dword(0);
  });
  assertEquals(read(bench, a0), [1n]);
});

Deno.test("code that a device overwrites is decoded again", () => {
  const bench = new Bench();
  bench.load((asm) => {
    asm.label("again");
    asm.addi(a0, a0, 1);
    asm.j("again");
  });
  bench.hart.run(10);
  assertEquals(bench.hart.readRegister(a0), 5n);
  bench.write(RAM, Uint8Array.of(0x13, 0x05, 0x45, 0x06)); // addi a0, a0, 100
  bench.hart.run(10);
  assertEquals(bench.hart.readRegister(a0), 505n);
});

Deno.test("run starts exactly as many instructions as it is given, and instret counts those that retire", () => {
  const bench = new Bench();
  bench.load((asm) => {
    asm.label("again");
    asm.addi(a0, a0, 1);
    asm.csrr(a1, "instret");
    asm.ecall();
    asm.align(4);
    asm.label("trap");
    asm.j("again");
  });
  bench.hart.writeCsr(0x305, RAM + 12n);
  for (const count of [1, 2, 3, 5, 7, 1000, 12345]) assertEquals(bench.hart.run(count), count);
  const started = 1 + 2 + 3 + 5 + 7 + 1000 + 12345;
  // Of four instructions, ecall does not retire. The last rounds end within a round.
  assertEquals(bench.hart.instret, started - Math.floor((started + 1) / 4));
  assertEquals(bench.hart.readRegister(a0), BigInt(Math.ceil(started / 4)));
});

Deno.test("instret is exact while a device looks", () => {
  const bench = new Bench();
  const seen: number[] = [];
  bench.onAccess = () => void seen.push(bench.hart.instret);
  bench.load((asm) => {
    asm.li(s0, DEVICE);
    asm.sw(zero, 0, s0);
    asm.nop();
    asm.nop();
    asm.lw(a0, 0, s0);
    asm.csrr(a1, "instret");
    asm.wfi();
  });
  bench.hart.run(100);
  assertEquals(seen, [2, 5]);
  assertEquals(bench.hart.readRegister(a1), 5n);
});

Deno.test("a trap handler that cannot be fetched does not keep the host", () => {
  const bench = new Bench();
  bench.load((asm) => asm.ecall());
  bench.hart.writeCsr(0x305, NOWHERE);
  assertEquals(bench.hart.run(1000), 1000);
  assertEquals(bench.hart.instret, 0);
});

Deno.test("requestExit leaves after the instruction that asked", () => {
  const bench = new Bench();
  bench.onAccess = () => bench.hart.requestExit();
  bench.load((asm) => {
    asm.li(s0, DEVICE);
    asm.sw(zero, 0, s0);
    asm.label("again");
    asm.addi(a0, a0, 1);
    asm.j("again");
  });
  assertEquals(bench.hart.run(1000), 2);
  assertEquals(bench.hart.readRegister(a0), 0n);
});

Deno.test("a store into the second half of an instruction counts", () => {
  const bench = run((asm) => {
    asm.la(s1, "patched");
    asm.li(s0, 2);
    asm.li(t1, 0x0645); // upper half of addi a0, a0, 100
    asm.label("again");
    asm.nop();
    asm.label("patched");
    asm.addi(a0, a0, 1);
    asm.sh(t1, 2, s1);
    asm.addi(s0, s0, -1);
    asm.bnez(s0, "again");
  });
  assertEquals(read(bench, a0), [101n]);
});

Deno.test("a trap ends a reservation", () => {
  const bench = run((asm) => {
    asm.li(s0, RAM + 0x2000n);
    asm.lr_d(t0, s0);
    asm.ecall();
    asm.sc_d(a0, t0, s0);
    asm.j("end");
    skippingHandler(asm);
  });
  assertEquals(read(bench, a0, a2), [1n, 11n]);
});

Deno.test("a misaligned read of a device is two aligned ones, a write is one of bytes", () => {
  const bench = new Bench();
  bench.onAccess = ({ kind, address }) => kind === "read" ? address * 0x11111111n : undefined;
  bench.load((asm) => {
    asm.li(s0, DEVICE);
    asm.lw(a0, 3, s0);
    asm.li(a1, 0x11223344);
    asm.sh(a1, 5, s0);
    asm.wfi();
  });
  bench.hart.run(100);
  assertEquals(
    bench.accesses.map((
      { kind, address, size, value },
    ) => [kind, address - DEVICE, size, kind === "write" ? value : 0n]),
    [["read", 4n, 4, 0n], ["read", 0n, 4, 0n], ["write", 5n, 1, 0x44n], ["write", 6n, 1, 0x33n]],
  );
  // The last byte of the first word, then three of the second.
  assertEquals(read(bench, a0), [0x44444410n]);
});

Deno.test("code of more pages than can be kept decoded runs, again and again", () => {
  const pages = 1100;
  const bench = new Bench(1, (pages + 2) * 4096);
  bench.load((asm) => {
    asm.li(a1, 2);
    asm.label("again");
    for (let page = 1; page <= pages; page++) {
      asm.j(`page ${page}`);
      asm.align(4096);
      asm.label(`page ${page}`);
      asm.addi(a0, a0, page & 0xff);
    }
    asm.addi(a1, a1, -1);
    asm.li(t0, RAM);
    asm.addi(t0, t0, 4);
    asm.beqz(a1, "end");
    asm.jr(t0);
    asm.label("end");
    asm.wfi();
  });
  bench.hart.run(100_000);
  let sum = 0;
  for (let page = 1; page <= pages; page++) sum += page & 0xff;
  assertEquals([bench.hart.waiting, bench.hart.readRegister(a0)], [true, BigInt(2 * sum)]);
});

Deno.test("an instruction that stores over itself ends as what it was", () => {
  const bench = new Bench();
  const nop = 0x13n | 0x13n << 32n;
  const stores: readonly (readonly [string, (asm: Assembler) => void])[] = [
    ["sd", (asm) => asm.sd(x.a0, 0, x.s0)],
    ["amoswap", (asm) => asm.amoswap_d(x.a1, x.a0, x.s0)],
    ["amoor", (asm) => asm.amoor_w(x.a1, x.a0, x.s0)],
    ["lr", (asm) => (asm.lr_d(x.a2, x.s0), asm.sc_d(x.a1, x.a0, x.s0))],
  ];
  for (const [what, store] of stores) {
    const symbols = bench.load((asm) => {
      asm.la(x.s0, "here");
      asm.align(8);
      asm.label("here");
      store(asm);
      asm.addi(x.a3, x.a3, 1);
      asm.add(x.a4, x.zero, x.zero);
      asm.label("end");
      asm.j("end");
    });
    const { hart } = bench;
    const here = symbols.get("here") ?? 0n, old = bench.peek(here);
    hart.writeRegister(x.a0, nop);
    hart.writeRegister(x.a4, 1n);
    const count = Number((symbols.get("end") ?? 0n) - RAM) / 4;
    assertEquals(hart.run(count), count);
    assertEquals([hart.pc, hart.readRegister(x.a4)], [symbols.get("end"), 0n], what);
    if (what.startsWith("amo")) {
      const low = what === "amoor" ? BigInt.asUintN(64, BigInt.asIntN(32, old)) : old;
      assertEquals(hart.readRegister(x.a1), low, what);
    }
    assertEquals(hart.readRegister(0), 0n);
  }
  bench.dispose();
});
