import { assert, assertEquals } from "@std/assert";

const ROOT = new URL("../../", import.meta.url);

/** Fails for one number in a thousand or so, and prints what it ran with. */
const PROGRAM = `
import fc from "fast-check";
const seen = [];
try {
  fc.assert(fc.property(fc.integer({ min: 0, max: 1e6 }), (n) => (seen.push(n), n < 1e6 - 200_000)), { numRuns: 1000 });
} catch (error) {
  console.log(JSON.stringify({ first: seen[0], message: error.message }));
}
`;

async function run(env: Record<string, string>): Promise<{ first: number; message: string }> {
  const directory = await Deno.makeTempDir();
  const file = `${directory}/property.ts`;
  await Deno.writeTextFile(file, PROGRAM);
  const args = [
    "run",
    "-q",
    "--no-check",
    "--frozen",
    "--allow-env",
    `--config=${new URL("deno.json", ROOT).pathname}`,
    file,
  ];
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), { args, env, cwd: ROOT }).output();
  await Deno.remove(directory, { recursive: true });
  const text = new TextDecoder().decode(stdout);
  assert(text !== "", new TextDecoder().decode(stderr));
  return JSON.parse(text);
}

Deno.test("a random test that fails prints its seed and path, and runs the same case again with them", async () => {
  const { message } = await run({});
  const [, seed = "", path = ""] = /seed: (-?\d+), path: "([\d:]+)"/.exec(message) ?? [];
  assert(seed !== "" && path !== "", message);
  const [, counterexample] = /Counterexample: \[(\d+)\]/.exec(message) ?? [];
  const again = await run({ FREEHOLD_SEED: seed, FREEHOLD_PATH: path });
  assertEquals(`${again.first}`, counterexample);
});
