/** Random programs over the whole API against the model: the quick form. `deno task model` runs the long one. */
import { assertEquals } from "@std/assert";
import { program, runSeed, shrink } from "./programs.ts";

const OPERATIONS = 25_000;

Deno.test("random operations over the whole API: views, folds and lives are the model's, the audit is clean", () => {
  let operations = 0;
  for (let seed = 1; operations < OPERATIONS; seed++) operations += runSeed(seed);
});

Deno.test("a seed is a program; what fails is shortened to what is needed", () => {
  assertEquals(program(7), program(7));
  const steps = program(3);
  const needed = [steps[17], steps[200]];
  const shortest = shrink(steps, (some) => needed.every((step) => step !== undefined && some.includes(step)));
  assertEquals(shortest, needed.filter((step) => step !== undefined));
});
