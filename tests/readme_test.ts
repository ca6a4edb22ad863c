import { assertEquals } from "@std/assert";

const ROOT = new URL("../", import.meta.url);

Deno.test("the README's program prints what the README shows", async () => {
  const readme = await Deno.readTextFile(new URL("README.md", ROOT));
  const [, program, shown] = readme.match(/```ts\n(.*?)```\n+```console\n(.*?)```/s) ?? [];
  const { stdout, stderr } = await run(program?.replace("./mod.ts", new URL("mod.ts", ROOT).href) ?? "");
  assertEquals(stdout, shown, stderr);
});

async function run(program: string): Promise<{ stdout: string; stderr: string }> {
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--quiet", "--no-check", "--ext=ts", "-"],
    env: { NO_COLOR: "1" },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = process.stdin.getWriter();
  await writer.write(new TextEncoder().encode(program));
  await writer.close();
  const { stdout, stderr } = await process.output();
  return { stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
}
