/**
 * An assembler for programs written in TypeScript: one method per instruction of the table, labels, the usual
 * pseudo-instructions and data.
 */
import { type OperandsByFormat, type Register, sortOperands, type Target } from "./assembly_operands.ts";
import { compress } from "./compressed.ts";
import type { CsrName } from "./csr_names.ts";
import { encode, OperandError, type OperandValues } from "./encode.ts";
import type { Instruction } from "./instruction.ts";
import { loadImmediate } from "./load_immediate.ts";
import { x } from "./registers.ts";
import { INSTRUCTIONS, ROWS } from "./table.ts";
import { Bytes } from "../wasm/bytes.ts";

type Row = typeof ROWS[number];
export type InstructionName = Row["name"];
type OperandsOf<N extends InstructionName> = OperandsByFormat[Extract<Row, { name: N }>["format"]];
type MethodName<N extends string> = N extends `${infer Head}.${infer Tail}` ? `${Head}_${MethodName<Tail>}` : N;

/** `addi(rd, rs1, imm)`, `ld(rd, offset, base)`, `amoadd_w(rd, rs2, address)` …: dots become underscores. */
type InstructionMethods = {
  readonly [R in Row as MethodName<R["name"]>]: (...operands: OperandsByFormat[R["format"]]) => void;
};

export type Assembler = Program & InstructionMethods;

/** A program that cannot be assembled. The message names instruction, offset and label. */
export class AssemblyError extends Error {
  override readonly name = "AssemblyError";
}

export interface Assembled {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Addresses of the labels. */
  readonly symbols: ReadonlyMap<string, bigint>;
}

/** A place that names a label: `patch` writes what the label stands for there, once its offset is known. */
interface Reference {
  readonly label: string;
  readonly offset: number;
  /** What stands there, for error messages. */
  readonly what: string;
  readonly patch: (view: DataView, target: number, base: bigint) => void;
}

const BY_NAME: ReadonlyMap<string, Instruction> = new Map(INSTRUCTIONS.map((row) => [row.name, row]));

export interface AssemblerOptions {
  /** Instructions without a label take their compressed form where there is one. Off by default. */
  readonly compressed?: boolean;
}

/** A new, empty program with a method for every instruction. */
export function assembler(options: AssemblerOptions = {}): Assembler {
  const program = new Program(options);
  const methods = ROWS.map(({ name }) => [
    name.replaceAll(".", "_"),
    (...operands: OperandsOf<typeof name>) => program.instruction(name, ...operands),
  ]);
  return Object.assign(program, Object.fromEntries(methods) as InstructionMethods);
}

export class Program {
  readonly #bytes = new Bytes();
  readonly #labels = new Map<string, number>();
  readonly #references: Reference[] = [];
  readonly #compressed: boolean;

  constructor({ compressed = false }: AssemblerOptions) {
    this.#compressed = compressed;
  }

  /** Bytes so far: the offset of what comes next. */
  get offset(): number {
    return this.#bytes.length;
  }

  /** @throws AssemblyError if an operand does not fit. */
  instruction<N extends InstructionName>(name: N, ...operands: OperandsOf<N>): void {
    const instruction = rowOf(name);
    const { values, label } = located(this.offset, undefined, () => sortOperands(instruction, operands));
    if (label !== undefined) return this.#withLabel(instruction, values, label);
    const word = encodeAt(this.offset, instruction, values);
    const { rd = 0, rs1 = 0, rs2 = 0, imm = 0 } = values;
    const short = this.#compressed ? compress(name, { rd, rs1, rs2, imm }) : undefined;
    if (short === undefined) this.word(word);
    else this.half(short);
  }

