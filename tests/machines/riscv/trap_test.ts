import { assertEquals } from "@std/assert";
import type { Assembler } from "../../../machines/riscv/assemble.ts";
import { M_MODE, type Mode, S_MODE, U_MODE } from "../../../machines/riscv/hart_state.ts";
import { x } from "../../../machines/riscv/registers.ts";
import { Bench, DEVICE, RAM } from "./bare_metal.ts";

const { zero, t0, t1, a0, a1, a2, s0 } = x;
const CSR = {
  sstatus: 0x100,
  sie: 0x104,
  stvec: 0x105,
  sepc: 0x141,
  scause: 0x142,
  stval: 0x143,
  sip: 0x144,
  stimecmp: 0x14d,
  satp: 0x180,
  mstatus: 0x300,
  misa: 0x301,
  medeleg: 0x302,
  mideleg: 0x303,
  mie: 0x304,
  mtvec: 0x305,
  mcounteren: 0x306,
  senvcfg: 0x10a,
  menvcfg: 0x30a,
  mcountinhibit: 0x320,
  mepc: 0x341,
  mcause: 0x342,
  mtval: 0x343,
  mip: 0x344,
  scounteren: 0x106,
} as const;
const SIE = 1n << 1n, MIE = 1n << 3n, SPIE = 1n << 5n, MPIE = 1n << 7n, SPP = 1n << 8n;
const MPRV = 1n << 17n, TVM = 1n << 20n, TW = 1n << 21n, TSR = 1n << 22n;
const INTERRUPT = 1n << 63n;
/** Handlers: each is a self-loop, so that a trap is seen by where the hart is. */
const M_HANDLER = RAM + 0x1000n, S_HANDLER = RAM + 0x2000n;

/** A bench in which a program is about to run in a mode, with handlers and memory protection set up. */
function prepared(write: (asm: Assembler) => void, mode: Mode): Bench {
  const bench = new Bench();
  const loops = new Uint8Array(new Uint32Array(12).fill(0x6f).buffer);
  for (const handler of [M_HANDLER, S_HANDLER]) bench.write(handler, loops);
  bench.load((asm) => {
    asm.mret();
    write(asm);
    asm.label("end");
    asm.j("end");
  });
  const { hart } = bench;
  hart.writeCsr(0x3b0, (1n << 54n) - 1n);
  hart.writeCsr(0x3a0, 0x1fn);
  hart.writeCsr(CSR.mtvec, M_HANDLER);
  hart.writeCsr(CSR.stvec, S_HANDLER);
  hart.writeCsr(CSR.mepc, RAM + 4n);
  hart.writeCsr(CSR.mstatus, BigInt(mode) << 11n);
  assertEquals(hart.run(1), 1);
  assertEquals([hart.mode, hart.pc], [mode, RAM + 4n]);
  return bench;
}

const csr = ({ hart }: Bench, number: number) => hart.readCsr(number);

Deno.test("an exception that is not delegated enters machine mode and stacks its state", () => {
  const bench = prepared((asm) => asm.ecall(), S_MODE);
  bench.hart.writeCsr(CSR.mstatus, MIE | SIE);
  bench.hart.run(1);
  assertEquals([bench.hart.mode, bench.hart.pc], [M_MODE, M_HANDLER]);
  assertEquals([csr(bench, CSR.mcause), csr(bench, CSR.mepc)], [9n, RAM + 4n]);
  assertEquals(csr(bench, CSR.mstatus), 0xa_0000_0000n | MPIE | SIE | 1n << 11n);
});

Deno.test("a delegated exception enters supervisor mode, but never from machine mode", () => {
  const bench = prepared((asm) => asm.ecall(), U_MODE);
  bench.hart.writeCsr(CSR.medeleg, 1n << 8n);
  bench.hart.writeCsr(CSR.mstatus, SIE);
  bench.hart.run(1);
  assertEquals([bench.hart.mode, bench.hart.pc], [S_MODE, S_HANDLER]);
  assertEquals([csr(bench, CSR.scause), csr(bench, CSR.sepc)], [8n, RAM + 4n]);
  assertEquals(csr(bench, CSR.sstatus), 0x2_0000_0000n | SPIE);

  const machine = prepared((asm) => asm.ebreak(), M_MODE);
  machine.hart.writeCsr(CSR.medeleg, 1n << 3n);
  machine.hart.run(1);
  assertEquals([machine.hart.mode, machine.hart.pc], [M_MODE, M_HANDLER]);
});

