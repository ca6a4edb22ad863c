/** Writes small ELF executables with a symbol table: one segment of code and data, loaded where it is linked. */

export interface ElfSymbol {
  readonly name: string;
  readonly address: number;
  readonly size?: number;
}

const HEADER = 64, PROGRAM_HEADER = 56, SECTION_HEADER = 64, SYMBOL = 24;

export function writeElf(code: Uint8Array, base: number, symbols: readonly ElfSymbol[]): Uint8Array<ArrayBuffer> {
  const names = new TextEncoder().encode(`\0${symbols.map(({ name }) => `${name}\0`).join("")}`);
  const codeAt = HEADER + PROGRAM_HEADER;
  const symbolsAt = Math.ceil((codeAt + code.length) / 8) * 8, symbolBytes = SYMBOL * (symbols.length + 1);
  const namesAt = symbolsAt + symbolBytes;
  const sectionsAt = Math.ceil((namesAt + names.length) / 8) * 8;
  const file = new Uint8Array(sectionsAt + 4 * SECTION_HEADER);
  const view = new DataView(file.buffer);
  const u64 = (at: number, value: number) => view.setBigUint64(at, BigInt(value), true);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, 2, true);
  view.setUint16(18, 243, true);
  view.setUint32(20, 1, true);
  u64(24, base);
  u64(32, HEADER);
  u64(40, sectionsAt);
  for (const [at, value] of [[52, HEADER], [54, PROGRAM_HEADER], [56, 1], [58, SECTION_HEADER], [60, 4]] as const) {
    view.setUint16(at, value, true);
  }
  view.setUint32(HEADER, 1, true);
  view.setUint32(HEADER + 4, 7, true);
  for (const [i, value] of [codeAt, base, base, code.length, code.length, 4096].entries()) {
    u64(HEADER + 8 + 8 * i, value);
  }
  file.set(code, codeAt);
  const section = (i: number, type: number, link: number, offset: number, size: number) => {
    const at = sectionsAt + i * SECTION_HEADER;
    view.setUint32(at + 4, type, true);
    u64(at + 24, offset);
    u64(at + 32, size);
    view.setUint32(at + 40, link, true);
  };
  section(1, 1, 0, codeAt, code.length);
  section(2, 2, 3, symbolsAt, symbolBytes);
  section(3, 3, 0, namesAt, names.length);
  let name = 1;
  for (const [i, symbol] of symbols.entries()) {
    const at = symbolsAt + SYMBOL * (i + 1);
    view.setUint32(at, name, true);
    file[at + 4] = 0x12; // a global function
    view.setUint16(at + 6, 1, true);
    u64(at + 8, symbol.address);
    u64(at + 16, symbol.size ?? 0);
    name += symbol.name.length + 1;
  }
  file.set(names, namesAt);
  return file;
}
