import { assertEquals } from "@std/assert";
import { FAMILIES } from "./catalogue.ts";
import { findCoverage, labelOf, labelsIn, missing, PAGE, renderPage } from "./index.ts";

/** Scenarios of features that are not in yet. Whoever lands one takes its number out and runs `deno task scenarios`. */
const PENDING: readonly string[] = [];

Deno.test("every scenario, rule and invariant has a test, except those of features that are not in", () => {
  assertEquals(missing(findCoverage()), PENDING);
});

Deno.test("the page of scenarios is what the tests say: run `deno task scenarios`", () => {
  assertEquals(Deno.readTextFileSync(PAGE), renderPage(findCoverage()));
});

Deno.test("the catalogue has a line for each number, in order", () => {
  const labels = FAMILIES.flatMap((family) => family.lines.map((_, index) => labelOf(family, index)));
  const counted = (prefix: string, last: number, digits: number) =>
    Array.from({ length: last }, (_, index) => prefix + String(index + 1).padStart(digits, "0"));
  assertEquals(labels, [...counted("S", 150, 2), ...counted("LC", 32, 1), ...counted("INV", 12, 1)]);
});

Deno.test("numbers are read from names, in every way that they are written", () => {
  const source =
    `Deno.test("S01, S02 a (S103)", …); Deno.test(\n  "later (S04)",\n Deno.test({ name: "S05 b" }); "S06"; Deno.test("x (LC4, INV12)")`;
  assertEquals([...labelsIn(source)], ["S01", "S02", "S103", "S04", "S05", "LC4", "INV12"]);
});
