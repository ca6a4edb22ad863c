/** `deno task profile` as a process: what it writes, and what it refuses. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { parseProfileOptions } from "../../../machines/profile/main.ts";
import { UsageError } from "../../../machines/linux/arguments.ts";
import { assembler } from "../../../machines/riscv/assemble.ts";
import { x } from "../../../machines/riscv/registers.ts";
import { writeElf } from "../loader/elf_file.ts";
import { finish, POWER_OFF, RAM } from "../virt/program.ts";

const MAIN = new URL("../../../machines/profile/main.ts", import.meta.url).pathname;
const CONFIG = new URL("../../../deno.json", import.meta.url).pathname;

const asm = assembler();
asm.li(x.t0, 100_000n);
asm.label("busy");
asm.addi(x.t0, x.t0, -1);
asm.bnez(x.t0, "busy");
finish(asm, POWER_OFF);
const program = asm.finish({ base: RAM });
const elf = writeElf(program.bytes, RAM, [{ name: "busy", address: Number(program.symbols.get("busy")) }]);

/** Runs with `@` for a directory that holds the files; stdout and stderr as text, and the flame graph. */
async function run(line: string, files: Record<string, Uint8Array>) {
  const directory = await Deno.makeTempDir();
  try {
    for (const [name, bytes] of Object.entries(files)) await Deno.writeFile(`${directory}/${name}`, bytes);
    const args = ["run", "-q", "-P=linux", "--frozen", "--no-check", `--config=${CONFIG}`, MAIN];
    args.push(...line.replaceAll("@", directory).split(" "));
    const { code, stderr } = await new Deno.Command(Deno.execPath(), { args, stdin: "null" }).output();
    const errors = new TextDecoder().decode(stderr).replaceAll(directory, "@");
    const graph = await Deno.readTextFile(`${directory}/p.svg`).catch(() => "");
    return { code, errors, graph };
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test("a run writes its flame graph, and the busiest functions to stderr", async () => {
  const { code, errors, graph } = await run("--output @/p.svg --period 500 --top 1 virt -bios none -kernel @/k", {
    k: elf,
  });
  assertEquals(code, 0);
  assert(
    /^ +self +total {2}function \(\d+ samples\)\n +\d+\.\d % +\d+\.\d % {2}busy\nflame graph: @\/p\.svg\n$/.test(
      errors,
    ),
    errors,
  );
  assert(graph.startsWith("<svg ") && graph.includes(">busy: "), graph.slice(0, 200));
});

Deno.test("symbols may come from a list", async () => {
  const list = new TextEncoder().encode(`${RAM.toString(16)} T from_a_list\n`);
  const { code, errors } = await run("--output @/p.svg --period 500 --symbols @/s virt -bios @/k", {
    k: program.bytes,
    s: list,
  });
  assertEquals(code, 0);
  assert(errors.includes("  from_a_list\n"), errors);
});

const refused: [string, Record<string, Uint8Array>, string][] = [
  ["--symbols @/s virt -bios @/k", { k: elf, s: elf.subarray(0, 300) }, "symbols '@/s' is cut short or damaged"],
  ["--symbols @/s virt -bios @/k", { k: elf, s: new Uint8Array(9) }, "is neither ELF nor a list of symbols"],
  ["--symbols @/none virt -bios @/k", { k: elf }, "symbols '@/none' can't be read"],
  ["--output @/p.svg virt -bios @/k", { k: elf.subarray(0, elf.length - 1) }, "firmware '@/k' is cut short or damaged"],
  ["--output @/no/p.svg virt -bios @/k", { k: elf }, "the flame graph '@/no/p.svg' can't be written"],
  ["--output @/p.svg virt -bios @/none", {}, "firmware '@/none' can't be read"],
];
for (const [line, files, sentence] of refused) {
  Deno.test(`${line}: ${sentence}`, async () => {
    const { code, errors } = await run(line, files);
    assertEquals([code, errors.trimEnd().split("\n").length], [1, 1], errors);
    assert(errors.includes(sentence), errors);
  });
}

Deno.test("the profiler's own options stand before the job, the job's behind it", () => {
  const { output, period, symbols, job, rest } = parseProfileOptions(
    "--output=a.svg --period 5 --symbols b --symbols c linux --exec --top".split(" "),
  );
  assertEquals([output, period, symbols, job, rest], ["a.svg", 5, ["b", "c"], "linux", ["--exec", "--top"]]);
});

for (
  const [line, sentence] of [
    ["", "Name a job to profile"],
    ["--period 0 virt", "--period must be a number from 1 to"],
    ["--period many virt", "--period must be a number"],
    ["--output", "--output needs a value"],
    ["--colour virt", "'--colour' is no option of the profiler"],
  ] as const
) {
  Deno.test(`'${line}' is refused with a sentence`, () => {
    assertThrows(() => parseProfileOptions(line.split(" ").filter((word) => word !== "")), UsageError, sentence);
  });
}
