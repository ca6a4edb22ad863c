/** What every start of a machine loads: each module is a fifth of a millisecond, some are many. */
import { assert, assertEquals } from "@std/assert";

const MAIN = new URL("../../machines/main.ts", import.meta.url);

interface Module {
  readonly specifier: string;
  readonly dependencies?: readonly { readonly code?: { readonly specifier?: string }; readonly isDynamic?: boolean }[];
}

/** What is loaded before the first line of the program runs. */
async function loadedAtStart(): Promise<ReadonlySet<string>> {
  const command = new Deno.Command(Deno.execPath(), { args: ["info", "--json", MAIN.pathname], stderr: "null" });
  const { stdout } = await command.output();
  const { modules }: { readonly modules: readonly Module[] } = JSON.parse(new TextDecoder().decode(stdout));
  const dependencies = new Map(modules.map((module) => [module.specifier, module.dependencies ?? []]));
  const loaded = new Set([MAIN.href]);
  for (const specifier of loaded) {
    for (const { code, isDynamic } of dependencies.get(specifier) ?? []) {
      if (code?.specifier !== undefined && !isDynamic) loaded.add(code.specifier);
    }
  }
  return loaded;
}

Deno.test("what only some runs of a machine need is not loaded by all of them", async () => {
  const loaded = await loadedAtStart();
  assert(loaded.has(new URL("virt/machine.ts", MAIN).href));
  const unwanted = [...loaded].filter((specifier) => /\/(demonstration|assemble)\b/.test(specifier));
  assertEquals(unwanted, []);
  const ofHost = [...loaded].filter((specifier) => specifier.startsWith("node:"));
  assertEquals(ofHost, ["node:timers"], "modules of the host take 5 to 20 ms each");
});
