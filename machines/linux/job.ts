/**
 * The Linux job from start to end: obtain Debian's files, build the RAM disk, run the machine, learn the status.
 *
 * @module
 */

import { type Instruments, runCommandLine } from "../main.ts";
import {
  bringsOwnGuest,
  type JobOptions,
  machineArguments,
  onlyAsks,
  peerCommand,
  type Session,
  type TerminalFacts,
} from "./arguments.ts";
import { cacheDirectory, type DebianFiles, NoCacheDirectoryError } from "../debian_cache.ts";
import { DebianUnavailableError, forgetDebian, obtainDebian, type Progress } from "./debian.ts";
import { buildInitramfs } from "./initramfs.ts";
import { sessionLine } from "./session.ts";

const BY_HAND = "A kernel can be given by hand: -kernel FILE -initrd FILE [-bios FILE].";

/** Runs the job; returns the exit status of the process. */
export async function runJob(options: JobOptions, instruments: Instruments = {}): Promise<number> {
  const { machine, command } = options;
  if (onlyAsks(machine)) return await runCommandLine([...machine]);
  if (bringsOwnGuest(machine)) return await runCommandLine(["-m", "256M", ...machine], {}, instruments);
  let files: DebianFiles;
  try {
    if (options.update) forgetDebian();
    files = await obtainDebian(progressOn(Deno.stderr));
  } catch (error) {
    if (!(error instanceof DebianUnavailableError || error instanceof NoCacheDirectoryError)) throw error;
    const fallback = command === undefined && !options.printCommand;
    console.error(`Debian's kernel can't be had: ${error.message} ${BY_HAND}`);
    if (!fallback) return 1;
    console.error("The demonstration guest starts instead.");
    return await runCommandLine([]);
  }
  const session: Session = command !== undefined ? "exec" : Deno.stdin.isTerminal() ? "interactive" : "batch";
  if (options.printCommand) {
    const directory = `${cacheDirectory()}/printed`;
    await Deno.mkdir(directory, { recursive: true });
    console.log(peerCommand(prepare(session, files, directory, options)));
    return 0;
  }
  return await inTemporaryDirectory((directory) => runSession(session, files, directory, options, instruments));
}

/** Writes the RAM disk into `directory` and returns the machine's command line. */
function prepare(session: Session, files: DebianFiles, directory: string, options: JobOptions): string[] {
  const initramfs = `${directory}/initramfs.cpio`;
  Deno.writeFileSync(initramfs, buildInitramfs(files, options.command));
  const terminal = session === "interactive" ? terminalFacts() : {};
  return machineArguments(session, files, initramfs, `${directory}/status`, options.machine, terminal);
}

async function runSession(
  session: Session,
  files: DebianFiles,
  directory: string,
  options: JobOptions,
  instruments: Instruments,
): Promise<number> {
  const args = prepare(session, files, directory, options);
  if (session === "interactive") return await runCommandLine(args, {}, instruments);
  const line = sessionLine({ input: hostInput, output: writeStdout }, session);
  const status = await runCommandLine(args, { inputIsTerminal: false, ...line }, instruments);
  return session === "exec" && status === 0 ? reportedStatus(`${directory}/status`) : status;
}

/** The status that init reported. A guest that started the command and then powered off by itself did as it was told. */
function reportedStatus(path: string): number {
  const report = Deno.readTextFileSync(path).trim().split("\n");
  const last = report.at(-1) ?? "";
  if (/^\d+$/.test(last)) return Number(last);
  if (last === "started") return 0;
  console.error("The guest stopped before it ran the command.");
  return 1;
}

/** The host's input; a terminal gives none, since a session that is not interactive has no use for keystrokes. */
async function* hostInput(): AsyncGenerator<Uint8Array> {
  if (Deno.stdin.isTerminal()) return;
  const buffer = new Uint8Array(4096);
  for (let length; (length = await Deno.stdin.read(buffer)) !== null;) yield buffer.slice(0, length);
}

let stdoutGone = false;

/** Writes all; once the reader of our output has gone, the guest goes on unheard. */
function writeStdout(bytes: Uint8Array): void {
  try {
    for (let at = 0; at < bytes.length && !stdoutGone;) at += Deno.stdout.writeSync(bytes.subarray(at));
  } catch (error) {
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
    stdoutGone = true;
  }
}

function terminalFacts(): TerminalFacts {
  const type = Deno.env.get("TERM");
  if (!Deno.stdout.isTerminal()) return { ...(type ? { type } : {}) };
  const { rows, columns } = Deno.consoleSize();
  return { rows, columns, ...(type && /^[\w.+-]+$/.test(type) ? { type } : {}) };
}

/** Runs `body` with a directory that disappears afterwards, also if the process exits inside. */
async function inTemporaryDirectory(body: (directory: string) => Promise<number>): Promise<number> {
  const directory = await Deno.makeTempDir({ prefix: "freehold-" });
  const clear = () => Deno.removeSync(directory, { recursive: true });
  globalThis.addEventListener("unload", clear);
  try {
    return await body(directory);
  } finally {
    globalThis.removeEventListener("unload", clear);
    clear();
  }
}

/** Shows progress as one line that rewrites itself on a terminal, else as one line per step. */
function progressOn(stream: typeof Deno.stderr): Progress {
  const terminal = stream.isTerminal();
  let shown = "";
  return (step, percent) => {
    const text = terminal && percent !== undefined ? `${step}: ${Math.floor(percent)} %` : step;
    if (text === shown) return;
    shown = text;
    stream.writeSync(new TextEncoder().encode(terminal ? `\r\x1b[K${text}` : `${text}\n`));
    if (terminal && (step === "ready")) stream.writeSync(new TextEncoder().encode("\n"));
  };
}
