/**
 * Names of addresses: from an ELF file's symbol table, or from text as `/proc/kallsyms`, `System.map` and `nm` write it.
 * Files are untrusted: every offset is checked, and the number of symbols is bounded.
 *
 * Source: System V ABI, "Symbol Table"; Linux scripts/kallsyms.c for the text.
 */
import { isElf } from "./elf.ts";
import { ImageError } from "./part.ts";

export interface Symbol {
  readonly address: bigint;
  /** Bytes; 0 if unknown: then it reaches to the next symbol. */
  readonly size: bigint;
  readonly name: string;
}

/** What is at an address. */
export interface Place {
  readonly name: string;
  readonly start: bigint;
  readonly offset: bigint;
}

const MAX_SYMBOLS = 2_000_000;
const SECTION_BYTES = 64, SYMBOL_BYTES = 24;
const SYMBOL_TABLE = 2;
/** Symbol types that name code; NOTYPE is what assembler labels are. */
const NOTYPE = 0, FUNCTION = 2;
const UNDEFINED_SECTION = 0, FIRST_RESERVED_SECTION = 0xff00;
/** A symbol of unknown size does not reach farther than this. */
const LONGEST_UNSIZED = 1n << 20n;

export class Symbols {
  readonly #sorted: readonly Symbol[];

  constructor(symbols: readonly Symbol[]) {
    const sorted = symbols.toSorted((a, b) => a.address < b.address ? -1 : a.address > b.address ? 1 : preferred(a, b));
    this.#sorted = sorted.filter(({ address }, i) => i === 0 || sorted[i - 1]?.address !== address);
  }

  get size(): number {
    return this.#sorted.length;
  }

  /** The symbol that an address belongs to. */
  at(address: bigint): Place | undefined {
    let low = 0, high = this.#sorted.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#sorted[middle]?.address ?? 0n) <= address) low = middle + 1;
      else high = middle;
    }
    const symbol = this.#sorted[low - 1];
    if (symbol === undefined) return undefined;
    const offset = address - symbol.address;
    if (offset >= (symbol.size === 0n ? LONGEST_UNSIZED : symbol.size)) return undefined;
    return { name: symbol.name, start: symbol.address, offset };
  }

  /** "name" or "name+0x10"; empty if nothing is known. */
  text(address: bigint): string {
    const place = this.at(address);
    if (place === undefined) return "";
    return place.offset === 0n ? place.name : `${place.name}+0x${place.offset.toString(16)}`;
  }
}

/** Of several names of one address: one with a size, then the shorter, then the first of the alphabet. */
function preferred(a: Symbol, b: Symbol): number {
  const sized = Number(b.size > 0n) - Number(a.size > 0n);
  if (sized !== 0) return sized;
  return a.name.length - b.name.length || (a.name < b.name ? -1 : 1);
}

/**
 * The symbols of a file, ELF or text.
 *
 * @param what Names the file in errors: "symbols 'System.map'".
 * @throws {ImageError} if it is cut short, of another kind, or names nothing.
 */
export function readSymbols(bytes: Uint8Array, what: string): Symbol[] {
  const symbols = isElf(bytes) ? readElfSymbols(bytes, what) : readSymbolText(bytes, what);
  if (symbols.length === 0) throw new ImageError(`${what} names no code; is it stripped?`);
  return symbols;
}

/** The code symbols of an ELF file; none if it is stripped. @throws {ImageError} if it is damaged. */
export function readElfSymbols(bytes: Uint8Array, what: string): Symbol[] {
  const cut = (where: string) => new ImageError(`${what} is cut short or damaged: ${where}`);
  if (bytes.length < 64) throw cut("it ends inside its ELF header");
  if (bytes[4] !== 2 || bytes[5] !== 1) throw new ImageError(`${what} is not a 64-bit little-endian ELF file`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const table = Number(view.getBigUint64(40, true)),
    stride = view.getUint16(58, true),
    count = view.getUint16(60, true);
  if (count === 0) return [];
  if (stride < SECTION_BYTES || table + count * stride > bytes.length) throw cut("its ELF section headers lie outside");
  const section = (index: number) => {
    const at = table + index * stride;
    const offset = Number(view.getBigUint64(at + 24, true)), size = Number(view.getBigUint64(at + 32, true));
    return { type: view.getUint32(at + 4, true), link: view.getUint32(at + 40, true), offset, size };
  };
  const symbols: Symbol[] = [];
  let seen = 0;
  for (let index = 0; index < count; index++) {
    const { type, link, offset, size } = section(index);
    if (type !== SYMBOL_TABLE) continue;
    if (link >= count) throw cut("its ELF symbol table names no string table");
    const strings = section(link);
    if (offset + size > bytes.length || strings.offset + strings.size > bytes.length) {
      throw cut("its ELF symbol table lies outside");
    }
    const names = bytes.subarray(strings.offset, strings.offset + strings.size);
    for (let at = offset; at + SYMBOL_BYTES <= offset + size; at += SYMBOL_BYTES) {
      if (++seen > MAX_SYMBOLS) throw new ImageError(`${what} has more than ${MAX_SYMBOLS} symbols`);
      const kind = (bytes[at + 4] ?? 0) & 15, home = view.getUint16(at + 6, true);
      if ((kind !== FUNCTION && kind !== NOTYPE) || home === UNDEFINED_SECTION || home >= FIRST_RESERVED_SECTION) {
        continue;
      }
      const name = nameAt(names, view.getUint32(at, true));
      if (!isName(name)) continue;
      symbols.push({ address: view.getBigUint64(at + 8, true), size: view.getBigUint64(at + 16, true), name });
    }
  }
  return symbols;
}

/** Longest name that is read; the rest of it is not shown. */
const LONGEST_NAME = 512;

function nameAt(names: Uint8Array, offset: number): string {
  if (offset >= names.length) return "";
  const rest = names.subarray(offset, offset + LONGEST_NAME);
  const end = rest.indexOf(0);
  return new TextDecoder().decode(end < 0 ? rest : rest.subarray(0, end));
}

/** Mapping symbols ($x, $d) and local labels (.L1) mark places, and name nothing. */
function isName(name: string): boolean {
  return name !== "" && !name.startsWith("$") && !name.startsWith(".L");
}

/** Lines of "address type name [module]", sizes unknown. */
export function readSymbolText(bytes: Uint8Array, what: string): Symbol[] {
  const symbols: Symbol[] = [];
  const text = new TextDecoder().decode(bytes);
  for (const [number, line] of text.split("\n").entries()) {
    if (line.trim() === "") continue;
    const found = /^([0-9a-fA-F]{1,16}) ([a-zA-Z]) (\S{1,512})(?:\s+\[(\w+)\])?\s*$/.exec(line);
    if (!found) throw new ImageError(`${what} is neither ELF nor a list of symbols: see its line ${number + 1}`);
    const [, address = "0", type = "", name = "", module] = found;
    if (!"tTwW".includes(type) || !isName(name)) continue;
    if (symbols.length >= MAX_SYMBOLS) throw new ImageError(`${what} has more than ${MAX_SYMBOLS} symbols`);
    symbols.push({ address: BigInt(`0x${address}`), size: 0n, name: module ? `${name} [${module}]` : name });
  }
  if (symbols.length > 1 && symbols.every(({ address }) => address === 0n)) {
    throw new ImageError(`${what} has no addresses: the kernel hides them (see kernel.kptr_restrict)`);
  }
  return symbols;
}
