/**
 * The floating-point unit: the instructions of F and D for the interpreter, with the functions that regions call for
 * them, as a module of its own. It is made when one of the instructions first runs, or comes to be translated: many
 * programs have none, and it takes as long to generate as all the rest of the interpreter.
 */
import { i32, type Local } from "../wasm/expression.ts";
import { type Global, ModuleBuilder, readGlobal } from "../wasm/module.ts";
import {
  block,
  branch,
  branchIf,
  branchTable,
  giveBack,
  type Label,
  label,
  set,
  type Statements,
  when,
} from "../wasm/statement.ts";
import { bind, dirtyFloat, type OperandLocals, writeRd } from "./handlers.ts";
import type { Semantics } from "./instruction.ts";
import * as at from "./layout.ts";
import { FIRST_FORM, FORMS } from "./opcodes.ts";
import { defineSoftFloat } from "./soft_float.ts";

/** (base, slot, opcode) → 1, or 0 if the instruction's rounding mode makes it illegal. */
export const FLOAT_SIGNATURE = { params: ["i32", "i32", "i32"], results: ["i32"] } as const;

/** What the instance exports, besides the soft-float functions by their names. */
export interface FloatUnit extends WebAssembly.ModuleImports {
  /** As {@linkcode FLOAT_SIGNATURE} says; mstatus.FS is not off. */
  step(base: number, slot: number, opcode: number): number;
}

interface Float {
  readonly opcode: number;
  readonly semantics: Extract<Semantics, { shape: "float" }>;
}

/** Loads and stores are the interpreter's. */
const FLOATS: readonly Float[] = FORMS.flatMap(({ instruction: { semantics } }, index) =>
  semantics.shape === "float" ? [{ opcode: FIRST_FORM + index, semantics }] : []
);

let compiled: WebAssembly.Module | undefined;

/**
 * A unit that works on this memory.
 *
 * @param flags Accrued exception flags: the interpreter's.
 */
export function createFloatUnit(memory: WebAssembly.Memory, flags: WebAssembly.Global): FloatUnit {
  compiled ??= new WebAssembly.Module(generateFloatUnit());
  const { exports } = new WebAssembly.Instance(compiled, { env: { memory, flags } });
  // The generator defines exactly these exports.
  return exports as unknown as FloatUnit;
}

export function generateFloatUnit(): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder();
  module.importMemory(1, at.MAXIMUM_PAGES);
  const flags = module.importGlobal("flags", "i32");
  const { functions } = defineSoftFloat(module, { flags });
  for (const [name, callee] of functions) module.exportFunction(name, callee);
  const intrinsic = (name: string) => {
    const callee = functions.get(name);
    if (!callee) throw new Error(`soft-float function "${name}" is not defined`);
    return callee;
  };
  const operand = (name: string) => {
    throw new Error(`operand "${name}" was left unbound`);
  };
  module.function("step", { ...FLOAT_SIGNATURE, exported: true }, (f) => {
    const [base, slot, opcode] = f.params as [Local, Local, Local];
    const scratch = { first: f.local("i64"), second: f.local("i64"), third: f.local("i64") };
    const unit: Unit = { base, slot, ...scratch, rm: f.local("i32"), before: f.local("i32"), flags };
    return step(unit, opcode);
  }, { operand, intrinsic });
  return module.finish();
}

interface Unit extends OperandLocals {
  readonly rm: Local;
  /** i32: the flags before the instruction. */
  readonly before: Local;
  readonly flags: Global;
}

function step(unit: Unit, opcode: Local): Statements {
  const first = FLOATS[0]?.opcode ?? FIRST_FORM, last = FLOATS.at(-1)?.opcode ?? first;
  const illegal = label("illegal"), done = label("done");
  const cases = new Map(FLOATS.map((float) => [float.opcode, label(`${float.opcode}`)]));
  const table = Array.from({ length: last - first + 1 }, (_, i) => cases.get(first + i) ?? illegal);
  let nest: Statements = [branchTable(table, illegal, i32.sub(opcode, i32.const(first)))];
  for (const float of FLOATS) {
    const begin = cases.get(float.opcode) ?? illegal;
    nest = [block(begin, nest), ...instruction(unit, float, illegal), branch(done)];
  }
  return [block(illegal, [block(done, nest), giveBack(i32.const(1))]), giveBack(i32.const(0))];
}

function instruction(unit: Unit, { semantics: { result, file, rounds } }: Float, illegal: Label): Statements {
  const { base, slot, rm, before, flags } = unit;
  const { code, value } = bind(unit, result, { rm });
  const dynamic: Statements = [
    set(rm, i32.load8_u(slot, at.SLOT_RM)),
    when(i32.eq(rm, i32.const(7)), [
      set(rm, i32.load(base, at.FRM)),
      // Modes 5 to 7 are reserved in frm, too.
      branchIf(illegal, i32.gt_u(rm, i32.const(4))),
    ]),
  ];
  // A result for an integer register changes no float state but flags.
  const isInteger = file === "x";
  return [
    ...(rounds ? dynamic : []),
    ...(isInteger ? [set(before, readGlobal(flags))] : []),
    ...code,
    writeRd(unit, value),
    isInteger ? when(i32.ne(readGlobal(flags), before), [dirtyFloat(unit)]) : dirtyFloat(unit),
  ];
}
