/** Which registers of a region may be other than in the hart's state: calls need to store only those. */
import { type Block, isCall } from "./discovery.ts";
import type { Graph } from "./loops.ts";
import { writtenBy } from "./region_state.ts";

/** For each block, the registers that may have been written at its end and have not been stored since, as a set. */
export function dirtyRegisters(blocks: readonly Block[], graph: Graph): readonly bigint[] {
  const written = blocks.map(({ steps, end }) =>
    ("step" in end ? [...steps, end.step] : steps).reduce((set, step) => set | writtenBy(step), 0n)
  );
  const dirty = [...written];
  for (let changed = true; changed;) {
    changed = false;
    for (const [node, { end }] of blocks.entries()) {
      // What is called loads and stores all that it uses; behind the call all is loaded again.
      if (end.kind === "jump" && isCall(end.step.decoded)) continue;
      for (const to of graph[node] ?? []) {
        const all = (dirty[to] ?? 0n) | (dirty[node] ?? 0n);
        if (all === dirty[to]) continue;
        dirty[to] = all;
        changed = true;
      }
    }
  }
  return dirty;
}
