/**
 * Our hart and the peer's execute the same random instructions, one at a time. A longer run:
 * `deno run -P=test tests/conformance/lockstep_test.ts COUNT FIRST_SEED`.
 */

import { assert, assertEquals } from "@std/assert";
import { HartTarget } from "./hart_target.ts";
import { AT_ONCE, CHECKED, INTERPRETED } from "../machines/riscv/tiers.ts";
import { runCase } from "./lockstep.ts";
import { ignoredWithout, PEER, startStoppedPeer } from "./peer.ts";
import { randomCase } from "./random_case.ts";
import { PeerTarget, type Target } from "./target.ts";

const RAM_MEGABYTES = 16;
const CASES = 200;

async function withPeer(body: (peer: Target) => Promise<void>): Promise<void> {
  await using stopped = await startStoppedPeer(RAM_MEGABYTES);
  const peer = new PeerTarget(stopped.gdb);
  await peer.start();
  await body(peer);
}

async function failures(peer: Target, ours: Target, first: number, count: number): Promise<string[]> {
  const found: string[] = [];
  for (let seed = first; seed < first + count; seed++) {
    const result = await runCase(peer, ours, randomCase(seed));
    if (typeof result === "string") found.push(result);
  }
  return found;
}

if (import.meta.main) {
  const [count = "1000", first = "0"] = Deno.args;
  await withPeer(async (peer) => {
    const found = await failures(peer, new HartTarget(RAM_MEGABYTES << 20), Number(first), Number(count));
    for (const failure of found) console.log(failure);
    console.log(`${found.length} of ${count} cases differ`);
  });
}

const ignore = ignoredWithout(PEER);

for (const [tier, cases] of [[INTERPRETED, CASES], [AT_ONCE, CASES / 4], [CHECKED, CASES / 4]] as const) {
  Deno.test({
    name: `random instructions leave our hart, ${tier.name}, and the peer's in the same state, step by step`,
    ignore,
    fn: () =>
      withPeer(async (peer) => {
        assertEquals(await failures(peer, new HartTarget(RAM_MEGABYTES << 20, tier), 1, cases), []);
      }),
  });
}

/** A hart with one wrong register after each step. */
class FaultyTarget extends HartTarget {
  override async step(): Promise<void> {
    await super.step();
    const { x7 = 0n } = Object.fromEntries(await this.read(["x7"]));
    await this.write(new Map([["x7", x7 ^ 1n]]));
  }
}

Deno.test({
  name: "a hart that gets one bit wrong is found out",
  ignore,
  fn: () =>
    withPeer(async (peer) => {
      const [failure = ""] = await failures(peer, new FaultyTarget(RAM_MEGABYTES << 20), 1, 3);
      assert(failure.includes("x7"), failure);
    }),
});
