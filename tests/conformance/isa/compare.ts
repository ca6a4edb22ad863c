/** Compares what a suite recorded on a machine with what it must be there. */
import { type Run, runOurs, runPeer } from "./run.ts";
import type { Tier } from "../../machines/riscv/tiers.ts";
import { RAM_BYTES, type Suite } from "./suite.ts";

/** Ours, in one of its tiers, or the peer. */
export type Machine = Tier | "peer";

/** What is wrong, one line for each check. */
export async function failures(suite: Suite, machine: Machine): Promise<string[]> {
  const { bytes, symbols } = suite.finish();
  const cpu = machine === "peer" ? suite.harts.peer : suite.harts.ours;
  if (cpu === undefined) throw new Error(`the peer has no such harts as "${suite.name}" needs`);
  const options = { ramBytes: RAM_BYTES, cpu };
  const run = machine === "peer" ? runPeer(bytes, options) : runOurs(bytes, { ...options, tier: machine });
  const records = recordsOf(await run);
  const wrong: string[] = [];
  for (const [i, { what, expected, peer }] of suite.checks.entries()) {
    if (machine === "peer" && peer && peer.value === undefined) continue;
    const wanted = machine === "peer" && peer?.value !== undefined ? peer.value : expected(symbols);
    const record = records[i];
    if (record !== wanted) wrong.push(`${suite.name}: ${what}: ${hex(record)}, not ${hex(wanted)}`);
  }
  if (records.length !== suite.checks.length) {
    wrong.push(`${suite.name}: ${records.length} records, not ${suite.checks.length}`);
  }
  return wrong;
}

function recordsOf({ output }: Run): BigUint64Array {
  return new BigUint64Array(output.slice(0, output.length & ~7).buffer);
}

function hex(value: bigint | undefined): string {
  return value === undefined ? "nothing" : `0x${value.toString(16)}`;
}
