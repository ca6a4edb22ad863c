import { assert, assertEquals } from "@std/assert";
import { flameGraph } from "../../../machines/profile/flame_graph.ts";
import { addSample, callTree } from "../../../machines/profile/sampler.ts";

function example() {
  const tree = callTree("all");
  for (let i = 0; i < 6; i++) addSample(tree, ["main", "work"]);
  for (let i = 0; i < 3; i++) addSample(tree, ["main"]);
  addSample(tree, ['<script>"&\u0001']);
  return tree;
}

interface Box {
  readonly name: string;
  readonly x: number;
  readonly y: number;
  readonly width: number;
}

const boxesOf = (svg: string): Box[] =>
  [...svg.matchAll(/<g class="f"[^>]*data-t="([^"]*)"><title>.*?<rect x="([\d.]+)" y="([\d.]+)" width="([\d.]+)"/gs)]
    .map(([, name = "", x, y, width]) => ({ name, x: Number(x), y: Number(y), width: Number(width) }));

Deno.test("widths are samples, and what a function calls stands above it", () => {
  const boxes = new Map(boxesOf(flameGraph(example(), "t")).map((box) => [box.name, box]));
  const [all, main, work] = ["all", "main", "work"].map((name) => boxes.get(name));
  assert(all && main && work);
  assertEquals([all.width, main.width, work.width], [1200, 1080, 720]);
  assert(work.y < main.y && main.y < all.y);
  assert(work.x >= main.x && work.x + work.width <= main.x + main.width);
});

Deno.test("the share of each function is shown under the pointer", () => {
  assert(flameGraph(example(), "t").includes("<title>work: 6 samples, 60.00 %</title>"));
});

Deno.test("names can't break the file, and it needs nothing from elsewhere", () => {
  const svg = flameGraph(example(), "a < b & c");
  assertEquals(svg.match(/<script>/g)?.length, 1);
  assert(svg.includes("&lt;script&gt;&quot;&amp;\ufffd") && svg.includes("a &lt; b &amp; c"));
  assertEquals([...svg.matchAll(/\b(?:href|src)=|https?:\/\/(?!www\.w3\.org\/2000\/svg)/g)].length, 0);
  const open = svg.match(/<(g|text|title|svg|style|script)\b/g)?.length;
  assertEquals(svg.match(/<\/(g|text|title|svg|style|script)>/g)?.length, open);
});

Deno.test("a guest that ran nothing has a graph all the same", () => {
  assert(flameGraph(callTree("all"), "nothing").includes("0 samples"));
});
