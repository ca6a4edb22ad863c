import { assertEquals, assertThrows } from "@std/assert";
import { call, choose, f64, f64x2, i32, i64 } from "../../../machines/wasm/expression.ts";
import { block, branch, branchIf, giveBack, label, loop, set, store, when } from "../../../machines/wasm/statement.ts";
import { ModuleBuilder, readGlobal, writeGlobal } from "../../../machines/wasm/module.ts";

type Exports = Record<string, (...args: (number | bigint)[]) => number | bigint>;

function instantiate(module: ModuleBuilder, env: Record<string, WebAssembly.ImportValue> = {}): Exports {
  return new WebAssembly.Instance(new WebAssembly.Module(module.finish()), { env }).exports as Exports;
}

Deno.test("a generated function computes with 64-bit constants of every size", () => {
  const module = new ModuleBuilder();
  const constants = [0, -1, 63, 64, -64, -65, 2 ** 31, -(2 ** 40), 0x7fff_ffff_ffff_ffffn, -0x8000_0000_0000_0000n];
  constants.forEach((value, i) => {
    module.function(`f${i}`, { results: ["i64"], exported: true }, () => [giveBack(i64.const(value))]);
  });
  const exports = instantiate(module);
  constants.forEach((value, i) => assertEquals(exports[`f${i}`]?.(), BigInt(value)));
});

Deno.test("loops, branches and calls between functions reach the labels that they name", () => {
  const module = new ModuleBuilder();
  const double = module.declare("double", { params: ["i64"], results: ["i64"] });
  module.function("sum", { params: ["i64"], results: ["i64"], exported: true }, (f) => {
    const n = f.params[0]!, total = f.local("i64");
    const out = label("out"), again = label("again");
    return [
      block(out, [loop(again, [
        branchIf(out, i64.eqz(n)),
        set(total, i64.add(total, choose(i64.gt_s(n, i64.const(2)), call(double, n), n))),
        set(n, i64.sub(n, i64.const(1))),
        branch(again),
      ])]),
      giveBack(total),
    ];
  });
  module.define(double, (f) => [giveBack(i64.shl(f.params[0]!, i64.const(1)))]);
  assertEquals(instantiate(module).sum?.(4n), 8n + 6n + 2n + 1n);
});

Deno.test("memory, globals and imported functions are shared with the host", () => {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  const module = new ModuleBuilder();
  module.importMemory(1);
  const host = module.importFunction("host", { params: ["i32"], results: ["i32"] });
  const count = module.global("i32", 5);
  module.function("go", { params: ["i32"], results: ["i32"], exported: true }, (f) => [
    store.i64_16(f.params[0]!, i64.const(0x12345), 8),
    writeGlobal(count, i32.add(readGlobal(count), i32.const(1))),
    when(i32.eqz(f.params[0]!), [giveBack(i32.const(-1))]),
    giveBack(call(host, readGlobal(count))),
  ]);
  const go = instantiate(module, { memory, host: (x: number) => x * 10 }).go!;
  assertEquals(go(16), 60);
  assertEquals(new DataView(memory.buffer).getUint32(24, true), 0x2345);
  assertEquals(go(0), -1);
});

Deno.test("relaxed multiply-add is a valid instruction and gives a product plus a sum", () => {
  const module = new ModuleBuilder();
  module.function("madd", { params: ["f64", "f64", "f64"], results: ["f64"], exported: true }, (f) => {
    const [a, b, c] = f.params.map((p) => f64x2.splat(p));
    return [giveBack(f64.abs(f64x2.extract_lane(f64x2.relaxed_madd(a!, b!, c!), 0)))];
  });
  assertEquals(instantiate(module).madd?.(3, 4, -20), 8);
});

Deno.test("operands of the wrong type are refused when the tree is built", () => {
  assertThrows(() => i64.add(i32.const(1), i64.const(1)), TypeError, "i64.add takes (i64, i64), not (i32, i64)");
});
