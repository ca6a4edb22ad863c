/** Soak: machines built, run, rebooted and disposed of, one after the other, in one process. `deno task soak 1000`. */
import { finish, FINISHER, POWER_OFF, program, RAM, RESET, runToEnd, sendText } from "./program.ts";
import { x } from "../../../machines/riscv/registers.ts";

/** Boots twice, then powers off. */
const kernel = program((asm) => {
  asm.li(x.s0, RAM + 0x10_0000);
  asm.lw(x.s1, 0, x.s0);
  asm.addi(x.t1, x.s1, 1);
  asm.sw(x.t1, 0, x.s0);
  asm.bnez(x.s1, "again");
  finish(asm, RESET);
  asm.label("again");
  sendText(asm, "ok");
  asm.li(x.t0, FINISHER);
  finish(asm, POWER_OFF);
});

export interface Soaked {
  /** How many machines did not end as they should. */
  readonly failed: number;
  /** Growth of the JavaScript heap and of the process in bytes per machine, after the first tenth. */
  readonly heapGrowth: number;
  readonly residentGrowth: number;
}

/** Runs `count` machines, each in a world of its own. */
export async function soak(count: number): Promise<Soaked> {
  const warm = Math.ceil(count / 10);
  let failed = 0;
  let before = Deno.memoryUsage();
  for (let i = 0; i < count; i++) {
    if (i === warm) before = await settledMemory();
    const { exit, output } = await runToEnd({ kernel, harts: 1 + i % 8 });
    if (exit.reason !== "power-off" || output !== "ok") failed++;
  }
  const after = await settledMemory();
  const machines = count - warm;
  return {
    failed,
    heapGrowth: (after.heapUsed - before.heapUsed) / machines,
    residentGrowth: (after.rss - before.rss) / machines,
  };
}

/** What is used once the collector has run, if the process was started with `--v8-flags=--expose-gc`. */
async function settledMemory(): Promise<Deno.MemoryUsage> {
  const { gc } = globalThis as { gc?: () => void };
  for (let i = 0; i < 3; i++) {
    gc?.();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return Deno.memoryUsage();
}

if (import.meta.main) {
  const count = Number(Deno.args[0] ?? 1000);
  const started = performance.now();
  const { failed, heapGrowth, residentGrowth } = await soak(count);
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(`${count} machines in ${seconds} s, ${failed} failed`);
  console.log(`growth for each: heap ${heapGrowth.toFixed(0)} B, process ${residentGrowth.toFixed(0)} B`);
  const HEAP_ALLOWANCE = 1000;
  Deno.exit(failed === 0 && heapGrowth < HEAP_ALLOWANCE ? 0 : 1);
}
