/** Upper halves of products, by the host's operator for them and without it. */
import { assertEquals } from "@std/assert";
import { EDGES } from "./multiply_products.ts";

const FLAG = "--v8-flags=--experimental-wasm-wide-arithmetic";
const PROGRAM = new URL("./multiply_products.ts", import.meta.url).pathname;

async function run(...flags: string[]) {
  const args = ["run", "-q", "--no-check", ...flags, PROGRAM];
  const { success, stdout } = await new Deno.Command(Deno.execPath(), { args, stderr: "null" }).output();
  return success ? new TextDecoder().decode(stdout).trimEnd().split("\n") : undefined;
}

const signed = (x: bigint) => BigInt.asIntN(64, x);
const PRODUCTS = [
  (a: bigint, b: bigint) => a * b,
  (a: bigint, b: bigint) => signed(a) * signed(b),
  (a: bigint, b: bigint) => signed(a) * b,
].flatMap((product) => EDGES.flatMap((a) => EDGES.map((b) => BigInt.asUintN(64, product(a, b) >> 64n).toString(16))));

for (const flags of [[], [FLAG]]) {
  Deno.test(`upper halves of products are right${flags.length > 0 ? " by the operator of the host" : ""}`, async () => {
    const lines = await run(...flags);
    // A host that no longer knows the flag has the operator anyway, or none.
    if (lines === undefined) return assertEquals(flags, [FLAG]);
    assertEquals(lines.slice(1), PRODUCTS);
    if (flags.length > 0) assertEquals(lines[0], "true");
  });
}
