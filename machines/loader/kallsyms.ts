/**
 * The symbols that a Linux kernel carries in its own image, compressed, for its backtraces: so a kernel without an ELF
 * file can be profiled, too. Nothing in an image says where they are; they are found by their shape, and every step is
 * checked, since the file is untrusted.
 *
 * Source: Linux scripts/kallsyms.c and kernel/kallsyms.c, the order of tables as of Linux 6.4: count, names, markers,
 * tokens, places of tokens, addresses, base.
 */
import type { Symbol } from "./symbols.ts";

const TOKENS = 256;
/** Digits are hardly ever part of a longer token, so that they stand in the table of tokens by themselves. */
const DIGITS = new TextEncoder().encode("0\0" + "1\0" + "2\0" + "3\0" + "4\0" + "5\0" + "6\0" + "7\0" + "8\0" + "9\0");
const FIRST_DIGIT = 0x30;
/** Tokens are a few bytes each. */
const TOKEN_TABLE_LIMIT = 16 << 10;
/** Names of one marker. */
const BLOCK = 256;
const BLOCK_BYTES_LIMIT = BLOCK * 512;
const MAX_SYMBOLS = 1_000_000;
/** Places that look like the digits; kernels have one. */
const MAX_TRIES = 64;
/** Where the kernel is linked to run: 2 GiB below the end (Linux Documentation/arch/riscv/vm-layout.rst). */
const LINK_ADDRESS = 0xffff_ffff_8000_0000n;

/** Code symbols of an uncompressed image; none if it has no such tables. */
export function readKallsyms(image: Uint8Array): Symbol[] {
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
  let at = find(image, DIGITS, 0);
  for (let tries = 0; at >= 0 && tries < MAX_TRIES; at = find(image, DIGITS, at + 1), tries++) {
    const tokens = findTokens(view, at);
    const names = tokens && findNames(view, tokens.table);
    if (tokens && names) return decodeSymbols(view, tokens, names);
  }
  return [];
}

function find(bytes: Uint8Array, wanted: Uint8Array, from: number): number {
  const [first = 0] = wanted;
  for (let at = bytes.indexOf(first, from); at >= 0; at = bytes.indexOf(first, at + 1)) {
    if (wanted.every((byte, i) => bytes[at + i] === byte)) return at;
  }
  return -1;
}

interface Tokens {
  /** Where the table begins, and where what follows the list of places does. */
  readonly table: number;
  readonly end: number;
  readonly texts: readonly string[];
}

/** The table that has its digits at `digits`, by the list of places behind it. */
function findTokens(view: DataView, digits: number): Tokens | undefined {
  const last = Math.min(digits + TOKEN_TABLE_LIMIT, view.byteLength - 2 * TOKENS);
  for (let index = align(digits); index <= last; index += 8) {
    const place = (i: number) => view.getUint16(index + 2 * i, true);
    if (place(0) !== 0 || place(FIRST_DIGIT + 9) - place(FIRST_DIGIT) !== DIGITS.length - 2) continue;
    const table = digits - place(FIRST_DIGIT);
    const texts: string[] = [];
    for (let i = 0; i < TOKENS; i++) {
      const start = table + place(i), end = i + 1 < TOKENS ? table + place(i + 1) : index;
      if (start < 0 || end <= start || end > index) break;
      const text = textAt(view, start, end);
      if (text === undefined || (i + 1 < TOKENS && text.length !== end - start - 1)) break;
      texts.push(text);
    }
    if (texts.length === TOKENS) return { table, end: index + 2 * TOKENS, texts };
  }
  return undefined;
}

/** The text that ends with a zero before `end`; names are bytes. */
function textAt(view: DataView, start: number, end: number): string | undefined {
  let text = "";
  for (let at = start; at < end; at++) {
    const byte = view.getUint8(at);
    if (byte === 0) return text;
    text += String.fromCharCode(byte);
  }
  return undefined;
}

interface Names {
  readonly start: number;
  readonly count: number;
}

/** Names lie before the markers, which lie before the tokens; their number stands before them. */
function findNames(view: DataView, tokens: number): Names | undefined {
  let marker = tokens - 4;
  if (marker >= 0 && view.getUint32(marker, true) === 0) marker -= 4;
  const lastMarker = marker;
  while (marker >= 4 && view.getUint32(marker - 4, true) < view.getUint32(marker, true)) marker -= 4;
  if (marker < 8 || view.getUint32(marker, true) !== 0) return undefined;
  const blocks = (lastMarker - marker) / 4 + 1;
  const latest = marker - view.getUint32(lastMarker, true);
  for (let start = latest - latest % 8; start >= 8 && start > latest - BLOCK_BYTES_LIMIT; start -= 8) {
    const count = view.getUint32(start - 8, true);
    if (Math.ceil(count / BLOCK) !== blocks || count > MAX_SYMBOLS) continue;
    if (blocks === 1 || afterBlock(view, start) === start + view.getUint32(marker + 4, true)) return { start, count };
  }
  return undefined;
}

function afterBlock(view: DataView, start: number): number {
  let at = start;
  for (let i = 0; i < BLOCK && at + 2 < view.byteLength; i++) at = lengthAt(view, at).end;
  return at;
}

/** A name's length in tokens: one byte, or two of seven bits if the first is above 127. */
function lengthAt(view: DataView, at: number): { first: number; end: number } {
  const low = view.getUint8(at);
  if (low < 0x80) return { first: at + 1, end: at + 1 + low };
  return { first: at + 2, end: at + 2 + ((low & 0x7f) | (view.getUint8(at + 1) << 7)) };
}

function decodeSymbols(view: DataView, { table, end, texts }: Tokens, { start, count }: Names): Symbol[] {
  const addresses = align(end), baseAt = align(addresses + 4 * count);
  if (baseAt + 8 > view.byteLength) return [];
  const stored = view.getBigUint64(baseAt, true);
  // A relocatable kernel fills it in when it starts.
  const base = stored >= LINK_ADDRESS ? stored : LINK_ADDRESS;
  const symbols: Symbol[] = [];
  let at = start;
  for (let i = 0; i < count && at + 2 < table; i++) {
    const { first, end } = lengthAt(view, at);
    if (end > table) break;
    let name = "";
    for (let token = first; token < end; token++) name += texts[view.getUint8(token)] ?? "";
    at = end;
    if (!"tTwW".includes(name.charAt(0)) || name.startsWith(".L", 1) || name.includes("$")) continue;
    symbols.push({ address: base + BigInt(view.getUint32(addresses + 4 * i, true)), size: 0n, name: name.slice(1) });
  }
  return symbols;
}

function align(place: number): number {
  return Math.ceil(place / 8) * 8;
}
