/**
 * Exhaustive: every sequence of operations, up to a depth, over a small universe: three owners, five regions, two address
 * spaces, a listener, a scope. States are told apart by a description; each new one is compared with the model,
 * audited, and given up whole, after which nothing may be left. `deno task explore [DEPTH]`.
 */
import { audit } from "../../systems/inspect.ts";
import { Universe } from "./universe.ts";

export interface Exploration {
  /** Different states, the first one included. */
  readonly states: number;
  /** Operations that were tried in them. */
  readonly transitions: number;
  readonly operations: number;
}

/** A state in which something does not hold; the message has the operations that lead there. */
export class ExplorationError extends Error {
  override readonly name = "ExplorationError";
}

/** Explores all sequences of up to `depth` operations, breadth first. @throws {ExplorationError} */
export function explore(depth: number, progress: (depth: number, states: number) => void = () => {}): Exploration {
  const seen = new Set([new Universe().describe()]);
  const { length } = new Universe().operations;
  let frontier: number[][] = [[]];
  let transitions = 0;
  for (let level = 1; level <= depth; level++) {
    const next: number[][] = [];
    for (const path of frontier) {
      for (let index = 0; index < length; index++) {
        const longer = visit(path, index, seen);
        if (longer === undefined) continue;
        transitions++;
        if (longer.length > 0) next.push(longer);
      }
    }
    frontier = next;
    progress(level, seen.size);
  }
  return { states: seen.size, transitions, operations: length };
}

/** The path to a state that was not seen; empty: it was seen. undefined: the operation does not apply. */
function visit(path: readonly number[], index: number, seen: Set<string>): number[] | undefined {
  const universe = new Universe();
  try {
    for (const step of path) universe.step(step);
    if (!universe.step(index)) return undefined;
    universe.compare();
    const state = universe.describe();
    if (seen.has(state)) return [];
    seen.add(state);
    audit(universe.world);
    universe.finish();
    return [...path, index];
  } catch (cause) {
    const names = [...path, index].map((step) => universe.operations[step]?.name);
    throw new ExplorationError(`after ${names.join(", ")}: ${(cause as Error).message}`, { cause });
  }
}

if (import.meta.main) {
  const depth = Number(Deno.args[0] ?? 6);
  const start = performance.now();
  const { states, transitions, operations } = explore(depth, (level, found) => {
    console.log(`depth ${level}: ${found} states, ${((performance.now() - start) / 1000).toFixed(1)} s`);
  });
  console.log(`${states} states, ${transitions} transitions of ${operations} operations, up to depth ${depth}`);
}
