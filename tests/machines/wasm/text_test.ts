import { assert, assertEquals, assertThrows } from "@std/assert";
import { generateFloatUnit } from "../../../machines/riscv/float_unit.ts";
import { generateInterpreter } from "../../../machines/riscv/interpreter.ts";
import { call, i32, i64 } from "../../../machines/wasm/expression.ts";
import { ModuleBuilder } from "../../../machines/wasm/module.ts";
import { ModuleError, readModule } from "../../../machines/wasm/read.ts";
import { branchIf, giveBack, label, loop, set, store } from "../../../machines/wasm/statement.ts";
import { functionText } from "../../../machines/wasm/text.ts";

function example(): Uint8Array {
  const module = new ModuleBuilder();
  module.importMemory(1);
  const told = module.importFunction("told", { params: ["i32"], results: ["i32"] });
  module.function("example", { params: ["i32"], results: ["i64"], exported: true }, (f) => {
    const [at] = f.params, count = f.local("i64"), again = label("again");
    if (!at) throw new Error("there is one parameter");
    return [
      loop(again, [
        set(count, i64.add(count, i64.const(-3n))),
        branchIf(again, call(told, at)),
      ]),
      store.i64(at, count, 24),
      giveBack(i64.extend_i32_u(i32.const(-1))),
    ];
  });
  return module.finish();
}

Deno.test("a function is shown as the text format spells it, under its signature and size", () => {
  assertEquals(functionText(readModule(example()), "example", "OP"), [
    "OP: example(i32) -> i64, 1 locals, 29 bytes",
    "  loop",
    "    local.get 1",
    "    i64.const -3",
    "    i64.add",
    "    local.set 1",
    "    local.get 0",
    "    call 0 (told)",
    "    br_if 0",
    "  end",
    "  local.get 0",
    "  local.get 1",
    "  i64.store offset=24",
    "  i32.const -1",
    "  i64.extend_i32_u",
    "  return",
    "  unreachable",
    "end",
  ]);
});

Deno.test("with bytes, each line begins with its offset and what it was read from", () => {
  const lines = functionText(readModule(example()), "example", "OUT", { bytes: true });
  assert(lines.some((line) => /^00004: 42 7d +i64\.const -3$/.test(line)), lines.join("\n"));
});

for (
  const [what, generate] of [["interpreter", generateInterpreter], ["floating-point unit", generateFloatUnit]] as const
) {
  Deno.test(`all functions of the ${what} can be shown, to the last byte`, () => {
    const parts = readModule(generate());
    const own = parts.functions.filter(({ code }) => code !== undefined);
    assert(own.length > 20);
    for (const { name, code } of own) {
      const last = functionText(parts, name, "", { bytes: true }).at(-1) ?? "";
      const end = ((code?.body.length ?? 0) - 1).toString(16).padStart(5, "0");
      assert(new RegExp(`^${end}: 0b +end$`).test(last), `${name} ends with ${last}`);
    }
  });
}

Deno.test("what is no module, or cut short, is refused", () => {
  assertThrows(() => readModule(Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8)), ModuleError, "no WebAssembly module");
  const whole = example();
  assertThrows(() => readModule(whole.subarray(0, whole.length - 4)), ModuleError, "the module ends");
  assertThrows(() => functionText(readModule(whole), "told", ""), ModuleError, 'no function "told"');
});
