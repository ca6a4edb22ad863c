/** Programs that only compute: bare-metal kernels, compiled here, whose checksums both sides must agree on. */
import { ours, peer } from "./emulators.ts";
import { isInstalled, measure } from "./process.ts";
import { geometricMean, median, medianRatio } from "./statistics.ts";
import type { Part, Row, Target } from "./table.ts";

const COMPILER = "riscv64-unknown-elf-gcc";
const SOURCES = new URL("../kernels/", import.meta.url).pathname;
const FLAGS =
  "-O2 -fno-math-errno -march=rv64gc -mabi=lp64d -mcmodel=medany -nostdlib -ffreestanding -Wl,--no-warn-rwx-segments"
    .split(" ");

interface Kernel {
  /** The function in the source. */
  readonly name: string;
  readonly source: string;
  /** What the table calls it. */
  readonly what?: string;
  readonly target?: Target;
}

interface Group {
  readonly title: string;
  readonly kernels: readonly Kernel[];
  readonly mean?: { readonly what: string; readonly target: Target };
  readonly worst?: Target;
}

const from = (source: string, names: string) => names.split(" ").map((name): Kernel => ({ name, source }));
const more = (atLeast: number, goal: number): Target => ({ atLeast, goal, better: "more" });

export const GROUPS: Readonly<Record<string, Group>> = {
  kernels: {
    title: "Integer kernels: user seconds; ratio is QEMU's time over ours",
    kernels: from("kernels.c", "bignum keccak crc sieve sort fibonacci matrix list bytecode strings"),
    mean: { what: "geometric mean", target: more(1.2, 1.5) },
    worst: more(0.7, 1),
  },
  floats: {
    title: "Floating-point kernels: user seconds; ratio is QEMU's time over ours",
    kernels: [...from("kernels.c", "nbody mandelbrot"), ...from("floats.c", "spectral fft")],
    mean: { what: "geometric mean", target: more(0.7, 1.2) },
  },
  mixed: {
    title: "Programs of mixed work: user seconds; ratio is QEMU's time over ours",
    kernels: [
      { name: "workload", source: "mixed.c", what: "CoreMark-like", target: more(1, 1.7) },
      { name: "records", source: "mixed.c", what: "Dhrystone-like", target: more(1, 1.7) },
    ],
  },
};

/** Measures a group; `progress` is told each step. */
export async function compareKernels(
  { title, kernels, mean, worst }: Group,
  rounds: number,
  directory: string,
  progress: (step: string) => void,
): Promise<Part> {
  if (!(await isInstalled(COMPILER))) {
    return { title, rows: [], skipped: `Skipped: ${COMPILER}, which compiles the programs, is not installed.` };
  }
  const rows: (Row & { readonly ratio: number })[] = [];
  for (const kernel of kernels) {
    const image = await compile(kernel, directory);
    rows.push(await compare(kernel, image, rounds, progress));
  }
  const summary: Row[] = [];
  if (mean) summary.push({ ...mean, ratio: geometricMean(rows.map(({ ratio }) => ratio)) });
  const last = rows.toSorted((a, b) => a.ratio - b.ratio)[0];
  if (worst && last) summary.push({ what: `worst: ${last.what}`, ratio: last.ratio, target: worst });
  return { title, rows: [...rows, ...summary] };
}

async function compare(
  { name, what = name, target }: Kernel,
  image: string,
  rounds: number,
  progress: (step: string) => void,
): Promise<Row & { readonly ratio: number }> {
  const args = ["-bios", image];
  const seconds = { ours: [] as number[], peer: [] as number[] };
  const checksums = new Set<string>();
  for (let round = 1; round <= rounds; round++) {
    progress(`${what}: round ${round} of ${rounds}`);
    for (const [side, command] of [["ours", ours(args)], ["peer", peer(args)]] as const) {
      const { user, output } = await measure(command);
      seconds[side].push(user);
      checksums.add(output.trim());
    }
  }
  if (checksums.size !== 1) throw new Error(`${what}: the two sides compute different things: ${[...checksums]}`);
  const ratio = medianRatio(seconds.peer, seconds.ours);
  const row = { what, ours: median(seconds.ours), peer: median(seconds.peer), unit: "s", ratio };
  return target === undefined ? row : { ...row, target };
}

async function compile({ name, source }: Kernel, directory: string): Promise<string> {
  const image = `${directory}/${name}.elf`;
  const inputs = ["start.S", source].map((file) => SOURCES + file);
  const args = [...FLAGS, `-DKERNEL=${name}`, "-T", `${SOURCES}apart.ld`, ...inputs, "-o", image];
  const { success, stderr } = await new Deno.Command(COMPILER, { args }).output();
  if (!success) throw new Error(`${name} does not compile: ${new TextDecoder().decode(stderr)}`);
  return image;
}
