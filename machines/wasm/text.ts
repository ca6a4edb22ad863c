/** WebAssembly functions as text: one instruction a line, indented by block, as the text format spells them. */
import { CORE, type Immediate, type Opcode, PREFIXED } from "./opcodes.ts";
import { Cursor, type FunctionPart, ModuleError, type ModuleParts } from "./read.ts";

/** Longest row of bytes that is shown of an instruction. */
const SHOWN_BYTES = 8;

/**
 * The function of this name, under a line that begins with `title` and tells its size.
 *
 * @param show With `bytes`, each line begins with the offset in the body and the instruction's bytes.
 * @throws {ModuleError} if there is no such function, or it holds what the generators never write.
 */
export function functionText(
  { functions }: ModuleParts,
  name: string,
  title: string,
  show: { readonly bytes?: boolean } = {},
): string[] {
  const found = functions.find((f) => f.name === name && f.code !== undefined);
  if (found?.code === undefined) throw new ModuleError(`the module has no function "${name}"`);
  const { locals, body } = found.code;
  const lines = [`${title}: ${name}${signature(found)}, ${locals.length} locals, ${body.length} bytes`];
  const cursor = new Cursor(body);
  for (let depth = 1; !cursor.isAtEnd;) {
    const start = cursor.at;
    const { name, text, immediate } = instruction(cursor, functions);
    if (name === "end" || name === "else") depth--;
    const indented = "  ".repeat(Math.max(depth, 0)) + text;
    lines.push(show.bytes ? `${bytesText(start, body.subarray(start, cursor.at))} ${indented}` : indented);
    if (immediate === "block" || name === "else") depth++;
  }
  return lines;
}

function signature({ params, results }: FunctionPart): string {
  return `(${params.join(", ")})${results.length > 0 ? ` -> ${results.join(", ")}` : ""}`;
}

function bytesText(offset: number, bytes: Uint8Array): string {
  const shown = [...bytes.subarray(0, SHOWN_BYTES)].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
  return `${offset.toString(16).padStart(5, "0")}: ${shown}${bytes.length > SHOWN_BYTES ? "…" : ""}`.padEnd(31);
}

function instruction(cursor: Cursor, functions: readonly FunctionPart[]): Opcode & { readonly text: string } {
  const start = cursor.at;
  const byte = cursor.byte();
  const prefixed = PREFIXED.get(byte);
  const opcode = prefixed ? prefixed.get(cursor.unsigned()) : CORE.get(byte);
  if (!opcode) throw new ModuleError(`the function has an unknown instruction at byte ${start}`);
  const operands = immediateText(cursor, opcode.immediate, functions);
  return { ...opcode, text: operands === "" ? opcode.name : `${opcode.name} ${operands}` };
}

function immediateText(cursor: Cursor, immediate: Immediate, functions: readonly FunctionPart[]): string {
  switch (immediate) {
    case "none":
      return "";
    case "block": {
      const type = cursor.byte();
      return type === 0x40 ? "" : `(result ${new Cursor(Uint8Array.of(type)).type()})`;
    }
    case "index":
    case "label":
      return String(cursor.unsigned());
    case "call": {
      const index = cursor.unsigned();
      return `${index} (${functions[index]?.name ?? "?"})`;
    }
    case "labels":
      return [...cursor.list(() => cursor.unsigned()), cursor.unsigned()].join(" ");
    case "two":
      return `${cursor.unsigned()} ${cursor.unsigned()}`;
    case "memory": {
      cursor.unsigned();
      const offset = cursor.unsigned();
      return offset === 0 ? "" : `offset=${offset}`;
    }
    case "i32":
      return String(cursor.signed(32));
    case "i64":
      return String(cursor.signed(64));
    case "f32":
    case "f64": {
      const bytes = cursor.take(immediate === "f32" ? 4 : 8);
      const view = new DataView(bytes.buffer, bytes.byteOffset);
      return String(immediate === "f32" ? view.getFloat32(0, true) : view.getFloat64(0, true));
    }
    case "lane":
      return String(cursor.byte());
    case "bytes16":
      return [...cursor.take(16)].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
  }
}