Deno.test("sret returns to the mode and the enable that were stacked, and clears MPRV", () => {
  const bench = prepared((asm) => asm.sret(), S_MODE);
  bench.hart.writeCsr(CSR.mstatus, SPIE | MPRV);
  bench.hart.writeCsr(CSR.sepc, RAM + 0x101n);
  bench.hart.run(1);
  assertEquals([bench.hart.mode, bench.hart.pc], [U_MODE, RAM + 0x100n]);
  assertEquals(csr(bench, CSR.mstatus), 0xa_0000_0000n | SIE | SPIE);
});

Deno.test("mret to machine mode keeps MPRV; MPP becomes user", () => {
  const bench = prepared((asm) => asm.mret(), M_MODE);
  bench.hart.writeCsr(CSR.mstatus, 3n << 11n | MPRV | MPIE);
  bench.hart.run(1);
  assertEquals(csr(bench, CSR.mstatus), 0xa_0000_0000n | MPRV | MIE | MPIE);
});

Deno.test("instructions that a mode may not use are illegal there", () => {
  const rows: [string, Mode, bigint, (asm: Assembler) => void, boolean][] = [
    ["mret in supervisor mode", S_MODE, 0n, (asm) => asm.mret(), false],
    ["sret in user mode", U_MODE, 0n, (asm) => asm.sret(), false],
    ["sret with TSR", S_MODE, TSR, (asm) => asm.sret(), false],
    ["sret in machine mode with TSR", M_MODE, TSR | 3n << 11n, (asm) => asm.sret(), true],
    ["wfi in user mode", U_MODE, 0n, (asm) => asm.wfi(), false],
    ["wfi with TW", S_MODE, TW, (asm) => asm.wfi(), false],
    ["wfi in supervisor mode", S_MODE, 0n, (asm) => asm.wfi(), true],
    ["sfence.vma in user mode", U_MODE, 0n, (asm) => asm.sfence_vma(zero, zero), false],
    ["sfence.vma with TVM", S_MODE, TVM, (asm) => asm.sfence_vma(zero, zero), false],
    ["satp with TVM", S_MODE, TVM, (asm) => asm.csrr(a0, "satp"), false],
    ["satp in supervisor mode", S_MODE, 0n, (asm) => asm.csrr(a0, "satp"), true],
    ["satp in user mode", U_MODE, 0n, (asm) => asm.csrr(a0, "satp"), false],
    ["mstatus in supervisor mode", S_MODE, 0n, (asm) => asm.csrr(a0, "mstatus"), false],
    ["a write of a read-only register", M_MODE, 0n, (asm) => asm.csrw(0xf14, zero), false],
    ["a set of no bits of a read-only register", M_MODE, 0n, (asm) => asm.csrrsi(a0, 0xf14, 0), true],
    ["a set of x0 of a read-only register", M_MODE, 0n, (asm) => asm.csrrs(a0, 0xf14, zero), true],
    ["fflags with FS off", M_MODE, 0n, (asm) => asm.csrr(a0, "fflags"), false],
    ["fflags with FS on", M_MODE, 1n << 13n, (asm) => asm.csrr(a0, "fflags"), true],
    ["a float instruction with FS off", M_MODE, 0n, (asm) => asm.fmv_d_x(1, a0), false],
    ["a float load with FS off", M_MODE, 0n, (asm) => asm.fld(1, 0, t0), false],
    ["a float instruction with FS on", M_MODE, 1n << 13n, (asm) => asm.fmv_d_x(1, a0), true],
    ["time in supervisor mode without mcounteren", S_MODE, 0n, (asm) => asm.csrr(a0, "time"), false],
    ["stimecmp in supervisor mode without menvcfg", S_MODE, 0n, (asm) => asm.csrr(a0, "stimecmp"), false],
  ];
  for (const [name, mode, status, write, isLegal] of rows) {
    const bench = prepared(write, mode);
    bench.hart.writeCsr(CSR.mstatus, status);
    bench.hart.run(1);
    assertEquals(csr(bench, CSR.mcause), isLegal ? 0n : 2n, name);
  }
});

Deno.test("counters are shown to lower modes as mcounteren and scounteren say", () => {
  for (
    const [mode, machine, supervisor, isLegal] of [
      [S_MODE, 0b111n, 0n, true],
      [S_MODE, 0b101n, 0n, false],
      [U_MODE, 0b111n, 0b010n, true],
      [U_MODE, 0b111n, 0b101n, false],
      [U_MODE, 0b000n, 0b111n, false],
    ] as const
  ) {
    const bench = prepared((asm) => asm.csrr(a0, "time"), mode);
    bench.now = () => 1234n;
    bench.hart.writeCsr(CSR.mcounteren, machine);
    bench.hart.writeCsr(CSR.scounteren, supervisor);
    bench.hart.run(1);
    assertEquals([csr(bench, CSR.mcause), bench.hart.readRegister(a0)], isLegal ? [0n, 1234n] : [2n, 0n]);
  }
});

