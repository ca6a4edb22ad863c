import { assertEquals } from "@std/assert";
import { RVC } from "../../../machines/riscv/compressed.ts";
import { decode } from "../../../machines/riscv/decode.ts";
import { disassemble } from "../../../machines/riscv/disassemble.ts";
import { INSTRUCTIONS } from "../../../machines/riscv/table.ts";
import { baseForm } from "./compressed_text.ts";
import { HAS_BINUTILS, isLegal, objdump, UNKNOWN } from "./binutils.ts";
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

Deno.test("each compressed row stands for its base instruction", () => {
  const expected: [number, string][] = [
    [0x1478, "addi a4,sp,556"], // c.addi4spn
    [0x29ac, "fld fa1,80(a1)"], // c.fld
    [0x4fa0, "lw s0,88(a5)"], // c.lw
    [0x61e8, "ld a0,192(a1)"], // c.ld
    [0xa9d0, "fsd fa2,144(a1)"], // c.fsd
    [0xd260, "sw s0,100(a2)"], // c.sw
    [0xe198, "sd a4,0(a1)"], // c.sd
    [0x1039, "addi zero,zero,-18"], // c.nop
    [0x1e79, "addi t3,t3,-2"], // c.addi
    [0x2fbd, "addiw t6,t6,15"], // c.addiw
    [0x56dd, "addi a3,zero,-9"], // c.li
    [0x6141, "addi sp,sp,16"], // c.addi16sp
    [0x6765, "lui a4,0x19"], // c.lui
    [0x9209, "srli a2,a2,0x22"], // c.srli
    [0x95fd, "srai a1,a1,0x3f"], // c.srai
    [0x895d, "andi a0,a0,23"], // c.andi
    [0x8e11, "sub a2,a2,a2"], // c.sub
    [0x8f29, "xor a4,a4,a0"], // c.xor
    [0x8cc1, "or s1,s1,s0"], // c.or
    [0x8fed, "and a5,a5,a1"], // c.and
    [0x9d01, "subw a0,a0,s0"], // c.subw
    [0x9ead, "addw a3,a3,a1"], // c.addw
    [0xa26d, "jal zero,0x11aa"], // c.j
    [0xd5d5, "beq a1,zero,0xfac"], // c.beqz
    [0xfc25, "bne s0,zero,0xf78"], // c.bnez
    [0x0f9a, "slli t6,t6,0x6"], // c.slli
    [0x3842, "fld fa6,48(sp)"], // c.fldsp
    [0x4d22, "lw s10,8(sp)"], // c.lwsp
    [0x66c2, "ld a3,16(sp)"], // c.ldsp
    [0x8a02, "jalr zero,0(s4)"], // c.jr
    [0x8d4e, "add s10,zero,s3"], // c.mv
    [0x9002, "ebreak"], // c.ebreak
    [0x9a82, "jalr ra,0(s5)"], // c.jalr
    [0x9806, "add a6,a6,ra"], // c.add
    [0xbad2, "fsd fs4,368(sp)"], // c.fsdsp
    [0xcf12, "sw tp,156(sp)"], // c.swsp
    [0xe1ce, "sd s3,192(sp)"], // c.sdsp
  ];
  assertEquals(expected.length, RVC.length);
  for (const [halfword, text] of expected) assertEquals(disassemble(halfword, 0x1000), text);
});

Deno.test("a branch past either end of the address space wraps", () => {
  assertEquals(disassemble(0xffdff06f, 0), "jal zero,0xfffffffffffffffc");
  assertEquals(disassemble(0x0040006f, 0xffff_ffff_ffff_fffcn), "jal zero,0x0");
});

Deno.test({ name: "random words of every instruction read as objdump says", ignore: !HAS_BINUTILS }, () => {
  // Random fields make hardly any fence that objdump accepts: all sets of accesses, and fence.i.
  const fences = [0x0000_100f, 0x0100_000f, ...Array.from({ length: 256 }, (_, sets) => 0x0000_000f | sets << 20)];
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
  const unseen = INSTRUCTIONS.filter(({ name }) => !seen.has(name) && !UNKNOWN.test(name));
  assertEquals(unseen.map(({ name }) => name), []);
});

Deno.test(
  { name: "every compressed instruction reads as the base form of what objdump says", ignore: !HAS_BINUTILS },
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
