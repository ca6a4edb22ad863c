/** Every suite holds on our machine, in each tier, and, but for the differences that it names, on the peer. */
import { assertEquals } from "@std/assert";
import { ignoredWithout, PEER } from "../peer.ts";
import { failures } from "./compare.ts";
import { TIERS } from "../../machines/riscv/tiers.ts";
import { suites } from "./suites.ts";

const ignore = ignoredWithout(PEER);

for (const suite of suites()) {
  for (const tier of TIERS) {
    Deno.test(`${suite.name}, ${tier.name}: ${suite.checks.length} checks hold`, async () => {
      assertEquals(await failures(suite, tier), []);
    });
  }
  if (suite.harts.peer === undefined) continue;
  Deno.test({
    name: `${suite.name}: the peer agrees`,
    ignore,
    fn: async () => assertEquals(await failures(suite, "peer"), []),
  });
}