Deno.test("only implemented registers exist", () => {
  const bench = prepared(() => {}, M_MODE);
  const exists = (number: number) => bench.hart.readCsr(number) !== undefined;
  for (const number of [0x30c, 0xda0, 0xfb0, 0x7a4, 0x5a8, 0x3c0, 0x3a1, 0x600, 0xb01, 0xb13, 0xc13, 0x015, 0x7b0]) {
    assertEquals(exists(number), false, number.toString(16));
  }
  for (const number of [0x001, 0x10a, 0x30a, 0x320, 0x323, 0x33f, 0x3a2, 0x3bf, 0xb03, 0xb12, 0xc12, 0xf15]) {
    assertEquals(exists(number), true, number.toString(16));
  }
});

Deno.test("what registers accept (WARL)", () => {
  const ones = (1n << 64n) - 1n;
  const rows: [number, bigint, bigint][] = [
    [CSR.misa, 0n, 0x8000_0000_0014_112dn],
    [CSR.mstatus, ones, 0x8000_000a_007e_79aan],
    [CSR.mstatus, 2n << 11n, 0xa_0000_0000n],
    [CSR.sstatus, ones, 0x8000_0002_000c_6122n],
    [CSR.mideleg, ones, 0x222n],
    [CSR.medeleg, ones, 0xb3ffn],
    [CSR.mie, ones, 0xaaan],
    [CSR.mip, ones, 0x222n],
    [CSR.mtvec, RAM | 3n, M_HANDLER],
    [CSR.mtvec, RAM | 1n, RAM | 1n],
    [CSR.mepc, ones, ones - 1n],
    [CSR.mcause, ones, ones],
    [CSR.satp, 7n << 60n | 5n, 0n],
    [CSR.satp, 9n << 60n | 0xffff_0fff_ffff_ffffn & (1n << 60n) - 1n, 9n << 60n | 0xfff_0fff_ffff_ffffn],
    [CSR.menvcfg, ones, 1n << 63n | 0xf1n],
    [CSR.menvcfg, 0x20n, 0n],
    [CSR.senvcfg, ones, 0xf1n],
    [CSR.mcountinhibit, ones, 5n],
    [CSR.mcounteren, ones, 0xffff_ffffn],
  ];
  for (const [number, written, expected] of rows) {
    const bench = prepared(() => {}, M_MODE);
    bench.hart.writeCsr(number, written);
    assertEquals(csr(bench, number), expected, `${number.toString(16)} ← ${written.toString(16)}`);
  }
});

Deno.test("csr instructions read, write, set and clear", () => {
  const bench = prepared((asm) => {
    asm.li(t0, 0b1100);
    asm.csrrw(a0, "mscratch", t0);
    asm.csrrsi(a1, "mscratch", 0b00011);
    asm.csrrc(a2, "mscratch", t0);
    asm.csrrw(t0, "mscratch", t0);
  }, M_MODE);
  bench.hart.run(5);
  assertEquals([a0, a1, a2, t0].map((n) => bench.hart.readRegister(n)), [0n, 0b1100n, 0b1111n, 0b11n]);
  assertEquals(csr(bench, 0x340), 0b1100n);
});

Deno.test("float writes make FS dirty and SD visible; reads don't", () => {
  const bench = prepared((asm) => {
    asm.fsd(1, 0x100, s0);
    asm.csrr(a0, "mstatus");
    asm.fcvt_d_l(1, a0);
    asm.csrr(a1, "mstatus");
  }, M_MODE);
  bench.hart.writeRegister(s0, RAM);
  bench.hart.writeCsr(CSR.mstatus, 1n << 13n);
  bench.hart.run(4);
  assertEquals(bench.hart.readRegister(a0), 0xa_0000_2000n);
  assertEquals(bench.hart.readRegister(a1), 0x8000_000a_0000_6000n);
});

