/**
 * Floating point of F and D, as a hart calls it: µs per iteration = ns per operation, since each iteration does 1000.
 * "settled": nearest rounding, inexact already accrued, as in nearly every running program. "clear": the flags are
 * cleared before each operation. "exact": clear, and the result is exact. "up": rounded up. "subnormal": tiny results.
 */
import { call, type Callee, i32, i64, type Local, type ValueType } from "../machines/wasm/expression.ts";
import { branchIf, giveBack, label, loop, set } from "../machines/wasm/statement.ts";
import { ModuleBuilder, writeGlobal } from "../machines/wasm/module.ts";
import { defineSoftFloat, type SoftFloat } from "../machines/riscv/soft_float.ts";

const OPERATIONS = 1000;
const RNE = 0, RUP = 3, NX = 1;

/** An exported loop over one function; operands differ in their lowest bits by `step` from call to call. */
function exportLoop(module: ModuleBuilder, floats: SoftFloat, name: string, callee: Callee) {
  const params: readonly ValueType[] = ["i64", "i64", "i64", "i64", "i32", "i32"];
  module.function(name, { params, results: ["i64"], exported: true }, (f) => {
    const [a, b, c, step, rm, flags] = f.params as [Local, Local, Local, Local, Local, Local];
    const count = f.local("i32"), sum = f.local("i64"), again = label("again");
    const registers = [a, b, c].slice(0, callee.params.filter((type) => type === "i64").length);
    const args = callee.params.includes("i32") ? [...registers, rm] : registers;
    return [
      loop(again, [
        writeGlobal(floats.flags, flags),
        set(sum, i64.xor(sum, call(callee, ...args))),
        set(a, i64.add(a, step)),
        set(count, i32.add(count, i32.const(1))),
        branchIf(again, i32.lt_u(count, i32.const(OPERATIONS))),
      ]),
      giveBack(sum),
    ];
  });
}

const module = new ModuleBuilder();
const floats = defineSoftFloat(module);
for (const [name, callee] of floats.functions) exportLoop(module, floats, `loop_${name}`, callee);
const exports = new WebAssembly.Instance(new WebAssembly.Module(module.finish())).exports as Record<
  string,
  (a: bigint, b: bigint, c: bigint, step: bigint, rm: number, flags: number) => bigint
>;

const view = new DataView(new ArrayBuffer(8));
function double(x: number): bigint {
  view.setFloat64(0, x);
  return view.getBigInt64(0);
}
function single(x: number): bigint {
  view.setFloat32(0, x);
  return BigInt(view.getInt32(0)) | -0x1_0000_0000n;
}

function measure(
  name: string,
  scenario: string,
  operands: readonly bigint[],
  { step = 1n, rm = RNE, flags = NX } = {},
) {
  const [a = 0n, b = 0n, c = 0n] = operands;
  const run = exports[`loop_${name}`];
  if (!run) throw new Error(`no function "${name}"`);
  Deno.bench({ name: `${name}, ${scenario}`, group: name, fn: () => void run(a, b, c, step, rm, flags) });
}

const formats = [["f64", double, 2 ** -1000], ["f32", single, 2 ** -120]] as const;
for (const [format, register, tiny] of formats) {
  for (const operation of ["add", "mul", "div", "sqrt", "fma"]) {
    const name = `${format}_${operation}`;
    const operands = [1.7, 0.3, 5.1].map(register);
    measure(name, "settled", operands);
    measure(name, "clear", operands, { flags: 0 });
    measure(name, "exact", [4, 0.25, 8].map(register), { flags: 0, step: 0n });
    measure(name, "up", operands, { rm: RUP });
    if (operation === "mul") measure(name, "subnormal", [1.7 * tiny, 2 ** -30].map(register));
  }
  const name = (operation: string) => `${format}_${operation}`;
  for (const operation of ["lt", "min"]) measure(name(operation), "settled", [1.7, 0.3].map(register));
  measure(name("class"), "settled", [register(1.7)]);
  for (const type of ["i32", "u32", "i64", "u64"]) {
    measure(name(`to_${type}`), "settled, towards zero", [register(1234.7)], { rm: 1 });
    measure(name(`to_${type}`), "clear, towards zero", [register(1234.7)], { rm: 1, flags: 0 });
    measure(name(`to_${type}`), "settled", [register(1234.7)]);
    measure(`${type}_to_${format}`, "settled", [1234n]);
    measure(`${type}_to_${format}`, "clear, 63 bits", [0x7123_4567_89ab_cdefn], { flags: 0 });
  }
}
measure("f64_to_f32", "settled", [double(1.7)]);
measure("f64_to_f32", "clear", [double(1.7)], { flags: 0 });
measure("f32_to_f64", "settled", [single(1.7)]);
