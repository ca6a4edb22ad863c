/** Random programs leave the same state in every tier and, where it is installed, on the peer; `deno task fuzz` tries more. */
import { assert, assertEquals } from "@std/assert";
import { compare } from "./fuzz/compare.ts";
import { caseOf, FUZZED, ON_PEER } from "./fuzz/main.ts";
import { compareWithPeer } from "./fuzz/peer_run.ts";
import { randomProgram } from "./fuzz/program.ts";
import { ignoredWithout, PEER } from "./peer.ts";

const SEEDS = 5 * FUZZED.length, TURNS = 25;
const PEER_SEEDS = 8;

Deno.test("random programs leave the same state in every tier, wherever they are stopped", () => {
  const sum = { instructions: 0, traps: 0, regions: 0, dropped: 0 };
  for (let seed = 1; seed <= SEEDS; seed++) {
    const outcome = compare(caseOf(seed, TURNS));
    assertEquals(outcome.difference, undefined, `deno task fuzz seed=${seed} count=1`);
    for (const key of ["instructions", "traps", "regions", "dropped"] as const) sum[key] += outcome[key];
  }
  // Otherwise little was compared.
  const { instructions, traps, regions, dropped } = sum;
  assert(
    instructions > 5000 * SEEDS && traps > 20 * SEEDS && regions > 50 * SEEDS && dropped > 5 * SEEDS,
    JSON.stringify(sum),
  );
});

Deno.test({
  name: "random programs end with the same registers and memory here and on the peer",
  ignore: ignoredWithout(PEER),
  async fn() {
    let compared = 0;
    for (let seed = 1; seed <= PEER_SEEDS; seed++) {
      const { difference, traps } = await compareWithPeer(randomProgram(seed, true), ON_PEER);
      assertEquals(difference, undefined, `deno task fuzz seed=${seed} count=1 peer=1`);
      compared += traps;
    }
    // A program's time is the host's: where that is busy, more of them are given up.
    assert(compared > 20 * PEER_SEEDS, `${compared} traps`);
  },
});
