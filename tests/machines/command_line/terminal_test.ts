/** The command line in a real terminal: raw mode, escape keys, signals, and what is left behind. */
import { assert, assertEquals } from "@std/assert";
import { program, sendText } from "../virt/program.ts";

const MAIN = new URL("../../../machines/main.ts", import.meta.url).pathname;
const CONFIG = new URL("../../../deno.json", import.meta.url).pathname;
const DEADLINE_MS = 20_000;

const hasScript = await new Deno.Command("script", { args: ["--version"], stdout: "null", stderr: "null" }).output()
  .then((out) => out.success, () => false);

/** A pseudo-terminal in which the emulator runs, and after it a shell command that shows the terminal's mode. */
class Session {
  output = "";
  readonly #child: Deno.ChildProcess;
  readonly #keys: WritableStreamDefaultWriter<Uint8Array>;
  readonly #read: Promise<void>;
  readonly #impatience: ReturnType<typeof setTimeout>;

  constructor(args: string) {
    const emulator = `exec ${Deno.execPath()} run -q -P=virt --frozen --no-check --config=${CONFIG} ${MAIN} ${args}`;
    const shell = `sh -c 'echo pid=$$; ${emulator}'; echo status=$?; stty -a`;
    this.#child = new Deno.Command("script", {
      args: ["-qec", shell, "/dev/null"],
      env: { SHELL: "/bin/sh", NO_COLOR: "1" },
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    this.#keys = this.#child.stdin.getWriter();
    this.#impatience = setTimeout(() => this.#child.kill("SIGKILL"), DEADLINE_MS);
    this.#read = this.#collect();
  }

  async #collect(): Promise<void> {
    const decoder = new TextDecoder();
    for await (const bytes of this.#child.stdout) this.output += decoder.decode(bytes, { stream: true });
  }

  async press(keys: string): Promise<void> {
    await this.#keys.write(new TextEncoder().encode(keys));
  }

  async until(text: string): Promise<void> {
    const end = performance.now() + DEADLINE_MS;
    while (!this.output.includes(text)) {
      assert(performance.now() < end, `no "${text}" in:\n${this.output}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  kill(signal: Deno.Signal): void {
    Deno.kill(Number(/pid=(\d+)/.exec(this.output)?.[1]), signal);
  }

  /** Waits for the end; the emulator's exit status, and whether the terminal is in its usual mode. */
  async finish(): Promise<{ status: number; restored: boolean }> {
    await this.until("icanon");
    await this.#keys.close();
    await this.#child.status;
    await this.#read;
    clearTimeout(this.#impatience);
    const status = Number(/status=(\d+)/.exec(this.output)?.[1]);
    const after = this.output.slice(this.output.lastIndexOf("status="));
    return { status, restored: ["isig", "icanon", "echo", "opost"].every((flag) => isOn(after, flag)) };
  }
}

/** In the words of stty, a minus sign means off. */
function isOn(settings: string, flag: string): boolean {
  return RegExp(`(?<![-\\w])${flag}\\b`).test(settings);
}

function inTerminal(name: string, args: string, body: (session: Session) => Promise<void>): void {
  Deno.test({
    name,
    ignore: !hasScript,
    fn: async () => {
      const path = await Deno.makeTempFile();
      try {
        await Deno.writeFile(path, forever);
        await body(new Session(args.replace("@", path)));
      } finally {
        await Deno.remove(path);
      }
    },
  });
}

/** Says that it is there, and never listens nor yields. */
const forever = program((asm) => {
  sendText(asm, "busy");
  asm.j(0);
}).bytes;
const BUSY = "-bios none -kernel @ -nographic";
const EXITED = { restored: true };

inTerminal("the demonstration shows its memory map, unplugs its device and powers off", "", async (session) => {
  await session.until("q  power off");
  assert(session.output.includes("memory@80000000"));
  await session.press("u");
  await session.until("it is gone");
  const order = [
    "guest: writing",
    "host:  the handler",
    "host:  the device is out",
    "is finalized",
    "guest: the write has",
  ];
  const places = order.map((text) => session.output.indexOf(text));
  assert(places.every((place, i) => place > (places[i - 1] ?? 0)), session.output);
  assert(/access fault, cause 5, at 0x0?4000000/.test(session.output), session.output);
  await session.press("q");
  assertEquals(await session.finish(), { status: 0, ...EXITED });
});

inTerminal("Ctrl-C goes to the guest, Ctrl-A h helps, Ctrl-A x quits", "", async (session) => {
  await session.until("q  power off");
  await session.press("\x03\x01h");
  await session.until("exit the emulator");
  await session.press("\x01x");
  assertEquals(await session.finish(), { status: 0, ...EXITED });
});

inTerminal("Ctrl-A i tells what the translator has done", `${BUSY} -accel jit`, async (session) => {
  await session.until("busy");
  await session.press("\x01i");
  await session.until("regions entered by the interpreter");
  await session.press("\x01x");
  assertEquals(await session.finish(), { status: 0, ...EXITED });
});

inTerminal("a guest that never yields can't keep Ctrl-A x from working", BUSY, async (session) => {
  await session.until("busy");
  await session.press("\x03 abc\x01x");
  assertEquals(await session.finish(), { status: 0, ...EXITED });
});

for (const [signal, status] of [["SIGINT", 130], ["SIGTERM", 143], ["SIGHUP", 129]] as const) {
  inTerminal(`${signal} from outside ends the emulator and restores the terminal`, BUSY, async (session) => {
    await session.until("busy");
    session.kill(signal);
    assertEquals(await session.finish(), { status, ...EXITED });
  });
}
