/** The busiest functions as text. */
import type { CallTree } from "./sampler.ts";

interface Share {
  self: number;
  total: number;
}

/** Samples of each function wherever it was called; of recursive ones once for each sample. */
export function shares(tree: CallTree): Map<string, Share> {
  const found = new Map<string, Share>();
  const visit = (node: CallTree, above: ReadonlySet<string>) => {
    const share = found.get(node.name) ?? { self: 0, total: 0 };
    found.set(node.name, share);
    share.self += node.self;
    if (!above.has(node.name)) share.total += node.total;
    const within = new Set(above).add(node.name);
    for (const callee of node.callees.values()) visit(callee, within);
  };
  for (const root of tree.callees.values()) visit(root, new Set());
  return found;
}

/** A line for each of the `count` functions in which most samples are. */
export function topList(tree: CallTree, count: number): string {
  const percent = (samples: number) => `${(100 * samples / Math.max(tree.total, 1)).toFixed(1)} %`.padStart(8);
  const rows = [...shares(tree)].filter(([, { self }]) => self > 0)
    .sort(([a, x], [b, y]) => y.self - x.self || (a < b ? -1 : 1))
    .slice(0, count)
    .map(([name, { self, total }]) => `${percent(self)} ${percent(total)}  ${name}\n`);
  return `    self    total  function (${tree.total} samples)\n${rows.join("")}`;
}
