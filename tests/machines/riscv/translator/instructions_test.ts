/** Every instruction of the table gives in each tier what the interpreter gives, whatever its operands are. */
import { assert, assertEquals } from "@std/assert";
import { INSTRUCTIONS } from "../../../../machines/riscv/table.ts";
import { Bench, DEVICE } from "../bare_metal.ts";
import { AT_ONCE, CHECKED, isLong, JIT, SMALL_CACHE, SOON, type Tier, translationIn } from "../tiers.ts";
import { AT, load, type LoopOptions, RAM_BYTES, RESULT_BYTES } from "./instruction_loops.ts";

/** A few for each loop, so that all of them go again. */
const FEW: Tier = { ...SMALL_CACHE, name: "in a cache of 16 regions", translation: { threshold: 1, regions: 16 } };
/** In batches, as by default, but for programs that are over sooner. */
const SOONER: Tier = { ...JIT, translation: { threshold: 3000 } };
/** So often that all loops get hot. */
const HOT = 200;
/** Instructions between two looks at what is hot. */
const STRETCH = 5000;
/** More than the program takes once. */
const MOST = 20_000_000;

interface Outcome {
  readonly words: BigUint64Array;
  /** Where the results of each instruction begin. */
  readonly starts: readonly number[];
  readonly regions: number;
}

function run(options: LoopOptions, tier?: Tier): Outcome {
  const bench = new Bench(1, RAM_BYTES);
  try {
    bench.hart.translate(tier && translationIn(tier));
    bench.onAccess = ({ address, size }) => (address - DEVICE) * 0x9e37n + BigInt(size);
    load((address, bytes) => bench.write(address, bytes), options);
    bench.hart.reset({ pc: 0x8000_0000n });
    bench.hart.setInterrupt(7, 1);
    for (let ran = 0; !bench.hart.waiting && ran < MOST * options.repeats;) ran += bench.hart.run(STRETCH);
    assert(bench.hart.waiting, `did not end: pc ${bench.hart.pc.toString(16)}`);
    const { buffer } = bench.memory.memory;
    const part = (at: number, bytes: number) =>
      new BigUint64Array(buffer.slice(bench.offset + at, bench.offset + at + bytes));
    const words = new BigUint64Array((RESULT_BYTES + AT.memoryBytes) / 8);
    words.set(part(AT.results, RESULT_BYTES));
    words.set(part(AT.memory, AT.memoryBytes), RESULT_BYTES / 8);
    const starts = [...part(AT.starts, 8 * INSTRUCTIONS.length)].map((address) =>
      Number(address - 0x8000_0000n) - AT.results
    );
    return { words, starts, regions: bench.hart.translation.made.regions };
  } finally {
    bench.dispose();
  }
}

function differences(found: Outcome, wanted: Outcome): string[] {
  const lines: string[] = [];
  for (const [i, { name }] of INSTRUCTIONS.entries()) {
    const first = (wanted.starts[i] ?? 0) / 8, end = (wanted.starts[i + 1] ?? RESULT_BYTES) / 8;
    for (let word = first; word < end; word++) {
      if (found.words[word] === wanted.words[word]) continue;
      lines.push(
        `${name}: result ${word - first} is ${found.words[word]?.toString(16)}, not ${
          wanted.words[word]?.toString(16)
        }`,
      );
      break;
    }
  }
  const place = found.words.findIndex((word, i) => word !== wanted.words[i]);
  if (lines.length === 0 && place >= 0) lines.push(`memory differs at ${8 * place - RESULT_BYTES}`);
  return lines;
}

function testIn(tiers: readonly Tier[], options: LoopOptions): void {
  let interpreted: Outcome | undefined;
  for (const tier of tiers) {
    const how = `${tier.name}${options.isCompressed ? ", short where it can be" : ""}`;
    Deno.test(`every instruction, ${how}, gives what it gives interpreted`, () => {
      interpreted ??= run(options);
      const translated = run(options, tier);
      assertEquals(differences(translated, interpreted), []);
      assert(translated.regions > INSTRUCTIONS.length / 2, `${translated.regions} regions`);
    });
  }
}

testIn([AT_ONCE, CHECKED], { isCompressed: false, repeats: 1 });
testIn([AT_ONCE, FEW, ...(isLong ? [CHECKED, SMALL_CACHE] : [])], { isCompressed: true, repeats: 1 });
testIn([SOONER], { isCompressed: false, repeats: HOT });
if (isLong) testIn([JIT, SOON], { isCompressed: true, repeats: 4 * HOT });
