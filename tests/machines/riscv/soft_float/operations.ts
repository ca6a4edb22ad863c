/** Every soft-float function with its model: name, what it takes, and what it must give. */
import {
  add,
  between,
  classify,
  compare,
  divide,
  F32,
  F64,
  type FloatFormat,
  fromInteger,
  fused,
  minimum,
  multiply,
  negate,
  type Outcome,
  squareRoot,
  toInteger,
} from "./oracle.ts";

export interface Operation {
  readonly name: string;
  /** The format of the register operands; an integer's width if the operand is an x register. */
  readonly takes: FloatFormat | "x";
  readonly count: 1 | 2 | 3;
  readonly rounds: boolean;
  readonly model: (operands: readonly bigint[], rm: number) => Outcome;
}

type Model = (a: bigint, b: bigint, c: bigint, rm: number) => Outcome;

function operation(
  name: string,
  takes: FloatFormat | "x",
  count: 1 | 2 | 3,
  rounds: boolean,
  model: Model,
): Operation {
  return { name, takes, count, rounds, model: ([a = 0n, b = 0n, c = 0n], rm) => model(a, b, c, rm) };
}

const INTEGERS = [["i32", 32, true], ["u32", 32, false], ["i64", 64, true], ["u64", 64, false]] as const;

function operationsOf(format: FloatFormat): Operation[] {
  const { name } = format;
  const other = format === F32 ? F64 : F32;
  return [
    operation(`${name}_add`, format, 2, true, (a, b, _, rm) => add(format, a, b, rm)),
    operation(`${name}_sub`, format, 2, true, (a, b, _, rm) => add(format, a, negate(format, b), rm)),
    operation(`${name}_mul`, format, 2, true, (a, b, _, rm) => multiply(format, a, b, rm)),
    operation(`${name}_div`, format, 2, true, (a, b, _, rm) => divide(format, a, b, rm)),
    operation(`${name}_sqrt`, format, 1, true, (a, _, __, rm) => squareRoot(format, a, rm)),
    operation(`${name}_fma`, format, 3, true, (a, b, c, rm) => fused(format, a, b, c, rm)),
    ...(["min", "max"] as const).map((which) =>
      operation(`${name}_${which}`, format, 2, false, (a, b) => minimum(format, which, a, b))
    ),
    ...(["eq", "lt", "le"] as const).map((relation) =>
      operation(`${name}_${relation}`, format, 2, false, (a, b) => compare(format, relation, a, b))
    ),
    operation(`${name}_class`, format, 1, false, (a) => classify(format, a)),
    operation(`${name}_to_${other.name}`, format, 1, true, (a, _, __, rm) => between(format, other, a, rm)),
    ...INTEGERS.flatMap(([type, width, signed]) => [
      operation(`${name}_to_${type}`, format, 1, true, (a, _, __, rm) => toInteger(format, width, signed, a, rm)),
      operation(`${type}_to_${name}`, "x", 1, true, (a, _, __, rm) => fromInteger(format, width, signed, a, rm)),
    ]),
  ];
}

export const OPERATIONS: readonly Operation[] = [F32, F64].flatMap(operationsOf);

/**
 * The operation behind an instruction: `fcvt.wu.s` is `f32_to_u32`, `fmsub.d` a fused operation. Sign injections and
 * moves have no model of their own; operands for them are as for a minimum or for an integer's conversion.
 */
export function operationOf(instruction: string): Operation {
  const name = operationName(instruction);
  const operation = OPERATIONS.find((o) => o.name === name);
  if (!operation) throw new Error(`no operation "${name}" for ${instruction}`);
  return operation;
}

function operationName(instruction: string): string {
  const types: Record<string, string> = { s: "f32", d: "f64", w: "i32", wu: "u32", l: "i64", lu: "u64" };
  const [mnemonic = "", first = "", second = ""] = instruction.split(".");
  if (mnemonic === "fcvt") return `${types[second]}_to_${types[first]}`;
  if (mnemonic === "fmv") {
    return second === "x" ? "i64_to_f64" : first === "x" && second === "w" ? "f32_class" : "f64_class";
  }
  if (/^fn?m(add|sub)$/.test(mnemonic)) return `${types[first]}_fma`;
  if (/^fsgnj/.test(mnemonic)) return `${types[first]}_min`;
  return `${types[first]}_${mnemonic.slice(1)}`;
}
