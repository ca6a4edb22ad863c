import { assertEquals } from "@std/assert";
import { choose, i32, i64, intrinsic, operand, select } from "../../../machines/wasm/expression.ts";
import { countOperands, replaceOperands } from "../../../machines/wasm/rewrite.ts";

const a = operand("i64", "a"), b = operand("i64", "b");

Deno.test("operands are counted wherever they occur", () => {
  const e = choose(i64.eqz(a), select(i64.eq(a, b), a, i64.load(i32.wrap_i64(b), 8)), intrinsic("i64", "mix", a));
  assertEquals([...countOperands(e)].toSorted(), [["a", 4], ["b", 2]]);
});

Deno.test("operands are replaced wherever they occur, and nothing else is", () => {
  const shape = (x: typeof a, y: typeof a) =>
    choose(i64.eqz(x), select(i64.eq(x, y), x, i64.load(i32.wrap_i64(y), 8)), intrinsic("i64", "mix", x));
  const one = i64.const(1), two = i64.const(2);
  assertEquals(replaceOperands(shape(a, b), (name) => name === "a" ? one : two), shape(one, two));
});
