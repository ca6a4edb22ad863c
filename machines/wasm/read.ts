/** Reads the modules that the generators write: enough of them to show their functions as text. */

export interface ModuleParts {
  /** Imported functions, then the module's own, by index; an exported one has the name that it is exported by. */
  readonly functions: readonly FunctionPart[];
}

export interface FunctionPart {
  readonly name: string;
  readonly params: readonly string[];
  readonly results: readonly string[];
  /** Absent for imports. */
  readonly code?: { readonly locals: readonly string[]; readonly body: Uint8Array };
}

/** Not a WebAssembly module, or one with parts that the generators never write. */
export class ModuleError extends Error {
  override name = "ModuleError";
}

const TYPE_NAMES: Readonly<Record<number, string>> = {
  0x7f: "i32",
  0x7e: "i64",
  0x7d: "f32",
  0x7c: "f64",
  0x7b: "v128",
  0x70: "funcref",
};

/** Goes through bytes of the binary format (core specification, 5.2). */
export class Cursor {
  at = 0;

  constructor(readonly bytes: Uint8Array) {}

  get isAtEnd(): boolean {
    return this.at >= this.bytes.length;
  }

  byte(): number {
    const value = this.bytes[this.at];
    if (value === undefined) throw new ModuleError(`the module ends at byte ${this.at}`);
    this.at++;
    return value;
  }

  unsigned(): number {
    let value = 0;
    for (let scale = 1;; scale *= 128) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  }

  signed(bits: 32 | 64): bigint {
    let value = 0n;
    for (let shift = 0n;; shift += 7n) {
      const byte = this.byte();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asIntN(bits, (byte & 0x40) !== 0 ? value - (1n << (shift + 7n)) : value);
    }
  }

  take(count: number): Uint8Array {
    if (this.at + count > this.bytes.length) {
      throw new ModuleError(`the module ends within ${count} bytes at ${this.at}`);
    }
    this.at += count;
    return this.bytes.subarray(this.at - count, this.at);
  }

  name(): string {
    return new TextDecoder().decode(this.take(this.unsigned()));
  }

  list<T>(item: () => T): T[] {
    return Array.from({ length: this.unsigned() }, item);
  }

  type(): string {
    const code = this.byte();
    return TYPE_NAMES[code] ?? `type 0x${code.toString(16)}`;
  }

  limits(): void {
    const flags = this.byte();
    this.unsigned();
    if ((flags & 1) !== 0) this.unsigned();
  }
}

interface FunctionType {
  readonly params: readonly string[];
  readonly results: readonly string[];
}

/** @throws {ModuleError} */
export function readModule(bytes: Uint8Array): ModuleParts {
  const cursor = new Cursor(bytes);
  if (cursor.take(8).join() !== "0,97,115,109,1,0,0,0") throw new ModuleError("this is no WebAssembly module");
  let types: FunctionType[] = [];
  const functions: FunctionPart[] = [];
  let own: number[] = [];
  const names = new Map<number, string>();
  while (!cursor.isAtEnd) {
    const id = cursor.byte();
    const section = new Cursor(cursor.take(cursor.unsigned()));
    if (id === 1) types = section.list(() => functionType(section));
    if (id === 2) section.list(() => readImport(section, types, functions));
    if (id === 3) own = section.list(() => section.unsigned());
    if (id === 7) section.list(() => readExport(section, names));
    if (id === 10) section.list(() => readCode(section, types[own.shift() ?? -1], functions));
  }
  return { functions: functions.map((f, index) => ({ ...f, name: names.get(index) ?? f.name })) };
}

function functionType(section: Cursor): FunctionType {
  if (section.byte() !== 0x60) throw new ModuleError("a type is not that of a function");
  return { params: section.list(() => section.type()), results: section.list(() => section.type()) };
}

function readImport(section: Cursor, types: readonly FunctionType[], functions: FunctionPart[]): void {
  section.name();
  const name = section.name(), kind = section.byte();
  switch (kind) {
    case 0: {
      const { params, results } = types[section.unsigned()] ?? { params: [], results: [] };
      functions.push({ name, params, results });
      return;
    }
    case 1:
      section.type();
      return section.limits();
    case 2:
      return section.limits();
    case 3:
      section.type();
      section.byte();
      return;
    default:
      throw new ModuleError(`import "${name}" is of an unknown kind`);
  }
}

function readExport(section: Cursor, names: Map<number, string>): void {
  const name = section.name(), kind = section.byte(), index = section.unsigned();
  if (kind === 0) names.set(index, name);
}

function readCode(section: Cursor, type: FunctionType | undefined, functions: FunctionPart[]): void {
  if (type === undefined) throw new ModuleError("a function has no type");
  const body = new Cursor(section.take(section.unsigned()));
  const locals: string[] = [];
  body.list(() => {
    const count = body.unsigned(), name = body.type();
    // The specification's limit is 2^32 − 1; no generated function has this many.
    if (count > 50_000) throw new ModuleError(`a function has ${count} locals`);
    for (let i = 0; i < count; i++) locals.push(name);
  });
  const code = { locals, body: body.bytes.subarray(body.at) };
  functions.push({ ...type, name: `function ${functions.length}`, code });
}
