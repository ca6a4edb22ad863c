/** Compiles the programs of this folder with GNU's bare-metal compiler. */
const COMPILER = "riscv64-unknown-elf-gcc";
const FLAGS = ["-march=rv64gc_zicsr_zifencei", "-mabi=lp64d", "-mcmodel=medany", "-O2", "-Wall", "-Wextra", "-Werror"];
const BARE = [
  "-ffreestanding",
  "-nostdlib",
  "-nostartfiles",
  "-static",
  "-fno-pic",
  "-fno-builtin",
  "-fno-tree-loop-distribute-patterns",
  "-g0",
];

export { COMPILER };

/** A program that does not compile. */
export class CompilationError extends Error {
  override readonly name = "CompilationError";
}

/** The ELF file of a program, by the name of its source. */
export async function compile(source: string): Promise<Uint8Array> {
  const path = (name: string) => new URL(name, import.meta.url).pathname;
  const output = await Deno.makeTempFile({ suffix: ".elf" });
  try {
    const files = ["start.S", "board.c", source].map(path);
    const { success, stderr } = await new Deno.Command(COMPILER, {
      args: [
        ...FLAGS,
        ...BARE,
        "-T",
        path("link.ld"),
        "-Wl,--no-warn-rwx-segments,--no-relax",
        ...files,
        "-lgcc",
        "-o",
        output,
      ],
    }).output();
    if (!success) throw new CompilationError(`${source}: ${new TextDecoder().decode(stderr)}`);
    return await Deno.readFile(output);
  } finally {
    await Deno.remove(output);
  }
}
