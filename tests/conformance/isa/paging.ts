/** Translation: Sv39, Sv48 and Sv57 (privileged specification, 4.2.1 and 4.3 to 4.6). */
import { COMPLETED, M, type Mode, RAM, S, SCRATCH, Suite, type Trap, U } from "./suite.ts";
import { x } from "../../../machines/riscv/registers.ts";

const PTE = { V: 1n, R: 2n, W: 4n, X: 8n, U: 16n, G: 32n, A: 64n, D: 128n };
const { V, R, W, X, U: USER, G, A, D } = PTE;
const FULL = V | R | W | X | A | D;
const SUM = 1n << 18n, MXR = 1n << 19n, MPRV = 1n << 17n;
const FETCH = 12, LOAD = 13, STORE = 15;

/** Tables, one page each: one for each level, the first two of Sv39 used by all. */
const TABLE = (n: number) => SCRATCH + 0x1000n * BigInt(n);
/** The page under test, the one behind it, and what they hold. */
const PAGE = SCRATCH + 0x2_0000n, NEXT = PAGE + 0x1000n;
/** Where they appear. */
const VA = 0x20_0000_0000n + 0x40_0000n - 0x2000n;

const leaf = (physical: bigint, bits = FULL) => physical >> 12n << 10n | bits;
const pointer = (table: bigint) => leaf(table, V);
const index = (va: bigint, level: number) => va >> BigInt(12 + 9 * level) & 511n;

const TABLES = "an access to a table that PMA or PMP forbids, to update it as well, is an access fault (4.3.2)";

interface Where {
  readonly mode?: Mode;
  readonly status?: bigint;
  readonly va?: bigint;
  readonly cause?: number;
  /** Why the peer does something else. */
  readonly differs?: string;
}

export const paging = () => [3, 4, 5].map((levels) => pagingOf(levels));

