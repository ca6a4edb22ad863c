/** RV64A (unprivileged specification, chapter "A"): every operation, reservations, alignment. */
import { COMPLETED, M, S, SCRATCH, Suite, U } from "./suite.ts";
import { x } from "../../../machines/riscv/registers.ts";

type Width = "w" | "d";
const bits = (width: Width) => width === "w" ? 32 : 64;
const bytes = (width: Width) => width === "w" ? 4 : 8;

/** What memory holds afterwards, from what it held and the operand, both as signed numbers of the width. */
const OPERATIONS: Readonly<Record<string, (old: bigint, operand: bigint, width: number) => bigint>> = {
  amoswap: (_, operand) => operand,
  amoadd: (old, operand) => old + operand,
  amoxor: (old, operand) => old ^ operand,
  amoand: (old, operand) => old & operand,
  amoor: (old, operand) => old | operand,
  amomin: (old, operand) => old < operand ? old : operand,
  amomax: (old, operand) => old > operand ? old : operand,
  amominu: (old, operand, n) => BigInt.asUintN(n, old) < BigInt.asUintN(n, operand) ? old : operand,
  amomaxu: (old, operand, n) => BigInt.asUintN(n, old) > BigInt.asUintN(n, operand) ? old : operand,
};
const VALUES = [
  0n,
  1n,
  -1n,
  0x7fff_ffffn,
  0x8000_0000n,
  -0x8000_0000n,
  (1n << 63n) - 1n,
  -(1n << 63n),
  0x1234_5678_9abc_def0n,
];

