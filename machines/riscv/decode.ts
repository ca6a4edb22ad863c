/** Finds the table's instruction for a word and takes the word apart. Lookup tables are built once, at load. */
import { type Compressed, expand, RVC } from "./compressed.ts";
import { extract, type Immediate } from "./immediate.ts";
import type { Instruction } from "./instruction.ts";
import { layoutOf, REGISTER_FIELDS, type RegisterField, ROUNDING_FIELD } from "./operands.ts";
import { INSTRUCTIONS } from "./table.ts";

/** An instruction with its operands. What its format does not have is 0. */
export interface Decoded {
  readonly instruction: Instruction;
  /** Position in `INSTRUCTIONS`. */
  readonly index: number;
  readonly rd: number;
  /** For `csri` the 5-bit immediate. */
  readonly rs1: number;
  readonly rs2: number;
  readonly rs3: number;
  /** Rounding mode 0–4, or 7 for the dynamic one; 0 if the instruction does not round. */
  readonly rm: number;
  /** Sign-extended where the format says so; a CSR number is not. */
  readonly imm: number;
  /** Bytes. */
  readonly length: 2 | 4;
}

/** An instruction and the masks that keep a field's bits only if its format has that field. */
interface Entry {
  readonly instruction: Instruction;
  readonly index: number;
  readonly rd: number;
  readonly rs1: number;
  readonly rs2: number;
  readonly rs3: number;
  readonly rounds: boolean;
  readonly immediate: Immediate | undefined;
}

const ENTRIES: readonly Entry[] = INSTRUCTIONS.map((instruction, index) => {
  const { operands, immediate } = layoutOf(instruction.format);
  const keep = (field: RegisterField) => operands.includes(field) ? 0x1f : 0;
  const rounds = instruction.semantics.shape === "float" && instruction.semantics.rounds;
  return {
    instruction,
    index,
    rd: keep("rd"),
    rs1: keep("rs1"),
    rs2: keep("rs2"),
    rs3: keep("rs3"),
    rounds,
    immediate,
  };
});

/** Every instruction of the table. */
const EVERY = new Uint8Array(INSTRUCTIONS.length).fill(1);

/** Bits that choose the bucket: major opcode, funct3 and funct7, 15 in all. */
const KEY_MASK = 0xfe00_707c;
const bucketOf = (word: number) => (word >>> 2) & 0x1f | (word >>> 7) & 0xe0 | (word >>> 17) & 0x7f00;

/**
 * Nearly every bucket has one candidate; candidates that share a bucket differ in bits outside of the key, or stand in
 * the order of the table, special cases first.
 */
const BUCKETS: readonly (readonly Entry[] | undefined)[] = (() => {
  const buckets: (readonly Entry[] | undefined)[] = Array(1 << 15).fill(undefined);
  for (const entry of ENTRIES) {
    const alone = [entry];
    const free = KEY_MASK & ~entry.instruction.mask;
    // Every combination of the key bits that the instruction leaves free, by counting in those bits only.
    let bits = 0;
    do {
      const bucket = bucketOf(entry.instruction.match | bits);
      const others = buckets[bucket];
      buckets[bucket] = others ? [...others, entry] : alone;
      bits = (bits - free) & free;
    } while (bits !== 0);
  }
  return buckets;
})();

/** Rows of the compressed table by quadrant and funct3. */
const COMPRESSED: readonly (readonly (readonly [Compressed, Entry])[])[] = (() => {
  const buckets: (readonly [Compressed, Entry])[][] = Array.from({ length: 32 }, () => []);
  for (const row of RVC) {
    const entry = ENTRIES.find(({ instruction }) => instruction.name === row.base);
    if (!entry) throw new Error(`${row.name} expands to ${row.base}, which the instruction table does not have`);
    buckets[compressedBucketOf(row.match)]?.push([row, entry]);
  }
  return buckets;
})();

function compressedBucketOf(halfword: number): number {
  return (halfword & 3) | ((halfword >>> 11) & 0x1c);
}

/**
 * Decodes a 32-bit word, or its low half if that is a compressed instruction (low bits other than 11).
 * @param set which instructions there are (`instructionSet`).
 * @returns nothing if the encoding is illegal or reserved, or longer than 32 bits.
 */
export function decode(word: number, set: Uint8Array = EVERY): Decoded | undefined {
  if ((word & 3) !== 3) return decodeCompressed(word & 0xffff);
  const candidates = BUCKETS[bucketOf(word)];
  if (candidates === undefined) return undefined;
  for (const entry of candidates) {
    const { instruction } = entry;
    if (((word & instruction.mask) >>> 0) !== instruction.match || set[entry.index] === 0) continue;
    const rm = entry.rounds ? (word >>> ROUNDING_FIELD) & 7 : 0;
    // Rounding modes 5 and 6 are reserved ("Floating-Point Control and Status Register").
    if (rm === 5 || rm === 6) return undefined;
    return {
      instruction,
      index: entry.index,
      rd: (word >>> REGISTER_FIELDS.rd) & entry.rd,
      rs1: (word >>> REGISTER_FIELDS.rs1) & entry.rs1,
      rs2: (word >>> REGISTER_FIELDS.rs2) & entry.rs2,
      rs3: (word >>> REGISTER_FIELDS.rs3) & entry.rs3,
      rm,
      imm: entry.immediate === undefined ? 0 : extract(entry.immediate, word),
      length: 4,
    };
  }
  return undefined;
}

/** Compressed instructions stand for those of I, F and D, which are always there. */
function decodeCompressed(halfword: number): Decoded | undefined {
  for (const [row, { instruction, index }] of COMPRESSED[compressedBucketOf(halfword)] ?? []) {
    if ((halfword & row.mask) !== row.match) continue;
    const operands = expand(row, halfword);
    if (operands === undefined) return undefined;
    const { rd, rs1, rs2, imm } = operands;
    return { instruction, index, rd, rs1, rs2, rs3: 0, rm: 0, imm, length: 2 };
  }
  return undefined;
}
