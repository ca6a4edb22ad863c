import { assertEquals } from "@std/assert";
import { decode, type Decoded } from "../../../machines/riscv/decode.ts";
import { ALL_FEATURES, instructionSet, OPTIONAL_EXTENSIONS } from "../../../machines/riscv/features.ts";
import { INSTRUCTIONS } from "../../../machines/riscv/table.ts";
import { HAS_BINUTILS, isLegal, objdump, UNKNOWN } from "./binutils.ts";
import { randomNumbers, randomWords } from "./random_words.ts";

/** What of a decoded instruction is not 0, its name first. */
function summary(decoded: Decoded | undefined) {
  if (!decoded) return undefined;
  const { instruction, rd, rs1, rs2, rs3, rm, imm, length } = decoded;
  const operands = Object.entries({ rd, rs1, rs2, rs3, rm, imm }).filter(([, value]) => value !== 0);
  return `${instruction.name} ${operands.map(([name, value]) => `${name}=${value} `).join("")}${length}`;
}

Deno.test("a word decodes to the operands that its format has", () => {
  const expected: [number, string][] = [
    [0x00310093, "addi rd=1 rs1=2 imm=3 4"],
    [0xfe209ee3, "bne rs1=1 rs2=2 imm=-4 4"],
    [0xfe113c23, "sd rs1=2 rs2=1 imm=-8 4"],
    [0x800005b7, "lui rd=11 imm=-2147483648 4"],
    [0xffdff0ef, "jal rd=1 imm=-4 4"],
    [0x43f55513, "srai rd=10 rs1=10 imm=63 4"],
    [0x30529073, "csrrw rs1=5 imm=773 4"],
    [0xfffff073, "csrrci rs1=31 imm=4095 4"],
    [0x06b6252f, "amoadd.w rd=10 rs1=12 rs2=11 4"],
    [0x0ff0000f, "fence imm=255 4"],
    [0x12b50073, "sfence.vma rs1=10 rs2=11 4"],
    [0x0ec5d533, "czero.eqz rd=10 rs1=11 rs2=12 4"],
    [0x0ec5f533, "czero.nez rd=10 rs1=11 rs2=12 4"],
    [0x0045200f, "cbo.zero rs1=10 4"],
    [0x6b85d513, "rev8 rd=10 rs1=11 4"],
    [0x8082, "jalr rs1=1 2"],
    [0x9002, "ebreak 2"],
    [0x1141, "addi rd=2 rs1=2 imm=-16 2"],
  ];
  for (const [word, text] of expected) assertEquals(summary(decode(word)), text);
});

Deno.test("the upper half beside a compressed instruction does not matter", () => {
  assertEquals(decode(0xffff_8082), decode(0x8082));
});

Deno.test("reserved encodings are illegal", () => {
  const reserved: [number, string][] = [
    [0x0000_0000, "all zeros"],
    [0xffff_ffff, "all ones"],
    [0x0000_001f, "longer than 32 bits"],
    [0x0000_0004, "c.addi4spn of 0"],
    [0x2001, "c.addiw x0"],
    [0x6101, "c.addi16sp of 0"],
    [0x6081, "c.lui of 0"],
    [0x4002, "c.lwsp x0"],
    [0x6002, "c.ldsp x0"],
    [0x8002, "c.jr x0"],
    [0x9c41, "quadrant 1, funct3 100, reserved arithmetic"],
    [0x0205_151b, "slliw by 32"],
    [0x1015_252f, "lr.w with rs2"],
    [0x0000_0173, "ecall with rd"],
    [0x0045_210f, "cbo.zero with rd"],
    [0x0035_200f, "a cache-block instruction of number 3"],
    [0x0805_4533, "zext.h in the major opcode OP"],
    [0x1200_0473, "sfence.vma with rd"],
    [0x0020_d053, "fadd.s with rounding mode 5"],
    [0x0000_2063, "branch with funct3 010"],
    [0x0000_7003, "load with funct3 111"],
  ];
  for (const [word, what] of reserved) {
    assertEquals(summary(decode(word)), undefined, what);
  }
});

Deno.test("hints do nothing instead of trapping", () => {
  assertEquals(summary(decode(0x0005)), "addi imm=1 2"); // c.nop 1
  assertEquals(summary(decode(0x4005)), "addi imm=1 2"); // c.li x0, 1
  assertEquals(summary(decode(0x6005)), "lui imm=4096 2"); // c.lui x0, 1
  assertEquals(summary(decode(0x0502)), "slli rd=10 rs1=10 2"); // c.slli a0, 0
  assertEquals(summary(decode(0x802a)), "add rs2=10 2"); // c.mv x0, a0
});

Deno.test("a pause is that only if nothing else is in its word", () => {
  assertEquals(decode(0x0100_000f)?.instruction.name, "pause");
  assertEquals(decode(0x0100_008f)?.instruction.name, "fence");
  assertEquals(decode(0x0101_000f)?.instruction.name, "fence");
  assertEquals(decode(0x0110_000f)?.instruction.name, "fence");
});

Deno.test("an instruction that is not in the set is illegal, and a pause without Zihintpause a fence", () => {
  const words = INSTRUCTIONS.map(({ match }) => match);
  for (const off of OPTIONAL_EXTENSIONS) {
    const extensions = new Set(OPTIONAL_EXTENSIONS.filter((name) => name !== off));
    const set = instructionSet({ ...ALL_FEATURES, extensions });
    for (const word of words) {
      const { name, extension } = decode(word)!.instruction;
      const expected = extension !== off ? name : name === "pause" ? "fence" : undefined;
      assertEquals(decode(word, set)?.instruction.name, expected, `${name} without ${off}`);
    }
  }
});

Deno.test("fences ignore the fields that are kept for later fences", () => {
  assertEquals(decode(0x8330_000f)?.instruction.name, "fence"); // fence.tso
  assertEquals(decode(0x99f2_010f)?.instruction.name, "fence");
  assertEquals(decode(0xccc1_1d8f)?.instruction.name, "fence.i");
});

Deno.test({ name: "every 16-bit encoding is as legal as objdump says", ignore: !HAS_BINUTILS }, () => {
  const halfwords = Uint16Array.from({ length: 0x10000 }, (_, i) => i).filter((halfword) => (halfword & 3) !== 3);
  const expected = objdump(new Uint8Array(halfwords.buffer));
  assertEquals(expected.size, halfwords.length);
  halfwords.forEach((halfword, i) => {
    const text = expected.get(i * 2) ?? "";
    // objdump shows c.addi16sp of 0, which the specification reserves.
    const legal = isLegal(text) && halfword !== 0x6101;
    assertEquals(decode(halfword) !== undefined, legal, `${halfword.toString(16)} ${text}`);
  });
});

Deno.test({ name: "random words are as legal as objdump says", ignore: !HAS_BINUTILS }, () => {
  const words = randomWords(100_000, randomNumbers(20_240_601));
  const expected = objdump(new Uint8Array(words.buffer));
  assertEquals(expected.size, words.length);
  words.forEach((word, i) => {
    const name = decode(word)?.instruction.name;
    // objdump refuses fences with a field set that has to be ignored, and a rounding mode where nothing is rounded.
    if (/^(fence|fence\.i|fcvt\.d\.(w|wu|s))$/.test(name ?? "") || UNKNOWN.test(name ?? "")) return;
    const text = expected.get(i * 4) ?? "";
    assertEquals(
      name,
      isLegal(text) ? text.replace(/ .*|\.(aq|rl|aqrl)( .*)?$/g, "") : undefined,
      `${word.toString(16)} ${text}`,
    );
  });
});
