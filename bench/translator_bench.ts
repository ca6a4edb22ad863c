/**
 * Speed of both tiers and of QEMU on the kernels of `bench/kernels`: bare-metal programs that print a checksum. Times are
 * the processes' own user times, medians of several rounds in which all take turns.
 *
 *     deno run -A bench/translator_bench.ts [--rounds=5] [kernel …]
 *
 * Needs riscv64-unknown-elf-gcc; QEMU is left out if it is not installed.
 */
import { parseArgs } from "node:util";

const INTEGER = ["bignum", "keccak", "crc", "sieve", "sort", "fibonacci", "matrix", "list", "bytecode", "strings"];
const FLOAT = ["nbody", "mandelbrot"];
const SOURCES = new URL("kernels/", import.meta.url).pathname;
const MAIN = new URL("../machines/main.ts", import.meta.url).pathname;
const FLAGS =
  "-O2 -fno-math-errno -march=rv64gc -mabi=lp64d -mcmodel=medany -nostdlib -ffreestanding -Wl,--no-warn-rwx-segments"
    .split(" ");

const FREEHOLD = [Deno.execPath(), "run", "-A", "--no-check", MAIN];

interface Emulator {
  readonly name: string;
  command(image: string): string[];
}

const EMULATORS: readonly Emulator[] = [
  {
    name: "qemu",
    command: (image) => ["qemu-system-riscv64", "-M", "virt", "-bios", image, "-nographic"],
  },
  {
    name: "jit",
    command: (image) => [...FREEHOLD, "-accel", "jit", "-bios", image, "-nographic"],
  },
  {
    name: "interp",
    command: (image) => [...FREEHOLD, "-accel", "interp", "-bios", image, "-nographic"],
  },
];

interface Sample {
  readonly seconds: number;
  readonly output: string;
}

/** User time of a process and its threads, by the shell's own count. */
async function measure(command: readonly string[]): Promise<Sample> {
  const args = ["-c", 'TIMEFORMAT="%U"; time "$@"', "bash", ...command];
  const { success, stdout, stderr } = await new Deno.Command("bash", { args, stdin: "null" }).output();
  const text = new TextDecoder().decode(stderr);
  if (!success) throw new Error(`${command.join(" ")}: ${text}`);
  return { seconds: Number(text.trim().split("\n").at(-1)), output: new TextDecoder().decode(stdout).trim() };
}

async function compile(kernel: string, directory: string): Promise<string> {
  const image = `${directory}/${kernel}.elf`;
  const inputs = ["start.S", "kernels.c"].map((name) => SOURCES + name);
  const args = [...FLAGS, `-DKERNEL=${kernel}`, "-T", `${SOURCES}link.ld`, ...inputs, "-o", image];
  const { success, stderr } = await new Deno.Command("riscv64-unknown-elf-gcc", { args }).output();
  if (!success) throw new Error(`${kernel} does not compile: ${new TextDecoder().decode(stderr)}`);
  return image;
}

async function isInstalled(program: string): Promise<boolean> {
  try {
    return (await new Deno.Command(program, { args: ["--version"], stdout: "null", stderr: "null" }).output()).success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN;
}

function geometricMean(values: readonly number[]): number {
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    options: { rounds: { type: "string", default: "5" } },
    allowPositionals: true,
  });
  const hasPeer = await isInstalled("qemu-system-riscv64");
  const emulators = EMULATORS.filter(({ name }) => name !== "qemu" || hasPeer);
  const kernels = positionals.length > 0 ? positionals : [...INTEGER, ...FLOAT];
  const directory = await Deno.makeTempDir();
  const ratios = new Map<string, number>();
  try {
    console.log(["kernel", ...emulators.map(({ name }) => `${name} s`), hasPeer ? "qemu/jit" : ""].join("\t"));
    for (const kernel of kernels) {
      const image = await compile(kernel, directory);
      const samples = emulators.map((): Sample[] => []);
      for (let round = 0; round < Number(values.rounds); round++) {
        for (const [i, { command }] of emulators.entries()) samples[i]?.push(await measure(command(image)));
      }
      if (new Set(samples.flat().map(({ output }) => output)).size > 1) throw new Error(`${kernel}: checksums differ`);
      const medians = samples.map((of) => median(of.map(({ seconds }) => seconds)));
      const ratio = hasPeer ? (medians[0] ?? NaN) / (medians[1] ?? NaN) : NaN;
      ratios.set(kernel, ratio);
      console.log([kernel, ...medians.map((s) => s.toFixed(2)), hasPeer ? ratio.toFixed(2) : ""].join("\t"));
    }
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
  for (const [name, list] of [["integer", INTEGER], ["float", FLOAT]] as const) {
    const known = list.flatMap((kernel) => ratios.get(kernel) ?? []);
    if (hasPeer && known.length > 0) console.log(`geometric mean, ${name}: ${geometricMean(known).toFixed(2)}`);
  }
}

await main();
