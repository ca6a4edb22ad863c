/** Exceptions and the way back from them (privileged specification, 3.1.6, 3.1.8, 3.3, 4.1 and 4.2). */
import { COMPLETED, M, type Mode, RAM, S, SCRATCH, Suite, type Trap, U } from "./suite.ts";
import { x } from "../../../machines/riscv/registers.ts";

const ILLEGAL = 2, BREAKPOINT = 3;
const FIXED = 0xa_0000_0000n, FS = 1n << 13n;
const SIE = 1n << 1n, SPIE = 1n << 5n, MPIE = 1n << 7n, SPP = 1n << 8n;
const MPRV = 1n << 17n, TVM = 1n << 20n, TW = 1n << 21n, TSR = 1n << 22n;
const modes: readonly (readonly [Mode, string])[] = [[M, "M"], [S, "S"], [U, "U"]];
const ECALL = { [M]: 11, [S]: 9, [U]: 8 };
const MRET = 0x3020_0073n, SRET = 0x1020_0073n, WFI = 0x1050_0073n, SFENCE = 0x1200_0073n;
const illegal = (word: bigint): Trap => ({ cause: ILLEGAL, value: word });

export const traps = () =>
  new Suite("traps", (s) => {
    const { asm } = s;
    for (const [mode, name] of modes) {
      s.attempt(`ecall in ${name}`, () => asm.ecall(), { cause: ECALL[mode], value: 0n }, { mode });
      s.expectStatus(`mstatus after an ecall in ${name}`, FIXED | FS | BigInt(mode) << 11n);
      s.attempt(`ecall in ${name} with interrupts on`, () => asm.ecall(), { cause: ECALL[mode], value: 0n }, {
        mode,
        status: MPIE | SPIE | FS,
      });
      s.expectStatus(`MPIE after an ecall in ${name}`, FIXED | FS | MPIE | SPIE | BigInt(mode) << 11n);
      s.attempt(`ebreak in ${name}`, () => asm.ebreak(), { cause: BREAKPOINT }, { mode });
      s.attempt(`c.ebreak in ${name}`, () => asm.half(0x9002, 1), { cause: BREAKPOINT }, { mode });
    }

    // Delegated exceptions.
    s.setCsr("medeleg", 0xb0ffn);
    for (const [mode, name] of modes) {
      const delegated = mode !== M;
      s.attempt(`delegated ebreak in ${name}`, () => asm.ebreak(), { cause: BREAKPOINT, delegated }, { mode });
      const code = () => asm.word(0xffff_ffff);
      s.attempt(`delegated illegal word in ${name}`, code, { ...illegal(0xffff_ffffn), delegated }, { mode });
      if (mode === M) continue;
      s.expectStatus(`sstatus in the handler, from ${name}`, 2n << 32n | FS | (mode === S ? SPP : 0n));
      s.attempt("with SIE", () => asm.word(0), { ...illegal(0n), delegated }, { mode, status: SIE | FS });
      s.expectStatus(`sstatus with SIE, from ${name}`, 2n << 32n | FS | SPIE | (mode === S ? SPP : 0n));
    }
    s.setCsr("medeleg", 0n);

    // Illegal instructions say which.
    for (const word of [0xffff_ffffn, 0x0000_7073n, 0x0000_0007n, 0x0200_5053n, 0x8000_0033n, 0x0000_2063n]) {
      s.attempt(`illegal 0x${word.toString(16)}`, () => asm.word(Number(word)), illegal(word));
    }
    for (const half of [0x0000, 0x0004, 0x8000, 0x2001, 0x6101, 0x6081, 0x4002, 0x6002, 0x8002, 0x9c41, 0x9c61]) {
      const what = `illegal compressed 0x${half.toString(16)}`;
      s.attempt(what, () => asm.half(half, 0), illegal(BigInt(half)));
    }
    s.attempt("a 48-bit encoding", () => asm.word(0x0000_001f), illegal(0x1fn));

    // Who may return, wait and fence.
    s.attempt("mret in S", () => asm.mret(), illegal(MRET), { mode: S });
    s.attempt("mret in U", () => asm.mret(), illegal(MRET), { mode: U });
    s.attempt("sret in U", () => asm.sret(), illegal(SRET), { mode: U });
    s.attempt("sret in S with TSR", () => asm.sret(), illegal(SRET), { mode: S, status: TSR });
    s.attempt("wfi in S with TW", () => asm.wfi(), illegal(WFI), { mode: S, status: TW });
    s.attempt("wfi in U with TW", () => asm.wfi(), illegal(WFI), { mode: U, status: TW });
    s.attempt("sfence.vma in U", () => asm.sfence_vma(0, 0), illegal(SFENCE), { mode: U });
    s.attempt("sfence.vma in S with TVM", () => asm.sfence_vma(0, 0), illegal(SFENCE), { mode: S, status: TVM });
    s.attempt("sfence.vma in M with TVM", () => asm.sfence_vma(0, 0), COMPLETED, { status: TVM });
    s.attempt("sfence.vma in S", () => asm.sfence_vma(x.a0, x.a1), COMPLETED, { mode: S });
    s.attempt("satp in S with TVM", () => asm.csrr(x.t0, "satp"), illegal(0x1800_22f3n), { mode: S, status: TVM });
    s.attempt("satp in M with TVM", () => asm.csrr(x.t0, "satp"), COMPLETED, { status: TVM });
    s.attempt("satp in S", () => asm.csrr(x.t0, "satp"), COMPLETED, { mode: S });
    s.attempt("dret", () => asm.word(0x7b20_0073), illegal(0x7b20_0073n));
    s.attempt("uret", () => asm.word(0x0020_0073), illegal(0x0020_0073n));
    s.attempt("hfence.vvma", () => asm.word(0x2200_0073), illegal(0x2200_0073n));
    s.attempt("sinval.vma", () => asm.word(0x1600_0073), illegal(0x1600_0073n));
    s.attempt("fence.tso, a fence of reserved fields", () => asm.word(0x8330_000f, 0x0330_8f8f), COMPLETED);
    s.attempt("fence.i of reserved fields", () => asm.word(0x0123_1f8f), COMPLETED);

    // MRET and SRET: modes and interrupt enables.
    for (const [mode, name] of modes) {
      for (const enabled of [0n, MPIE]) {
        const what = `mret to ${name} with MPIE ${enabled === 0n ? 0 : 1}`;
        s.attempt(what, () => asm.ecall(), { cause: ECALL[mode], value: 0n }, { mode, status: enabled | FS });
        s.expectStatus(`${what}: mstatus`, FIXED | FS | enabled | BigInt(mode) << 11n);
      }
    }
    for (const [from, spp, to] of [[S, 0n, U], [S, SPP, S], [M, 0n, U], [M, SPP, S]] as const) {
      const there = s.fresh("there");
      s.attempt(
        `sret from ${from} with SPP ${spp}`,
        (fault) => {
          asm.la(x.t0, there);
          asm.csrw("sepc", x.t0);
          asm.sret();
          asm.nop();
          asm.label(there);
          fault();
          asm.ecall();
        },
        { cause: ECALL[to], value: 0n },
        { mode: from, status: FS | spp | SPIE },
      );
      s.expectStatus(
        `mstatus after sret from ${from} with SPP ${spp}`,
        FIXED | FS | SPIE | SIE | BigInt(to) << 11n,
      );
    }
    // Leaving for a lower mode clears MPRV.
    s.attempt("mret to U with MPRV", () => asm.ecall(), { cause: 8, value: 0n }, { mode: U, status: FS | MPRV });
    s.expectStatus("MPRV after mret to U", FIXED | FS, {
      value: FIXED | FS | MPRV,
      because: "MRET and SRET to a mode below M clear MPRV (3.1.6.3)",
    });
    s.attempt("mret to M with MPRV", () => asm.ecall(), { cause: 11, value: 0n }, { mode: M, status: FS });

    // Accesses where nothing is.
    const NOWHERE = 0x1800_0000n;
    for (const [mode, name] of modes) {
      s.attempt(
        `load from nowhere in ${name}`,
        (fault) => {
          asm.li(x.a0, NOWHERE);
          fault();
          asm.ld(x.a1, 8, x.a0);
        },
        { cause: 5, value: NOWHERE + 8n },
        { mode },
      );
      s.attempt(
        `store to nowhere in ${name}`,
        (fault) => {
          asm.li(x.a0, NOWHERE);
          fault();
          asm.sw(x.a1, 4, x.a0);
        },
        { cause: 7, value: NOWHERE + 4n },
        { mode },
      );
      s.attempt(`fetch from nowhere in ${name}`, () => {}, { cause: 1, value: NOWHERE }, { mode, at: NOWHERE });
    }
    s.attempt(
      "a jump to nowhere",
      () => {
        asm.li(x.a0, NOWHERE);
        asm.jr(x.a0);
      },
      { cause: 1, value: NOWHERE },
      { mode: S, at: NOWHERE },
    );
    for (const wild of [0xffff_ffff_ffff_fff8n, 0x0100_0000_8000_0000n, 0x8000_0000_8000_0000n]) {
      s.attempt(`load from 0x${wild.toString(16)}`, (fault) => {
        asm.li(x.a0, wild);
        fault();
        asm.ld(x.a1, 0, x.a0);
      }, { cause: 5, value: wild });
      s.attempt(`fetch from 0x${wild.toString(16)}`, () => {}, { cause: 1, value: wild }, { at: wild });
    }

    // A load that faults leaves its register alone; x0 as its destination still faults.
    asm.li(x.a1, 5);
    s.attempt("faulting load", (fault) => {
      asm.li(x.a0, NOWHERE);
      fault();
      asm.lw(x.a1, 0, x.a0);
    }, { cause: 5, value: NOWHERE });
    s.expect("register after a faulting load", x.a1, 5n);
    s.attempt("load into x0", (fault) => {
      asm.li(x.a0, NOWHERE);
      fault();
      asm.lw(0, 0, x.a0);
    }, { cause: 5, value: NOWHERE });
    s.attempt("base overwritten by its own faulting load", (fault) => {
      asm.li(x.a0, NOWHERE);
      fault();
      asm.lw(x.a0, 0, x.a0);
    }, { cause: 5, value: NOWHERE });
    s.expect("base after its own faulting load", x.a0, NOWHERE);

    // Jumps to the middle of words are fine with C; jalr drops the lowest bit.
    s.attempt("jalr to an odd address", (fault) => {
      asm.la(x.a0, "odd");
      asm.jalr(x.ra, 1, x.a0);
      asm.word(0);
      asm.align(4);
      asm.label("odd");
      fault();
      asm.ecall();
    }, { cause: 11, value: 0n });
    s.attempt("jalr to a halfword", (fault) => {
      asm.la(x.a0, "half");
      asm.jalr(x.a0, 0, x.a0);
      asm.align(4);
      asm.half(0);
      asm.label("half");
      asm.half(1, 1);
      fault();
      asm.ecall();
      asm.half(1);
    }, { cause: 11, value: 0n });
    s.expect("jalr with rd = rs1 links", x.a0, (symbols) => (symbols.get("half") ?? 0n) - 2n);
    s.attempt("jump to itself plus link", (fault) => {
      asm.jal(x.ra, 8);
      asm.nop();
      asm.auipc(x.a1, 0);
      asm.sub(x.a1, x.a1, x.ra);
      fault();
      asm.ecall();
    }, { cause: 11, value: 0n });
    s.expect("distance from link", x.a1, 4n);

    // MPRV: loads and stores as in the mode of MPP, fetches not. What differs is PMP: entry 0 denies S.
    s.poke(SCRATCH, 0x1122_3344_5566_7788n);
    s.setCsr(0x3b0, SCRATCH >> 2n);
    s.setCsr(0x3b1, (1n << 54n) - 1n);
    s.setCsr(0x3a0, 0x1f10n);
    const mprv = (mpp: bigint, code: () => void) => (fault: () => void) => {
      asm.li(x.t0, 3n << 11n);
      asm.csrrc(0, "mstatus", x.t0);
      asm.li(x.t0, MPRV | mpp << 11n);
      asm.csrrs(0, "mstatus", x.t0);
      asm.li(x.a0, SCRATCH);
      fault();
      code();
      asm.li(x.t0, MPRV);
      asm.csrrc(0, "mstatus", x.t0);
    };
    s.attempt("MPRV with MPP S: load", mprv(1n, () => asm.lw(x.a1, 0, x.a0)), { cause: 5, value: SCRATCH });
    s.attempt("MPRV with MPP U: store", mprv(0n, () => asm.sw(x.a1, 0, x.a0)), { cause: 7, value: SCRATCH });
    s.attempt("MPRV with MPP U: amo", mprv(0n, () => asm.amoadd_w(x.a1, x.a1, x.a0)), {
      cause: 7,
      value: SCRATCH,
      peer: {
        cause: { value: undefined, because: "an AMO's faults are store faults (3.1.15)" },
      },
    });
    s.attempt("MPRV with MPP S: elsewhere", mprv(1n, () => asm.lw(x.a1, 4, x.a0)), COMPLETED);
    s.expect("MPRV with MPP S: loaded", x.a1, 0x1122_3344n);
    s.attempt("MPRV with MPP M", mprv(3n, () => asm.lw(x.a1, 0, x.a0)), COMPLETED);
    s.expect("MPRV with MPP M: loaded", x.a1, 0x5566_7788n);
    s.setCsr(0x3a0, 0n);
    s.setCsr(0x3b1, 0n);
    s.openMemory();

    // RAM ends: the last doubleword, and one byte more.
    const END = RAM + BigInt(16 << 20);
    s.attempt("the last doubleword of RAM", () => {
      asm.li(x.a0, END - 8n);
      asm.sd(x.a0, 0, x.a0);
      asm.ld(x.a1, 0, x.a0);
    }, COMPLETED);
    s.expect("the last doubleword", x.a1, END - 8n);
    s.attempt("behind RAM", (fault) => {
      asm.li(x.a0, END);
      fault();
      asm.lbu(x.a1, 0, x.a0);
    }, { cause: 5, value: END });
    s.attempt("another byte of nowhere", (fault) => {
      asm.li(x.a0, NOWHERE - 1n);
      fault();
      asm.lbu(x.a1, 0, x.a0);
    }, { cause: 5, value: NOWHERE - 1n });
    s.attempt("a load that leaves RAM", (fault) => {
      asm.li(x.a0, END - 4n);
      fault();
      asm.ld(x.a1, 0, x.a0);
    }, { cause: 5, value: END });
    s.attempt("a fetch behind RAM", () => {}, { cause: 1, value: END }, { at: END });
  });
