/**
 * Debian's boot in every tier: `deno task boots [FORM…]`. With an instruction clock the console, time stamps included, is
 * the interpreter's byte for byte, and so is the number of instructions until power-off. Exit status 1 if not.
 */
import { configureVirt, type OpenBackends } from "../../machines/command_line/configure.ts";
import { parseCommandLine } from "../../machines/command_line/options.ts";
import { CallbackBackend } from "../../machines/backends/character.ts";
import { cachedDebianFiles, type DebianFiles } from "../../machines/debian_cache.ts";
import { buildInitramfs } from "../../machines/linux/initramfs.ts";
import { createVirt } from "../../machines/virt/machine.ts";

/** What `-accel` and other options say, by name. The first form of each number of harts is what others are compared to. */
const FORMS: Readonly<Record<string, string>> = {
  interp: "interp",
  jit: "jit",
  "small-cache": "jit,threshold=200,regions=64",
  "threshold-1": "jit,threshold=1",
  check: "check",
  "check-small-cache": "check,threshold=100,regions=64",
};

/** Integers, floats, processes, pipes, files. */
const COMMAND = [
  "uname -a",
  "head -c 300000 /dev/zero | sha256sum",
  "seq 2000 | sort -r | md5sum",
  "seq 3000 | gzip | gunzip | md5sum",
  "awk 'BEGIN { for (i = 1; i <= 2000; i++) s += sin(i) * sqrt(i) / i; print s, 1e300 * 1e10, -s % 3 }'",
  "for i in 1 2 3 4 5 6 7 8; do (echo $i; cat /proc/self/stat | wc -w) | tr '\\n' ' '; done; echo",
  "find / -xdev | wc -l",
  "dmesg | wc -l",
].join("\n");

/** Without this no boot is taken for one. */
const LAST_WORDS = "reboot: Power down";

interface Boot {
  readonly console: string;
  readonly instructions: number;
  readonly status: number;
  readonly seconds: number;
  readonly report: string;
}

function commandLine(files: DebianFiles, initramfs: string, accelerator: string, harts: number): string[] {
  return [
    ...["-M", "virt", "-m", "256M", "-smp", `${harts}`, "-bios", files.firmware, "-kernel", files.kernel],
    ...["-initrd", initramfs, "-append", "earlycon console=ttyS0 panic=-1 session=exec", "-serial", "null"],
    ...["-no-reboot", "-icount", "shift=3,sleep=off", "-accel", accelerator],
  ];
}

async function boot(args: readonly string[]): Promise<Boot> {
  const backends: OpenBackends = { drives: new Map(), characters: new Map() };
  const bytes: number[] = [];
  const options = configureVirt(parseCommandLine(args), backends, () => new CallbackBackend());
  const machine = createVirt({ ...options, serial: new CallbackBackend((byte) => void bytes.push(byte)) });
  const started = performance.now();
  try {
    const { status } = await machine.run();
    const seconds = (performance.now() - started) / 1000;
    const instructions = machine.harts.reduce((sum, hart) => sum + hart.instret, 0);
    const { present, made, translateMs = 0 } = machine.harts[0]?.translation ?? {};
    const report = `${made?.regions} regions made, ${present?.regions} left, translated in ${
      Math.round(translateMs)
    } ms`;
    return { console: new TextDecoder("latin1").decode(Uint8Array.from(bytes)), instructions, status, seconds, report };
  } finally {
    machine.dispose();
  }
}

/** The first line that differs, or nothing. */
function difference(found: Boot, wanted: Boot): string | undefined {
  const [left, right] = [found, wanted].map(({ console }) => console.split("\n"));
  const at = left?.findIndex((line, i) => line !== right?.[i]) ?? -1;
  if (at >= 0) return `line ${at + 1} is ${JSON.stringify(left?.[at])}, not ${JSON.stringify(right?.[at])}`;
  if (found.console !== wanted.console) return `the console ends after line ${left?.length}`;
  if (found.instructions === wanted.instructions && found.status === wanted.status) return undefined;
  return `${found.instructions} instructions and status ${found.status}, not ${wanted.instructions} and ${wanted.status}`;
}

async function main(wanted: readonly string[]): Promise<number> {
  const files = cachedDebianFiles();
  if (files === undefined) {
    console.error("Debian's files are not in the cache; deno task linux fetches them.");
    return 1;
  }
  const harts = Number(wanted.find((word) => /^\d+$/.test(word)) ?? 1);
  const named = wanted.filter((word) => !/^\d+$/.test(word));
  const unknown = named.find((form) => !(form in FORMS));
  if (unknown !== undefined) {
    console.error(`There is no form ${unknown}: ${Object.keys(FORMS).join(", ")}, and a number of harts.`);
    return 1;
  }
  const directory = await Deno.makeTempDir();
  let failed = 0;
  try {
    await Deno.writeFile(`${directory}/initramfs.cpio`, buildInitramfs(files, COMMAND));
    let reference: Boot | undefined;
    for (const form of new Set(["interp", ...named.length > 0 ? named : Object.keys(FORMS)])) {
      const result = await boot(commandLine(files, `${directory}/initramfs.cpio`, FORMS[form] ?? form, harts));
      reference ??= result;
      const wrong = result.console.includes(LAST_WORDS) ? difference(result, reference) : "did not power off";
      if (wrong !== undefined) failed++;
      console.log(`${form}: ${wrong ?? "as the interpreter"}; ${result.instructions} instructions`);
      console.log(`  ${result.seconds.toFixed(1)} s, ${result.report}`);
    }
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
  return failed > 0 ? 1 : 0;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