Deno.test("float instructions with an integer result make FS dirty only by a new flag", () => {
  const bench = prepared((asm) => {
    asm.feq_d(a0, 1, 1);
    asm.fclass_d(a0, 1);
    asm.fcvt_l_d(a0, 1);
    asm.csrr(a0, "mstatus");
    asm.fcvt_l_d(a1, 2);
    asm.csrr(a1, "mstatus");
  }, M_MODE);
  bench.hart.writeCsr(CSR.mstatus, 1n << 13n);
  bench.hart.writeRegister(32 + 1, 0x3ff0_0000_0000_0000n);
  bench.hart.writeRegister(32 + 2, 0x3ff8_0000_0000_0000n);
  bench.hart.run(6);
  assertEquals(bench.hart.readRegister(a0), 0xa_0000_2000n);
  assertEquals(bench.hart.readRegister(a1), 0x8000_000a_0000_6000n);
});

Deno.test("a rounding mode that is reserved in frm is illegal where it is used", () => {
  const bench = prepared((asm) => asm.fadd_d(1, 2, 3, "dyn"), M_MODE);
  bench.hart.writeCsr(CSR.mstatus, 1n << 13n);
  bench.hart.writeCsr(0x002, 5n);
  bench.hart.run(1);
  assertEquals(csr(bench, CSR.mcause), 2n);
});

Deno.test("exception flags of float instructions accrue in fflags", () => {
  const bench = prepared((asm) => {
    asm.li(t0, 1);
    asm.fcvt_d_l(1, t0);
    asm.fcvt_d_l(2, zero);
    asm.fdiv_d(3, 1, 2);
    asm.csrr(a0, "fflags");
    asm.csrrw(zero, "fflags", zero);
    asm.fsqrt_d(3, 1);
    asm.csrr(a1, "fflags");
  }, M_MODE);
  bench.hart.writeCsr(CSR.mstatus, 1n << 13n);
  bench.hart.run(8);
  assertEquals([bench.hart.readRegister(a0), bench.hart.readRegister(a1)], [8n, 0n]);
});

Deno.test("interrupts are taken by priority, when enabled, and vectored", () => {
  const bench = prepared(() => {}, M_MODE);
  const { hart } = bench;
  hart.writeCsr(CSR.mtvec, M_HANDLER | 1n);
  hart.writeCsr(CSR.mie, 0xaaan);
  for (const line of [3, 7, 9, 11]) hart.setInterrupt(line, 1);
  hart.run(1);
  assertEquals(hart.pc, RAM + 4n, "MIE is off");
  hart.writeCsr(CSR.mstatus, MIE);
  hart.run(1);
  assertEquals(csr(bench, CSR.mcause), INTERRUPT | 11n);
  assertEquals([csr(bench, CSR.mepc), csr(bench, CSR.mtval)], [RAM + 4n, 0n]);
  for (const [dropped, next] of [[11, 3n], [3, 7n], [7, 9n]] as const) {
    hart.setInterrupt(dropped, 0);
    hart.writeCsr(CSR.mstatus, MIE);
    hart.pc = RAM + 4n;
    hart.run(1);
    assertEquals([csr(bench, CSR.mcause), hart.pc], [INTERRUPT | next, M_HANDLER + 4n * next]);
  }
});

Deno.test("delegated interrupts wait for a mode below machine, and for SIE in supervisor mode", () => {
  const bench = prepared(() => {}, S_MODE);
  const { hart } = bench;
  hart.writeCsr(CSR.mideleg, 0x222n);
  hart.writeCsr(CSR.mie, 0x222n);
  hart.setInterrupt(9, 1);
  hart.run(1);
  assertEquals(hart.pc, RAM + 4n);
  hart.writeCsr(CSR.mstatus, SIE);
  hart.run(1);
  assertEquals([hart.mode, hart.pc, csr(bench, CSR.scause)], [S_MODE, S_HANDLER, INTERRUPT | 9n]);
  assertEquals(csr(bench, CSR.mstatus), 0xa_0000_0000n | SPP | SPIE);
});

Deno.test("an interrupt that a csr write enables is taken before the next instruction", () => {
  const bench = prepared((asm) => {
    asm.li(t0, 8);
    asm.csrrs(zero, "mstatus", t0);
    asm.li(a0, 1);
  }, M_MODE);
  bench.hart.writeCsr(CSR.mie, 8n);
  bench.hart.setInterrupt(3, 1);
  bench.hart.run(100);
  assertEquals([csr(bench, CSR.mcause), csr(bench, CSR.mepc)], [INTERRUPT | 3n, RAM + 12n]);
  assertEquals(bench.hart.readRegister(a0), 0n);
});

