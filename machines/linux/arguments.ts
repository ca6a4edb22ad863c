/**
 * The Linux job's own options among the machine's, and the machine's command line that comes of them.
 *
 * @module
 */

import type { DebianFiles } from "../debian_cache.ts";

/** A mistake in the job's own options; one sentence. */
export class UsageError extends Error {
  override name = "UsageError";
}

/** What the user asked of the job. */
export interface JobOptions {
  /** Print the job's help and stop. */
  readonly help: boolean;
  /** Print the command line for the peer and stop. */
  readonly printCommand: boolean;
  /** Forget the cached packages and fetch them again. */
  readonly update: boolean;
  /** Shell script to run in the guest instead of a shell. */
  readonly command?: string;
  /** Everything else, for the machine. */
  readonly machine: readonly string[];
}

/** How the shell of the guest is used; `interactive` is a terminal, the others end with their input or command. */
export type Session = "interactive" | "batch" | "exec";

/** Name of the virtio port on which init reports the status of the command. `init.sh` knows it too. */
const STATUS_PORT = "org.freehold.status";

/**
 * Separates the job's options from the machine's.
 *
 * @throws {UsageError} if an option lacks its value, or options exclude each other
 */
export function parseJobOptions(args: readonly string[]): JobOptions {
  let [help, printCommand, update] = [false, false, false];
  let command: string | undefined;
  const machine: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] ?? "";
    if (["-h", "-help", "--help"].includes(arg)) help = true;
    else if (arg === "--print-command") printCommand = true;
    else if (arg === "--update") update = true;
    else if (arg.startsWith("--exec=")) command = arg.slice("--exec=".length);
    else if (arg === "--exec") {
      command = args[++i];
      if (command === undefined) throw new UsageError('--exec needs a command, such as --exec "uname -a".');
    } else machine.push(arg);
  }
  if (command !== undefined && bringsOwnGuest(machine)) {
    throw new UsageError("--exec works with the job's own kernel and RAM disk only, without -kernel and -initrd.");
  }
  return { help, printCommand, update, machine, ...(command === undefined ? {} : { command }) };
}

const isOption = (arg: string, name: string) => arg === `-${name}` || arg === `--${name}`;

/** Whether the user brings a kernel or RAM disk, so that Debian's and the job's session protocol have no part in it. */
export function bringsOwnGuest(machine: readonly string[]): boolean {
  return machine.some((arg) => isOption(arg, "kernel") || isOption(arg, "initrd"));
}

/** Whether the user only asks the machine for information, for which nothing needs to be fetched. */
export function onlyAsks(machine: readonly string[]): boolean {
  return machine.some((arg) => isOption(arg, "version") || arg === "help" || arg === "?");
}

const KERNEL_ARGUMENTS: Readonly<Record<Session, string>> = {
  interactive: "earlycon console=ttyS0 session=interactive",
  batch: "earlycon console=ttyS0 panic=-1 session=batch",
  // The kernel's console is a line that no device serves: the serial line carries the command's output alone.
  exec: "quiet console=hvc0 panic=-1 session=exec",
};

/** What the machine is told about the terminal that the guest talks to. */
export interface TerminalFacts {
  readonly type?: string;
  readonly rows?: number;
  readonly columns?: number;
}

/**
 * The machine's command line for a session. The user's options come last and so prevail; their `-append` is added to the
 * job's kernel arguments.
 *
 * @param status file in which the guest's report of the command's status is to be found ("exec")
 */
export function machineArguments(
  session: Session,
  files: DebianFiles,
  initramfs: string,
  status: string,
  user: readonly string[],
  terminal: TerminalFacts = {},
): string[] {
  const append = [KERNEL_ARGUMENTS[session]];
  if (terminal.type) append.push(`TERM=${terminal.type}`);
  if (terminal.rows && terminal.columns) append.push(`LINES=${terminal.rows} COLUMNS=${terminal.columns}`);
  const rest: string[] = [];
  for (let i = 0; i < user.length; i++) {
    const arg = user[i] ?? "";
    const value = user[i + 1];
    if (isOption(arg, "append") && value !== undefined) {
      append.push(value);
      i++;
    } else rest.push(arg);
  }
  const image = ["-bios", files.firmware, "-kernel", files.kernel, "-initrd", initramfs, "-append", append.join(" ")];
  return ["-M", "virt", "-m", "256M", ...image, ...sessionArguments(session, status), ...rest];
}

function sessionArguments(session: Session, status: string): string[] {
  if (session === "interactive") return ["-nographic"];
  const line = ["-display", "none", "-serial", "stdio", "-monitor", "none", "-no-reboot"];
  if (session === "batch") return line;
  const report = ["-chardev", `file,id=status,path=${status.replaceAll(",", ",,")}`];
  const port = ["-device", "virtio-serial-device", "-device", `virtserialport,chardev=status,name=${STATUS_PORT}`];
  return [...line, ...report, ...port];
}

/** The peer's CPU that is equal to ours, so that the same images take the same course. */
const PEER = ["qemu-system-riscv64", "-cpu", "rv64,h=false,zba=false,zbb=false,zbc=false,zbs=false"];

/** The command line that runs the same guest on the peer, quoted for a shell. */
export function peerCommand(machine: readonly string[]): string {
  return [...PEER, ...machine].map((word) =>
    /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`
  )
    .join(" ");
}