  /** @throws AssemblyError if the name is taken. */
  label(name: string): void {
    if (this.#labels.has(name)) throw new AssemblyError(`label "${name}" at offset ${hex(this.offset)} exists already`);
    this.#labels.set(name, this.offset);
  }

  nop(): void {
    this.instruction("addi", x.zero, x.zero, 0);
  }

  mv(rd: Register, rs: Register): void {
    this.instruction("addi", rd, rs, 0);
  }

  /**
   * Any 64-bit constant, signed or unsigned, in one to eight instructions.
   * @throws RangeError if the value is not an integer of 64 bits.
   */
  li(rd: Register, value: number | bigint): void {
    for (const step of loadImmediate(BigInt(value))) {
      if (step.name === "lui") this.instruction("lui", rd, step.immediate);
      else this.instruction(step.name, rd, step.first ? x.zero : rd, step.immediate);
    }
  }

  /** The address of a label within 2 GiB, wherever the program runs. */
  la(rd: Register, label: string): void {
    this.#withLabel(rowOf("auipc"), { rd }, label, upperPart);
    this.#withLabel(rowOf("addi"), { rd, rs1: rd }, label, (distance) => {
      const fromAuipc = distance + 4;
      return fromAuipc - upperPart(fromAuipc);
    });
  }

  j(target: Target): void {
    this.instruction("jal", x.zero, target);
  }

  jr(rs: Register): void {
    this.instruction("jalr", x.zero, 0, rs);
  }

  /** Within 1 MiB. */
  call(target: Target): void {
    this.instruction("jal", x.ra, target);
  }

  ret(): void {
    this.jr(x.ra);
  }

  beqz(rs: Register, target: Target): void {
    this.instruction("beq", rs, x.zero, target);
  }

  bnez(rs: Register, target: Target): void {
    this.instruction("bne", rs, x.zero, target);
  }

  csrr(rd: Register, csr: number | CsrName): void {
    this.instruction("csrrs", rd, csr, x.zero);
  }

  csrw(csr: number | CsrName, rs: Register): void {
    this.instruction("csrrw", x.zero, csr, rs);
  }

  byte(...values: number[]): void {
    for (const value of values) this.#integer(1, value);
  }

  half(...values: number[]): void {
    for (const value of values) this.#integer(2, value);
  }

  word(...values: number[]): void {
    for (const value of values) this.#integer(4, value);
  }

  /** A label stands for its address. */
  dword(...values: (number | bigint | string)[]): void {
    for (const value of values) {
      const { offset } = this;
      if (typeof value === "string") {
        this.#refer(value, "data", (view, target, base) => view.setBigUint64(offset, base + BigInt(target), true));
      }
      this.#integer(8, typeof value === "string" ? 0 : value);
    }
  }

  /** The text as UTF-8, without a final zero. */
  ascii(text: string): void {
    this.data(new TextEncoder().encode(text));
  }

  data(bytes: Uint8Array): void {
    this.#bytes.bytes(bytes);
  }

  /** Zeros up to a multiple of `boundary` bytes from the base. */
  align(boundary: number): void {
    this.space((boundary - this.offset % boundary) % boundary);
  }

  /** Zeros. */
  space(length: number): void {
    this.#bytes.bytes(new Uint8Array(length));
  }

  /**
   * @param base address of the first byte: labels used as data and the symbols count from there.
   * @throws AssemblyError if a label is missing or too far away for the instruction that names it.
   */
  finish({ base = 0 }: { base?: number | bigint } = {}): Assembled {
    const bytes = this.#bytes.finish();
    const view = new DataView(bytes.buffer);
    for (const reference of this.#references) this.#resolve(view, reference, BigInt(base));
    return {
      bytes,
      symbols: new Map([...this.#labels].map(([name, offset]) => [name, BigInt(base) + BigInt(offset)])),
    };
  }

  #resolve(view: DataView, { label, offset, what, patch }: Reference, base: bigint): void {
    const target = this.#labels.get(label);
    if (target === undefined) {
      throw new AssemblyError(`${what} at offset ${hex(offset)} names label "${label}", which does not exist`);
    }
    patch(view, target, base);
  }

  #refer(label: string, what: string, patch: Reference["patch"]): void {
    this.#references.push({ label, offset: this.offset, what, patch });
  }

  /** The instruction's immediate will be what `immediate` makes of the distance from here to the label. */
  #withLabel(
    instruction: Instruction,
    values: OperandValues,
    label: string,
    immediate = (distance: number) => distance,
  ) {
    const { offset } = this;
    this.#refer(label, instruction.name, (view, target) => {
      const distance = immediate(target - offset);
      view.setUint32(offset, encodeAt(offset, instruction, { ...values, imm: distance }, label), true);
    });
    this.word(encodeAt(offset, instruction, { ...values, imm: 0 }));
  }

  /** @throws AssemblyError if the value fits neither signed nor unsigned. */
  #integer(size: 1 | 2 | 4 | 8, value: number | bigint): void {
    const bits = 8 * size;
    if (
      typeof value === "number" && !Number.isSafeInteger(value) || BigInt(value) >= 1n << BigInt(bits) ||
      BigInt(value) < -(1n << BigInt(bits - 1))
    ) {
      throw new AssemblyError(`data at offset ${hex(this.offset)}: ${value} does not fit ${bits} bits`);
    }
    const view = new DataView(new ArrayBuffer(8));
    view.setBigInt64(0, BigInt(value), true);
    this.#bytes.bytes(new Uint8Array(view.buffer, 0, size));
  }
}

function rowOf(name: InstructionName): Instruction {
  const row = BY_NAME.get(name);
  if (!row) throw new AssemblyError(`there is no instruction ${name}`);
  return row;
}

function encodeAt(offset: number, instruction: Instruction, values: OperandValues, label?: string): number {
  return located(offset, label, () => encode(instruction, values));
}

/** Says where in the program an operand does not fit. */
function located<T>(offset: number, label: string | undefined, run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof OperandError)) throw error;
    const why = label === undefined ? error.message : `label "${label}" is out of reach: ${error.message}`;
    throw new AssemblyError(`at offset ${hex(offset)}: ${why}`, { cause: error });
  }
}

/** auipc adds the upper 20 bits of a distance, the next instruction the lower 12, which are signed. */
function upperPart(distance: number): number {
  return Math.floor((distance + 0x800) / 0x1000) * 0x1000;
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
