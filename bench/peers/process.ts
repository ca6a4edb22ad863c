/**
 * An emulator as a process that is measured from outside: its user time by the shell's count, its largest resident
 * memory, and when it printed what. Linux only: it reads /proc.
 */

export interface Measured {
  /** Seconds of all its threads in user mode. */
  readonly user: number;
  /** Seconds from start to end. */
  readonly wall: number;
  /** Largest resident memory, in MiB. */
  readonly peak: number;
  readonly output: string;
  /** When each line was there that holds MARK, by what follows it. */
  readonly marks: ReadonlyMap<string, Mark>;
}

export interface Mark {
  /** Seconds since the start. */
  readonly wall: number;
  /** User time until then, in seconds; the kernel counts hundredths. */
  readonly user: number;
}

/** In a line of the guest's output whose time matters. */
export const MARK = "@@@";
const TICKS_PER_SECOND = 100;
const POLL_MS = 50;

/** @throws {Error} if the process fails. */
export async function measure(command: readonly string[]): Promise<Measured> {
  const args = ["-c", 'TIMEFORMAT="%U %R"; time "$@"', "bash", ...command];
  const start = performance.now();
  const shell = new Deno.Command("bash", { args, stdin: "null", stdout: "piped", stderr: "piped" }).spawn();
  const errors = new Response(shell.stderr).text();
  let peak = 0;
  const watch = setInterval(() => peak = Math.max(peak, residentPeak(childOf(shell.pid))), POLL_MS);
  const marks = new Map<string, Mark>();
  let output = "", seen = 0;
  for await (const text of shell.stdout.pipeThrough(new TextDecoderStream())) {
    output += text;
    for (let end = output.indexOf("\n", seen); end >= 0; end = output.indexOf("\n", seen)) {
      const [, name] = output.slice(seen, end).split(MARK);
      seen = end + 1;
      if (name === undefined) continue;
      marks.set(name.trim(), { wall: since(start), user: userTime(childOf(shell.pid)) });
    }
  }
  const { success } = await shell.status;
  clearInterval(watch);
  const complaint = await errors;
  if (!success) throw new Error(`${command.join(" ")} failed: ${complaint}`);
  const [user, wall] = (complaint.trim().split("\n").at(-1) ?? "").split(" ").map(Number);
  return { user: user ?? NaN, wall: wall ?? NaN, peak, output, marks };
}

function since(start: number): number {
  return (performance.now() - start) / 1000;
}

/** The process that a shell runs now; 0 if there is none. */
function childOf(shell: number): number {
  return Number(readProcess(shell, `task/${shell}/children`).trim().split(" ")[0] ?? 0);
}

function residentPeak(process: number): number {
  return Number(/VmHWM:\s*(\d+) kB/.exec(readProcess(process, "status"))?.[1] ?? 0) / 1024;
}

function userTime(process: number): number {
  // Fields after the name, which is in parentheses and may hold anything: the 14th of all is utime.
  const fields = readProcess(process, "stat").split(")").at(-1)?.trim().split(" ") ?? [];
  return Number(fields[11] ?? NaN) / TICKS_PER_SECOND;
}

/** Empty if the process has ended. */
function readProcess(process: number, file: string): string {
  try {
    return process === 0 ? "" : Deno.readTextFileSync(`/proc/${process}/${file}`);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || (error as { code?: string }).code === "ESRCH") return "";
    throw error;
  }
}

export async function isInstalled(program: string): Promise<boolean> {
  try {
    return (await new Deno.Command(program, { args: ["--version"], stdout: "null", stderr: "null" }).output()).success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
