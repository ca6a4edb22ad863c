import { assert, assertEquals } from "@std/assert";
import { geometricMean, median, medianRatio } from "../../bench/peers/statistics.ts";
import { render, type Row } from "../../bench/peers/table.ts";

const line = (row: Row) => render([{ title: "", rows: [row] }]).trimEnd().split("\n").at(-1) ?? "";

Deno.test("a ratio that should be large passes from its target on", () => {
  const target = { atLeast: 1.2, goal: 1.5, better: "more" } as const;
  assert(/1\.20 +≥ 1\.2 +pass +≥ 1\.5 +MISS/.test(line({ what: "kernels", ratio: 1.2, target })));
  assert(/1\.50 +≥ 1\.2 +pass +≥ 1\.5 +pass/.test(line({ what: "kernels", ratio: 1.5, target })));
  assert(/1\.19 +≥ 1\.2 +MISS/.test(line({ what: "kernels", ratio: 1.19, target })));
});

Deno.test("a figure that should be small passes up to its target, without a ratio by itself", () => {
  const target = { atLeast: 50, goal: 10, better: "less" } as const;
  assert(/40\.00 +ms +≤ 50 +pass +≤ 10 +MISS/.test(line({ what: "stall", ours: 40, unit: "ms", target })));
  assert(/51\.00 +ms +≤ 50 +MISS +≤ 10 +MISS/.test(line({ what: "stall", ours: 51, unit: "ms", target })));
});

Deno.test("a part that can't be measured says why in place of rows", () => {
  assert(
    render([{ title: "Boot", rows: [], skipped: "Skipped: no files." }]).endsWith("\nBoot\n  Skipped: no files.\n"),
  );
});

Deno.test("ratios are those of the rounds, not of the medians", () => {
  assertEquals(median([3, 1, 2]), 2);
  assertEquals(median([4, 1, 2, 3]), 2.5);
  assertEquals(medianRatio([10, 2, 30], [5, 2, 10]), 2);
  assertEquals(geometricMean([0.5, 2, 8]).toFixed(9), "2.000000000");
});
