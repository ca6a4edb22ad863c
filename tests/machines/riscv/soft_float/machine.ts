/** The soft-float functions as JavaScript can call them. */
import { call, type Callee, i32 } from "../../../../machines/wasm/expression.ts";
import { giveBack } from "../../../../machines/wasm/statement.ts";
import { ModuleBuilder, readGlobal, writeGlobal } from "../../../../machines/wasm/module.ts";
import { defineSoftFloat, type SoftFloat } from "../../../../machines/riscv/soft_float.ts";
import type { Outcome } from "./oracle.ts";

export interface FloatMachine {
  /** Runs a function with the flags as given before; the outcome's flags are those after. */
  run(name: string, operands: readonly bigint[], rm: number | undefined, flags?: number): Outcome;
}

type Exports = Record<string, (...args: (bigint | number)[]) => bigint | number>;

/** `extend` may add exported functions to the module. `fuses` is by default what the host does. */
export function createFloatMachine(
  extend: (module: ModuleBuilder, floats: SoftFloat) => void = () => {},
  options: { fuses?: boolean } = {},
): FloatMachine {
  const module = new ModuleBuilder();
  const floats = defineSoftFloat(module, options);
  for (const [name, callee] of floats.functions) exportAs(module, name, callee);
  module.function("flags", { results: ["i32"], exported: true }, () => [giveBack(readGlobal(floats.flags))]);
  module.function("setFlags", { params: ["i32"], exported: true }, (f) => [
    writeGlobal(floats.flags, f.params[0] ?? i32.const(0)),
  ]);
  extend(module, floats);
  const exports = new WebAssembly.Instance(new WebAssembly.Module(module.finish())).exports as Exports;
  const named = (name: string) => {
    const found = exports[name];
    if (!found) throw new Error(`no function "${name}"`);
    return found;
  };
  const setFlags = named("setFlags"), getFlags = named("flags");
  return {
    run(name, operands, rm, flags = 0) {
      setFlags(flags);
      const register = named(name)(...operands, ...rm === undefined ? [] : [rm]);
      return { register: BigInt.asUintN(64, register as bigint), flags: getFlags() as number };
    },
  };
}

function exportAs(module: ModuleBuilder, name: string, callee: Callee) {
  const { params, results } = callee;
  module.function(name, { params, results, exported: true }, (f) => [giveBack(call(callee, ...f.params))]);
}
