/**
 * A flame graph as one SVG file: width is samples, callers stand below what they called. It needs nothing from elsewhere:
 * a browser shows names and shares under the pointer, and a small script in the file zooms by a click.
 */
import type { CallTree } from "./sampler.ts";

const WIDTH = 1200, ROW = 18, MARGIN = 8, TOP = 40;
/** Narrower ones, in pixels, can't be seen. */
const NARROWEST = 0.1;
const CHARACTER = 6.6;

interface Box {
  readonly node: CallTree;
  /** First sample, of all. */
  readonly start: number;
  readonly depth: number;
}

export function flameGraph(tree: CallTree, title: string): string {
  const boxes: Box[] = [];
  const narrowest = NARROWEST * Math.max(tree.total, 1) / WIDTH;
  const place = (node: CallTree, start: number, depth: number) => {
    if (node.total < narrowest) return;
    boxes.push({ node, start, depth });
    let next = start;
    for (const callee of [...node.callees.values()].sort((a, b) => a.name < b.name ? -1 : 1)) {
      place(callee, next, depth + 1);
      next += callee.total;
    }
  };
  place(tree, 0, 0);
  const rows = boxes.reduce((most, { depth }) => Math.max(most, depth + 1), 0);
  const height = TOP + rows * ROW + MARGIN;
  const size = `width="${WIDTH + 2 * MARGIN}" height="${height}" viewBox="0 0 ${WIDTH + 2 * MARGIN} ${height}"`;
  return `<svg xmlns="http://www.w3.org/2000/svg" ${size} font-family="monospace" font-size="11">
<style>g.f{cursor:pointer}g.f:hover rect{stroke:#000;stroke-width:1}g.f text{pointer-events:none}</style>
<rect width="100%" height="100%" fill="#fffdf5"/>
<text x="${MARGIN}" y="16" font-size="13">${escape(title)}</text>
<text x="${MARGIN}" y="32" id="shown">${tree.total} samples; click a function to zoom, the lowest to go back</text>
${boxes.map((box) => draw(box, tree.total, height)).join("\n")}
<script><![CDATA[${SCRIPT}]]></script>
</svg>
`;
}

function draw({ node, start, depth }: Box, all: number, height: number): string {
  const scale = WIDTH / Math.max(all, 1);
  const x = MARGIN + start * scale, width = node.total * scale, y = height - MARGIN - (depth + 1) * ROW;
  const share = (100 * node.total / Math.max(all, 1)).toFixed(2);
  const label = `${node.name}: ${node.total} samples, ${share} %`;
  const shown = fit(node.name, width);
  const text = `<text x="${(x + 3).toFixed(2)}" y="${y + ROW - 5}">${escape(shown)}</text>`;
  const place = `data-s="${start}" data-n="${node.total}" data-d="${depth}" data-t="${escape(node.name)}"`;
  const rect = `x="${x.toFixed(2)}" y="${y}" width="${width.toFixed(2)}" height="${ROW - 1}" fill="${
    colour(node.name)
  }"`;
  return `<g class="f" ${place}><title>${escape(label)}</title><rect ${rect}/>${text}</g>`;
}

function fit(name: string, width: number): string {
  const room = Math.floor((width - 6) / CHARACTER);
  if (name.length <= room) return name;
  return room < 3 ? "" : `${name.slice(0, room - 1)}…`;
}

/** A warm colour of its own for each name, the same in every graph. */
function colour(name: string): string {
  let hash = 0;
  for (let i = 0; i < name.length; i++) hash = (hash * 31 + name.charCodeAt(i)) >>> 0;
  return `hsl(${10 + hash % 45},${70 + (hash >>> 8) % 25}%,${62 + (hash >>> 16) % 14}%)`;
}

/** Names come from files that nobody vouches for. */
function escape(text: string): string {
  const entities: Readonly<Record<string, string>> = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
    "'": "&#39;",
  };
  // Characters that XML does not have, even as entities.
  // deno-lint-ignore no-control-regex
  return text.replace(/[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/g, "\ufffd").replace(
    /[&<>"']/g,
    (c) => entities[c] ?? c,
  );
}

/** Shows the function that is clicked over the whole width, and what it was called by below it. */
const SCRIPT = `
const W=${WIDTH},M=${MARGIN},C=${CHARACTER},all=[...document.querySelectorAll("g.f")];
for(const g of all)g.addEventListener("click",()=>zoom(g));
function zoom(g){const s=+g.dataset.s,n=+g.dataset.n,d=+g.dataset.d;
for(const f of all){const fs=+f.dataset.s,fn=+f.dataset.n,fd=+f.dataset.d;
const above=fd>=d&&fs>=s&&fs+fn<=s+n,below=fd<d&&fs<=s&&fs+fn>=s+n;
f.style.display=above||below?"":"none";if(!above&&!below)continue;
const x=below?M:M+(fs-s)*W/n,w=below?W:fn*W/n,r=f.querySelector("rect"),t=f.querySelector("text");
r.setAttribute("x",x);r.setAttribute("width",w);r.setAttribute("opacity",below?0.5:1);t.setAttribute("x",x+3);
const k=Math.floor((w-6)/C),name=f.dataset.t;t.textContent=name.length<=k?name:k<3?"":name.slice(0,k-1)+"\\u2026"}
document.getElementById("shown").textContent=g.querySelector("title").textContent}
`;
