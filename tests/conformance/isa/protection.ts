/** Physical memory protection (privileged specification, 3.7). */
import { COMPLETED, M, type Mode, S, SCRATCH, Suite, U } from "./suite.ts";
import { x } from "../../../machines/riscv/registers.ts";

const ALL = (1n << 64n) - 1n;
const ADDRESS = 0x3b0, CONFIG = 0x3a0;
const R = 1n, W = 2n, X = 4n, TOR = 8n, NA4 = 16n, NAPOT = 24n, L = 128n;
const EVERYTHING = (1n << 54n) - 1n;
const MPRV = 1n << 17n;

export const protection = () =>
  new Suite("physical memory protection", (s) => {
    const { asm } = s;
    const CODE = SCRATCH + 0x1000n;

    /** Entries from the first; what follows them lets everybody do everything. */
    const entries = (...list: (readonly [address: bigint, config: bigint])[]) => {
      s.setCsr(CONFIG, 0n);
      for (const [i, [address]] of [...list, [EVERYTHING, 0n] as const].entries()) s.setCsr(ADDRESS + i, address);
      const configs = [...list.map(([, config]) => config), R | W | X | NAPOT];
      s.setCsr(CONFIG, configs.reduce((bits, config, i) => bits | config << BigInt(8 * i), 0n));
    };
    const load = (what: string, bytes: 1 | 2 | 4 | 8, address: bigint, ok: boolean, mode: Mode = S, part = address) =>
      s.attempt(
        `load of ${bytes}: ${what}`,
        (fault) => {
          asm.li(x.a0, address);
          fault();
          const loads = { 1: asm.lb, 2: asm.lh, 4: asm.lw, 8: asm.ld };
          loads[bytes](x.a1, 0, x.a0);
        },
        ok ? COMPLETED : { cause: 5, value: part },
        { mode },
      );
    const store = (what: string, bytes: 1 | 2 | 4 | 8, address: bigint, ok: boolean, mode: Mode = S, part = address) =>
      s.attempt(
        `store of ${bytes}: ${what}`,
        (fault) => {
          asm.li(x.a0, address);
          fault();
          const stores = { 1: asm.sb, 2: asm.sh, 4: asm.sw, 8: asm.sd };
          stores[bytes](x.a1, 0, x.a0);
        },
        ok ? COMPLETED : { cause: 7, value: part },
        { mode },
      );
    /** Runs an ecall at the address. */
    const fetch = (what: string, address: bigint, ok: boolean, mode: Mode = S, part = address) =>
      s.attempt(`fetch: ${what}`, () => {}, ok ? { cause: mode + 8, value: 0n } : { cause: 1, value: part }, {
        mode,
        at: address,
      });

    // Registers.
    s.setCsr(CONFIG, 0n);
    for (const i of [0, 1, 7, 8, 15]) {
      s.writes(ADDRESS + i, ALL, EVERYTHING, "54 bits", {
        value: ALL,
        because: "bits 63 to 54 are zero (figure 3.30)",
      });
      s.writes(ADDRESS + i, 0n, 0n, "cleared");
    }
    s.writes(CONFIG, 0x1f1f_0f0f_1717_0700n, 0x1f1f_0f0f_1717_0700n, "every mode");
    s.writes(CONFIG, 0x6060_6060_6060_6060n, 0n, "bits 5 and 6 are zero", {
      value: 0x6060_6060_6060_6060n,
      because: "bits 5 and 6 of a configuration are zero (figure 3.32)",
    });
    s.writes(CONFIG + 2, 0x1f00_0000_0000_0001n, 0x1f00_0000_0000_0001n, "the second eight");
    s.writes(CONFIG + 2, 0n, 0n, "cleared");
    s.setCsr(CONFIG, 0n);

    // Without a match S and U fail, M does not.
    for (const [mode, ok] of [[M, true], [S, false], [U, false]] as const) {
      s.setCsr(CONFIG, 0n);
      const because = "the peer's MRET to a lower mode is illegal while all entries are off, which no rule asks for";
      const peer = {
        cause: { value: 2n, because },
        epc: { value: undefined, because },
        value: { value: undefined, because },
      };
      s.attempt(`no entry matches, in ${mode}`, () => {}, ok ? COMPLETED : { cause: 1, value: SCRATCH, peer }, {
        mode,
        ...(ok ? {} : { at: SCRATCH }),
      });
    }

    // Permissions, with every addressing mode, in and around its range.
    s.poke(CODE, 0x0000_0073_0000_0073n);
    s.poke(CODE + 8n, 0x0000_0073_0000_0073n);
    s.poke(CODE - 8n, 0x0000_0073_0000_0073n);
    s.poke(CODE + 0x1000n, 0x0000_0073_0000_0073n);
    asm.fence_i();
    const ranges: readonly (readonly [string, bigint, (readonly [bigint, bigint])[]])[] = [
      ["NA4", 4n, [[CODE >> 2n, NA4]]],
      ["NAPOT of 8", 8n, [[CODE >> 2n, NAPOT]]],
      ["NAPOT of 4096", 4096n, [[CODE >> 2n | 0x1ffn, NAPOT]]],
      ["TOR", 8n, [[CODE >> 2n, 0n], [(CODE + 8n) >> 2n, TOR]]],
    ];
    for (const [name, bytes, list] of ranges) {
      for (const permissions of [0n, R, X, R | W, R | X, R | W | X]) {
        const what = `${name} with permissions ${permissions}`;
        entries(...list.map(([address, config]) => [address, config && config | permissions] as const));
        const may = (bit: bigint) => (permissions & bit) !== 0n;
        for (const mode of [S, U] as const) {
          load(`${what}, in ${mode}`, 4, CODE, may(R), mode);
          store(`${what}, in ${mode}`, 4, CODE + bytes, true, mode);
          fetch(`${what}, in ${mode}`, CODE, may(X), mode);
        }
        s.poke(CODE + bytes, 0x0000_0073_0000_0073n);
        asm.fence_i();
        load(`${what}, the last byte`, 1, CODE + bytes - 1n, may(R));
        load(`${what}, behind it`, 1, CODE + bytes, true);
        load(`${what}, before it`, 1, CODE - 1n, true);
        store(`${what}`, 4, CODE - 4n, true);
        load(`${what}, in M`, 4, CODE, true, M);
        fetch(`${what}, in M`, CODE, true, M);
        if (!may(W)) store(what, 4, CODE, false);
      }
    }
    s.poke(CODE - 8n, 0x0000_0073_0000_0073n);

    // Priority: the lowest entry that matches decides.
    entries([CODE >> 2n, NA4 | R], [CODE >> 2n | 0x1ffn, NAPOT]);
    load("inside of the first entry", 4, CODE, true);
    store("inside of the first entry", 4, CODE, false);
    load("only in the second entry", 4, CODE + 4n, false);
    entries([CODE >> 2n | 0x1ffn, NAPOT], [CODE >> 2n, NA4 | R]);
    load("in both, the first denies", 4, CODE, false);

    // An access that matches an entry partly fails, whatever others allow (3.7.1.3).
    entries([CODE >> 2n, NA4 | R | W]);
    load("half in NA4", 8, CODE, false);
    store("half in NA4", 8, CODE, false);
    load("half in NA4, in M", 8, CODE, false, M);
    load("in NA4", 4, CODE, true);

    // TOR that is empty matches nothing; the first one begins at 0.
    entries([(CODE + 8n) >> 2n, 0n], [CODE >> 2n, TOR]);
    load("an empty TOR", 4, CODE, true);
    entries([CODE >> 2n, TOR | X | R]);
    load("below the first TOR", 4, CODE - 4n, true);
    store("below the first TOR", 4, CODE - 4n, false);
    store("above the first TOR", 4, CODE + 4n, true);

    // MPRV applies protection to M's accesses.
    entries([CODE >> 2n, NA4]);
    s.attempt("MPRV with MPP S", (fault) => {
      asm.li(x.a0, CODE);
      asm.li(x.t0, 2n << 11n);
      asm.csrrc(0, "mstatus", x.t0);
      asm.li(x.t0, 1n << 11n | MPRV);
      asm.csrrs(0, "mstatus", x.t0);
      fault();
      asm.lw(x.a1, 0, x.a0);
    }, { cause: 5, value: CODE });

    // Locked entries bind M, too, and keep their values. There is no way back but reset: the last tests.
    const LOCKED = SCRATCH + 0x8000n;
    entries([LOCKED >> 2n, 0n], [(LOCKED + 8n) >> 2n, TOR | L | R], [(LOCKED + 0x100n) >> 2n, NA4 | L]);
    for (const mode of [M, S] as const) {
      load(`locked, in ${mode}`, 4, LOCKED, true, mode);
      store(`locked, in ${mode}`, 4, LOCKED, false, mode);
      load(`locked without permission, in ${mode}`, 4, LOCKED + 0x100n, false, mode);
      fetch(`locked without permission, in ${mode}`, LOCKED, false, mode);
    }
    s.setCsr(ADDRESS + 1, 0n);
    s.expectCsr(ADDRESS + 1, (LOCKED + 8n) >> 2n, "a locked address stays");
    s.setCsr(ADDRESS, 0n);
    s.expectCsr(ADDRESS, LOCKED >> 2n, "the address before a locked TOR stays");
    s.setCsr(ADDRESS + 2, 0n);
    s.expectCsr(ADDRESS + 2, (LOCKED + 0x100n) >> 2n, "a locked NA4 stays");
    s.setCsr(CONFIG, 0x1f00_0000n);
    s.expectCsr(CONFIG, 0x1f00_0000n | (TOR | L | R) << 8n | (NA4 | L) << 16n, "locked configurations stay");
    store("still locked", 4, LOCKED, false, M);
    s.setCsr(ADDRESS + 3, EVERYTHING);
  });
