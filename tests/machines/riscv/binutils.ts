/** GNU binutils as oracles for encodings. */

const PREFIX = "riscv64-unknown-elf-";

/** Whether all three programs are installed. */
export const HAS_BINUTILS = ["as", "objcopy", "objdump"].every((program) => {
  try {
    return new Deno.Command(`${PREFIX}${program}`, { args: ["--version"], stdout: "null" }).outputSync().success;
  } catch {
    return false;
  }
});

/** @throws Error with the program's own words if it fails. */
function run(program: string, ...args: string[]): string {
  const { success, stdout, stderr } = new Deno.Command(`${PREFIX}${program}`, { args }).outputSync();
  if (!success) throw new Error(`${program}: ${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout);
}

/** What the assembler makes of a source that names no symbols outside of it; not linked, nor relaxed. */
export function gnuAssemble(source: string, arch: string): Uint8Array<ArrayBuffer> {
  const directory = Deno.makeTempDirSync();
  const [text, object, binary] = ["program.s", "program.o", "program.bin"].map((name) => `${directory}/${name}`);
  try {
    Deno.writeTextFileSync(text!, source);
    run("as", `-march=${arch}`, "-mno-relax", "-o", object!, text!);
    run("objcopy", "-O", "binary", object!, binary!);
    return Deno.readFileSync(binary!);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

/** What stands in the bytes from address 0: one instruction per address, such as "addi ra,sp,3": no aliases, without objdump's comments. */
export function objdump(bytes: Uint8Array): Map<number, string> {
  const file = Deno.makeTempFileSync();
  try {
    Deno.writeFileSync(file, bytes);
    const text = run("objdump", "-D", "-z", "-b", "binary", "-m", "riscv:rv64", "-M", "no-aliases", file);
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