Deno.test("an interrupt that a device raises is taken after the access that raised it", () => {
  const bench = prepared((asm) => {
    asm.li(s0, DEVICE);
    asm.lw(a1, 0, s0);
    asm.li(a0, 1);
  }, M_MODE);
  bench.onAccess = () => {
    bench.hart.setInterrupt(11, 1);
    return 7n;
  };
  bench.hart.writeCsr(CSR.mie, 1n << 11n);
  bench.hart.writeCsr(CSR.mstatus, MIE);
  assertEquals(bench.hart.run(100), 100);
  assertEquals([csr(bench, CSR.mepc), bench.hart.readRegister(a1), bench.hart.readRegister(a0)], [RAM + 12n, 7n, 0n]);
});

Deno.test("wfi waits until an enabled interrupt is pending, even where it is not taken", () => {
  const bench = prepared((asm) => {
    asm.wfi();
    asm.li(a0, 1);
  }, M_MODE);
  const { hart } = bench;
  hart.writeCsr(CSR.mie, 1n << 7n);
  assertEquals([hart.run(100), hart.waiting], [1, true]);
  assertEquals([hart.run(100), hart.waiting], [0, true]);
  hart.setInterrupt(11, 1);
  assertEquals(hart.run(100), 0);
  hart.setInterrupt(7, 1);
  assertEquals([hart.run(2), hart.waiting], [2, false]);
  assertEquals([csr(bench, CSR.mcause), hart.readRegister(a0)], [0n, 1n]);
});

Deno.test("stimecmp raises the supervisor timer interrupt while time has reached it", () => {
  const bench = prepared(() => {}, S_MODE);
  const { hart } = bench;
  let now = 99n;
  bench.now = () => now;
  hart.writeCsr(CSR.menvcfg, 1n << 63n);
  hart.writeCsr(CSR.stimecmp, 100n);
  hart.writeCsr(CSR.mideleg, 0x222n);
  assertEquals(hart.nextDeadline(), undefined);
  hart.writeCsr(CSR.mie, 0x20n);
  hart.writeCsr(CSR.mstatus, SIE);
  assertEquals(hart.nextDeadline(), 100n);
  hart.run(1);
  assertEquals([csr(bench, CSR.sip), hart.pc], [0n, RAM + 4n]);
  now = 100n;
  assertEquals(csr(bench, CSR.sip), 0x20n);
  hart.run(1);
  assertEquals(csr(bench, CSR.scause), INTERRUPT | 5n);
  hart.writeCsr(CSR.stimecmp, 200n);
  assertEquals(csr(bench, CSR.sip), 0n);
});

Deno.test("a run ends where the hart's own timer is set to an earlier time, so that the next one can end there", () => {
  const bench = prepared((asm) => {
    asm.csrrw(x.zero, CSR.stimecmp, x.a0);
    asm.csrrs(x.zero, CSR.mie, x.a1);
    asm.csrrw(x.zero, CSR.stimecmp, x.a2);
    asm.csrrw(x.zero, CSR.stimecmp, x.a3);
    asm.label("for ever");
    asm.j("for ever");
  }, M_MODE);
  const { hart } = bench;
  hart.writeCsr(CSR.menvcfg, 1n << 63n);
  [50n, 0x20n, 60n, 40n].forEach((value, i) => hart.writeRegister(x.a0 + i, value));
  // Off, on, later, earlier.
  assertEquals([hart.run(100), hart.nextDeadline()], [2, 50n]);
  assertEquals([hart.run(100), hart.nextDeadline()], [2, 40n]);
  assertEquals(hart.run(100), 100);
});

Deno.test("the software bit of SEIP is apart from its line", () => {
  const bench = prepared((asm) => {
    asm.li(t0, 0x200);
    asm.csrrc(a0, "mip", t0);
    asm.csrrs(a1, "mip", zero);
  }, M_MODE);
  bench.hart.setInterrupt(9, 1);
  bench.hart.run(3);
  bench.hart.setInterrupt(9, 0);
  assertEquals([bench.hart.readRegister(a0), bench.hart.readRegister(a1)], [0x200n, 0x200n]);
  assertEquals(csr(bench, CSR.mip), 0n);
});

Deno.test("instret and cycle count on from what is written, and stop when inhibited", () => {
  const bench = prepared((asm) => {
    asm.li(t0, 1000);
    asm.csrw("minstret", t0);
    asm.csrr(a0, "minstret");
    asm.nop();
    asm.csrr(a1, "minstret");
    asm.csrrwi(zero, "mcountinhibit", 4);
    asm.nop();
    asm.csrr(a2, "minstret");
    asm.csrr(t1, "minstret");
  }, M_MODE);
  bench.hart.run(20);
  const [first, second, third, fourth] = [a0, a1, a2, t1].map((n) => bench.hart.readRegister(n));
  assertEquals([first, second], [1000n, 1002n]);
  assertEquals(third, fourth);
});
