import { assert, assertEquals, assertThrows } from "@std/assert";
import { type Assembled, type Assembler, assembler, AssemblyError } from "../../../machines/riscv/assemble.ts";
import { compress } from "../../../machines/riscv/compressed.ts";
import { decode, type Decoded } from "../../../machines/riscv/decode.ts";
import { disassemble } from "../../../machines/riscv/disassemble.ts";
import { encode } from "../../../machines/riscv/encode.ts";
import { loadImmediate } from "../../../machines/riscv/load_immediate.ts";
import { layoutOf } from "../../../machines/riscv/operands.ts";
import { x } from "../../../machines/riscv/registers.ts";
import { INSTRUCTIONS } from "../../../machines/riscv/table.ts";
import { ARCH, gnuAssemble, HAS_BINUTILS, UNKNOWN } from "./binutils.ts";
import { randomNumbers, randomWords } from "./random_words.ts";

function assemble(write: (asm: Assembler) => void, base: number | bigint = 0): Assembled {
  const asm = assembler();
  write(asm);
  return asm.finish({ base });
}

function words({ bytes }: Assembled): number[] {
  return [...new Uint32Array(bytes.buffer)];
}

function text(program: Assembled, base = 0): string[] {
  return words(program).map((word, i) => disassemble(word, base + 4 * i));
}

Deno.test("every instruction that decodes is put together again from its operands", () => {
  const seen = new Set<string>();
  for (const word of randomWords(30_000, randomNumbers(3))) {
    const decoded = decode(word);
    // The fields that fences ignore are not kept.
    if (!decoded || decoded.instruction.name === "fence.i") continue;
    const { instruction } = decoded;
    const ordering = instruction.format === "amo" || instruction.format === "lr" ? (word >>> 25) & 3 : 0;
    const kept = instruction.name === "fence" ? word & ~0xf_8f80 : word;
    assertEquals(encode(instruction, { ...decoded, ordering }), kept >>> 0, disassemble(word, 0));
    seen.add(instruction.name);
  }
  assertEquals(INSTRUCTIONS.filter(({ name }) => !seen.has(name)).map(({ name }) => name), ["fence.i"]);
});

Deno.test("every instruction has a method that takes operands in the order of its text", () => {
  for (const word of randomWords(5 * INSTRUCTIONS.length, randomNumbers(11))) {
    const decoded = decode(word);
    if (!decoded || decoded.instruction.name.startsWith("fence")) continue;
    const bytes = assemble((asm) => callMethod(asm, decoded, word)).bytes;
    assertEquals(new DataView(bytes.buffer).getUint32(0, true), word, disassemble(word, 0));
  }
});

/** Calls the method by name: the types of its operands are what the other tests show. */
function callMethod(asm: Assembler, decoded: Decoded, word: number): void {
  const { instruction: { name, format, semantics } } = decoded;
  const operands: (number | string)[] = layoutOf(format).operands.map((operand) =>
    operand === "imm" && format === "U" ? decoded.imm / 0x1000 : decoded[operand]
  );
  if (format === "amo" || format === "lr") operands.push(["", "rl", "aq", "aqrl"][(word >>> 25) & 3]!);
  if (semantics.shape === "float" && semantics.rounds) {
    operands.push(["rne", "rtz", "rdn", "rup", "rmm", "", "", "dyn"][decoded.rm]!);
  }
  const methods = asm as unknown as Record<string, (...operands: (number | string)[]) => void>;
  methods[name.replaceAll(".", "_")]!(...operands);
}

Deno.test("every 16-bit encoding has a base form that compresses to the same meaning", () => {
  let count = 0;
  for (let halfword = 0; halfword < 0x10000; halfword++) {
    const decoded = decode(halfword);
    if (decoded?.length !== 2) continue;
    const short = compress(decoded.instruction.name, decoded);
    assert(short !== undefined, disassemble(halfword, 0));
    assertEquals(decode(short), decoded);
    count++;
  }
  assert(count > 40_000);
});

Deno.test("instructions are compressed on request, those with labels never", () => {
  const write = (asm: Assembler) => {
    asm.addi(x.a0, x.a0, 31);
    asm.addi(x.a0, x.a0, 32);
    asm.sd(x.a0, 8, x.sp);
    asm.sd(x.a0, 4, x.sp);
    asm.beqz(x.a0, "end");
    asm.label("end");
    asm.ret();
  };
  const asm = assembler({ compressed: true });
  write(asm);
  const { bytes, symbols } = asm.finish();
  assertEquals(symbols.get("end"), 16n);
  assertEquals(new DataView(bytes.buffer).getUint16(16, true), 0x8082);
  assertEquals(bytes.length, 18);
  assertEquals(assemble(write).bytes.length, 24);
});

