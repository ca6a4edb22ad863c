/**
 * Where a region looks whether its budget lasts: at its entries and at heads of loops, for all blocks until the next
 * such place. What a block costs is taken off at its head; exits give back what has not begun.
 */
import type { Graph } from "./loops.ts";

/**
 * For each node that looks, how many instructions may run until the next one looks. `costs` are those of the nodes, which
 * are in the order of the program, so that every loop has an edge back to an earlier one or to itself.
 */
export function budgetChecks(graph: Graph, entries: readonly number[], costs: readonly number[]): Map<number, number> {
  const checks = new Map(entries.map((node) => [node, 0]));
  graph.forEach((successors, node) => successors.forEach((to) => to <= node && checks.set(to, 0)));
  const needs: number[] = [];
  // Behind a node that doesn't look there are only later ones.
  for (let node = graph.length - 1; node >= 0; node--) {
    const behind = (graph[node] ?? []).map((to) => checks.has(to) ? 0 : needs[to] ?? 0);
    needs[node] = (costs[node] ?? 0) + Math.max(0, ...behind);
  }
  for (const node of checks.keys()) checks.set(node, needs[node] ?? 0);
  return checks;
}