export const atomics = () =>
  new Suite("atomic memory operations", (s) => {
    const { asm } = s;
    const PLACE = SCRATCH + 0x100n, OTHER = SCRATCH + 0x200n;
    for (const width of ["w", "d"] as const) {
      const n = bits(width);
      for (const [name, next] of Object.entries(OPERATIONS)) {
        const operate = asm[`${name}_${width}` as "amoadd_w"];
        for (const [i, old] of VALUES.entries()) {
          for (const operand of [VALUES[(i + 3) % VALUES.length] ?? 0n, VALUES[(i + 5) % VALUES.length] ?? 0n]) {
            const what = `${name}.${width} of ${old} and ${operand}`;
            const before = BigInt.asIntN(n, old);
            const after = BigInt.asUintN(n, next(before, BigInt.asIntN(n, operand), n));
            s.poke(PLACE, old);
            asm.li(x.a0, PLACE);
            asm.li(x.a1, operand);
            operate(x.a2, x.a1, x.a0, (["", "aq", "rl", "aqrl"] as const)[i % 4]);
            s.expect(`${what}: rd`, x.a2, before);
            const upper = width === "w" ? BigInt.asUintN(64, old) >> 32n << 32n : 0n;
            s.expectMemory(`${what}: memory`, PLACE, upper | after);
          }
        }
        // Registers that are the same, and none.
        s.poke(PLACE, 5n);
        asm.li(x.a0, PLACE);
        asm.li(x.a1, 3);
        operate(x.a1, x.a1, x.a0);
        s.expect(`${name}.${width} with rd = rs2`, x.a1, 5n);
        s.expectMemory(`${name}.${width} with rd = rs2: memory`, PLACE, next(5n, 3n, n));
        s.poke(PLACE, 5n);
        asm.li(x.a0, PLACE);
        operate(x.a0, x.a0, x.a0);
        s.expect(`${name}.${width} with all the same`, x.a0, 5n);
        const pointer = BigInt.asIntN(n, PLACE);
        s.expectMemory(`${name}.${width} with all the same: memory`, PLACE, BigInt.asUintN(n, next(5n, pointer, n)));
        s.poke(PLACE, 5n);
        asm.li(x.a0, PLACE);
        operate(0, 0, x.a0);
        s.expectMemory(`${name}.${width} of x0`, PLACE, next(5n, 0n, n));

        // Misaligned, and where nothing is.
        for (let offset = 1; offset < bytes(width); offset += width === "w" ? 1 : 3) {
          s.attempt(
            `${name}.${width} at offset ${offset}`,
            (fault) => {
              asm.li(x.a0, PLACE + BigInt(offset));
              fault();
              operate(x.a1, x.a1, x.a0);
            },
            { cause: 6, value: PLACE + BigInt(offset), peer: STORE_FAULT },
            { mode: offset % 2 ? M : U },
          );
        }
        s.attempt(`${name}.${width} where nothing is`, (fault) => {
          asm.li(x.a0, 0x1800_0000);
          asm.li(x.a1, 9);
          fault();
          operate(x.a1, x.a1, x.a0);
        }, { cause: 7, value: 0x1800_0000n, peer: STORE_FAULT });
        s.expect(`${name}.${width} where nothing is: rd stays`, x.a1, 9n);
      }

      const lr = asm[`lr_${width}`], sc = asm[`sc_${width}`];
      const store = width === "w" ? asm.sw : asm.sd;
      const reserve = (value = 0x1122_3344_8566_7788n) => {
        s.poke(PLACE, value);
        s.poke(OTHER, value);
        asm.li(x.a0, PLACE);
        asm.li(x.a1, OTHER);
        asm.li(x.a2, -2);
        lr(x.a3, x.a0);
      };
      const stored = width === "w" ? 0x1122_3344_ffff_fffen : BigInt.asUintN(64, -2n);
      const conditional = (what: string, ok: boolean, base = x.a0) => {
        sc(x.a4, x.a2, base);
        s.expect(`sc.${width} ${what}`, x.a4, ok ? 0n : 1n);
        const place = base === x.a0 ? PLACE : OTHER;
        s.expectMemory(`sc.${width} ${what}: memory`, place, ok ? stored : 0x1122_3344_8566_7788n);
      };
      reserve();
      s.expect(`lr.${width} loads`, x.a3, BigInt.asIntN(n, 0x1122_3344_8566_7788n));
      conditional("after lr", true);
      s.poke(PLACE, 0x1122_3344_8566_7788n);
      conditional("after another sc", false);
      reserve();
      conditional("at another address", false, x.a1);
      conditional("after a failed sc at another address", false);
      reserve();
      asm.lw(x.t0, 0, x.a0);
      asm.add(x.t0, x.t0, x.t0);
      conditional("after loads", true);
      reserve();
      store(x.a0, 64, x.a0);
      conditional("after a store of its own elsewhere", true);
      reserve();
      lr(x.a3, x.a1);
      conditional("after lr of another address", false);
      reserve();
      lr(x.a3, x.a1);
      conditional("at the second of two reservations", true, x.a1);
      reserve();
      lr(0, x.a0);
      conditional("after lr into x0", true);
      reserve();
      sc(x.a2, x.a2, x.a0);
      s.expect(`sc.${width} with rd = rs2`, x.a2, 0n);
      s.expectMemory(`sc.${width} with rd = rs2: memory`, PLACE, stored);
      reserve();
      sc(x.a0, x.a2, x.a0);
      s.expect(`sc.${width} with rd = rs1`, x.a0, 0n);
      // Another hart, or a device, may have stored: the value differs.
      reserve();
      asm.li(x.t0, 1);
      store(x.t0, 0, x.a0);
      sc(x.a4, x.a2, x.a0);
      s.expect(`sc.${width} after a store there`, x.a4, 1n);
      s.expectMemory(`sc.${width} after a store there: memory`, PLACE, width === "w" ? 0x1122_3344_0000_0001n : 1n);

      for (let offset = 1; offset < bytes(width); offset++) {
        const misaligned = PLACE + BigInt(offset);
        s.attempt(
          `lr.${width} at offset ${offset}`,
          (fault) => {
            asm.li(x.a0, misaligned);
            fault();
            lr(x.a1, x.a0);
          },
          { cause: 4, value: misaligned },
          { mode: S },
        );
        s.attempt(`sc.${width} at offset ${offset}`, (fault) => {
          asm.li(x.a0, misaligned);
          fault();
          sc(x.a1, x.a1, x.a0);
        }, {
          cause: 6,
          value: misaligned,
          peer: SC_MAY_FAIL,
        }, { mode: S });
      }
      s.attempt(`lr.${width} where nothing is`, (fault) => {
        asm.li(x.a0, 0x1800_0000);
        fault();
        lr(x.a1, x.a0);
      }, { cause: 5, value: 0x1800_0000n });
    }
    // lr.d, then sc.w inside of its doubleword: whether that succeeds is open; memory says what rd says.
    s.poke(PLACE, 0n);
    s.attempt("lr.d, then sc.w", () => {
      asm.li(x.a0, PLACE);
      asm.li(x.a2, 1);
      asm.lr_d(x.a3, x.a0);
      asm.sc_w(x.a4, x.a2, x.a0);
      asm.ld(x.a5, 0, x.a0);
      asm.add(x.a4, x.a4, x.a5);
    }, COMPLETED);
    s.expect("result and memory agree", x.a4, 1n);
  });

const STORE_FAULT = { cause: { value: undefined, because: "an AMO's faults are store faults (3.1.15)" } };
const because = "a store-conditional without reservation may fail before its address is looked at";
const SC_MAY_FAIL = {
  cause: { value: undefined, because },
  epc: { value: undefined, because },
  value: { value: undefined, because },
};
