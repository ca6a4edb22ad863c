/** The soft-float functions of one module while they are being defined, and the exception flags that they accrue. */
import { call, type Callee, type Expr, i32, i64, type Local, type ValueType } from "../../wasm/expression.ts";
import { giveBack, set, type Statement, type Statements, when } from "../../wasm/statement.ts";
import { type FunctionBuilder, type Global, type ModuleBuilder, readGlobal, writeGlobal } from "../../wasm/module.ts";
import type { Format } from "./format.ts";

/** Accrued exception flags as in `fflags`: invalid, division by zero, overflow, underflow, inexact. */
export const NV = 16, DZ = 8, OF = 4, UF = 2, NX = 1;

/** Rounding modes as in `frm`: nearest ties to even, towards zero, down, up, nearest ties away. */
export const RNE = 0, RTZ = 1, RDN = 2, RUP = 3, RMM = 4;

/** Operands of a function under construction: locals that hold the numbers, after the statements in `code`. */
export interface Operands {
  readonly bits: readonly Local[];
  readonly code: Statements;
}

export class FloatLibrary {
  /** What instructions call. */
  readonly functions: Map<string, Callee> = new Map();
  /** What those fall back on, or end with: integers only, right for all operands. */
  readonly #exact: Map<string, Callee> = new Map();

  constructor(readonly module: ModuleBuilder, readonly flags: Global = module.global("i32", 0)) {}

  /** Defines a function that instructions call. It gives an i64. */
  define(name: string, params: readonly ValueType[], write: (f: FunctionBuilder) => Statements): void {
    this.functions.set(name, this.module.function(name, { params, results: ["i64"] }, write));
  }

  /** Defines a function for the use of others. It gives an i64. */
  defineExact(name: string, params: readonly ValueType[], write: (f: FunctionBuilder) => Statements): void {
    this.#exact.set(name, this.module.function(`${name}_exact`, { params, results: ["i64"] }, write));
  }

  /** Lets instructions call an exact function as it is. */
  publish(name: string): void {
    this.functions.set(name, this.#exactly(name));
  }

  /** A call of a function that `defineExact` has defined before. */
  exact(name: string, ...args: Expr[]): Expr {
    return call(this.#exactly(name), ...args);
  }

  #exactly(name: string): Callee {
    const callee = this.#exact.get(name);
    if (!callee) throw new Error(`exact soft-float function "${name}" is used before it is defined`);
    return callee;
  }

  raise(flags: number): Statement {
    return writeGlobal(this.flags, i32.or(readGlobal(this.flags), i32.const(flags)));
  }

  /** Takes the first `count` parameters as registers of the format. */
  operands(f: FunctionBuilder, format: Format, count: number): Operands {
    const loaded = f.params.slice(0, count).map((register) => {
      const local = f.local("i64");
      return { local, statement: set(local, format.unboxed(register)) };
    });
    return { bits: loaded.map(({ local }) => local), code: loaded.map(({ statement }) => statement) };
  }

  /** Gives back the canonical NaN if one of the numbers is a NaN; NV if one of them signals. */
  giveNan(format: Format, ...bits: Expr[]): Statement {
    return when(any(bits.map((b) => format.isNan(b))), [
      when(any(bits.map((b) => format.isSignalling(b))), [this.raise(NV)]),
      giveBack(format.canonicalNan),
    ]);
  }

  /** An operation without a meaning: NV and the canonical NaN. */
  invalid(format: Format): Statements {
    return [this.raise(NV), giveBack(format.canonicalNan)];
  }
}

/** Sign of an exact zero that a sum of numbers of both signs gives: minus when rounding down (IEEE 754, 6.3). */
export function signOfCancelled(rm: Expr): Expr {
  return i64.extend_i32_u(i32.eq(rm, i32.const(RDN)));
}

export function any(conditions: readonly Expr[]): Expr {
  return conditions.reduce((a, b) => i32.or(a, b));
}
