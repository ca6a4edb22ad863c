/** What was learned about code. */
import { assert, assertEquals } from "@std/assert";
import { ALL_GRANULES, granulesOf } from "../../../../machines/riscv/translator/granules.ts";
import { Hints } from "../../../../machines/riscv/translator/hints.ts";

const PAGE = 0x1000;

Deno.test("hints go with the 64 bytes that they were learned from", () => {
  const hints = new Hints();
  hints.jumped(PAGE, 8, 100);
  hints.jumped(PAGE, 8, 200);
  hints.jumped(PAGE, 72, 300);
  hints.straddled(PAGE, 74, 9, 2);
  assertEquals([...hints.of(PAGE).seen.get(8) ?? []], [100, 200]);
  hints.changed(PAGE, granulesOf(64, 65));
  assertEquals([...hints.of(PAGE).seen.keys()], [8]);
  assert(!hints.straddled(PAGE, 74, 9, 2), "it was counted anew");
  hints.changed(PAGE, ALL_GRANULES);
  assertEquals(hints.of(PAGE).seen.size, 0);
});

Deno.test("accesses by a register are apart in all of the page once one of them has often been in two pages", () => {
  const hints = new Hints();
  assertEquals([1, 2, 3].map(() => hints.straddled(PAGE, 74, 9, 3)), [false, false, true]);
  assert(!hints.straddled(PAGE, 80, 10, 3));
  assertEquals([...hints.of(PAGE).apart], [9]);
});

Deno.test("a guest can't make the hints of a page grow without end", () => {
  const hints = new Hints();
  for (let jump = 0; jump < 4096; jump += 2) {
    for (let target = 0; target < 4096; target += 2) hints.jumped(PAGE, jump, target);
  }
  const { seen } = hints.of(PAGE);
  assert(seen.size <= 64 && [...seen.values()].every((targets) => targets.size <= 64));
  assert(!hints.jumped(PAGE, 0, 4000));
});

Deno.test("granules of a page are 64 bits, one for each 64 bytes", () => {
  assertEquals(granulesOf(0, 4095), ALL_GRANULES);
  assertEquals(granulesOf(63, 64), 3n);
  assertEquals(granulesOf(4095, 4095), 1n << 63n);
});
