/** The tiers agree on random programs, instruction by instruction where one of them stops. */
import { assertEquals } from "@std/assert";
import { Bench, RAM } from "../bare_metal.ts";
import { randomNumbers } from "../random_words.ts";
import { loadRandomProgram } from "./random_program.ts";

const PROGRAMS = Number(Deno.env.get("FREEHOLD_TRANSLATOR_PROGRAMS") ?? 60);
const SEED = Number(Deno.env.get("FREEHOLD_TRANSLATOR_SEED") ?? 2463534242);
const RUNS = 40;

/** All that a program can see. */
function stateOf({ hart, memory, offset }: Bench) {
  const registers = Array.from({ length: 64 }, (_, number) => hart.readRegister(number).toString(16));
  const csrs = [0x300, 0x341, 0x342, 0x343, 0x003].map((csr) => hart.readCsr(csr)?.toString(16));
  const words = new BigUint64Array(memory.memory.buffer, offset, 0x6000 / 8);
  const sum = words.reduce((hash, word) => BigInt.asUintN(64, (hash ^ word) * 0x100000001b3n), 0xcbf29ce484222325n);
  return { pc: (hart.pc - RAM).toString(16), instret: hart.instret, registers, csrs, sum };
}

Deno.test("random programs leave the same state in both tiers, wherever they are stopped", () => {
  let translated = 0, dropped = 0;
  for (let program = 0; program < PROGRAMS; program++) {
    const benches = [new Bench(), new Bench()] as const;
    const [interpreted, tiered] = benches;
    tiered.hart.translate({ threshold: 1 + program % 3, limit: 4 + program % 29, eager: true });
    for (const bench of benches) loadRandomProgram(bench, randomNumbers(SEED + program));
    const next = randomNumbers(SEED ^ program);
    for (let run = 0; run < RUNS; run++) {
      const budget = 1 + next() % (run % 2 === 0 ? 40 : 2000);
      for (const { hart } of benches) assertEquals(hart.run(budget), budget);
      assertEquals(stateOf(tiered), stateOf(interpreted), `program ${program} of seed ${SEED}, run ${run}`);
    }
    translated += tiered.hart.translation.made.regions;
    dropped += tiered.hart.translation.dropped["code changed"];
    for (const bench of benches) bench.dispose();
  }
  // Otherwise nothing was compared.
  assertEquals(
    [translated > 10 * PROGRAMS, dropped > PROGRAMS],
    [true, true],
    `${translated} translated, ${dropped} dropped`,
  );
});

Deno.test("a self-check finds nothing in random programs", () => {
  for (let program = 0; program < PROGRAMS / 6; program++) {
    const bench = new Bench();
    bench.hart.translate({ threshold: 1, limit: 64, eager: true, isChecked: true });
    loadRandomProgram(bench, randomNumbers(SEED + program));
    for (let run = 0; run < 10; run++) bench.hart.run(500);
    bench.dispose();
  }
});
