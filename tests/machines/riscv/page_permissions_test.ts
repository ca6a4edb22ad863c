/** Every combination of a leaf entry's low bits, mode, SUM, MXR and kind of access, against the rules stated once more. */
import { assertEquals } from "@std/assert";
import { S_MODE, U_MODE } from "../../../machines/riscv/hart_state.ts";
import { x } from "../../../machines/riscv/registers.ts";
import { Bench, RAM } from "./bare_metal.ts";

const V = 1, R = 2, W = 4, X = 8, U = 16, A = 64, D = 128;
const MPRV = 1n << 17n, SUM = 1n << 18n, MXR = 1n << 19n;
const VA = 0x4020_1000n;
const ROOT = RAM + 0x10_0000n, MIDDLE = ROOT + 0x1000n, LEAVES = ROOT + 0x2000n, PAGE = ROOT + 0x3000n;
const HANDLER = RAM + 0x100n;

const KINDS = ["load", "store", "atomic", "fetch"] as const;
type Kind = typeof KINDS[number];
const PAGE_FAULT: Record<Kind, bigint> = { load: 13n, store: 15n, atomic: 15n, fetch: 12n };

interface Access {
  readonly flags: number;
  readonly mode: typeof U_MODE | typeof S_MODE;
  readonly sum: boolean;
  readonly mxr: boolean;
  readonly kind: Kind;
}

/** Privileged specification, 4.3.2, with A and D set by the hart. Gives the bits that are set, or nothing on a fault. */
function expected({ flags, mode, sum, mxr, kind }: Access): number | undefined {
  const has = (bits: number) => (flags & bits) !== 0;
  if (!has(V) || (has(W) && !has(R)) || !has(R | X)) return undefined;
  if (mode === U_MODE ? !has(U) : has(U) && (!sum || kind === "fetch")) return undefined;
  const allowed = kind === "fetch" ? has(X) : kind === "load" ? has(R) || (mxr && has(X)) : has(W);
  if (!allowed) return undefined;
  return A | (kind === "store" || kind === "atomic" ? D : 0);
}

Deno.test("permissions, accessed and dirty bits in all combinations", () => {
  const bench = new Bench();
  const { hart } = bench;
  const symbols = bench.load((asm) => {
    asm.label("load");
    asm.ld(x.a0, 0, x.s0);
    asm.label("store");
    asm.sd(x.a0, 0, x.s0);
    asm.label("atomic");
    asm.amoor_d(x.a0, x.zero, x.s0);
    asm.label("fetch");
    asm.mret();
  });
  bench.write(PAGE, Uint8Array.of(0x73, 0, 0, 0)); // ecall
  bench.poke(ROOT + (VA >> 30n & 511n) * 8n, MIDDLE >> 2n | 1n);
  bench.poke(MIDDLE + (VA >> 21n & 511n) * 8n, LEAVES >> 2n | 1n);
  const entry = LEAVES + (VA >> 12n & 511n) * 8n;
  hart.writeCsr(0x3b0, (1n << 54n) - 1n);
  hart.writeCsr(0x3a0, 0x1fn);
  hart.writeCsr(0x305, HANDLER);

  const perform = ({ flags, mode, sum, mxr, kind }: Access) => {
    bench.poke(entry, PAGE >> 2n | BigInt(flags));
    hart.writeCsr(0x180, 0n);
    hart.writeCsr(0x180, 8n << 60n | ROOT >> 12n);
    hart.writeRegister(x.a0, 0x73n); // a store leaves the ecall in place
    hart.writeRegister(x.s0, VA);
    hart.writeCsr(0x341, VA);
    hart.writeCsr(0x342, 99n);
    const status = BigInt(mode) << 11n | (sum ? SUM : 0n) | (mxr ? MXR : 0n);
    hart.writeCsr(0x300, kind === "fetch" ? status : status | MPRV);
    hart.pc = symbols.get(kind) ?? 0n;
    hart.run(kind === "fetch" ? 2 : 1);
    // Back to machine mode, if no trap did it.
    const cause = hart.readCsr(0x342);
    hart.writeCsr(0x300, 0n);
    return { cause, set: Number(bench.peek(entry) & 0xffn) & ~flags };
  };

  for (let flags = 0; flags < 256; flags++) {
    for (const mode of [U_MODE, S_MODE] as const) {
      for (const sum of [false, true]) {
        for (const mxr of [false, true]) {
          for (const kind of KINDS) {
            const access = { flags, mode, sum, mxr, kind };
            const bits = expected(access);
            const success = kind === "fetch" ? 8n + BigInt(mode) : 99n;
            const outcome = bits === undefined
              ? { cause: PAGE_FAULT[kind], set: 0 }
              : { cause: success, set: bits & ~flags };
            const name = `${kind} in mode ${mode}, entry ${flags.toString(2)}, SUM ${sum}, MXR ${mxr}`;
            assertEquals(perform(access), outcome, name);
          }
        }
      }
    }
  }
});
