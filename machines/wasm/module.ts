/** Assembles a WebAssembly module from functions written as statement trees. */
import { Bytes } from "./bytes.ts";
import { Emitter, type Meaning, TYPE_CODE } from "./emit.ts";
import type { Callee, Expr, Local, Prototype, ValueType } from "./expression.ts";
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
  readonly #functions: { callee: Callee; exported: boolean; body: Bytes | undefined; unlikely: number[] }[] = [];
  readonly #globals: { type: ValueType; mutable: boolean; initial: number | bigint }[] = [];
  readonly #importedGlobals: { name: string; type: ValueType }[] = [];
  readonly #exportedGlobals: { name: string; global: Global }[] = [];
  readonly #exportedFunctions: { name: string; callee: Callee }[] = [];
  #importsTable = false;
  #memoryPages: { minimum: number; maximum: number } | undefined;

  /** Imports a shared memory of exactly this many 64 KiB pages, or of any size between two. */
  importMemory(minimum: number, maximum: number = minimum): void {
    this.#memoryPages = { minimum, maximum };
  }

  /** Imports the table of functions that indirect calls go through. */
  importTable(): void {
    this.#importsTable = true;
  }

  /** Imports a mutable global. @throws Error after the first global of the module's own. */
  importGlobal(name: string, type: ValueType): Global {
    if (this.#globals.length > 0) throw new Error(`import "${name}" comes after the first global`);
    this.#importedGlobals.push({ name, type });
    return { type, index: this.#importedGlobals.length - 1 };
  }

  /** The type of functions that are called through the table. */
  prototype(name: string, { params = [], results = [] }: Signature): Prototype {
    return { name, params, results, typeIndex: this.#type({ params, results }) };
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
    return { type, index: this.#importedGlobals.length + this.#globals.length - 1 };
  }

  exportGlobal(name: string, global: Global): void {
    this.#exportedGlobals.push({ name, global });
  }

  /** Exports a function of the module's own under a name of its own. */
  exportFunction(name: string, callee: Callee): void {
    this.#exportedFunctions.push({ name, callee });
  }

  /** Names a function that is defined later, so that functions can call each other. */
  declare(name: string, { params = [], results = [] }: Signature, exported = false): Callee {
    const callee: Callee = { name, params, results, index: this.#imports.length + this.#functions.length };
    this.#functions.push({ callee, exported, body: undefined, unlikely: [] });
    return callee;
  }

  /** Gives a declared function its body. */
  define(callee: Callee, write: (f: FunctionBuilder) => Statements, meaning?: Meaning): void {
    const entry = this.#functions.find((f) => f.callee === callee);
    if (!entry) throw new Error(`function "${callee.name}" was not declared in this module`);
    const builder = new FunctionBuilder(callee);
    const statements = write(builder);
    const code = new Bytes();
    const emitter = new Emitter(code, meaning);
    emitter.statements(statements);
    const body = new Bytes().unsigned(builder.locals.length);
    for (const local of builder.locals) body.unsigned(1).byte(TYPE_CODE[local.type]);
    // Falling off the end of a function that gives values is a mistake of the generator: make it a trap.
    if (callee.results.length > 0) code.byte(0x00);
    entry.unlikely = emitter.unlikely.map((offset) => offset + body.length);
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
    const others = (this.#memoryPages === undefined ? 0 : 1) + (this.#importsTable ? 1 : 0);
    const imports = new Bytes().unsigned(this.#imports.length + this.#importedGlobals.length + others);
    for (const callee of this.#imports) imports.name("env").name(callee.name).byte(0x00).unsigned(this.#type(callee));
    if (this.#memoryPages !== undefined) {
      imports.name("env").name("memory").byte(0x02).byte(0x03);
      imports.unsigned(this.#memoryPages.minimum).unsigned(this.#memoryPages.maximum);
    }
    // A table of functions with no limits of its own.
    if (this.#importsTable) imports.name("env").name("table").byte(0x01).byte(0x70).byte(0x00).unsigned(0);
    for (const { name, type } of this.#importedGlobals) {
      imports.name("env").name(name).byte(0x03).byte(TYPE_CODE[type]).byte(1);
    }
    const functions = new Bytes().unsigned(this.#functions.length);
    const code = new Bytes().unsigned(this.#functions.length);
    const exported = this.#functions.filter((f) => f.exported).map(({ callee }) => ({ name: callee.name, callee }));
    exported.push(...this.#exportedFunctions);
    const exports = new Bytes().unsigned(exported.length + this.#exportedGlobals.length);
    for (const { callee, body } of this.#functions) {
      if (!body) throw new Error(`function "${callee.name}" was declared but never defined`);
      functions.unsigned(this.#type(callee));
      code.sized(body);
    }
    for (const { name, callee } of exported) exports.name(name).byte(0x00).unsigned(callee.index);
    for (const { name, global } of this.#exportedGlobals) exports.name(name).byte(0x03).unsigned(global.index);
    const globals = new Bytes().unsigned(this.#globals.length);
    for (const { type, mutable, initial } of this.#globals) {
      globals.byte(TYPE_CODE[type]).byte(mutable ? 1 : 0);
      new Emitter(globals).expression({ kind: "const", type, value: initial });
      globals.byte(0x0b);
    }
    const types = new Bytes().unsigned(this.#types.length).append(this.#typeBytes);
    const out = new Bytes().bytes([0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
    const sections: [number, Bytes][] = [
      [1, types],
      [2, imports],
      [3, functions],
      [6, globals],
      [7, exports],
      [0, this.#branchHints()],
      [10, code],
    ];
    for (const [id, section] of sections) out.byte(id).sized(section);
    return out.finish();
  }

  /** The custom section of the branch hinting proposal: the branches that are hardly ever taken. */
  #branchHints(): Bytes {
    const hinted = this.#functions.filter(({ unlikely }) => unlikely.length > 0);
    const section = new Bytes().name("metadata.code.branch_hint").unsigned(hinted.length);
    for (const { callee, unlikely } of hinted) {
      section.unsigned(callee.index).unsigned(unlikely.length);
      for (const offset of unlikely) section.unsigned(offset).unsigned(1).byte(0);
    }
    return section;
  }

  #type({ params, results }: Pick<Callee, "params" | "results">): number {
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
