/** Compares what a suite recorded on a machine with what it must be there. */
import { type Run, runOurs, runPeer } from "./run.ts";
import { RAM_BYTES, type Suite } from "./suite.ts";

export type Machine = "ours" | "peer";

/** What is wrong, one line for each check. */
export async function failures(suite: Suite, machine: Machine): Promise<string[]> {
  const { bytes, symbols } = suite.finish();
  const run = machine === "ours" ? runOurs : runPeer;
  const records = recordsOf(await run(bytes, { ramBytes: RAM_BYTES }));
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
