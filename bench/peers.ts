/**
 * Our machine beside the peer's: the same guests on both, in one run, in turns. Prints one table with the numbers to reach;
 * says on stderr what it does.
 *
 *     deno task bench:peers [--rounds=5] [kernels|floats|mixed|boot|guest|stalls]…
 *
 * Shown are medians of the rounds, and of the ratios the median of the rounds' own. Nothing here is a test: figures depend
 * on the host, which the calibration loop rates.
 */
import { parseArgs } from "node:util";
import { PEER } from "./peers/emulators.ts";
import { compareKernels, GROUPS } from "./peers/kernels.ts";
import { compareLinux, LINUX } from "./peers/linux.ts";
import { isInstalled } from "./peers/process.ts";
import { type Part, render } from "./peers/table.ts";

const NAMES = [...Object.keys(GROUPS), ...Object.keys(LINUX)];

/** Nanoseconds a round of a fixed loop: what this host is worth now. */
function calibrate(): number {
  const start = performance.now();
  let sum = 0;
  for (let i = 0; i < 1e8; i++) sum = (sum * 31 + i) | 0;
  return sum === 1 ? 0 : (performance.now() - start) * 1e6 / 1e8;
}

const progress = (step: string) => console.error(step);

async function measurePart(name: string, rounds: number, directory: string): Promise<Part> {
  const group = GROUPS[name], linux = LINUX[name];
  if (group) return await compareKernels(group, rounds, directory, progress);
  if (linux) return await compareLinux(linux, rounds, directory, progress);
  throw new Error(`there is no part '${name}'`);
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    options: { rounds: { type: "string", default: "5" } },
    allowPositionals: true,
  });
  const rounds = Number(values.rounds);
  const unknown = positionals.find((name) => !NAMES.includes(name));
  if (unknown !== undefined || !(Number.isInteger(rounds) && rounds > 0)) {
    console.error(
      unknown === undefined
        ? `--rounds must be a number from 1 on, not '${values.rounds}'`
        : `'${unknown}' is no part of the comparison; there are ${NAMES.join(", ")}`,
    );
    return 1;
  }
  if (!(await isInstalled(PEER))) {
    console.log(`Skipped: ${PEER}, with which we compare, is not installed.`);
    return 0;
  }
  const directory = await Deno.makeTempDir();
  try {
    const parts: Part[] = [];
    for (const name of NAMES.filter((name) => positionals.length === 0 || positionals.includes(name))) {
      parts.push(await measurePart(name, rounds, directory));
    }
    console.log(`Medians of ${rounds} paired rounds; calibration loop: ${calibrate().toFixed(2)} ns a round.\n`);
    console.log(render(parts).trimEnd());
    return 0;
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.exit(await main());
