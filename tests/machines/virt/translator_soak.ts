/**
 * Soak of the translator: one machine whose guest has much code, all of it hot, and reboots again and again, so that all
 * of it is translated anew. `deno task soak:translator [REBOOTS] [REGIONS]`; fails if the process grows.
 */
import { x } from "../../../machines/riscv/registers.ts";
import { createVirt } from "../../../machines/virt/machine.ts";
import { describeTranslation, type TranslationReport } from "../../../machines/riscv/translator/statistics.ts";
import { finish, program, RESET } from "./program.ts";

/** Functions of the guest, and how often each is called in a boot. */
const FUNCTIONS = 2000, CALLS = 4000;
/** Functions of a page: regions don't reach further. */
const FUNCTION_BYTES = 64;

/** Calls every function, then wants to boot again. */
const kernel = program((asm) => {
  asm.li(x.s0, CALLS);
  asm.label("round");
  asm.la(x.s1, "functions");
  asm.li(x.s2, FUNCTIONS);
  asm.label("function");
  asm.jalr(x.ra, 0, x.s1);
  asm.addi(x.s1, x.s1, FUNCTION_BYTES);
  asm.addi(x.s2, x.s2, -1);
  asm.bnez(x.s2, "function");
  asm.addi(x.s0, x.s0, -1);
  asm.bnez(x.s0, "round");
  finish(asm, RESET);
  asm.align(FUNCTION_BYTES);
  asm.label("functions");
  for (let i = 0; i < FUNCTIONS; i++) {
    asm.li(x.t1, 3);
    asm.label(`loop ${i}`);
    for (let j = 0; j < 6; j++) asm.xori(x.t2, x.t1, i % 1000);
    asm.addi(x.t1, x.t1, -1);
    asm.bnez(x.t1, `loop ${i}`);
    asm.ret();
    asm.align(FUNCTION_BYTES);
  }
});

export interface Soaked {
  /** Resident memory in MiB after each boot. */
  readonly resident: readonly number[];
  readonly report: TranslationReport;
}

/** Boots a machine so often. */
export async function soakTranslator(boots: number, regions: number): Promise<Soaked> {
  const translation = { threshold: 20, regions };
  const machine = createVirt({ kernel, accelerator: "jit", translation, ramBytes: 2 ** 25, rebootAllowed: false });
  try {
    const resident: number[] = [];
    for (let boot = 0; boot < boots; boot++) {
      if (boot > 0) machine.reset();
      const { reason } = await machine.run();
      if (reason !== "reset") throw new Error(`the guest ended with ${reason}`);
      resident.push(Deno.memoryUsage().rss / 2 ** 20);
    }
    const [report] = machine.translation;
    if (!report) throw new Error("the machine does not translate");
    return { resident, report };
  } finally {
    machine.dispose();
  }
}

/** Growth in MiB from the third quarter to the last, by the least of each: garbage comes and goes. */
export function growth(resident: readonly number[]): number {
  const quarter = Math.floor(resident.length / 4);
  return Math.min(...resident.slice(-quarter)) - Math.min(...resident.slice(-2 * quarter, -quarter));
}

if (import.meta.main) {
  const [boots = 40, regions = 8192] = Deno.args.map(Number);
  const { resident, report } = await soakTranslator(boots, regions);
  console.log(describeTranslation(report));
  console.log(`MiB after each boot: ${resident.map((size) => size.toFixed(0)).join(" ")}`);
  const ALLOWANCE_MIB = 32;
  Deno.exit(growth(resident) < ALLOWANCE_MIB ? 0 : 1);
}
