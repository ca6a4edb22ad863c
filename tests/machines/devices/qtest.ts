/** The peer's devices, driven by accesses: `qemu-system-riscv64 -M virt` stopped, under the qtest protocol. */

const PEER = "qemu-system-riscv64";

/** Whether the peer is installed; tests that need it are ignored if not. */
export function hasPeer(): boolean {
  try {
    return new Deno.Command(PEER, { args: ["-version"], stdout: "null", stderr: "null" }).outputSync().success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

const MACHINE = "-M virt -smp 2 -accel tcg -S -display none -serial null".split(" ");

/** Path of the first device of a type in the peer's machine. */
export async function findPeerDevice(type: string): Promise<string> {
  const args = [...MACHINE, "-monitor", "stdio"];
  const child = new Deno.Command(PEER, { args, stdin: "piped", stdout: "piped", stderr: "null" }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode("info qom-tree\nquit\n"));
  const { stdout } = await child.output();
  await writer.close().catch(() => {});
  const name = new TextDecoder().decode(stdout).match(new RegExp(`/(device\\[\\d+\\]) \\(${type}\\)`))?.[1];
  if (name === undefined) throw new Error(`the peer has no ${type}`);
  return `/machine/unattached/${name}`;
}

export interface PeerAnswers {
  /** The value of each answer; 0n where it has none. */
  readonly values: bigint[];
  /** Inputs of the intercepted device that were high after each answer, as a bit set. */
  readonly inputs: bigint[];
}

/** Sends the commands to a new machine. `intercept` is the path of a device whose inputs are watched. */
export async function askPeer(commands: readonly string[], intercept?: string): Promise<PeerAnswers> {
  const all = intercept === undefined ? commands : [`irq_intercept_in ${intercept}`, ...commands];
  const args = [...MACHINE, "-monitor", "none", "-qtest", "stdio", "-qtest-log", "/dev/null"];
  const child = new Deno.Command(PEER, { args, stdin: "piped", stdout: "piped", stderr: "null" }).spawn();
  const writer = child.stdin.getWriter();
  const sent = writer.write(new TextEncoder().encode(all.join("\n") + "\n"));
  const answers: PeerAnswers = { values: [], inputs: [] };
  let high = 0n;
  let text = "";
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  while (answers.values.length < all.length) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`the peer ended after ${answers.values.length} of ${all.length} answers`);
    const lines = (text + value).split("\n");
    text = lines.pop() ?? "";
    for (const line of lines) {
      const [word, direction, input = "0"] = line.split(" ");
      if (word === "IRQ") high = direction === "raise" ? high | 1n << BigInt(input) : high & ~(1n << BigInt(input));
      else if (word !== "OK") throw new Error(`the peer answers "${line}" to "${all[answers.values.length]}"`);
      else {
        answers.values.push(BigInt(direction ?? 0));
        answers.inputs.push(high);
      }
    }
  }
  await sent;
  await reader.cancel();
  child.kill("SIGKILL");
  await writer.close().catch(() => {});
  await child.status;
  if (intercept !== undefined) { for (const list of [answers.values, answers.inputs]) list.shift(); }
  return answers;
}
