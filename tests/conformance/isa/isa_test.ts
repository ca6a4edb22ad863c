/** Every suite holds on our machine and, but for the differences that it names, on the peer. */
import { assertEquals } from "@std/assert";
import { ignoredWithout, PEER } from "../peer.ts";
import { failures } from "./compare.ts";
import { suites } from "./suites.ts";

const ignore = ignoredWithout(PEER);

for (const suite of suites()) {
  Deno.test(`${suite.name}: ${suite.checks.length} checks hold`, async () => {
    assertEquals(await failures(suite, "ours"), []);
  });
  Deno.test({
    name: `${suite.name}: the peer agrees`,
    ignore,
    fn: async () => assertEquals(await failures(suite, "peer"), []),
  });
}