/** The exact conversions, whose rounding mode GNU as does not take, and what names places. */
const APART = /^(fcvt\.d\.(w|wu|s)|fence|fence\.i|jal|b..u?) /;

Deno.test({ name: "GNU as makes the same words of the same text", ignore: !HAS_BINUTILS }, () => {
  const words = [...randomWords(20_000, randomNumbers(99)), 0x0100_000f]
    .filter((word) => decode(word) && !APART.test(`${disassemble(word, 0)} `) && !UNKNOWN.test(disassemble(word, 0)));
  const bytes = gnuAssemble(words.map((word) => `${disassemble(word, 0)}\n`).join(""), ARCH.replace("c_", "_"));
  assertEquals([...new Uint32Array(bytes.buffer)], words);
});

Deno.test({ name: "GNU as compresses the same instructions to the same encodings", ignore: !HAS_BINUTILS }, () => {
  // It leaves hints long (a result in x0, a shift by 0), and so jalr without its alias; addi of 0 it takes for a move.
  const OTHERWISE = /^(addi|add|lui|slli) zero,|,0x0$|^jalr |^addi (\w+),\2,0$/;
  const decoded = Array.from({ length: 0x10000 }, (_, halfword) => halfword)
    .filter((halfword) => decode(halfword)?.length === 2)
    .map((halfword) => [disassemble(halfword, 0), decode(halfword)!] as const)
    .filter(([line]) => !OTHERWISE.test(line) && !APART.test(`${line} `));
  const expected = decoded.map(([, { instruction, ...operands }]) => compress(instruction.name, operands)!);
  const bytes = gnuAssemble(decoded.map(([line]) => `${line}\n`).join(""), "rv64gc");
  assertEquals([...new Uint16Array(bytes.buffer)], expected);
});

Deno.test({ name: "GNU as resolves labels to the same distances", ignore: !HAS_BINUTILS }, () => {
  const source = `start: li a0,10
    loop: addi a0,a0,-1
    beqz a0,end
    bnez a0,loop
    bltu a0,a1,end
    .zero 2000
    jal function
    j start
    end: nop
    .zero 3000
    function: ret
  `;
  const program = assemble((asm) => {
    asm.label("start");
    asm.li(x.a0, 10);
    asm.label("loop");
    asm.addi(x.a0, x.a0, -1);
    asm.beqz(x.a0, "end");
    asm.bnez(x.a0, "loop");
    asm.bltu(x.a0, x.a1, "end");
    asm.space(2000);
    asm.call("function");
    asm.j("start");
    asm.label("end");
    asm.nop();
    asm.space(3000);
    asm.label("function");
    asm.ret();
  });
  assertEquals(program.bytes, gnuAssemble(source, "rv64imafd"));
});

Deno.test("labels are found before and after they are placed", () => {
  const program = assemble((asm) => {
    asm.label("start");
    asm.li(x.a0, 10);
    asm.label("loop");
    asm.addi(x.a0, x.a0, -1);
    asm.beqz(x.a0, "end");
    asm.bnez(x.a0, "loop");
    asm.call("function");
    asm.j("start");
    asm.label("end");
    asm.fence("rw", "w");
    asm.label("function");
    asm.ret();
  }, 0x8000_0000n);
  assertEquals(text(program, 0x8000_0000), [
    "addi a0,zero,10",
    "addi a0,a0,-1",
    "beq a0,zero,0x80000018",
    "bne a0,zero,0x80000004",
    "jal ra,0x8000001c",
    "jal zero,0x80000000",
    "fence rw,w",
    "jalr zero,0(ra)",
  ]);
  assertEquals(program.symbols.get("function"), 0x8000_001cn);
});

Deno.test("la gives the address of a label, whichever sign the low part has", () => {
  for (const distance of [8, 0x7fc, 0x7fd, 0x800, 0x801, 0x805, 0xfff, 0x1000, 0x12345]) {
    const program = assemble((asm) => {
      asm.la(x.a1, "data");
      asm.space(distance - 8);
      asm.label("data");
    });
    const [auipc, addi] = [0, 4].map((at) => decode(new DataView(program.bytes.buffer).getUint32(at, true))!);
    assertEquals([auipc!.instruction.name, addi!.instruction.name], ["auipc", "addi"]);
    assertEquals(auipc!.imm + addi!.imm, distance);
  }
});

