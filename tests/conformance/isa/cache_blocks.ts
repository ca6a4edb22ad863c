/** Zicbom and Zicboz: who may use them, what they need and what they change (unprivileged specification, "CMO"). */
import type { Assembler } from "../../../machines/riscv/assemble.ts";
import { COMPLETED, FULL, M, type Mode, RAM, S, SCRATCH, Suite, U } from "./suite.ts";
import { x } from "../../../machines/riscv/registers.ts";

const ACTIONS = {
  inval: (asm: Assembler) => asm.cbo_inval(x.a0),
  clean: (asm: Assembler) => asm.cbo_clean(x.a0),
  flush: (asm: Assembler) => asm.cbo_flush(x.a0),
  zero: (asm: Assembler) => asm.cbo_zero(x.a0),
} as const;
type Action = keyof typeof ACTIONS;
const NAMES = Object.keys(ACTIONS) as Action[];
const WORDS: Record<Action, bigint> = { inval: 0x5200fn, clean: 0x15200fn, flush: 0x25200fn, zero: 0x45200fn };

/** Fields of menvcfg and senvcfg by the action that they let pass. */
const ENABLES: Record<Action, readonly bigint[]> = {
  inval: [1n << 4n, 3n << 4n],
  clean: [1n << 6n],
  flush: [1n << 6n],
  zero: [1n << 7n],
};
const ALL = 0xf0n, BLOCK = 64n;
const PATTERN = 0x5555_6666_7777_8888n;

const PTE = { V: 1n, R: 2n, W: 4n, X: 8n, U: 16n, A: 64n, D: 128n };
const { V, R, W, X, A, D } = PTE;
const MXR = 1n << 19n;
const ROOT = SCRATCH, MIDDLE = SCRATCH + 0x1000n, LAST = SCRATCH + 0x2000n, PAGE = SCRATCH + 0x2_0000n;
/** Where PAGE appears. */
const VA = 0x20_0000_0000n;
const leaf = (physical: bigint, bits: bigint) => physical >> 12n << 10n | bits;

