import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { childIndexColumns, childrenIn, indexChild, unindexChild } from "../../ecs/child_index.ts";

Deno.test("the children that meet a window are found by ascending address, whatever came and went", () => {
  const extent = fc.record({ address: fc.nat(200), size: fc.nat(40), remove: fc.boolean(), from: fc.nat(200) });
  fc.assert(fc.property(fc.array(extent, { minLength: 10, maxLength: 60, size: "max" }), (extents) => {
    const index = { address: new Float64Array(64), ...childIndexColumns(64) };
    const present = new Map<number, { address: number; size: number }>();
    for (const [at, { address, size, remove, from }] of extents.entries()) {
      const child = at + 2;
      index.address[child] = address;
      indexChild(index, 1, child, size);
      present.set(child, { address, size });
      if (remove) {
        const victim = [...present.keys()][from % present.size] ?? child;
        unindexChild(index, 1, victim);
        present.delete(victim);
      }
      const expected = [...present]
        .filter(([, { address, size }]) => address < from + 30 && address + size > from)
        .sort(([a, x], [b, y]) => x.address - y.address || a - b)
        .map(([child]) => child);
      assertEquals(childrenIn(index, 1, from, from + 30, []), expected);
    }
  }));
});
