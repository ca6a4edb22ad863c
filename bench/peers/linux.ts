/** Debian on both sides: a boot to power-off, and programs of its userland between marks on the console. */
import { cachedDebianFiles, type DebianFiles } from "../../machines/debian_cache.ts";
import { buildInitramfs } from "../../machines/linux/initramfs.ts";
import { machineArguments, ours, peer, runScript } from "./emulators.ts";
import { MARK, measure, type Measured } from "./process.ts";
import { median, medianRatio } from "./statistics.ts";
import type { Part, Row, Target } from "./table.ts";

const RAM_MIB = 256;
const STALLS = new URL("boot_stalls.ts", import.meta.url).pathname;
const MISSING = "Skipped: Debian's files are not there; deno task linux fetches them.";

const less = (atLeast: number, goal: number): Target => ({ atLeast, goal, better: "less" });

type Progress = (step: string) => void;

interface Linux {
  readonly title: string;
  measure(files: DebianFiles, rounds: number, directory: string, progress: Progress): Promise<readonly Row[]>;
}

/** What the guest does between two marks. Preparation is done before the first. */
const TASKS = [
  { what: "sha256sum of 64 MiB", name: "sha256sum", command: "sha256sum /tmp/zeros" },
  { what: "sort of 40 000 lines", name: "sort", command: "sort /tmp/lines >/tmp/sorted" },
  { what: "sort of 400 000 lines", name: "sort-long", command: "sort /tmp/many >/tmp/sorted" },
  { what: "gzip of 4 MiB", name: "gzip", command: "gzip </tmp/code >/tmp/zipped" },
  { what: "find /", name: "find", command: "find / >/tmp/found" },
] as const;

const SCRIPT = [
  "dd if=/dev/zero of=/tmp/zeros bs=1M count=64 2>/dev/null",
  "awk 'BEGIN { x = 1; for (i = 0; i < 400000; i++) { x = (x * 16807) % 2147483647; print x } }' >/tmp/many",
  "head -n 40000 /tmp/many >/tmp/lines",
  "for i in 1 2 3; do cat /bin/busybox; done | head -c 4194304 >/tmp/code",
  ...TASKS.flatMap(({ name, command }) => [`echo ${MARK}${name}`, command, `echo ${MARK}${name} done`]),
].join("\n");

export const LINUX: Readonly<Record<string, Linux>> = {
  boot: {
    title: "Debian's boot to power-off: seconds from start to end; ratio is our time over QEMU's",
    async measure(files, rounds, directory, progress) {
      const args = bootArguments(files, directory, "true");
      const runs = await alternate(rounds, args, "boot", progress);
      const wall = (of: readonly Measured[]) => of.map((run) => run.wall);
      const beyond = (of: readonly Measured[]) => median(of.map(({ peak }) => peak - RAM_MIB));
      return [
        {
          ...compared("boot to power-off", wall(runs.ours), wall(runs.peer)),
          target: less(2, 1.3),
        },
        compared("the same, user time", runs.ours.map(({ user }) => user), runs.peer.map(({ user }) => user)),
        {
          what: "largest resident memory over guest RAM",
          ours: beyond(runs.ours),
          peer: beyond(runs.peer),
          unit: "MiB",
          target: less(400, 200),
        },
      ];
    },
  },
  guest: {
    title: "Programs in the guest, between marks on its console: user seconds; ratio is our time over QEMU's",
    async measure(files, rounds, directory, progress) {
      const args = bootArguments(files, directory, SCRIPT);
      const runs = await alternate(rounds, args, "programs in the guest", progress);
      return TASKS.flatMap(({ what, name }) => [
        {
          ...compared(what, took(runs.ours, name, "user"), took(runs.peer, name, "user")),
          target: less(1.5, 1),
        },
        compared("  the same, by the clock", took(runs.ours, name, "wall"), took(runs.peer, name, "wall")),
      ]);
    },
  },
  stalls: {
    title: "The event loop while Debian boots",
    async measure(files, rounds, directory, progress) {
      const command = runScript(STALLS, machineArguments(bootArguments(files, directory, "true")));
      const longest: number[] = [], usual: number[] = [];
      for (let round = 1; round <= rounds; round++) {
        progress(`stalls: round ${round} of ${rounds}`);
        const { output } = await measure(command);
        const found = /longest stall ([\d.]+) ms, 99 % below ([\d.]+) ms/.exec(output);
        if (!found) throw new Error(`the boot did not tell its stalls: ${output}`);
        longest.push(Number(found[1]));
        usual.push(Number(found[2]));
      }
      return [
        { what: "slowest stall", ours: median(longest), unit: "ms", target: less(50, 10) },
        { what: "99 % of the turns are shorter than", ours: median(usual), unit: "ms" },
      ];
    },
  },
};

export async function compareLinux(
  { title, measure }: Linux,
  rounds: number,
  directory: string,
  progress: Progress,
): Promise<Part> {
  const files = cachedDebianFiles();
  if (files === undefined) return { title, rows: [], skipped: MISSING };
  return { title, rows: await measure(files, rounds, directory, progress) };
}

function compared(what: string, us: readonly number[], them: readonly number[]): Row {
  return { what, ours: median(us), peer: median(them), unit: "s", ratio: medianRatio(us, them) };
}

function bootArguments(files: DebianFiles, directory: string, script: string): string[] {
  const initramfs = `${directory}/initramfs.cpio`;
  Deno.writeFileSync(initramfs, buildInitramfs(files, script));
  const image = ["-bios", files.firmware, "-kernel", files.kernel, "-initrd", initramfs, "-m", `${RAM_MIB}M`];
  // Init reports through this port before it powers off.
  const port = ["-chardev", `file,id=status,path=${directory}/status`, "-device", "virtio-serial-device"];
  port.push("-device", "virtserialport,chardev=status,name=org.freehold.status");
  return [...image, "-append", "console=ttyS0 session=exec", ...port];
}

async function alternate(rounds: number, args: readonly string[], what: string, progress: Progress) {
  const runs = { ours: [] as Measured[], peer: [] as Measured[] };
  for (let round = 1; round <= rounds; round++) {
    progress(`${what}: round ${round} of ${rounds}`);
    runs.ours.push(await measure(ours(args)));
    runs.peer.push(await measure(peer(args)));
  }
  return runs;
}

/** Seconds between a program's two marks, in each run. */
function took(runs: readonly Measured[], name: string, clock: "wall" | "user"): number[] {
  return runs.map(({ marks, output }) => {
    const first = marks.get(name), last = marks.get(`${name} done`);
    if (!first || !last) {
      throw new Error(`the guest did not run ${name}; its console ends with:\n${output.slice(-500)}`);
    }
    return last[clock] - first[clock];
  });
}
