import { assert, assertEquals } from "@std/assert";
import * as fc from "fast-check";
import { cachedDebianFiles, NoCacheDirectoryError } from "../../../machines/debian_cache.ts";
import { readKallsyms } from "../../../machines/loader/kallsyms.ts";

const LINK_ADDRESS = 0xffff_ffff_8000_0000n;

/** Tables as the kernel's build writes them, with a few tokens of two and three letters. */
function kallsyms(symbols: readonly { name: string; offset: number }[], base: bigint): Uint8Array {
  const tokens = Array.from({ length: 256 }, (_, i) => i === 0 ? "ab" : i === 1 ? "loop" : String.fromCharCode(i));
  const bytes: number[] = [];
  const pad = () => {
    while (bytes.length % 8 !== 0) bytes.push(0);
  };
  const u32 = (value: number) => bytes.push(value & 255, value >>> 8 & 255, value >>> 16 & 255, value >>> 24);
  bytes.push(...new TextEncoder().encode("something before, with 0\x001\x002 in it"));
  pad();
  u32(symbols.length);
  pad();
  const names = bytes.length, markers: number[] = [];
  for (const [i, { name }] of symbols.entries()) {
    if (i % 256 === 0) markers.push(bytes.length - names);
    const encoded: number[] = [];
    for (let at = 0; at < name.length;) {
      const token = [1, 0].find((one) => name.startsWith(tokens[one] ?? "", at)) ?? name.charCodeAt(at);
      encoded.push(token);
      at += (tokens[token] ?? "").length;
    }
    if (encoded.length >= 0x80) bytes.push(0x80 | (encoded.length & 0x7f), encoded.length >> 7);
    else bytes.push(encoded.length);
    bytes.push(...encoded);
  }
  pad();
  markers.forEach(u32);
  pad();
  const table = bytes.length, places: number[] = [];
  for (const token of tokens) {
    places.push(bytes.length - table);
    for (let i = 0; i < token.length; i++) bytes.push(token.charCodeAt(i) & 255);
    bytes.push(0);
  }
  pad();
  for (const place of places) bytes.push(place & 255, place >>> 8);
  symbols.forEach(({ offset }) => u32(offset));
  pad();
  for (let i = 0n; i < 64n; i += 8n) bytes.push(Number(base >> i & 255n));
  return Uint8Array.from(bytes);
}

const many = Array.from({ length: 1000 }, (_, i) => ({
  name: `${i % 10 === 9 ? "d" : i % 2 === 0 ? "t" : "T"}about_loop_${i}${i === 500 ? "x".repeat(200) : ""}`,
  offset: i * 16,
}));

for (
  const [what, base] of [["of a kernel", LINK_ADDRESS + 0x1000n], [
    "of one that is relocated when it starts",
    0n,
  ]] as const
) {
  Deno.test(`the code symbols ${what} are found, with names and addresses`, () => {
    const found = readKallsyms(kallsyms(many, base));
    const expected = many.filter(({ name }) => !name.startsWith("d"))
      .map(({ name, offset }) => ({
        name: name.slice(1),
        address: (base === 0n ? LINK_ADDRESS : base) + BigInt(offset),
        size: 0n,
      }));
    assertEquals(found, expected);
  });
}

Deno.test("a table of one block has no second marker", () => {
  assertEquals(readKallsyms(kallsyms(many.slice(0, 9), LINK_ADDRESS)).length, 9);
});

Deno.test("what is cut short or damaged gives no more symbols than there are, and no error", () => {
  const whole = kallsyms(many, LINK_ADDRESS);
  fc.assert(fc.property(
    fc.nat(whole.length),
    fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { maxLength: 8 }),
    (length, changes) => {
      const damaged = whole.slice(0, length);
      for (const [at, value] of changes) if (at < length) damaged[at] = value;
      assert(readKallsyms(damaged).length <= many.length);
    },
  ));
  assertEquals(readKallsyms(new Uint8Array(100_000)), []);
});

function debianKernel(): string | undefined {
  try {
    return cachedDebianFiles()?.kernel;
  } catch (error) {
    if (error instanceof NoCacheDirectoryError) return undefined;
    throw error;
  }
}

const kernel = debianKernel();
Deno.test({
  name: "Debian's kernel names its functions",
  ignore: kernel === undefined,
  fn: () => {
    const names = new Set(readKallsyms(Deno.readFileSync(kernel ?? "")).map(({ name }) => name));
    assert(names.size > 20_000, `${names.size}`);
    for (const name of ["schedule", "kernel_init", "do_trap_ecall_u"]) assert(names.has(name), name);
  },
});