Deno.test("li builds any constant", () => {
  const next = randomNumbers(5);
  const corners = Array.from(
    { length: 64 },
    (_, i) => [-1n, 0n, 1n, 0x800n, -0x801n].map((d) => (1n << BigInt(i)) + d),
  );
  const random = Array.from({ length: 500 }, () => ((BigInt(next()) << 32n) | BigInt(next())) >> BigInt(next() % 64));
  for (const value of [...corners.flat(), ...random, -(1n << 63n), -1n]) {
    let register = 0n;
    for (const { name, first, immediate } of loadImmediate(value)) {
      const source = first ? 0n : register;
      if (name === "lui") register = BigInt.asIntN(32, BigInt(immediate) << 12n);
      if (name === "addi") register = source + BigInt(immediate);
      if (name === "addiw") register = BigInt.asIntN(32, source + BigInt(immediate));
      if (name === "slli") register = source << BigInt(immediate);
      register = BigInt.asUintN(64, register);
    }
    assertEquals(register, BigInt.asUintN(64, value));
    assert(loadImmediate(value).length <= 8);
  }
  assertEquals(text(assemble((asm) => asm.li(x.t0, 0x1_0000_0001n))), [
    "addi t0,zero,1",
    "slli t0,t0,0x20",
    "addi t0,t0,1",
  ]);
});

Deno.test("data stands in little-endian order, with addresses of labels", () => {
  const { bytes } = assemble((asm) => {
    asm.byte(1, -1);
    asm.half(0x8082);
    asm.word(0xdead_beef);
    asm.ascii("aé");
    asm.align(8);
    asm.label("here");
    asm.dword("here", -2n, 3);
  }, 0xffff_ffc0_0000_0000n);
  const expected = [1, 255, 0x82, 0x80, 0xef, 0xbe, 0xad, 0xde, 0x61, 0xc3, 0xa9, 0, 0, 0, 0, 0];
  assertEquals([...bytes.subarray(0, 16)], expected);
  assertEquals([...new BigUint64Array(bytes.slice(16).buffer)], [0xffff_ffc0_0000_0010n, (1n << 64n) - 2n, 3n]);
});

Deno.test("CSRs are named or numbered, orderings and roundings are words", () => {
  const program = assemble((asm) => {
    asm.csrrw(x.zero, "mtvec", x.t0);
    asm.csrr(x.a0, 0x7ff);
    asm.amoadd_w(x.a0, x.a1, x.a2, "aqrl");
    asm.lr_d(x.a0, x.a1, "aq");
    asm.fadd_d(10, 11, 12);
    asm.fcvt_w_s(x.a0, 10, "rtz");
    asm.lui(x.a0, 0xfffff);
    asm.lui(x.a0, -1);
    asm.fence_i();
    asm.sfence_vma(x.zero, x.zero);
  });
  assertEquals(text(program), [
    "csrrw zero,mtvec,t0",
    "csrrs a0,0x7ff,zero",
    "amoadd.w.aqrl a0,a1,(a2)",
    "lr.d.aq a0,(a1)",
    "fadd.d fa0,fa1,fa2",
    "fcvt.w.s a0,fa0,rtz",
    "lui a0,0xfffff",
    "lui a0,0xfffff",
    "fence.i",
    "sfence.vma zero,zero",
  ]);
});

Deno.test("what does not fit is refused in one sentence that names the place", () => {
  const refused = (write: (asm: Assembler) => void, message: string) =>
    assertThrows(() => assemble(write), AssemblyError, message);
  refused((asm) => asm.addi(1, 2, 2048), "at offset 0x0: addi: immediate 2048 is not in -2048 to 2047");
  refused((asm) => asm.addi(1, 32, 0), "addi: rs1 32 is not a register number");
  refused((asm) => asm.beq(1, 2, 3), "beq: immediate 3 is not in -4096 to 4094 in steps of 2");
  refused((asm) => asm.slliw(1, 2, 32), "slliw: immediate 32 is not in 0 to 31");
  refused((asm) => asm.lui(1, 0x100000), "lui: immediate");
  refused((asm) => asm.j("nowhere"), 'jal at offset 0x0 names label "nowhere", which does not exist');
  refused((asm) => asm.fence("rwx"), 'at offset 0x0: fence: set of accesses rwx is not made of "i", "o", "r" and "w"');
  refused((asm) => asm.byte(256), "data at offset 0x0: 256 does not fit 8 bits");
  refused((asm) => {
    asm.label("a");
    asm.label("a");
  }, 'label "a" at offset 0x0 exists already');
  refused((asm) => {
    asm.nop();
    asm.beqz(x.a0, "far");
    asm.space(4096);
    asm.label("far");
  }, 'at offset 0x4: label "far" is out of reach: beq: immediate 4100');
});
