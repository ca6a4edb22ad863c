/** The peer: Debian's QEMU with the settings under which its hart is equal to ours. */

import { GdbRemote } from "./gdb_remote.ts";

/** Our hart's features: what the peer has beyond them is switched off. */
export const PEER_CPU = "rv64,h=false,zba=false,zbb=false,zbc=false,zbs=false";

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
      ...["-M", "virt", "-cpu", PEER_CPU, "-m", `${ramMegabytes}M`, "-bios", "none", "-accel", "tcg,thread=single"],
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
