/** What objdump's text of a compressed instruction is in base instructions, written from the manual's expansions. */
export function baseForm(text: string): string {
  const [name = "", operands = ""] = text.split(" ");
  const [a = "", b = ""] = operands.split(",");
  const base = name.replace(/^c\./, "").replace(/sp$/, "").replace(/64$/, "");
  switch (name) {
    case "c.nop":
      return `addi zero,zero,${a || "0"}`;
    case "c.addi4spn":
      return `addi ${operands}`;
    case "c.addi16sp":
      return `addi ${a},${a},${b}`;
    case "c.li":
      return `addi ${a},zero,${b}`;
    case "c.lui":
      return `lui ${a},${b}`;
    case "c.mv":
      return `add ${a},zero,${b}`;
    case "c.j":
      return `jal zero,${a}`;
    case "c.jr":
      return `jalr zero,0(${a})`;
    case "c.jalr":
      return `jalr ra,0(${a})`;
    case "c.beqz":
    case "c.bnez":
      return `${base.replace("z", "")} ${a},zero,${b}`;
    case "c.ebreak":
      return "ebreak";
    default:
      if (operands.includes("(")) return `${base} ${operands}`;
      // Shifts by 0 have names of their own, without the amount.
      return `${base} ${a},${a},${b || "0x0"}`;
  }
}
