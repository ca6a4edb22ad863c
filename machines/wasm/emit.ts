/** Turns expression and statement trees into the bytes of a function body. */
import type { Bytes } from "./bytes.ts";
import { type Callee, checkArguments, type Expr, type ValueType } from "./expression.ts";
import type { Label, Statement, Statements } from "./statement.ts";

export const TYPE_CODE: Record<ValueType, number> = { i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c, v128: 0x7b };
const EMPTY = 0x40, IF = 0x04, ELSE = 0x05, END = 0x0b, BLOCK = 0x02, LOOP = 0x03, DROP = 0x1a, SELECT = 0x1b;

/** What the names in an instruction's semantics stand for where they are emitted. */
export interface Meaning {
  /** The expression for an operand: `rs1`, `imm`, `pc` … */
  operand(name: string): Expr;
  /** The function for an intrinsic: `mulhu`, `f64_add` … */
  intrinsic(name: string): Callee;
}

const NO_MEANING: Meaning = {
  operand: (name) => {
    throw new Error(`operand "${name}" has no meaning here`);
  },
  intrinsic: (name) => {
    throw new Error(`intrinsic "${name}" has no meaning here`);
  },
};

export class Emitter {
  readonly #out: Bytes;
  readonly #meaning: Meaning;
  /** How many constructs there are around this place, and how many around those that have labels. */
  #depth = 0;
  readonly #labels: Map<Label, number> = new Map();
  /** Where in the output unlikely branches stand. */
  readonly unlikely: number[] = [];

  constructor(out: Bytes, meaning: Meaning = NO_MEANING) {
    this.#out = out;
    this.#meaning = meaning;
  }

  expression(e: Expr): void {
    const out = this.#out;
    switch (e.kind) {
      case "local":
        out.byte(0x20).unsigned(e.index);
        return;
      case "const":
        return this.#constant(e.type, e.value);
      case "operand":
        return this.expression(this.#meaning.operand(e.name));
      case "numeric":
        for (const arg of e.args) this.expression(arg);
        for (const code of e.op.code) out.byte(code);
        return;
      case "load":
        this.expression(e.address);
        // An alignment of 0 promises nothing: guest accesses are often unaligned, and the hint costs nothing.
        out.byte(e.op.code).byte(0).unsigned(e.offset);
        return;
      case "select":
        this.expression(e.then);
        this.expression(e.else);
        this.expression(e.if);
        out.byte(SELECT);
        return;
      case "choose":
        this.expression(e.if);
        out.byte(IF).byte(TYPE_CODE[e.type]);
        this.#depth++;
        this.expression(e.then);
        out.byte(ELSE);
        this.expression(e.else);
        this.#depth--;
        out.byte(END);
        return;
      case "call":
        for (const arg of e.args) this.expression(arg);
        out.byte(0x10).unsigned(e.callee.index);
        return;
      case "callIndirect":
        for (const arg of e.args) this.expression(arg);
        this.expression(e.position);
        out.byte(0x11).unsigned(e.callee.typeIndex).unsigned(0);
        return;
      case "intrinsic": {
        const callee = this.#meaning.intrinsic(e.name);
        checkArguments(callee, e.args);
        for (const arg of e.args) this.expression(arg);
        out.byte(0x10).unsigned(callee.index);
        return;
      }
      case "tee":
        this.expression(e.value);
        out.byte(0x22).unsigned(e.local.index);
        return;
      case "upperProduct":
        this.expression(e.a);
        this.expression(e.b);
        out.byte(0xfc).unsigned(e.isSigned ? 0x15 : 0x16).byte(0x21).unsigned(e.local.index);
        out.byte(DROP).byte(0x20).unsigned(e.local.index);
        return;
      case "global":
        out.byte(0x23).unsigned(e.index);
        return;
      case "lane":
        this.expression(e.of);
        out.byte(0xfd).unsigned(e.code).byte(e.lane);
        return;
    }
  }

  statements(list: Statements): void {
    for (const statement of list) this.#statement(statement);
  }

  #statement(s: Statement): void {
    const out = this.#out;
    switch (s.kind) {
      case "set":
        this.expression(s.value);
        out.byte(0x21).unsigned(s.local.index);
        return;
      case "store":
        this.expression(s.address);
        this.expression(s.value);
        out.byte(s.op.code).byte(0).unsigned(s.offset);
        return;
      case "if":
        this.expression(s.condition);
        if (s.isUnlikely) this.unlikely.push(out.length);
        out.byte(IF).byte(EMPTY);
        this.#depth++;
        this.statements(s.then);
        if (s.else.length > 0) {
          out.byte(ELSE);
          this.statements(s.else);
        }
        this.#depth--;
        out.byte(END);
        return;
      case "block":
      case "loop":
        out.byte(s.kind === "block" ? BLOCK : LOOP).byte(EMPTY);
        this.#labels.set(s.label, this.#depth++);
        this.statements(s.body);
        this.#labels.delete(s.label);
        this.#depth--;
        out.byte(END);
        return;
      case "branch":
        if (s.condition) this.expression(s.condition);
        if (s.isUnlikely) this.unlikely.push(out.length);
        out.byte(s.condition ? 0x0d : 0x0c).unsigned(this.#distance(s.label));
        return;
      case "branchTable":
        this.expression(s.index);
        out.byte(0x0e).unsigned(s.labels.length);
        for (const label of s.labels) out.unsigned(this.#distance(label));
        out.unsigned(this.#distance(s.otherwise));
        return;
      case "return":
        for (const value of s.values) this.expression(value);
        out.byte(0x0f);
        return;
      case "call":
        for (const arg of s.args) this.expression(arg);
        out.byte(0x10).unsigned(s.callee.index);
        for (const _ of s.callee.results) out.byte(DROP);
        return;
      case "tailCall":
        for (const arg of s.args) this.expression(arg);
        out.byte(0x12).unsigned(s.callee.index);
        return;
      case "tailCallIndirect":
        for (const arg of s.args) this.expression(arg);
        this.expression(s.position);
        out.byte(0x13).unsigned(s.callee.typeIndex).unsigned(0);
        return;
      case "setGlobal":
        this.expression(s.value);
        out.byte(0x24).unsigned(s.index);
        return;
      case "fill":
        this.expression(s.start);
        this.expression(s.value);
        this.expression(s.length);
        out.byte(0xfc).byte(0x0b).byte(0);
        return;
      case "copy":
        this.expression(s.to);
        this.expression(s.from);
        this.expression(s.length);
        out.byte(0xfc).byte(0x0a).byte(0).byte(0);
        return;
      case "unreachable":
        out.byte(0x00);
        return;
    }
  }

  #constant(type: ValueType, value: number | bigint) {
    switch (type) {
      case "i32":
        this.#out.byte(0x41).signed(Number(value) | 0);
        return;
      case "i64":
        this.#out.byte(0x42).signed(value);
        return;
      case "f32":
        this.#out.byte(0x43).f32(Number(value));
        return;
      case "f64":
        this.#out.byte(0x44).f64(Number(value));
        return;
      case "v128":
        throw new TypeError("v128 constants are not used here");
    }
  }

  /** How many constructs a branch to the label leaves besides its own. */
  #distance(label: Label): number {
    const outside = this.#labels.get(label);
    if (outside === undefined) throw new Error(`branch to "${label.name}" from outside of it`);
    return this.#depth - 1 - outside;
  }
}
