import { assert, assertEquals } from "@std/assert";
import {
  formOf,
  FORMS,
  hasStaticTarget,
  ILLEGAL,
  opcodeOf,
  SENTINEL,
  STRADDLING,
  UNDECODED,
} from "../../../machines/riscv/opcodes.ts";
import { INSTRUCTIONS } from "../../../machines/riscv/table.ts";

Deno.test("each form of an instruction has an opcode of its own, which leads back to it", () => {
  const seen = new Set<number>([UNDECODED, SENTINEL, ILLEGAL, STRADDLING]);
  for (const [index, instruction] of INSTRUCTIONS.entries()) {
    for (const form of FORMS.filter((one) => one.instruction === instruction)) {
      const opcode = opcodeOf(index, instruction, form.length, form.near);
      assertEquals(formOf(opcode), form);
      assert(!seen.has(opcode), `${instruction.name} shares opcode ${opcode}`);
      seen.add(opcode);
    }
  }
  assertEquals(seen.size, FORMS.length + 4);
});

Deno.test("branches and jal know their target when they are decoded, jalr does not", () => {
  const known = INSTRUCTIONS.filter(hasStaticTarget).map(({ name }) => name);
  assertEquals(known.toSorted(), ["beq", "bge", "bgeu", "blt", "bltu", "bne", "jal"]);
});
