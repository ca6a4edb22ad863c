import { assertEquals } from "@std/assert";
import { FAMILIES } from "./catalogue.ts";
import { findCoverage, label, missing, numbersIn, PAGE, renderPage } from "./index.ts";

/** Scenarios of features that are not in yet. Whoever lands one takes its number out and runs `deno task scenarios`. */
const PENDING: readonly number[] = [];

Deno.test("every scenario has a test, except those of features that are not in", () => {
  assertEquals(missing(findCoverage()).map(label), PENDING.map(label));
});

Deno.test("the page of scenarios is what the tests say: run `deno task scenarios`", () => {
  assertEquals(Deno.readTextFileSync(PAGE), renderPage(findCoverage()));
});

Deno.test("the catalogue has a line for each number, in order", () => {
  let next = 1;
  for (const { first, lines } of FAMILIES) {
    assertEquals(first, next);
    next += lines.length;
  }
  assertEquals(next, 151);
});

Deno.test("numbers are read from names, in every way that they are written", () => {
  const source =
    `Deno.test("S01, S02 a (S103)", …); Deno.test(\n  "later (S04)",\n Deno.test({ name: "S05 b" }); "S06"; Deno.test("S999")`;
  assertEquals([...numbersIn(source)].sort((a, b) => a - b), [1, 2, 4, 5, 103]);
});