function pagingOf(levels: number): Suite {
  const name = `Sv${12 + 9 * levels}`;
  return new Suite(`translation by ${name}`, (s) => {
    const { asm } = s;
    const root = TABLE(levels - 1);
    const satp = BigInt(levels + 5) << 60n | root >> 12n;
    /** Where the entry for an address stands in the table of a level. */
    const slot = (level: number, va = VA) => TABLE(level) + 8n * index(va, level);
    const fence = () => asm.sfence_vma(0, 0);
    const setLeaf = (bits: bigint, level = 0, physical = level === 0 ? PAGE : RAM) => {
      s.poke(slot(level), leaf(physical, bits));
      fence();
    };
    const access = (kind: "load" | "store" | "fetch" | "amo" | "lr" | "sc", va: bigint) => (fault: () => void) => {
      if (kind === "fetch") return;
      asm.li(x.a0, va);
      asm.li(x.a1, 0);
      fault();
      if (kind === "load") asm.ld(x.a1, 0, x.a0);
      else if (kind === "store") asm.sd(x.a0, 0, x.a0);
      else if (kind === "amo") asm.amoadd_d(x.a2, x.a1, x.a0);
      else if (kind === "lr") asm.lr_d(x.a2, x.a0);
      else asm.sc_d(x.a2, x.a1, x.a0);
    };
    const CAUSE = { load: LOAD, store: STORE, fetch: FETCH, amo: STORE, lr: LOAD, sc: STORE };
    const AMO = "an AMO's faults are store faults (3.1.15); the peer looks at the page for reading first";
    const SC = "a store-conditional without reservation may fail without looking at the page";
    const tries = (
      what: string,
      kind: keyof typeof CAUSE,
      ok: boolean,
      { mode = S, status = 0n, va = VA, cause = CAUSE[kind], differs }: Where = {},
    ) => {
      const any = (because: string) => ({ value: undefined, because });
      const peer = differs !== undefined
        ? { cause: any(differs), epc: any(differs), value: any(differs) }
        : kind === "amo"
        ? { cause: any(AMO) }
        : kind === "sc"
        ? { cause: any(SC), epc: any(SC), value: any(SC) }
        : {};
      const trap: Trap = { cause, value: va, peer };
      const outcome = ok ? (kind === "fetch" ? { cause: mode + 8, value: 0n } : COMPLETED) : trap;
      s.attempt(`${kind} ${what}`, access(kind, va), outcome, {
        mode,
        status,
        ...(kind === "fetch" ? { at: va } : { offset: mode === U ? USER_CODE - RAM : 0n }),
      });
    };
    /** The gigabyte at RAM appears at its own address for S, and here for U. */
    const USER_CODE = 0x30_0000_0000n - 0x4000_0000n;

    // Tables: the root's way down to level 2, whose gigabyte pages hold the program.
    for (let level = levels - 1; level > 2; level--) {
      for (const va of [RAM, USER_CODE, VA]) s.poke(TABLE(level) + 8n * index(va, level), pointer(TABLE(level - 1)));
    }
    s.poke(TABLE(2) + 8n * index(RAM, 2), leaf(RAM));
    s.poke(TABLE(2) + 8n * index(USER_CODE, 2), leaf(RAM, FULL | USER));
    const link = () => {
      s.poke(slot(2), pointer(TABLE(1)));
      s.poke(slot(1), pointer(TABLE(0)));
      fence();
    };
    link();
    // Four ecalls: what a fetch finds.
    s.poke(PAGE, 0x0000_0073_0000_0073n);
    s.poke(NEXT, 0x0000_0073_0000_0073n);
    asm.fence_i();
    s.setCsr("satp", satp);
    s.expectCsr("satp", satp, `${name} is there`);

    // Validity and permissions, by mode.
    const kinds = ["load", "store", "fetch", "amo"] as const;
    setLeaf(0n);
    for (const kind of [...kinds, "lr", "sc"] as const) tries("of an invalid page", kind, false);
    tries("of an invalid page in U", "load", false, { mode: U });
    for (const bits of [R, X, R | W, R | X, R | W | X]) {
      const letters = `${bits & R ? "r" : "-"}${bits & W ? "w" : "-"}${bits & X ? "x" : "-"}`;
      const may = { load: bits & R, store: bits & W, fetch: bits & X, amo: bits & W };
      setLeaf(V | A | D | bits);
      for (const kind of kinds) {
        tries(`of a supervisor page ${letters} in S`, kind, may[kind] !== 0n);
        if (kind === "store" || kind === "amo") s.poke(PAGE, 0x0000_0073_0000_0073n), asm.fence_i();
      }
      tries(`of a supervisor page ${letters} in U`, "load", false, { mode: U });
      tries(`of a supervisor page ${letters} in U`, "fetch", false, { mode: U });
      tries(`of a supervisor page ${letters} in S with MXR`, "load", (bits & (R | X)) !== 0n, { status: MXR });
      setLeaf(V | A | D | USER | bits);
      for (const kind of kinds) {
        tries(`of a user page ${letters} in U`, kind, may[kind] !== 0n, { mode: U });
        if (kind === "store" || kind === "amo") s.poke(PAGE, 0x0000_0073_0000_0073n), asm.fence_i();
        tries(`of a user page ${letters} in S`, kind, false);
        if (kind === "fetch") tries(`of a user page ${letters} in S with SUM`, kind, false, { status: SUM });
        else tries(`of a user page ${letters} in S with SUM`, kind, may[kind] !== 0n, { status: SUM });
        if (kind === "store" || kind === "amo") s.poke(PAGE, 0x0000_0073_0000_0073n), asm.fence_i();
      }
      tries(`of a user page ${letters} in U with MXR`, "load", (bits & (R | X)) !== 0n, { mode: U, status: MXR });
    }
    for (const bits of [W, W | X]) {
      setLeaf(V | A | D | bits);
      for (const kind of kinds) tries(`of a page with reserved permissions ${bits}`, kind, false);
    }
    for (const bit of [54n, 58n, 60n, 61n, 62n, 63n]) {
      setLeaf(FULL | 1n << bit);
      tries(`of a page with bit ${bit}`, "load", false);
      tries(`of a page with bit ${bit}`, "fetch", false);
    }
    for (const bit of [8n, 9n]) {
      setLeaf(FULL | 1n << bit);
      tries(`of a page with bit ${bit}, which is software's`, "load", true);
    }
    setLeaf(FULL | G);
    tries("of a global page", "load", true);
    tries("of a global page", "store", true);

    // Pointers to tables have V alone.
    setLeaf(FULL);
    for (const level of [1, 2]) {
      for (const bit of [USER, A, D]) {
        s.poke(slot(level), pointer(TABLE(level - 1)) | bit);
        fence();
        tries(`through a pointer of level ${level} with bit ${bit}`, "load", false);
      }
      for (const bit of [1n << 54n, 1n << 63n, 1n << 61n]) {
        s.poke(slot(level), pointer(TABLE(level - 1)) | bit);
        fence();
        tries(`through a pointer of level ${level} with bit ${bit}`, "load", false);
      }
      s.poke(slot(level), pointer(TABLE(level - 1)) | G | 1n << 8n);
      fence();
      tries(`through a global pointer of level ${level}`, "load", true);
      s.poke(slot(level), 0n);
      fence();
      for (const kind of kinds) tries(`through an invalid pointer of level ${level}`, kind, false);
      link();
    }
    setLeaf(V);
    tries("where the last level points on", "load", false);

    // Pages of every size; large ones must be aligned.
    for (let level = 1; level < levels; level++) {
      const size = 1n << BigInt(12 + 9 * level);
      const upper = slot(level);
      if (level <= 2) {
        const start = SCRATCH / size * size;
        const offset = VA % size;
        s.poke(upper, leaf(start, FULL));
        fence();
        const target = start + offset;
        const inRam = target >= RAM && target < RAM + 0x100_0000n;
        tries(`of a page of level ${level}`, "load", inRam, inRam ? {} : { cause: 5 });
        s.poke(upper, leaf(start | 0x1000n, FULL));
        fence();
        for (const kind of kinds) tries(`of a misaligned page of level ${level}`, kind, false);
        s.poke(upper, leaf(start | size >> 1n, FULL));
        fence();
        tries(`of a half misaligned page of level ${level}`, "load", false);
        link();
      }
    }
    {
      // A 2 MiB page: its data is where it must be.
      const start = SCRATCH / 0x20_0000n * 0x20_0000n;
      s.poke(start + VA % 0x20_0000n, 0xfeedn);
      s.poke(slot(1), leaf(start, FULL));
      fence();
      tries("through a large page", "load", true);
      s.expect("what a large page holds", x.a1, 0xfeedn);
      link();
    }

    // A and D are set by the hardware, or the access faults; here as on the peer: by the hardware.
    const updates = (what: string, kind: keyof typeof CAUSE, before: bigint, after: bigint, mode: Mode = S) => {
      const user = mode === U ? USER : 0n;
      setLeaf(V | R | W | X | user | before);
      tries(what, kind, true, { mode });
      s.expectMemory(`entry after ${kind} ${what}`, slot(0), leaf(PAGE, V | R | W | X | user | after));
      s.poke(PAGE, 0x0000_0073_0000_0073n);
      asm.fence_i();
    };
    for (const mode of [S, U] as const) {
      updates(`without A and D in ${mode}`, "load", 0n, A, mode);
      updates(`without A and D in ${mode}`, "fetch", 0n, A, mode);
      updates(`without A and D in ${mode}`, "store", 0n, A | D, mode);
      updates(`without A and D in ${mode}`, "amo", 0n, A | D, mode);
      updates(`without A and D in ${mode}`, "lr", 0n, A, mode);
      updates(`without D in ${mode}`, "store", A, A | D, mode);
      updates(`without D in ${mode}`, "load", A, A, mode);
      updates(`without A in ${mode}`, "load", D, A | D, mode);
    }
    setLeaf(V | R);
    tries("of a page that is not writable", "store", false);
    s.expectMemory("entry after a fault", slot(0), leaf(PAGE, V | R), {
      value: undefined,
      because: "whether an access that faults sets A is open",
    });
    // A read brings the page into the TLB; the write that follows must still set D.
    setLeaf(V | R | W);
    s.attempt(
      "read, then write",
      (fault) => {
        asm.li(x.a0, VA);
        asm.ld(x.a1, 0, x.a0);
        asm.sd(x.a1, 0, x.a0);
        fault();
      },
      COMPLETED,
      { mode: S },
    );
    s.expectMemory("entry after read, then write", slot(0), leaf(PAGE, V | R | W | A | D));

    // Accesses that go on in the next page: the value of the trap is where the part that faults begins.
    const CROSS = VA + 0xffcn;
    const setNext = (bits: bigint) => {
      s.poke(slot(0, VA + 0x1000n), leaf(NEXT, bits));
      fence();
    };
    setLeaf(FULL);
    setNext(FULL);
    s.poke(PAGE + 0xff8n, 0x1111_1111_2222_2222n);
    s.poke(NEXT, 0x3333_3333_4444_4444n);
    tries("across pages", "load", true, { va: CROSS });
    s.expect("loaded across pages", x.a1, 0x4444_4444_1111_1111n);
    tries("across pages", "store", true, { va: CROSS });
    s.expectMemory("stored before the boundary", PAGE + 0xff8n, (CROSS & 0xffff_ffffn) << 32n | 0x2222_2222n);
    s.expectMemory("stored behind the boundary", NEXT, 0x3333_3333_0000_0000n | CROSS >> 32n);
    setNext(0n);
    const across = (what: string, kind: "load" | "store", value: bigint) =>
      s.attempt(`${kind} ${what}`, access(kind, CROSS), { cause: CAUSE[kind], value }, { mode: S });
    across("into an invalid page", "load", VA + 0x1000n);
    s.poke(PAGE + 0xff8n, 0n);
    across("into an invalid page", "store", VA + 0x1000n);
    s.expectMemory("nothing is stored before the fault", PAGE + 0xff8n, 0n);
    setLeaf(0n);
    setNext(FULL);
    across("out of an invalid page", "load", CROSS);
    across("out of an invalid page", "store", CROSS);
    s.expectMemory("nothing is stored behind the fault", NEXT, 0x3333_3333_0000_0000n | CROSS >> 32n);

    // Instructions across pages.
    setLeaf(FULL);
    s.poke(PAGE + 0xff8n, 0x0073_0001_0001_0001n);
    s.poke(NEXT, 0n);
    asm.fence_i();
    setNext(FULL);
    s.attempt("an instruction across pages", () => {}, { cause: 9, value: 0n }, { mode: S, at: VA + 0xffen });
    setNext(0n);
    s.attempt("an instruction into an invalid page", () => {}, { cause: FETCH, value: VA + 0x1000n }, {
      mode: S,
      at: VA + 0xffen,
    });
    s.poke(PAGE + 0xff8n, 0x9002_0001_0001_0001n);
    asm.fence_i();
    s.attempt("a compressed one at the end of a page", () => {}, { cause: 3 }, { mode: S, at: VA + 0xffen });
    setNext(V | R | A | D);
    s.poke(PAGE + 0xff8n, 0x0001_0001_0001_0001n);
    asm.fence_i();
    s.attempt("running into a page without X", () => {}, { cause: FETCH, value: VA + 0x1000n, peer: {} }, {
      mode: S,
      at: VA + 0x1000n,
    });
    s.poke(PAGE, 0x0000_0073_0000_0073n);
    asm.fence_i();

    // Addresses whose upper bits differ.
    setLeaf(FULL);
    const top = 1n << BigInt(12 + 9 * levels);
    for (const va of [VA | 1n << 63n, VA + top, VA | top >> 1n, top >> 1n, (1n << 64n) - (1n << 60n)]) {
      for (const kind of ["load", "store", "fetch"] as const) {
        tries(`of 0x${va.toString(16)}`, kind, false, { va: BigInt.asUintN(64, va) });
      }
    }
    // The highest page.
    {
      const high = (1n << 64n) - 0x1000n;
      const roots = [...Array(levels).keys()].reverse();
      for (const level of roots) {
        const table = level === levels - 1 ? root : TABLE(8 + level);
        s.poke(table + 8n * 511n, level === 0 ? leaf(PAGE) : pointer(TABLE(8 + level - 1)));
      }
      fence();
      tries("of the highest page", "load", true, { va: high });
      tries("of the highest doubleword", "load", true, { va: high + 0xff8n });
      tries("of the highest page", "fetch", true, { va: high });
    }

    // Fences: a change shows after a fence of the address, or of all; global pages, too.
    const seen = (what: string, value: bigint) => {
      s.attempt(what, access("load", VA), COMPLETED, { mode: S });
      s.expect(`${what}: read`, x.a1, value);
    };
    s.poke(PAGE, 0x1111n);
    s.poke(NEXT, 0x2222n);
    const remap = (physical: bigint, bits: bigint, flush: () => void) => {
      s.poke(slot(0), leaf(physical, bits));
      flush();
    };
    const one = () => {
      asm.li(x.t5, VA);
      asm.sfence_vma(x.t5, 0);
    };
    const inOne = (asid: bigint) => () => {
      asm.li(x.t5, VA);
      asm.li(x.t6, asid);
      asm.sfence_vma(x.t5, x.t6);
    };
    const space = (asid: bigint) => () => {
      asm.li(x.t6, asid);
      asm.sfence_vma(0, x.t6);
    };
    for (
      const [what, flush] of [["all", fence], ["of the address", one], ["of address and ASID", inOne(0n)], [
        "of ASID",
        space(0n),
      ]] as const
    ) {
      remap(PAGE, FULL, fence);
      seen(`before a fence ${what}`, 0x1111n);
      remap(NEXT, FULL, flush);
      seen(`after a fence ${what}`, 0x2222n);
    }
    for (const [what, flush] of [["all", fence], ["of the address", one]] as const) {
      remap(PAGE, FULL | G, fence);
      seen(`global, before a fence ${what}`, 0x1111n);
      remap(NEXT, FULL | G, flush);
      seen(`global, after a fence ${what}`, 0x2222n);
    }
    // A fence of one address of a large page drops all of it.
    {
      const start = SCRATCH / 0x20_0000n * 0x20_0000n;
      s.poke(start + VA % 0x20_0000n, 0x3333n);
      s.poke(start + VA % 0x20_0000n + 0x1000n, 0x4444n);
      s.poke(slot(1), leaf(start));
      fence();
      s.attempt(
        "two pieces of a large page",
        (fault) => {
          asm.li(x.a0, VA + 0x1000n);
          asm.ld(x.a2, 0, x.a0);
          asm.li(x.a0, VA);
          asm.ld(x.a1, 0, x.a0);
          fault();
        },
        COMPLETED,
        { mode: S },
      );
      s.expect("first piece", x.a1, 0x3333n);
      s.expect("second piece", x.a2, 0x4444n);
      s.poke(slot(1), pointer(TABLE(0)));
      s.poke(slot(0), leaf(PAGE));
      setNext(FULL);
      s.poke(slot(1), leaf(start));
      fence();
      s.attempt(
        "touch both",
        () => {
          asm.li(x.a0, VA + 0x1000n);
          asm.ld(x.a2, 0, x.a0);
          asm.ld(x.a1, -0x800, x.a0);
        },
        COMPLETED,
        { mode: S },
      );
      s.poke(slot(1), pointer(TABLE(0)));
      one();
      s.attempt(
        "after a fence of another address of the large page",
        (fault) => {
          asm.li(x.a0, VA + 0x1000n);
          asm.ld(x.a2, 0, x.a0);
          fault();
        },
        COMPLETED,
        { mode: S },
      );
      s.expect("the other piece is gone, too", x.a2, 0x2222n);
    }
    // ASIDs: a change of satp alone need not flush; with a fence each space has its own pages.
    s.setCsr("satp", satp | 5n << 44n);
    fence();
    remap(PAGE, FULL, space(5n));
    seen("in another space", 0x1111n);
    s.setCsr("satp", satp);
    remap(NEXT, FULL, fence);
    seen("back in the first space", 0x2222n);

    // Bare: addresses are physical, in S as well.
    s.setCsr("satp", 0n);
    s.attempt("bare", access("load", NEXT), COMPLETED, { mode: S });
    s.expect("bare: read", x.a1, 0x2222n);
    s.attempt("bare: a virtual address", access("load", VA), { cause: 5, value: VA }, { mode: S });
    s.setCsr("satp", satp);
    fence();
    s.attempt("in M nothing is translated", access("load", NEXT), COMPLETED, { mode: M });

    // MPRV: loads and stores of M in the mode of MPP.
    const mprv = (mpp: bigint, more: bigint, code: () => void) => (fault: () => void) => {
      asm.li(x.t0, 3n << 11n);
      asm.csrrc(0, "mstatus", x.t0);
      asm.li(x.a0, VA);
      asm.li(x.t1, MPRV | more | mpp << 11n);
      asm.csrrs(0, "mstatus", x.t1);
      fault();
      code();
      asm.li(x.t1, MPRV | more);
      asm.csrrc(0, "mstatus", x.t1);
    };
    s.attempt("MPRV with MPP S: load", mprv(1n, 0n, () => asm.ld(x.a1, 0, x.a0)), COMPLETED);
    s.expect("MPRV with MPP S: loaded", x.a1, 0x2222n);
    s.attempt("MPRV with MPP U: load", mprv(0n, 0n, () => asm.ld(x.a1, 0, x.a0)), { cause: LOAD, value: VA });
    s.attempt("MPRV with MPP M: load", mprv(3n, 0n, () => asm.ld(x.a1, 0, x.a0)), { cause: 5, value: VA });
    setLeaf(FULL | USER, 0, NEXT);
    s.attempt("MPRV with MPP S, user page", mprv(1n, 0n, () => asm.sd(x.a1, 0, x.a0)), { cause: STORE, value: VA });
    s.attempt("MPRV with MPP S and SUM, user page", mprv(1n, SUM, () => asm.ld(x.a1, 0, x.a0)), COMPLETED);
    setLeaf(V | X | A, 0, NEXT);
    s.attempt("MPRV with MPP S, page of X only", mprv(1n, 0n, () => asm.ld(x.a1, 0, x.a0)), { cause: LOAD, value: VA });
    s.attempt("MPRV with MPP S and MXR, page of X only", mprv(1n, MXR, () => asm.ld(x.a1, 0, x.a0)), COMPLETED);

    // Tables where no memory is, or where PMP denies: access faults of the kind of the access.
    s.poke(slot(1), pointer(0x1800_0000n));
    fence();
    const absent = [["load", 5], ["store", 7], ["fetch", 1], ["amo", 7]] as const;
    for (const [kind, cause] of absent) tries("with a table where nothing is", kind, false, { cause, differs: TABLES });
    link();
    setLeaf(FULL);
    s.setCsr(0x3b0, TABLE(0) >> 2n | 0x1ffn);
    s.setCsr(0x3b1, (1n << 54n) - 1n);
    s.setCsr(0x3a0, 0x1f18n);
    fence();
    for (const [kind, cause] of absent) tries("with a table that PMP denies", kind, false, { cause });
    setLeaf(V | R | W);
    s.setCsr(0x3a0, 0x1f19n);
    fence();
    tries("with a table that PMP lets be read only, A unset", "load", false, {
      cause: 5,
      differs: TABLES,
    });
    s.setCsr(0x3a0, 0n);
    s.setCsr(0x3b1, 0n);
    s.openMemory();
    setLeaf(FULL, 0, 0x1800_0000n);
    for (const [kind, cause] of absent) tries("of a page where nothing is", kind, false, { cause });
    s.setCsr("satp", 0n);
    fence();
  });
}
