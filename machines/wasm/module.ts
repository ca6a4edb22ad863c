/** Assembles a WebAssembly module from functions written as statement trees. */
import { Bytes } from "./bytes.ts";
import { Emitter, type Meaning, TYPE_CODE } from "./emit.ts";
import type { Callee, Expr, Local, ValueType } from "./expression.ts";
import type { Statement, Statements } from "./statement.ts";

export interface Signature {
  params?: readonly ValueType[];
  results?: readonly ValueType[];
}

/** One function under construction: its parameters and locals, then its body. */
export class FunctionBuilder {
  readonly params: readonly Local[];
  readonly locals: Local[] = [];

  constructor(readonly callee: Callee) {
    this.params = callee.params.map((type, index) => ({ kind: "local", type, index }));
  }

  local(type: ValueType): Local {
    const local: Local = { kind: "local", type, index: this.params.length + this.locals.length };
    this.locals.push(local);
    return local;
  }
}

/** A mutable or immutable global of the module. */
export interface Global {
  readonly type: ValueType;
  readonly index: number;
}

/**
 * Collects imports and functions, then gives the module's bytes. Imports come before functions; the imported memory,
 * if any, is shared and given as `env.memory`, and the imported table as `env.table`. Function imports are named
 * `env.<name>`.
 */
export class ModuleBuilder {
  readonly #types: string[] = [];
  readonly #typeBytes = new Bytes();
  readonly #imports: Callee[] = [];
  readonly #functions: { callee: Callee; exported: boolean; body: Bytes | undefined }[] = [];
  readonly #globals: { type: ValueType; mutable: boolean; initial: number | bigint }[] = [];
  #memoryPages: { minimum: number; maximum: number } | undefined;

  /** Imports a shared memory of exactly this many 64 KiB pages, or of any size between two. */
  importMemory(minimum: number, maximum: number = minimum): void {
    this.#memoryPages = { minimum, maximum };
  }

  /** @throws Error after the first function: indices are already given out. */
  importFunction(name: string, { params = [], results = [] }: Signature): Callee {
    if (this.#functions.length > 0) throw new Error(`import "${name}" comes after the first function`);
    const callee: Callee = { name, params, results, index: this.#imports.length };
    this.#imports.push(callee);
    return callee;
  }

  global(type: ValueType, initial: number | bigint, mutable = true): Global {
    this.#globals.push({ type, mutable, initial });
    return { type, index: this.#globals.length - 1 };
  }

  /** Names a function that is defined later, so that functions can call each other. */
  declare(name: string, { params = [], results = [] }: Signature, exported = false): Callee {
    const callee: Callee = { name, params, results, index: this.#imports.length + this.#functions.length };
    this.#functions.push({ callee, exported, body: undefined });
    return callee;
  }

  /** Gives a declared function its body. */
  define(callee: Callee, write: (f: FunctionBuilder) => Statements, meaning?: Meaning): void {
    const entry = this.#functions.find((f) => f.callee === callee);
    if (!entry) throw new Error(`function "${callee.name}" was not declared in this module`);
    const builder = new FunctionBuilder(callee);
    const statements = write(builder);
    const code = new Bytes();
    new Emitter(code, meaning).statements(statements);
    const body = new Bytes().unsigned(builder.locals.length);
    for (const local of builder.locals) body.unsigned(1).byte(TYPE_CODE[local.type]);
    // Falling off the end of a function that gives values is a mistake of the generator: make it a trap.
    if (callee.results.length > 0) code.byte(0x00);
    entry.body = body.append(code.byte(0x0b));
  }

  /** Declares and defines in one step. */
  function(
    name: string,
    signature: Signature & { exported?: boolean },
    write: (f: FunctionBuilder) => Statements,
    meaning?: Meaning,
  ): Callee {
    const callee = this.declare(name, signature, signature.exported);
    this.define(callee, write, meaning);
    return callee;
  }

  finish(): Uint8Array<ArrayBuffer> {
    const imports = new Bytes().unsigned(this.#imports.length + (this.#memoryPages === undefined ? 0 : 1));
    for (const callee of this.#imports) imports.name("env").name(callee.name).byte(0x00).unsigned(this.#type(callee));
    if (this.#memoryPages !== undefined) {
      imports.name("env").name("memory").byte(0x02).byte(0x03);
      imports.unsigned(this.#memoryPages.minimum).unsigned(this.#memoryPages.maximum);
    }
    const functions = new Bytes().unsigned(this.#functions.length);
    const code = new Bytes().unsigned(this.#functions.length);
    const exported = this.#functions.filter((f) => f.exported);
    const exports = new Bytes().unsigned(exported.length);
    for (const { callee, body } of this.#functions) {
      if (!body) throw new Error(`function "${callee.name}" was declared but never defined`);
      functions.unsigned(this.#type(callee));
      code.sized(body);
    }
    for (const { callee } of exported) exports.name(callee.name).byte(0x00).unsigned(callee.index);
    const globals = new Bytes().unsigned(this.#globals.length);
    for (const { type, mutable, initial } of this.#globals) {
      globals.byte(TYPE_CODE[type]).byte(mutable ? 1 : 0);
      new Emitter(globals).expression({ kind: "const", type, value: initial });
      globals.byte(0x0b);
    }
    const types = new Bytes().unsigned(this.#types.length).append(this.#typeBytes);
    const out = new Bytes().bytes([0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
    const sections: [number, Bytes][] = [[1, types], [2, imports], [3, functions], [6, globals], [7, exports], [
      10,
      code,
    ]];
    for (const [id, section] of sections) out.byte(id).sized(section);
    return out.finish();
  }

  #type({ params, results }: Callee): number {
    const key = `${params}>${results}`;
    const known = this.#types.indexOf(key);
    if (known >= 0) return known;
    this.#typeBytes.byte(0x60).unsigned(params.length).bytes(params.map((type) => TYPE_CODE[type]));
    this.#typeBytes.unsigned(results.length).bytes(results.map((type) => TYPE_CODE[type]));
    return this.#types.push(key) - 1;
  }
}

export function readGlobal(global: Global): Expr {
  return { kind: "global", type: global.type, index: global.index };
}

export function writeGlobal(global: Global, value: Expr): Statement {
  return { kind: "setGlobal", index: global.index, value };
}