export const cacheBlocks = () =>
  new Suite("cache blocks", (s) => {
    const { asm } = s;
    const on = (action: Action, address: bigint) => (fault: () => void) => {
      asm.li(x.a0, address);
      fault();
      ACTIONS[action](asm);
    };
    const fill = (from: bigint, bytes: bigint) => {
      for (let at = from; at < from + bytes; at += 8n) s.poke(at, PATTERN);
    };

    // Registers.
    for (const name of ["menvcfg", "senvcfg"] as const) {
      s.writes(name, ALL | 1n, ALL | 1n, "all fields");
      s.writes(name, 0n, 0n, "cleared");
      s.writes(name, 1n << 4n, 1n << 4n, "CBIE flush");
      s.writes(name, 2n << 4n, 1n << 4n, "CBIE does not take the reserved value");
      s.writes(name, 3n << 4n, 3n << 4n, "CBIE invalidate");
      s.writes(name, 0n, 0n, "cleared");
    }

    // Modes: S needs menvcfg, U needs senvcfg as well, M neither.
    const uses = (action: Action, mode: Mode, menvcfg: bigint, senvcfg: bigint, isLegal: boolean) => {
      s.setCsr("menvcfg", menvcfg);
      s.setCsr("senvcfg", senvcfg);
      const outcome = isLegal ? COMPLETED : { cause: 2, value: WORDS[action] };
      const what = `cbo.${action} in ${"US?M"[mode]}, menvcfg 0x${menvcfg.toString(16)}, senvcfg 0x${
        senvcfg.toString(16)
      }`;
      s.attempt(what, on(action, PAGE), outcome, { mode });
    };
    for (const action of NAMES) {
      const others = ENABLES[action].reduce((rest, bits) => rest & ~bits, ALL);
      uses(action, M, 0n, 0n, true);
      uses(action, S, 0n, ALL, false);
      uses(action, S, others, ALL, false);
      uses(action, U, others, ALL, false);
      uses(action, U, ALL, others, false);
      for (const bits of ENABLES[action]) {
        uses(action, S, bits, 0n, true);
        uses(action, U, bits, 0n, false);
        uses(action, U, 0n, bits, false);
        uses(action, U, bits, bits, true);
      }
    }
    s.setCsr("menvcfg", ALL);
    s.setCsr("senvcfg", ALL);

    // Zeros: the block around the address, and no more.
    for (const place of [0n, 1n, 8n, 63n, 64n, 0xfc0n, 0xfffn]) {
      const block = PAGE + place - place % BLOCK;
      fill(block - BLOCK, 3n * BLOCK);
      s.attempt(`cbo.zero at ${place}`, on("zero", PAGE + place), COMPLETED);
      for (let at = -8n; at <= BLOCK; at += 8n) {
        s.expectMemory(`cbo.zero at ${place}: at ${at}`, block + at, at < 0n || at >= BLOCK ? PATTERN : 0n);
      }
    }
    fill(PAGE, BLOCK);
    for (const action of ["inval", "clean", "flush"] as const) {
      s.attempt(`cbo.${action}`, on(action, PAGE + 5n), COMPLETED);
      s.expectMemory(`cbo.${action} changes nothing`, PAGE, PATTERN);
    }

    // Code that is zeroed is gone after a fence, and later code in its place is seen.
    for (const code of [0x0000_0073_0000_0073n, 0x0000_0073_0010_0073n]) {
      s.poke(PAGE, code);
      asm.fence_i();
      s.attempt("code before", () => {}, { cause: code & 0x10_0000n ? 3 : 9 }, { mode: S, at: PAGE });
      s.attempt(
        "zeroing code",
        (fault) => {
          on("zero", PAGE)(fault);
          asm.fence_i();
        },
        COMPLETED,
        { mode: S },
      );
      s.attempt("zeroed code", () => {}, { cause: 2, value: 0n }, { mode: S, at: PAGE });
    }

    // Where nothing is, zeros are stored in vain.
    s.attempt("cbo.zero where nothing is", on("zero", 0x1800_0040n), { cause: 7, value: 0x1800_0040n });
    // Physical memory protection.
    const protect = (permissions: bigint, first: bigint) => {
      s.setCsr(0x3b0, first >> 2n);
      s.setCsr(0x3b1, (first + 0x20n) >> 2n);
      s.setCsr(0x3b2, (1n << 54n) - 1n);
      s.setCsr(0x3a0, 0x1f_0000n | (8n | permissions) << 8n);
    };
    for (const [permissions, mayRead, mayWrite] of [[0n, false, false], [1n, true, false], [3n, true, true]] as const) {
      protect(permissions, PAGE);
      for (const action of NAMES) {
        const block = `cbo.${action} of a block of which half has permissions ${permissions}`;
        const denied = { cause: 7, value: PAGE };
        // One entry must match all bytes of an access (3.7.1); a block is one.
        s.attempt(block, on(action, PAGE), denied, { mode: S });
        s.attempt(`${block}, from the other half`, on(action, PAGE + 0x3fn), { cause: 7 }, { mode: S });
      }
      s.setCsr(0x3b1, (PAGE + BLOCK) >> 2n);
      for (const action of NAMES) {
        const may = action === "zero" ? mayWrite : mayRead;
        const what = `cbo.${action} of a block with permissions ${permissions}`;
        s.attempt(what, on(action, PAGE + 8n), may ? COMPLETED : { cause: 7 }, { mode: S });
        s.attempt(`${what}, in M`, on(action, PAGE + 8n), COMPLETED);
      }
    }
    s.setCsr(0x3a0, 0n);
    s.openMemory();

    // Pages.
    const page = (bits: bigint, physical = PAGE) => {
      s.poke(LAST, leaf(physical, bits));
      asm.sfence_vma(0, 0);
    };
    s.poke(ROOT + 8n * (RAM >> 30n), leaf(RAM, V | R | W | X | A | D));
    s.poke(ROOT + 8n * (VA >> 30n), leaf(MIDDLE, V));
    s.poke(MIDDLE, leaf(LAST, V));
    s.setCsr("satp", 8n << 60n | ROOT >> 12n);
    asm.sfence_vma(0, 0);
    const tries = (what: string, bits: bigint, mayLoad: boolean, mayStore: boolean, status = 0n) => {
      for (const action of NAMES) {
        page(bits);
        const may = action === "zero" ? mayStore : mayLoad;
        const outcome = may ? COMPLETED : { cause: 15 };
        s.attempt(`cbo.${action} of a page ${what}`, on(action, VA + 0x48n), outcome, { mode: S, status });
      }
    };
    tries("that is invalid", 0n, false, false);
    tries("r--", V | R | A | D, true, false);
    tries("rw-", V | R | W | A | D, true, true);
    tries("--x", V | X | A | D, false, false);
    tries("--x with MXR", V | X | A | D, true, false, MXR);
    tries("of user mode", V | R | W | PTE.U | A | D, false, false);
    for (const action of NAMES) {
      page(V | R | W);
      s.attempt(`cbo.${action} sets bits`, on(action, VA), COMPLETED, { mode: S });
      s.expectMemory(
        `cbo.${action} sets A, and D if it stores`,
        LAST,
        leaf(PAGE, V | R | W | A | (action === "zero" ? D : 0n)),
      );
    }
    page(0n);
    s.attempt("the trap value is the block's address", on("zero", VA + 0x7fn), { cause: 15, value: VA + 0x40n }, {
      mode: S,
    });
    s.attempt("and of a clean block, too", on("clean", VA + 0x7fn), { cause: 15, value: VA + 0x40n }, { mode: S });
    page(V | R | W | A | D, 0x1800_0000n);
    s.attempt("a page where nothing is", on("zero", VA + 0x7fn), { cause: 7, value: VA + 0x40n }, { mode: S });
    // The second time the translation is known.
    page(V | R | W | A | D);
    fill(PAGE, 2n * BLOCK);
    for (const place of [0n, BLOCK]) {
      s.attempt(`cbo.zero of a page, at ${place}`, on("zero", VA + place), COMPLETED, { mode: S });
      s.expectMemory(`cbo.zero of a page zeroes at ${place}`, PAGE + place, 0n);
      s.expectMemory(`cbo.zero of a page zeroes behind ${place}`, PAGE + place + 56n, 0n);
    }
    s.setCsr("satp", 0n);
    asm.sfence_vma(0, 0);
  }, { harts: FULL });

/** Harts without them: the words are illegal in every mode, and the fields do not exist. */
export const withoutCacheBlocks = () =>
  new Suite("no cache blocks", (s) => {
    for (const name of ["menvcfg", "senvcfg"] as const) {
      s.writes(name, ALL, 0n, "fields that do not exist", {
        value: undefined,
        because: "the fields are read-only zero without Zicbom and Zicboz (CMO); the peer keeps them all the same",
      });
      s.setCsr(name, 0n);
    }
    for (const action of NAMES) {
      for (const mode of [M, S, U] as const) {
        s.attempt(
          `cbo.${action} in ${"US?M"[mode]}`,
          (fault) => {
            s.asm.li(x.a0, PAGE);
            fault();
            ACTIONS[action](s.asm);
          },
          { cause: 2, value: WORDS[action] },
          { mode },
        );
      }
    }
    s.attempt("a pause is a fence", () => s.asm.pause(), COMPLETED, { mode: U });
  });
