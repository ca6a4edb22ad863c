/** GNU objdump as an oracle for encodings: what it makes of words that stand one after the other from address 0. */

const OBJDUMP = "riscv64-unknown-elf-objdump";

export const HAS_OBJDUMP = (() => {
  try {
    return new Deno.Command(OBJDUMP, { args: ["--version"], stdout: "null", stderr: "null" }).outputSync().success;
  } catch {
    return false;
  }
})();

/** One instruction per address, such as "addi ra,sp,3": no aliases, without objdump's comments. */
export function objdump(bytes: Uint8Array): Map<number, string> {
  const file = Deno.makeTempFileSync();
  try {
    Deno.writeFileSync(file, bytes);
    const args = ["-D", "-z", "-b", "binary", "-m", "riscv:rv64", "-M", "no-aliases", file];
    const text = new TextDecoder().decode(new Deno.Command(OBJDUMP, { args }).outputSync().stdout);
    const lines = new Map<number, string>();
    for (const [, address = "", instruction = ""] of text.matchAll(/^ *([0-9a-f]+):\t[0-9a-f ]+\t(.*)$/gm)) {
      lines.set(parseInt(address, 16), instruction.replace(/\s+[#<].*$/, "").replace("\t", " ").trim());
    }
    return lines;
  } finally {
    Deno.removeSync(file);
  }
}

/** Whether objdump took a word for an instruction of RV64GC with the privileged instructions that we know. */
export function isLegal(text: string): boolean {
  // c.unimp is the defined illegal instruction; the others are not of the extensions that we have.
  return !/^\.|unknown|^((c\.)?unimp|uret|hret|dret|sfence\.vm(?!a))/.test(text);
}
