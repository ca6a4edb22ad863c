import { assert, assertEquals } from "@std/assert";
import { occurrences } from "./mutate.ts";
import { MUTATIONS } from "./mutations.ts";

const ROOT = new URL("../../", import.meta.url);

Deno.test("each planted fault fits the source exactly once, and its killer exists", () => {
  const source = (path: string) => Deno.readTextFileSync(new URL(path, ROOT));
  const wrong = MUTATIONS.filter(({ file, find, replace, by: [test, name] }) =>
    occurrences(source(file), find) !== 1 || find === replace || !source(test).includes(`"${name}`)
  );
  assertEquals(wrong.map(({ fault, file }) => `${file}: ${fault}`), []);
});

Deno.test("there are at least 40 planted faults, none twice", () => {
  assert(MUTATIONS.length >= 40);
  assertEquals(new Set(MUTATIONS.map(({ fault }) => fault)).size, MUTATIONS.length);
});
