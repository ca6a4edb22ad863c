import { assertEquals } from "@std/assert";
import { decode } from "../../../machines/riscv/decode.ts";
import { disassemble } from "../../../machines/riscv/disassemble.ts";
import { INSTRUCTIONS } from "../../../machines/riscv/table.ts";
import { baseForm } from "./compressed_text.ts";
import { HAS_OBJDUMP, isLegal, objdump } from "./objdump.ts";
import { randomNumbers, randomWords } from "./random_words.ts";

Deno.test("instructions read as in assembly source", () => {
  const expected: [number, string][] = [
    [0x00310093, "addi ra,sp,3"],
    [0xfe209ee3, "bne ra,sp,0x80000ffc"],
    [0xfe113c23, "sd ra,-8(sp)"],
    [0x800005b7, "lui a1,0x80000"],
    [0x43f55513, "srai a0,a0,0x3f"],
    [0x30529073, "csrrw zero,mtvec,t0"],
    [0x7ff0d073, "csrrwi zero,0x7ff,1"],
    [0x06b6252f, "amoadd.w.aqrl a0,a1,(a2)"],
    [0x1405b52f, "lr.d.aq a0,(a1)"],
    [0x0ff0000f, "fence iorw,iorw"],
    [0x8330000f, "fence.tso"],
    [0x0000100f, "fence.i"],
    [0x30200073, "mret"],
    [0x02b57553, "fadd.d fa0,fa0,fa1"],
    [0x8082, "jalr zero,0(ra)"],
    [0x0000, ".half 0x0000"],
    [0xffffffff, ".word 0xffffffff"],
  ];
  for (const [word, text] of expected) assertEquals(disassemble(word, 0x8000_1000), text);
});

Deno.test("a branch past either end of the address space wraps", () => {
  assertEquals(disassemble(0xffdff06f, 0), "jal zero,0xfffffffffffffffc");
  assertEquals(disassemble(0x0040006f, 0xffff_ffff_ffff_fffcn), "jal zero,0x0");
});

Deno.test({ name: "random words of every instruction read as objdump says", ignore: !HAS_OBJDUMP }, () => {
  // Random fields make hardly any fence that objdump accepts: all sets of accesses, and fence.i.
  const fences = [0x0000_100f, ...Array.from({ length: 256 }, (_, sets) => 0x0000_000f | sets << 20)];
  const words = Uint32Array.from([...randomWords(60_000, randomNumbers(7)), ...fences]).filter((word) => decode(word));
  const expected = objdump(new Uint8Array(words.buffer));
  const seen = new Set<string>();
  words.forEach((word, i) => {
    const { instruction } = decode(word)!;
    const text = expected.get(i * 4) ?? "";
    // objdump refuses fences with a field set that has to be ignored, and a rounding mode where nothing is rounded.
    if (!isLegal(text)) return;
    // It knows registers of extensions that we don't have.
    const ours = disassemble(word, i * 4);
    if (instruction.extension === "Zicsr" && ours.includes(",0x")) return;
    assertEquals(/^fcvt\.d\.(w|wu|s) /.test(ours) ? ours.replace(",rne", "") : ours, text, word.toString(16));
    seen.add(instruction.name);
  });
  assertEquals(INSTRUCTIONS.filter(({ name }) => !seen.has(name)), []);
});

Deno.test(
  { name: "every compressed instruction reads as the base form of what objdump says", ignore: !HAS_OBJDUMP },
  () => {
    const halfwords = Uint16Array.from({ length: 0x10000 }, (_, i) => i)
      .filter((halfword) => (halfword & 3) !== 3 && decode(halfword) !== undefined);
    const expected = objdump(new Uint8Array(halfwords.buffer));
    halfwords.forEach((halfword, i) => {
      const text = expected.get(i * 2) ?? "";
      assertEquals(disassemble(halfword, i * 2), baseForm(text), `${halfword.toString(16)} ${text}`);
    });
  },
);
