/** Runs a bare-metal program on our machine and on the peer: what it sends to the serial port, and its exit status. */
import { createVirt } from "../../../machines/virt/machine.ts";
import { INTERPRETED, type Tier } from "../../machines/riscv/tiers.ts";
import { featuresOf, PEER, PEER_CPU } from "../peer.ts";

export interface Run {
  readonly output: Uint8Array;
  readonly status: number;
}

export interface RunOptions {
  readonly ramBytes: number;
  readonly harts?: number;
  /** The option of that name; default: what both machines have, without bit manipulation. */
  readonly cpu?: string;
  /** Typed at the serial port from the start. */
  readonly input?: string;
  /** On our machine. Default: interpreted. */
  readonly tier?: Tier;
  /** Time after which the program counts as hung. */
  readonly limitMs?: number;
  /** The peer sees code that changes at the next instruction, as ours does, and not at the next block only. */
  readonly isStepwise?: boolean;
}

const LIMIT_MS = 60_000;

/** A program that did not end. */
export class HungProgramError extends Error {
  override readonly name = "HungProgramError";
}

/** @param program is put at the start of RAM, or where it says so itself (ELF), and started in machine mode. */
export async function runOurs(program: Uint8Array, options: RunOptions): Promise<Run> {
  const { ramBytes, harts = 1, cpu = PEER_CPU, input, limitMs = LIMIT_MS } = options;
  const { tier: { accelerator, translation } = INTERPRETED } = options;
  const output: number[] = [];
  const machine = createVirt({
    ramBytes,
    harts,
    features: featuresOf(cpu),
    rebootAllowed: false,
    firmware: { name: "program", bytes: program },
    onOutput: (byte) => output.push(byte),
    accelerator,
    ...(translation && { translation }),
  });
  const timer = setTimeout(() => machine.stop(), limitMs);
  try {
    if (input !== undefined) machine.type(input);
    const { reason, status } = await machine.run();
    const bytes = Uint8Array.from(output);
    if (reason === "stopped") throw new HungProgramError(`no end; output: ${new TextDecoder().decode(bytes)}`);
    return { output: bytes, status };
  } finally {
    clearTimeout(timer);
    machine.dispose();
  }
}

/** The same on the peer. */
export async function runPeer(
  program: Uint8Array,
  { ramBytes, harts = 1, cpu = PEER_CPU, input, limitMs = LIMIT_MS, isStepwise = false }: RunOptions,
): Promise<Run> {
  const file = await Deno.makeTempFile();
  try {
    await Deno.writeFile(file, program);
    const machine = ["-M", "virt", "-cpu", cpu, "-m", `${ramBytes >> 20}M`, "-smp", `${harts}`, "-no-reboot"];
    const child = new Deno.Command(PEER, {
      args: [
        ...machine,
        "-display",
        "none",
        "-monitor",
        "none",
        "-serial",
        "stdio",
        "-bios",
        file,
        ...(isStepwise ? ["-singlestep"] : []),
      ],
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    let hung = false;
    const timer = setTimeout(() => {
      hung = true;
      child.kill("SIGKILL");
    }, limitMs);
    const writer = child.stdin.getWriter();
    if (input !== undefined) await writer.write(new TextEncoder().encode(input));
    const { code, stdout } = await child.output();
    clearTimeout(timer);
    await writer.close().catch(() => {});
    if (hung) throw new HungProgramError(`no end; output: ${new TextDecoder().decode(stdout)}`);
    return { output: stdout, status: code };
  } finally {
    await Deno.remove(file);
  }
}
