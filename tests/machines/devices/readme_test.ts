import { assert, assertEquals } from "@std/assert";
import { ticker } from "./example.ts";
import { withRig } from "./rig.ts";

Deno.test("the README's device is the one that is tested here", async () => {
  const read = (path: string) => Deno.readTextFile(new URL(path, import.meta.url));
  const readme = await read("../../../machines/devices/README.md");
  const example = await read("./example.ts");
  assert(
    readme.includes("```ts\n" + example + "```"),
    "machines/devices/README.md shows another device than example.ts",
  );
});

Deno.test(
  "the README's device counts at its rate and interrupts at its limit",
  withRig((rig) => {
    const irq = rig.watch(rig.plug(ticker, 0, { rate: 100 }), "irq");
    rig.write(8, 3);
    rig.write(0, 3);
    rig.runUntil(29_999_999);
    assertEquals([rig.read(4), irq], [2, []]);
    rig.runUntil(30_000_000);
    assertEquals([rig.read(4), irq], [3, [1]]);
    assertEquals([rig.read(12), rig.read(12), irq], [1, 0, [1, 0]]);
    rig.write(0, 0);
    rig.runUntil(1e9);
    assertEquals(rig.read(4), 3, "stopped");
  }),
);
