/** All sequences of operations over a small universe: the short form. `deno task explore` goes deeper. */
import { assert, assertEquals } from "@std/assert";
import { explore } from "./exhaustive.ts";

const DEPTH = 3;

Deno.test("every state of a small universe is sound and leaves nothing behind, up to three operations from the start", () => {
  const levels: number[] = [];
  const { states, transitions } = explore(DEPTH, (_, found) => levels.push(found));
  assertEquals(levels.at(-1), states);
  assert(states > 1000 && transitions > states, `${states} states, ${transitions} transitions`);
});
