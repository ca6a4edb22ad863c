/** Interrupts: pending, enabled, delegated, in order, vectored; wfi and stimecmp (privileged specification, 3.1.9, 3.3.3, 4.1.3; Sstc). */
import { COMPLETED, M, type Mode, S, Suite, type Trap, U } from "./suite.ts";
import { x } from "../../../machines/riscv/registers.ts";

const FIXED = 0xa_0000_0000n, FS = 1n << 13n;
const SIE = 1n << 1n, SPIE = 1n << 5n, MPIE = 1n << 7n, TW = 1n << 21n;
const NAMES: Readonly<Record<number, string>> = { 1: "SSI", 3: "MSI", 5: "STI", 7: "MTI", 9: "SEI", 11: "MEI" };
const MSIP = 0x200_0000n, MTIMECMP = 0x200_4000n;
const NEVER = (1n << 64n) - 1n;
/** A code of mcause with the interrupt bit; `Trap` holds numbers, which the bit does not fit. */
const interrupt = (code: number) => 1n << 63n | BigInt(code);

export const interrupts = () =>
  new Suite("interrupts", (s) => {
    const { asm } = s;
    const software = (line: number) => 1n << BigInt(line);

    /** Raises lines: supervisor's in mip, machine's at the CLINT. Others fall. */
    const raise = (...lines: number[]) => {
      s.setCsr(
        "mip",
        lines.filter((line) => [1, 5, 9].includes(line)).reduce((bits, line) => bits | software(line), 0n),
      );
      s.poke(MTIMECMP, lines.includes(7) ? 0n : NEVER);
      asm.li(x.t5, MSIP);
      asm.li(x.t6, lines.includes(3) ? 1 : 0);
      asm.sw(x.t6, 0, x.t5);
      // The lines of the CLINT take effect in their own time (3.1.9): wait for them.
      const wait = s.fresh("wait");
      asm.label(wait);
      asm.csrr(x.t6, "mip");
      asm.andi(x.t6, x.t6, 0x88);
      asm.li(x.t5, (lines.includes(7) ? 0x80 : 0) | (lines.includes(3) ? 8 : 0));
      asm.bne(x.t5, x.t6, wait);
    };
    /** With lines raised: which interrupt is taken in the mode, before its first instruction, if any. */
    const taken = (
      what: string,
      mode: Mode,
      status: bigint,
      code: number | undefined,
      delegated = false,
      lowest = code,
    ) => {
      const peer = lowest === code || lowest === undefined ? {} : {
        cause: {
          value: interrupt(lowest),
          because: "the order is MEI, MSI, MTI, SEI, SSI, STI (3.1.9); the peer's is by number",
        },
      };
      const outcome: Trap | typeof COMPLETED = code === undefined
        ? COMPLETED
        : { cause: interrupt(code), value: 0n, delegated, peer };
      s.attempt(what, () => asm.nop(), outcome, { mode, status: status | FS });
    };

    // Enabled by mode and by bit; nothing is delegated.
    for (const line of [1, 3, 5, 7, 9]) {
      const name = NAMES[line];
      raise(line);
      s.expectCsr("mip", software(line), `mip with ${name}`);
      s.setCsr("mie", 0n);
      taken(`${name} not enabled`, U, MPIE, undefined);
      s.setCsr("mie", ~software(line) & 0xaaan);
      taken(`others than ${name} enabled`, U, MPIE, undefined);
      s.setCsr("mie", software(line));
      taken(`${name} in M with MIE off`, M, 0n, undefined);
      taken(`${name} in M with MIE on`, M, MPIE, line);
      s.expectStatus(`mstatus after ${name} in M`, FIXED | FS | MPIE | 3n << 11n);
      taken(`${name} in S with MIE off`, S, 0n, line);
      taken(`${name} in S with MIE on`, S, MPIE, line);
      s.expectStatus(`mstatus after ${name} in S`, FIXED | FS | MPIE | 1n << 11n);
      taken(`${name} in U`, U, 0n, line);
    }

    // Delegated: taken in S by SIE, in U always, in M never.
    s.setCsr("mideleg", 0x222n);
    for (const line of [1, 5, 9]) {
      const name = `delegated ${NAMES[line]}`;
      raise(line);
      s.setCsr("mie", software(line));
      taken(`${name} in M`, M, MPIE | SIE, undefined);
      taken(`${name} in S with SIE off`, S, MPIE, undefined);
      taken(`${name} in S with SIE on`, S, SIE, line, true);
      s.expectStatus(`sstatus after ${name} in S`, 2n << 32n | FS | SPIE | 1n << 8n);
      taken(`${name} in U with SIE off`, U, 0n, line, true);
      taken(`${name} in U with SIE on`, U, SIE, line, true);
      s.expectStatus(`sstatus after ${name} in U`, 2n << 32n | FS | SPIE);
    }

    // Order: MEI, MSI, MTI, SEI, SSI, STI; what machine mode handles comes before what is delegated.
    s.setCsr("mie", 0xaaan);
    s.setCsr("mideleg", 0n);
    const order = [3, 7, 9, 1, 5];
    for (let i = 0; i < order.length; i++) {
      const lines = order.slice(i);
      raise(...lines);
      taken(`first of ${lines.map((line) => NAMES[line])}`, U, 0n, order[i], false, Math.min(...lines));
    }
    s.setCsr("mideleg", 0x222n);
    raise(9, 1, 5);
    taken("first of delegated SEI, SSI, STI", U, 0n, 9, true, 1);
    raise(1, 5);
    taken("first of delegated SSI, STI", U, 0n, 1, true);
    raise(7, 9);
    taken("MTI before delegated SEI", U, 0n, 7);
    taken("MTI before delegated SEI in S with SIE", S, SIE, 7);
    raise(1, 9);
    s.setCsr("mideleg", 0x200n);
    taken("SSI not delegated before delegated SEI", U, 0n, 1);
    s.setCsr("mideleg", 0x2n);
    taken("SEI not delegated before delegated SSI", U, 0n, 9);
    s.setCsr("mideleg", 0n);

    // Taken right after what enables it.
    raise(1);
    s.setCsr("mie", 2n);
    const mie = () => asm.csrrsi(0, "mstatus", 8);
    const at = (what: string, code: (fault: () => void) => void, mode: Mode = M) =>
      s.attempt(what, code, { cause: interrupt(1), value: 0n }, { mode, status: FS });
    at("csrrs of MIE", (fault) => {
      mie();
      fault();
      asm.li(x.a0, 1);
    });
    s.setCsr("mie", 0n);
    at("csrrs of mie", (fault) => {
      mie();
      asm.csrrsi(0, "mie", 2);
      fault();
      asm.li(x.a0, 1);
    });
    s.setCsr("mip", 0n);
    at("csrrs of mip", (fault) => {
      mie();
      asm.csrrsi(0, "mip", 2);
      fault();
      asm.li(x.a0, 1);
    });
    s.setCsr("mip", 0n);
    s.setCsr("mie", 8n);
    s.attempt(
      "a software interrupt to itself",
      (fault) => {
        asm.li(x.t0, MSIP);
        asm.li(x.t1, 1);
        asm.sw(x.t1, 0, x.t0);
        asm.lw(x.t1, 0, x.t0);
        mie();
        asm.label("spin");
        fault();
        asm.j("spin");
      },
      { cause: interrupt(3), value: 0n },
      { status: FS },
    );
    raise();

    // Vectored: interrupts go to base + 4 × code, exceptions to the base.
    asm.csrr(x.s0, "mtvec");
    asm.csrr(x.s1, "stvec");
    asm.j("after vectors");
    asm.align(256);
    asm.label("vectors");
    for (let i = 0; i < 16; i++) asm.jal(x.s4, "vectored");
    asm.label("vectored");
    asm.la(x.s3, "vectors");
    asm.sub(x.s4, x.s4, x.s3);
    asm.csrr(x.s9, "mcause");
    asm.csrr(x.s7, "mepc");
    asm.csrr(x.s6, "mtval");
    asm.jr(x.s10);
    asm.label("after vectors");
    asm.la(x.t6, "vectors");
    asm.addi(x.t6, x.t6, 1);
    asm.csrw("mtvec", x.t6);
    s.setCsr("mie", 0xaaan);
    for (const line of [1, 3, 5, 7, 9]) {
      raise(line);
      taken(`vectored ${NAMES[line]}`, U, 0n, line);
      s.expect(`vector of ${NAMES[line]}`, x.s4, BigInt(4 * line + 4));
    }
    raise();
    s.attempt("an exception with vectors", () => asm.ebreak(), { cause: 3 });
    s.expect("vector of exceptions", x.s4, 4n);
    asm.csrw("mtvec", x.s0);

    // wfi goes on when an enabled interrupt is pending, whatever else masks it.
    s.setCsr("mie", 2n);
    raise(1);
    s.attempt("wfi with a pending interrupt, MIE off", () => asm.wfi(), COMPLETED);
    s.setCsr("mideleg", 2n);
    s.attempt("wfi in S, delegated and SIE off", () => asm.wfi(), COMPLETED, { mode: S });
    s.attempt("wfi in M, delegated", () => asm.wfi(), COMPLETED, { status: MPIE });
    s.setCsr("mideleg", 0n);
    s.setCsr("mie", 0x80n);
    raise();
    s.attempt("wfi until the timer, MIE off", () => {
      asm.li(x.t0, 0x200_bff8);
      asm.ld(x.t1, 0, x.t0);
      asm.addi(x.t1, x.t1, 1000);
      asm.li(x.t0, MTIMECMP);
      asm.sd(x.t1, 0, x.t0);
      asm.label("again");
      asm.wfi();
      asm.csrr(x.t0, "mip");
      asm.andi(x.t0, x.t0, 0x80);
      asm.beqz(x.t0, "again");
    }, COMPLETED);
    raise();
    raise();
    s.setCsr("mie", 0n);
    s.attempt("wfi in U", () => asm.wfi(), { cause: 2, value: 0x1050_0073n }, { mode: U });
    s.attempt(
      "wfi in M with TW",
      (fault) => {
        asm.csrrsi(0, "mip", 2);
        asm.csrrsi(0, "mie", 2);
        asm.wfi();
        fault();
      },
      COMPLETED,
      { status: TW },
    );
    s.setCsr("mip", 0n);
    s.setCsr("mie", 0n);

    // Sstc.
    s.setCsr("menvcfg", 1n << 63n);
    s.setCsr("mcounteren", 2n);
    s.setCsr("stimecmp", NEVER);
    s.expectCsr("mip", 0n, "STIP with stimecmp never");
    s.setCsr("stimecmp", 0n);
    s.expectCsr("mip", 0x20n, "STIP with stimecmp 0");
    s.writes("mip", 0n, 0x20n, "STIP is not written with stimecmp");
    s.setCsr("stimecmp", NEVER);
    s.writes("mip", 0x20n, 0n, "STIP is not written with stimecmp");
    s.setCsr("mideleg", 0x20n);
    s.setCsr("mie", 0x20n);
    s.setCsr("stimecmp", 0n);
    taken("stimecmp in S", S, SIE, 5, true);
    taken("stimecmp in U", U, 0n, 5, true);
    s.setCsr("stimecmp", NEVER);
    // With SIE off until it is pending, so that it is known before which instruction it is taken.
    s.attempt(
      "stimecmp after wfi in S",
      (fault) => {
        asm.csrr(x.t0, "time");
        asm.addi(x.t0, x.t0, 1000);
        asm.csrw("stimecmp", x.t0);
        asm.label("not yet");
        asm.wfi();
        asm.csrr(x.t0, "sip");
        asm.beqz(x.t0, "not yet");
        asm.csrrsi(0, "sstatus", 2);
        fault();
        asm.nop();
      },
      { cause: interrupt(5), value: 0n, delegated: true },
      { mode: S },
    );
    s.setCsr("stimecmp", NEVER);
    s.setCsr("menvcfg", 0n);
    s.setCsr("mideleg", 0n);
    s.setCsr("mie", 0n);

    // The PLIC raises MEI and SEI for the UART's transmitter.
    const PLIC = 0xc00_0000n, UART_IRQ = 10n;
    const word = (address: bigint, value: bigint) => {
      asm.li(x.t5, address);
      asm.li(x.t6, value);
      asm.sw(x.t6, 0, x.t5);
    };
    word(PLIC + 4n * UART_IRQ, 1n);
    word(PLIC + 0x2000n, 1n << UART_IRQ);
    word(PLIC + 0x20_0000n, 0n);
    asm.li(x.t5, 0x1000_0000n);
    asm.li(x.t6, 2);
    asm.sb(x.t6, 1, x.t5);
    s.setCsr("mie", 0x800n);
    s.attempt("MEI by the UART", (fault) => {
      mie();
      asm.label("await");
      fault();
      asm.j("await");
    }, { cause: interrupt(11), value: 0n });
    asm.li(x.t5, PLIC + 0x20_0004n);
    asm.lw(x.t6, 0, x.t5);
    s.expect("claimed", x.t6, UART_IRQ);
    s.expectCsr("mip", 0n, "mip after the claim");
    asm.li(x.t6, UART_IRQ);
    asm.li(x.t5, 0x1000_0000n);
    asm.sb(0, 1, x.t5);
    asm.li(x.t5, PLIC + 0x20_0004n);
    asm.sw(x.t6, 0, x.t5);
    s.expectCsr("mip", 0n, "mip after completion");
    word(PLIC + 0x2000n, 0n);
    word(PLIC + 0x2080n, 1n << UART_IRQ);
    word(PLIC + 0x20_1000n, 0n);
    asm.li(x.t5, 0x1000_0000n);
    asm.li(x.t6, 2);
    asm.sb(x.t6, 1, x.t5);
    s.setCsr("mideleg", 0x200n);
    s.setCsr("mie", 0x200n);
    s.attempt(
      "SEI by the UART, in U",
      (fault) => {
        asm.label("await supervisor");
        fault();
        asm.j("await supervisor");
      },
      { cause: interrupt(9), value: 0n, delegated: true },
      { mode: U },
    );
    s.expectCsr("mip", 0x200n, "SEIP follows the line");
    s.setCsr("mip", 0n);
    s.expectCsr("mip", 0x200n, "a write does not lower the line");
    asm.csrrci(x.a0, "mip", 2);
    asm.csrrsi(x.a0, "mip", 2);
    asm.li(x.t5, 0x1000_0000n);
    asm.sb(0, 1, x.t5);
    asm.li(x.t5, PLIC + 0x20_1004n);
    asm.lw(x.t6, 0, x.t5);
    s.expect("claimed by S", x.t6, UART_IRQ);
    asm.sw(x.t6, 0, x.t5);
    s.expectCsr("mip", 2n, "csrrs of another bit leaves SEIP's own bit 0 (3.1.9)");
    s.setCsr("mie", 0n);
    s.setCsr("mideleg", 0n);
    s.setCsr("mip", 0n);
  });
