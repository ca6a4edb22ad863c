/** GNU binutils as oracles for encodings. */

const PREFIX = "riscv64-unknown-elf-";

/** All that our table has and binutils 2.40 knows: without Zicond, which came with 2.41. */
export const ARCH = "rv64imafdc_zicbom_zicboz_zicsr_zifencei_zihintpause_zba_zbb_zbc_zbs";
/** Texts that it does not know. */
export const UNKNOWN = /^czero\./;

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
  const directory = Deno.makeTempDirSync();
  const [source, binary, object] = ["program.s", "program.bin", "program.o"].map((name) => `${directory}/${name}`);
  try {
    Deno.writeFileSync(binary!, bytes);
    Deno.writeTextFileSync(source!, `.incbin "${binary}"\n`);
    run("as", `-march=${ARCH}`, "-mno-relax", "-o", object!, source!);
    const text = run("objdump", "-D", "-z", "-j", ".text", "-M", "no-aliases", object!);
    const lines = new Map<number, string>();
    for (const [, address = "", instruction = ""] of text.matchAll(/^ *([0-9a-f]+):\t[0-9a-f ]+\t(.*)$/gm)) {
      const line = instruction.replace(/\s+[#<].*$/, "").replace("\t", " ").trim();
      // In object files places stand without 0x.
      lines.set(parseInt(address, 16), line.replace(/^((?:c\.)?(?:j(?:al)?|b(?:eq|ne|lt|ge)\w*) .*?)(\w+)$/, "$10x$2"));
    }
    return lines;
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

/** Whether objdump took a word for an instruction of RV64GC with the privileged instructions that we know. */
export function isLegal(text: string): boolean {
  // c.unimp is the defined illegal instruction; the others are not of the extensions that we have.
  return !/^\.|unknown|^((c\.)?unimp|uret|hret|dret|sfence\.vm(?!a))/.test(text);
}
