/**
 * Bare-metal programs in C and assembly, the same file on our machine and on the peer: output byte for byte, and the exit
 * status that the program gives the test finisher.
 */

import { assert, assertEquals } from "@std/assert";
import { runCommandLine } from "../../machines/main.ts";
import { type Tier, TIERS_FOR_PROGRAMS } from "../machines/riscv/tiers.ts";
import { ignoredWithout, PEER, PEER_CPU } from "./peer.ts";

const COMPILER = "riscv64-unknown-elf-gcc";
const PROGRAMS = new URL("./programs/", import.meta.url).pathname;
const EXIT_STATUS: Readonly<Record<string, number>> = { devices: 5 };

const MACHINE = [
  "-M",
  "virt",
  "-cpu",
  PEER_CPU,
  "-bios",
  "none",
  "-display",
  "none",
  "-serial",
  "stdio",
  "-monitor",
  "none",
];

interface Run {
  readonly output: string;
  readonly status: number;
}

async function compile(source: string, into: string): Promise<string> {
  const image = `${into}/program.elf`;
  const { success, stderr } = await new Deno.Command(COMPILER, {
    args: [
      ...["-O2", "-march=rv64gc_zicsr_zifencei", "-mabi=lp64d", "-mcmodel=medany", "-ffreestanding", "-nostdlib"],
      ...["-nostartfiles", "-Wl,--no-warn-rwx-segments", "-T", "link.ld", "start.S", source, "-o", image],
    ],
    cwd: PROGRAMS,
  }).output();
  assert(success, new TextDecoder().decode(stderr));
  return image;
}

async function onPeer(image: string): Promise<Run> {
  const { stdout, code } = await new Deno.Command(PEER, { args: [...MACHINE, "-kernel", image], stdin: "null" })
    .output();
  return { output: new TextDecoder("latin1").decode(stdout), status: code };
}

async function onOurs(image: string, { accelerator, translation }: Tier): Promise<Run> {
  const tuning = Object.entries(translation ?? {}).map(([key, value]) => `,${key}=${value}`).join("");
  const accel = accelerator + tuning;
  let output = "";
  const decoder = new TextDecoder("latin1");
  const status = await runCommandLine([...MACHINE, "-accel", accel, "-kernel", image], {
    inputIsTerminal: false,
    async *input() {},
    output: (bytes) => void (output += decoder.decode(bytes)),
  });
  return { output, status };
}

const ignore = ignoredWithout(PEER, COMPILER);

for (const name of ["integer", "atomic", "floating", "machine", "supervisor", "devices"]) {
  Deno.test({
    name: `the bare-metal program "${name}" prints the same here and on the peer`,
    ignore,
    async fn() {
      const directory = await Deno.makeTempDir();
      try {
        const image = await compile(`${name}.c`, directory);
        const peer = await onPeer(image);
        assertEquals(peer.status, EXIT_STATUS[name] ?? 0);
        assert(peer.output.split("\n").length > 30, "the program printed its results");
        for (const tier of TIERS_FOR_PROGRAMS) {
          const ours = await onOurs(image, tier);
          assertEquals(ours.output.split("\n"), peer.output.split("\n"), tier.name);
          assertEquals(ours.status, peer.status, tier.name);
        }
      } finally {
        await Deno.remove(directory, { recursive: true });
      }
    },
  });
}
