/** Machine mode's registers: which exist, who may use them, and what they keep (privileged specification, 2 and 3). */
import { COMPLETED, S, Suite, U } from "./suite.ts";
import { x } from "../../../machines/riscv/registers.ts";

const ALL = (1n << 64n) - 1n;
const ILLEGAL = 2;
const FIXED = 0xa_0000_0000n;
const HYPERVISOR = "without the extension there are no VS interrupts; the peer keeps their bits with h=false, too";
const csrrs = (csr: number, rd = x.t0, rs1 = 0) => BigInt(csr * 2 ** 20 + (rs1 << 15) + (2 << 12) + (rd << 7) + 0x73);

export const machineCsrs = () =>
  new Suite("machine CSRs", (s) => {
    const { asm } = s;

    s.expectCsr("mvendorid", 0n);
    s.expectCsr("mhartid", 0n);
    s.expectCsr("mconfigptr", 0n);
    s.expectCsr("misa", 0x8000_0000_0014_112dn);
    s.writes("misa", 0n, 0x8000_0000_0014_112dn, "is fixed");
    s.writes("misa", ALL, 0x8000_0000_0014_112dn, "is fixed");

    // Plain registers keep every bit.
    for (const name of ["mscratch", "mcause", "mtval", "sscratch", "scause", "stval"] as const) {
      s.writes(name, ALL, ALL, "all ones");
      s.writes(name, 0x0123_4567_89ab_cdefn, 0x0123_4567_89ab_cdefn, "a pattern");
      s.writes(name, 0n, 0n, "zero");
    }
    for (const name of ["mepc", "sepc"] as const) {
      s.writes(name, ALL, ALL - 1n, "is even", { value: ALL, because: "bit 0 of an epc is always zero (3.1.14)" });
      s.writes(name, 0x8000_0002n, 0x8000_0002n, "may be odd in halfwords");
    }

    // Set and clear.
    s.setCsr("mscratch", 0xf0f0n);
    asm.li(x.t0, 0xff00);
    asm.csrrs(x.t1, "mscratch", x.t0);
    s.expect("csrrs gives the old value", x.t1, 0xf0f0n);
    asm.csrrc(x.t1, "mscratch", x.t0);
    s.expect("csrrs set bits", x.t1, 0xfff0n);
    asm.csrrwi(x.t1, "mscratch", 31);
    s.expect("csrrc cleared bits", x.t1, 0xf0n);
    asm.csrrsi(x.t1, "mscratch", 0);
    s.expect("csrrwi wrote its immediate", x.t1, 31n);
    asm.csrrci(x.t1, "mscratch", 5);
    asm.csrrsi(x.t1, "mscratch", 4);
    s.expect("csrrci cleared bits", x.t1, 26n);
    asm.csrrw(x.t0, "mscratch", x.t0);
    s.expect("rd and rs1 may be the same", x.t0, 30n);
    s.expectCsr("mscratch", 0xff00n, "csrrw with rd = rs1 wrote the old rs1");
    asm.csrrw(0, "mscratch", 0);
    s.expectCsr("mscratch", 0n, "csrrw of x0 writes zero");

    // mstatus.
    const FS = 3n << 13n, SD = 1n << 63n;
    s.writes("mstatus", 0n, FIXED, "cleared");
    s.writes("mstatus", FIXED | 0x7e_79aan, FIXED | 0x7e_79aan | SD, "all that exists");
    s.setCsr("mstatus", FIXED);
    for (const [bit, what] of [[1, "SIE"], [3, "MIE"], [5, "SPIE"], [7, "MPIE"], [8, "SPP"], [17, "MPRV"]] as const) {
      s.writes("mstatus", FIXED | 1n << BigInt(bit), FIXED | 1n << BigInt(bit), what);
    }
    for (const bit of [18, 19, 20, 21, 22]) {
      s.writes("mstatus", FIXED | 1n << BigInt(bit), FIXED | 1n << BigInt(bit), `bit ${bit}`);
    }
    for (const bit of [0, 2, 4, 6, 15, 16, 23, 24, 31, 36, 37, 40, 63]) {
      s.writes("mstatus", FIXED | 1n << BigInt(bit), FIXED, `bit ${bit} does not exist`);
    }
    s.writes("mstatus", FIXED | 3n << 11n, FIXED | 3n << 11n, "MPP M");
    s.writes("mstatus", FIXED | 1n << 11n, FIXED | 1n << 11n, "MPP S");
    s.writes("mstatus", FIXED | 2n << 11n, FIXED | 1n << 11n, "MPP 2 does not exist", {
      value: FIXED | 2n << 11n,
      because: "MPP is WARL and holds implemented modes only (3.1.6.1)",
    });
    s.writes("mstatus", FIXED | FS, FIXED | FS | SD, "FS dirty");
    s.writes("mstatus", FIXED | 1n << 13n, FIXED | 1n << 13n, "FS initial");
    s.writes("mstatus", FIXED | 2n << 13n, FIXED | 2n << 13n, "FS clean");
    s.setCsr("mstatus", FIXED | 0x7e_79aan);
    s.expectCsr("sstatus", 2n << 32n | 0xc_6122n | SD, "sstatus shows its part");
    s.setCsr("mstatus", FIXED);
    s.writes("sstatus", FIXED | 0x7e_79aan, 2n << 32n | 0xc_6122n | SD, "writes its part");
    s.expectCsr("mstatus", FIXED | 0xc_6122n | SD, "mstatus through sstatus");
    s.setCsr("mstatus", FIXED);

    // Trap vectors.
    asm.csrr(x.s0, "mtvec");
    asm.csrr(x.s1, "stvec");
    for (const name of ["mtvec", "stvec"] as const) {
      s.writes(name, 0x8000_0100n, 0x8000_0100n, "direct");
      s.writes(name, 0x8000_0101n, 0x8000_0101n, "vectored");
      s.writes(name, 0x8000_0202n, 0x8000_0101n, "a reserved mode is not taken");
      s.writes(name, 0x8000_0203n, 0x8000_0101n, "a reserved mode is not taken");
      s.writes(name, 0xffff_ffff_ffff_fffcn, 0xffff_ffff_ffff_fffcn, "every base");
    }
    asm.csrw("mtvec", x.s0);
    asm.csrw("stvec", x.s1);

    // Delegation and interrupt enables.
    s.writes("medeleg", ALL, 0xb3ffn, "what can occur below machine mode", {
      value: undefined,
      because: "medeleg[11] is read-only zero, as are bits of exceptions that cannot occur (3.1.8)",
    });
    s.writes("medeleg", 0n, 0n, "cleared");
    s.writes("mideleg", ALL, 0x222n, "supervisor interrupts", { value: 0x2666n, because: HYPERVISOR });
    s.setCsr("mideleg", 0x222n);
    s.writes("mie", ALL, 0xaaan, "six interrupts", { value: 0x2eeen, because: HYPERVISOR });
    s.setCsr("mie", 0xaaan);
    s.expectCsr("sie", 0x222n, "sie shows what is delegated");
    s.writes("sie", 0n, 0n, "cleared");
    s.expectCsr("mie", 0x888n, "sie leaves machine interrupts");
    s.writes("sie", 0x222n, 0x222n, "set");
    s.setCsr("mideleg", 2n);
    s.expectCsr("sie", 2n, "sie hides what is not delegated");
    s.setCsr("sie", 0n);
    s.expectCsr("mie", 0xaa8n, "sie writes delegated bits only");
    s.setCsr("mie", 0n);
    s.setCsr("mideleg", 0n);
    s.writes("mip", 0xaaan, 0x222n, "software sets supervisor bits");
    s.expectCsr("sip", 0n, "sip hides what is not delegated");
    s.setCsr("mideleg", 0x222n);
    s.expectCsr("sip", 0x222n, "sip shows what is delegated");
    s.writes("sip", 0n, 0x220n, "only SSIP is written through sip");
    s.writes("mip", 0n, 0n, "cleared");
    s.writes("sip", ALL, 2n, "only SSIP is written through sip");
    s.setCsr("mideleg", 0n);
    s.setCsr("sip", 0n);
    s.expectCsr("mip", 2n, "sip does not write what is not delegated");
    s.setCsr("mip", 0n);

    // Counters.
    for (const name of ["mcounteren", "scounteren"] as const) {
      s.writes(name, ALL, 0xffff_ffffn, "32 bits", { value: ALL, because: "the register has 32 bits (3.1.11, 4.1.5)" });
    }
    s.writes("mcounteren", 0n, 0n, "cleared");
    s.writes("scounteren", 0n, 0n, "cleared");
    s.setCsr("mcountinhibit", 5n);
    s.writes("mcycle", 0x1234_5678_9abc_def0n, 0x1234_5678_9abc_def0n, "stands still when inhibited");
    s.writes("minstret", 77n, 77n, "stands still when inhibited");
    s.expectCsr("cycle", 0x1234_5678_9abc_def0n, "cycle shows mcycle");
    s.expectCsr("instret", 77n, "instret shows minstret");
    s.expectCsr("mcountinhibit", 5n);
    s.setCsr("mcountinhibit", 0n);
    const inexact = { value: undefined, because: "the peer's counters follow its host's clock" };
    asm.csrw("minstret", 0);
    s.expectCsr("minstret", 0n, "the next instruction reads what was written", inexact);
    asm.csrw("minstret", 0);
    asm.nop();
    asm.nop();
    asm.nop();
    s.expectCsr("minstret", 3n, "counts instructions", inexact);
    for (const index of [3, 4, 15, 18]) {
      s.writes(0xb00 + index, 0n, 0n, "an idle counter");
      s.expectCsr(0xc00 + index, 0n, `hpmcounter${index}`);
    }
    for (const index of [3, 18, 31]) s.writes(0x320 + index, 0n, 0n, "an event selector");

    // Environment.
    s.writes("menvcfg", 0n, 0n, "cleared");
    s.writes("menvcfg", 1n << 63n, 1n << 63n, "STCE");
    s.writes("menvcfg", 0n, 0n, "cleared");
    s.writes("senvcfg", 0n, 0n, "cleared");

    // satp.
    for (const [mode, what] of [[8n, "Sv39"], [9n, "Sv48"], [10n, "Sv57"]] as const) {
      const value = mode << 60n | 0xabcdn << 44n | 0xfff_ffff_ffffn;
      s.writes("satp", value, value, what);
    }
    s.writes("satp", 0n, 0n, "bare");
    for (const mode of [1n, 2n, 7n, 11n, 12n, 15n]) {
      s.writes("satp", mode << 60n | 0x1234n, 0n, `mode ${mode} has no effect`);
    }

    // Registers that do not exist, and writes of those that are read-only.
    for (
      const csr of [0x000, 0x004, 0x005, 0x102, 0x103, 0x200, 0x7b0, 0x7b1, 0x5c0, 0x800, 0x9c0, 0xbc0, 0xcc0, 0xfc0]
    ) {
      const outcome = { cause: ILLEGAL, value: csrrs(csr) };
      s.attempt(`CSR 0x${csr.toString(16)} does not exist`, () => asm.csrr(x.t0, csr), outcome);
    }
    for (const csr of [0x600, 0x643, 0xa00, 0xe12, 0x280, 0x3a1, 0x3a3, 0x3b0 + 16, 0xb80, 0xc80, 0x310, 0xb01]) {
      const outcome = { cause: ILLEGAL, value: csrrs(csr) };
      s.attempt(`CSR 0x${csr.toString(16)} does not exist here`, () => asm.csrr(x.t0, csr), outcome);
    }
    for (const csr of [0xf11, 0xf12, 0xf13, 0xf14, 0xf15, 0xc00, 0xc01, 0xc02, 0xc03]) {
      const name = `read-only CSR 0x${csr.toString(16)}`;
      s.attempt(`${name}: csrrs of x0`, () => asm.csrrs(x.t0, csr, 0), COMPLETED);
      s.attempt(`${name}: csrrci of 0`, () => asm.csrrci(x.t0, csr, 0), COMPLETED);
      s.attempt(`${name}: csrrs of a register that is zero`, () => asm.csrrs(x.t0, csr, x.t1), {
        cause: ILLEGAL,
        value: csrrs(csr, x.t0, x.t1),
      });
      s.attempt(`${name}: csrrw`, () => asm.csrrw(x.t0, csr, 0), {
        cause: ILLEGAL,
        value: csrrs(csr, x.t0) - 0x1000n,
      });
      s.attempt(`${name}: csrrsi`, () => asm.csrrsi(0, csr, 1), {
        cause: ILLEGAL,
        value: csrrs(csr, 0, 1) + 0x4000n,
      });
    }
    // An illegal access leaves rd alone.
    asm.li(x.t0, 42);
    s.attempt("rd survives", () => asm.csrr(x.t0, 0x5c0), { cause: ILLEGAL, value: csrrs(0x5c0) });
    s.expect("rd after an illegal read", x.t0, 42n);

    for (const csr of [0x300, 0x301, 0x305, 0x341, 0x344, 0x3a0, 0x3b0, 0xb00, 0xb02, 0xf14, 0x7a0] as const) {
      const outcome = { cause: ILLEGAL, value: csrrs(csr) };
      s.attempt(`S-mode: CSR 0x${csr.toString(16)}`, () => asm.csrr(x.t0, csr), outcome, { mode: S });
      s.attempt(`U-mode: CSR 0x${csr.toString(16)}`, () => asm.csrr(x.t0, csr), outcome, { mode: U });
    }
    for (const csr of [0x100, 0x104, 0x105, 0x106, 0x10a, 0x140, 0x141, 0x142, 0x143, 0x144, 0x180] as const) {
      const outcome = { cause: ILLEGAL, value: csrrs(csr) };
      s.attempt(`S-mode: CSR 0x${csr.toString(16)}`, () => asm.csrr(x.t0, csr), COMPLETED, { mode: S });
      s.attempt(`U-mode: CSR 0x${csr.toString(16)}`, () => asm.csrr(x.t0, csr), outcome, { mode: U });
    }

    // mcounteren guards the counters from S and U, scounteren from U.
    for (const bit of [0, 1, 2, 3]) {
      for (const [machine, supervisor] of [[0n, 0n], [0n, 15n], [15n, 0n], [15n, 15n]] as const) {
        s.setCsr("mcounteren", machine & 1n << BigInt(bit));
        s.setCsr("scounteren", supervisor);
        const name = `counter ${bit} with mcounteren ${machine} and scounteren ${supervisor}`;
        const csr = 0xc00 + bit;
        const read = () => asm.csrr(x.t0, csr);
        const no = { cause: ILLEGAL, value: csrrs(csr) };
        s.attempt(`${name} in M`, read, COMPLETED);
        s.attempt(`${name} in S`, read, machine ? COMPLETED : no, { mode: S });
        s.attempt(`${name} in U`, read, machine && supervisor ? COMPLETED : no, { mode: U });
      }
    }
    s.setCsr("mcounteren", 0n);

    // stimecmp: there with mcounteren.TM and menvcfg.STCE.
    for (const [enabled, visible] of [[0n, 0n], [1n, 0n], [0n, 1n], [1n, 1n]] as const) {
      s.setCsr("menvcfg", enabled << 63n);
      s.setCsr("mcounteren", visible << 1n);
      const name = `stimecmp with STCE ${enabled} and TM ${visible}`;
      const read = () => asm.csrr(x.t0, "stimecmp");
      const no = { cause: ILLEGAL, value: csrrs(0x14d) };
      s.attempt(`${name} in S`, read, enabled && visible ? COMPLETED : no, { mode: S });
      s.attempt(`${name} in U`, read, no, { mode: U });
    }
    s.setCsr("menvcfg", 0n);
    s.setCsr("mcounteren", 0n);

    // FS Off: no float state.
    for (const csr of [1, 2, 3]) {
      s.attempt(`float CSR ${csr} with FS off`, () => asm.csrr(x.t0, csr), { cause: ILLEGAL, value: csrrs(csr) }, {
        status: 0n,
      });
      s.attempt(`float CSR ${csr} in U`, () => asm.csrr(x.t0, csr), COMPLETED, { mode: U });
      s.expectStatus(`FS after a read of float CSR ${csr}`, FIXED | 1n << 13n);
      s.attempt(`float CSR ${csr} written in U`, () => asm.csrrwi(0, csr, 0), COMPLETED, { mode: U });
    }
  });
