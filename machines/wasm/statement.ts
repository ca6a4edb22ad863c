/** WebAssembly statements over the expression trees of `expression.ts`: structured control flow, stores, calls. */
import {
  type Callee,
  checkArguments,
  type Expr,
  type Local,
  type MemoryOp,
  type Prototype,
  type ValueType,
} from "./expression.ts";

/** The target of a branch: the end of a block or the start of a loop. Compared by identity. */
export interface Label {
  readonly name: string;
}

export type Statement =
  | { readonly kind: "set"; readonly local: Local; readonly value: Expr }
  | {
    readonly kind: "store";
    readonly op: MemoryOp;
    readonly address: Expr;
    readonly offset: number;
    readonly value: Expr;
  }
  | {
    readonly kind: "if";
    readonly condition: Expr;
    readonly then: Statements;
    readonly else: Statements;
    readonly isUnlikely?: boolean;
  }
  | { readonly kind: "block" | "loop"; readonly label: Label; readonly body: Statements }
  | { readonly kind: "branch"; readonly label: Label; readonly condition?: Expr; readonly isUnlikely?: boolean }
  | { readonly kind: "branchTable"; readonly labels: readonly Label[]; readonly otherwise: Label; readonly index: Expr }
  | { readonly kind: "return"; readonly values: readonly Expr[] }
  | { readonly kind: "call"; readonly callee: Callee; readonly args: readonly Expr[] }
  /** Ends this function by another one, whose result it gives: the stack does not grow. */
  | { readonly kind: "tailCall"; readonly callee: Callee; readonly args: readonly Expr[] }
  | {
    readonly kind: "tailCallIndirect";
    readonly callee: Prototype;
    readonly args: readonly Expr[];
    readonly position: Expr;
  }
  | { readonly kind: "setGlobal"; readonly index: number; readonly value: Expr }
  | { readonly kind: "fill"; readonly start: Expr; readonly value: Expr; readonly length: Expr }
  | { readonly kind: "copy"; readonly to: Expr; readonly from: Expr; readonly length: Expr }
  | { readonly kind: "unreachable" };

export type Statements = readonly Statement[];

export function label(name: string): Label {
  return { name };
}

export function set(local: Local, value: Expr): Statement {
  if (local.type !== value.type) throw new TypeError(`a ${local.type} local cannot hold ${value.type}`);
  return { kind: "set", local, value };
}

function storeOp(type: ValueType, name: string, code: number, bytes: MemoryOp["bytes"]) {
  const op: MemoryOp = { name: `${type}.${name}`, code, type, bytes };
  return (address: Expr, value: Expr, offset = 0): Statement => {
    if (value.type !== type) throw new TypeError(`${op.name} stores ${type}, not ${value.type}`);
    return { kind: "store", op, address, offset, value };
  };
}

export const store = {
  i32: storeOp("i32", "store", 0x36, 4),
  i64: storeOp("i64", "store", 0x37, 8),
  i32_8: storeOp("i32", "store8", 0x3a, 1),
  i32_16: storeOp("i32", "store16", 0x3b, 2),
  i64_8: storeOp("i64", "store8", 0x3c, 1),
  i64_16: storeOp("i64", "store16", 0x3d, 2),
  i64_32: storeOp("i64", "store32", 0x3e, 4),
  f64: storeOp("f64", "store", 0x39, 8),
};

export function when(condition: Expr, then: Statements, otherwise: Statements = []): Statement {
  return { kind: "if", condition, then, else: otherwise };
}

/** A condition that hardly ever holds: the engine is told so. */
export function whenRarely(condition: Expr, then: Statements, otherwise: Statements = []): Statement {
  return { kind: "if", condition, then, else: otherwise, isUnlikely: true };
}

/** A block: branching to its label leaves it. */
export function block(label: Label, body: Statements): Statement {
  return { kind: "block", label, body };
}

/** A loop: branching to its label starts it again; falling off its end leaves it. */
export function loop(label: Label, body: Statements): Statement {
  return { kind: "loop", label, body };
}

export function branch(label: Label): Statement {
  return { kind: "branch", label };
}

export function branchIf(label: Label, condition: Expr): Statement {
  return { kind: "branch", label, condition };
}

/** A branch that is hardly ever taken: the engine is told so. */
export function branchRarely(label: Label, condition: Expr): Statement {
  return { kind: "branch", label, condition, isUnlikely: true };
}

export function branchTable(labels: readonly Label[], otherwise: Label, index: Expr): Statement {
  return { kind: "branchTable", labels, otherwise, index };
}

export function giveBack(...values: Expr[]): Statement {
  return { kind: "return", values };
}

/** Calls for effect; results, if any, are dropped. */
export function run(callee: Callee, ...args: Expr[]): Statement {
  checkArguments(callee, args);
  return { kind: "call", callee, args };
}

export function tailCall(callee: Callee, ...args: Expr[]): Statement {
  checkArguments(callee, args);
  return { kind: "tailCall", callee, args };
}

export function tailCallIndirect(callee: Prototype, position: Expr, ...args: Expr[]): Statement {
  checkArguments(callee, args);
  return { kind: "tailCallIndirect", callee, args, position };
}

export function fill(start: Expr, value: Expr, length: Expr): Statement {
  return { kind: "fill", start, value, length };
}

export function copy(to: Expr, from: Expr, length: Expr): Statement {
  return { kind: "copy", to, from, length };
}

export const unreachable: Statement = { kind: "unreachable" };
