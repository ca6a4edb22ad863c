/**
 * Soak of the translator: one machine whose guest has much code, all of it hot, and reboots again and again, so that all
 * of it is translated anew. `deno task soak:translator [BOOTS] [REGIONS]`; fails if the process grows.
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

/**
 * By the fourth boot the cache has been filled and emptied: from then on each boot makes the same 4000 regions anew, for
 * 2.7 MB of WebAssembly and ten times as much of the engine's memory, whose pools grow for some twenty boots. The last
 * boot is compared with the end of the first third. If a fifth of the regions stayed, eight boots would be over 40 MiB
 * more; collection comes and goes with less than that.
 */
const WARM = 4, ALLOWED_SHARE = 0.1, ALLOWED_MIB = 40;

/** What a process may take in the end if it took that much when it was warm, in MiB. */
function mostAllowed(warm: number): number {
  return warm + Math.max(ALLOWED_SHARE * warm, ALLOWED_MIB);
}

if (import.meta.main) {
  const [boots = 12, regions = 8192] = Deno.args.map(Number);
  if (boots <= WARM) throw new RangeError(`it takes more than ${WARM} boots to see growth`);
  const { resident, report } = await soakTranslator(boots, regions);
  console.log(describeTranslation(report));
  console.log(`MiB after each boot: ${resident.map((size) => size.toFixed(0)).join(" ")}`);
  const [warm = 0, last = 0] = [resident[Math.max(WARM, Math.floor(boots / 3)) - 1], resident.at(-1)];
  const most = mostAllowed(warm);
  console.log(`${last.toFixed(0)} MiB after boot ${boots}; at most ${most.toFixed(0)} are allowed`);
  Deno.exit(last <= most ? 0 : 1);
}
