/** Looks into expression trees and replaces their operands: how semantics become code of a particular consumer. */
import type { Expr } from "./expression.ts";
import type { Signature } from "./module.ts";

function children(e: Expr): readonly Expr[] {
  switch (e.kind) {
    case "numeric":
    case "call":
    case "intrinsic":
      return e.args;
    case "callIndirect":
      return [...e.args, e.position];
    case "load":
      return [e.address];
    case "select":
    case "choose":
      return [e.then, e.else, e.if];
    case "tee":
      return [e.value];
    case "lane":
      return [e.of];
    case "upperProduct":
      return [e.a, e.b];
    default:
      return [];
  }
}

/** How often each operand occurs. */
export function countOperands(e: Expr, counts: Map<string, number> = new Map()): Map<string, number> {
  if (e.kind === "operand") counts.set(e.name, (counts.get(e.name) ?? 0) + 1);
  for (const child of children(e)) countOperands(child, counts);
  return counts;
}

/** Adds the intrinsics that the expression calls, with their signatures. */
export function collectIntrinsics(e: Expr, found: Map<string, Signature>): void {
  if (e.kind === "intrinsic") found.set(e.name, { params: e.args.map((arg) => arg.type), results: [e.type] });
  for (const child of children(e)) collectIntrinsics(child, found);
}

/** The same expression with every operand replaced. */
export function replaceOperands(e: Expr, meaning: (name: string) => Expr): Expr {
  const inside = (child: Expr) => replaceOperands(child, meaning);
  switch (e.kind) {
    case "operand":
      return meaning(e.name);
    case "numeric":
    case "call":
    case "intrinsic":
      return { ...e, args: e.args.map(inside) };
    case "callIndirect":
      return { ...e, args: e.args.map(inside), position: inside(e.position) };
    case "load":
      return { ...e, address: inside(e.address) };
    case "select":
    case "choose":
      return { ...e, then: inside(e.then), else: inside(e.else), if: inside(e.if) };
    case "tee":
      return { ...e, value: inside(e.value) };
    case "lane":
      return { ...e, of: inside(e.of) };
    case "upperProduct":
      return { ...e, a: inside(e.a), b: inside(e.b) };
    default:
      return e;
  }
}
