/**
 * Random programs in two tiers side by side: `deno task fuzz [seed=N] [count=N] [minutes=N] [peer=N]`; a minute by default.
 * A difference is made smaller and printed with its seed, which gives it again: exit status 1. With `peer=N` each Nth
 * program runs to its end on the peer, too, if that is installed.
 */
import { disassemble } from "../../../machines/riscv/disassemble.ts";
import { AT_ONCE, CHECKED, SMALL_CACHE, type Tier } from "../../machines/riscv/tiers.ts";
import { peerIsInstalled } from "../peer.ts";
import { type Case, compare, type Outcome, shrink } from "./compare.ts";
import { RAM } from "./layout.ts";
import { compareWithPeer } from "./peer_run.ts";
import { randomProgram } from "./program.ts";
import { randomSchedule } from "./schedule.ts";

/** What programs are compared in with the interpreter, in turn. */
const FEW = (threshold: number, regions: number): Tier => ({
  name: `threshold ${threshold}, ${regions} regions`,
  accelerator: "jit",
  translation: { threshold, regions },
});
export const FUZZED: readonly Tier[] = [
  AT_ONCE,
  FEW(2, 64),
  SMALL_CACHE,
  FEW(4, 8192),
  CHECKED,
  FEW(3, 9),
  FEW(30, 8192),
];
/** Fast, for what is compared with the peer: its programs run longer. */
export const ON_PEER = FEW(4, 8192);
const TURNS = 80, TRIES = 400, PROGRESS_MS = 10_000;

export function caseOf(seed: number, turns = TURNS): Case {
  const program = randomProgram(seed, false);
  const tier = FUZZED[seed % FUZZED.length] ?? AT_ONCE;
  // Where few are allowed, hardly any accesses of a hot page are checked together before long.
  const straddles = [undefined, 20, 10_000][seed % 3];
  return { program, schedule: randomSchedule(seed, program.harts, turns), tier, straddles };
}

/** What is left of a case that differs, as text. */
export function describe(found: Case, outcome: Outcome): string {
  const small = shrink(found, TRIES);
  const { program: { seed, image, pieces } } = found;
  const view = new DataView(small.program.image.buffer);
  const lines = [
    `seed ${seed}, ${found.tier.name}: ${outcome.difference}, after ${outcome.instructions} instructions`,
    `smaller: ${compare(small).difference}`,
    ...small.schedule.map((turn) =>
      JSON.stringify(turn, (_, value) => value instanceof Uint8Array ? [...value] : value).slice(0, 200)
    ),
  ];
  for (const [i, { offset, length }] of pieces.entries()) {
    if (small.removed.has(i)) continue;
    for (let place = offset; place < offset + length;) {
      const low = view.getUint16(place, true);
      const size = (low & 3) === 3 && place + 4 <= image.length ? 4 : 2;
      const word = size === 4 ? view.getUint32(place, true) : low;
      const address = RAM + BigInt(place);
      lines.push(`  ${address.toString(16)}  ${disassemble(word, Number(address))}`);
      place += size;
    }
  }
  return lines.join("\n");
}

function options(args: readonly string[]): Readonly<Record<string, number>> | undefined {
  const pairs = args.map((arg) => /^(seed|count|minutes|peer)=(\d+(?:\.\d+)?)$/.exec(arg));
  if (pairs.some((pair) => pair === null)) return undefined;
  return Object.fromEntries(pairs.map((pair) => [pair?.[1] ?? "", Number(pair?.[2])]));
}

async function main(args: readonly string[]): Promise<number> {
  const given = options(args);
  if (given === undefined) {
    console.error("Usage: deno task fuzz [seed=N] [count=N] [minutes=N] [peer=N]");
    return 1;
  }
  const { seed: first = Math.floor(Math.random() * 2 ** 31), count = Infinity, peer = 0 } = given;
  const minutes = given.minutes ?? (given.count === undefined ? 1 : Infinity);
  const started = performance.now();
  const sum = {
    programs: 0,
    instructions: 0,
    traps: 0,
    regions: 0,
    dropped: 0,
    onPeer: 0,
    unfinished: 0,
    peerTraps: 0,
  };
  let failed = 0, next = PROGRESS_MS;
  const elapsed = () => performance.now() - started;
  const report = () =>
    console.log(`${Math.round(elapsed() / 1000)} s, next seed ${first + sum.programs}: ${JSON.stringify(sum)}`);
  for (; sum.programs < count && elapsed() < minutes * 60_000 && failed < 5; sum.programs++) {
    const seed = first + sum.programs;
    const one = caseOf(seed);
    const outcome = compare(one);
    sum.instructions += outcome.instructions;
    sum.traps += outcome.traps;
    sum.regions += outcome.regions;
    sum.dropped += outcome.dropped;
    if (outcome.difference !== undefined) {
      failed++;
      console.log(describe(one, outcome));
    }
    if (peer > 0 && seed % peer === 0 && peerIsInstalled) {
      sum.onPeer++;
      const { difference, ended, traps } = await compareWithPeer(randomProgram(seed, true), ON_PEER);
      sum.peerTraps += traps;
      if (!ended) sum.unfinished++;
      if (difference !== undefined) {
        failed++;
        console.log(`seed ${seed}, ${ON_PEER.name} and the peer: ${difference}`);
      }
    }
    if (elapsed() < next) continue;
    next = elapsed() + PROGRESS_MS;
    report();
  }
  report();
  return failed > 0 ? 1 : 0;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
