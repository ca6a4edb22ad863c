/** The peer: Debian's QEMU with the settings under which its hart is equal to ours. */

import { parseCommandLine } from "../../machines/command_line/options.ts";
import { ALL_FEATURES, type HartFeatures } from "../../machines/riscv/features.ts";
import { GdbRemote } from "./gdb_remote.ts";

/** The harts that both have: RV64GC with Sstc, and the same with bit manipulation. */
export const PEER_CPU = "rv64,h=false,zba=false,zbb=false,zbc=false,zbs=false";
export const PEER_BIT_CPU = "rv64,h=false";
/** Goes behind `PEER_BIT_CPU` for ours: the peer does not know these, and has none. */
export const OURS_ONLY_OFF = ",zicbom=off,zicboz=off,zicond=off";

/** What our harts have with this option. */
export function featuresOf(cpu: string): HartFeatures {
  return parseCommandLine(["-cpu", cpu]).features ?? ALL_FEATURES;
}

export const PEER = "qemu-system-riscv64";

/** Whether a program can be started here; tests that need an absent one say so and are ignored. */
export function isInstalled(program: string): boolean {
  try {
    return new Deno.Command(program, { args: ["--version"], stdout: "null", stderr: "null" }).outputSync().success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

export const peerIsInstalled = isInstalled(PEER);

/** Prints why tests are ignored; returns whether they are. */
export function ignoredWithout(...programs: string[]): boolean {
  const missing = programs.filter((program) => !isInstalled(program));
  if (missing.length > 0) console.log(`Ignored: ${missing.join(", ")} not installed.`);
  return missing.length > 0;
}

/** A stopped peer with its gdb port, for stepping. */
export interface StoppedPeer extends AsyncDisposable {
  readonly gdb: GdbRemote;
}

/** Starts the peer halted before its first instruction, with nothing but RAM of use. */
export async function startStoppedPeer(ramMegabytes: number): Promise<StoppedPeer> {
  const port = freePort();
  const quiet = ["-display", "none", "-serial", "none", "-monitor", "none"];
  const child = new Deno.Command(PEER, {
    args: [
      ...["-M", "virt", "-cpu", PEER_BIT_CPU, "-m", `${ramMegabytes}M`, "-bios", "none", "-accel", "tcg,thread=single"],
      ...quiet,
      ...["-S", "-gdb", `tcp:127.0.0.1:${port}`],
    ],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  const gdb = await GdbRemote.connect(port);
  return {
    gdb,
    async [Symbol.asyncDispose]() {
      gdb.close();
      child.kill("SIGKILL");
      await child.status;
    },
  };
}

/** A port that nobody listens on now. */
function freePort(): number {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  listener.close();
  return port;
}
