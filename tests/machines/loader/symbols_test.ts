import { assertEquals, assertThrows } from "@std/assert";
import { ImageError } from "../../../machines/loader/part.ts";
import { readSymbols, Symbols } from "../../../machines/loader/symbols.ts";
import { writeElf } from "./elf_file.ts";

const elf = writeElf(new Uint8Array(64), 0x8000_0000, [
  { name: "start", address: 0x8000_0000, size: 16 },
  { name: "$x", address: 0x8000_0010 },
  { name: "loop", address: 0x8000_0010 },
  { name: "main", address: 0x8000_0020, size: 32 },
]);
const bytes = (text: string) => new TextEncoder().encode(text);

Deno.test("an address has the name of the symbol that it is in, and its distance", () => {
  const symbols = new Symbols(readSymbols(elf, "kernel 'k'"));
  const at = (address: number) => symbols.text(BigInt(address));
  assertEquals([at(0x8000_0000), at(0x8000_000f), at(0x8000_0024)], ["start", "start+0xf", "main+0x4"]);
});

Deno.test("a symbol of unknown size reaches to the next one, one of known size no farther than that", () => {
  const symbols = new Symbols(readSymbols(elf, "kernel 'k'"));
  assertEquals(symbols.text(0x8000_001fn), "loop+0xf");
  assertEquals(symbols.text(0x8000_0040n), "");
  assertEquals(symbols.text(0x7fff_ffffn), "");
});

Deno.test("mapping symbols name nothing", () => {
  assertEquals(readSymbols(elf, "k").map(({ name }) => name).includes("$x"), false);
});

Deno.test("kallsyms and System.map are read, code only", () => {
  const text = "ffffffff80000000 T _start\nffffffff80001000 t helper\nffffffff80002000 D data\n" +
    "ffffffff01000000 t probe\t[virtio_blk]\n";
  const symbols = new Symbols(readSymbols(bytes(text), "symbols"));
  assertEquals(symbols.size, 3);
  assertEquals(symbols.text(0xffffffff80001004n), "helper+0x4");
  assertEquals(symbols.text(0xffffffff01000000n), "probe [virtio_blk]");
});

const refused: [string, Uint8Array, string][] = [
  ["an ELF file that is cut short", elf.subarray(0, 40), "it ends inside its ELF header"],
  ["an ELF file without its section headers", elf.subarray(0, elf.length - 1), "section headers lie outside"],
  ["an ELF file whose names lie outside", withLink(elf, 9), "names no string table"],
  ["a stripped ELF file", writeElf(new Uint8Array(8), 0x8000_0000, []), "names no code; is it stripped?"],
  ["something else", bytes("hello\n"), "is neither ELF nor a list of symbols: see its line 1"],
  ["hidden addresses", bytes("0000000000000000 T a\n0000000000000000 T b\n"), "the kernel hides them"],
];
for (const [what, file, sentence] of refused) {
  Deno.test(`${what} is refused with a sentence`, () => {
    const error = assertThrows(() => readSymbols(file, "symbols 'f'"), ImageError, sentence);
    assertEquals(error.message.includes("\n"), false);
  });
}

/** With another number of the string table. */
function withLink(file: Uint8Array, link: number): Uint8Array {
  const changed = file.slice();
  const view = new DataView(changed.buffer);
  view.setUint32(Number(view.getBigUint64(40, true)) + 2 * 64 + 40, link, true);
  return changed;
}
