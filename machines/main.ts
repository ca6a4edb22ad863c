/**
 * The command line of the `virt` machine: `deno task virt`, or `runCommandLine` for programs. Whatever the user did wrong
 * is one sentence and exit status 1.
 *
 * @module
 */
import { DeviceError } from "../ecs/device.ts";
import { OutOfGuestMemoryError } from "../ecs/ram_block.ts";
import { memoryMap } from "../systems/memory_map.ts";
import { BlockError } from "./backends/block.ts";
import { NullBackend } from "./backends/character.ts";
import { Terminal, type TerminalStreams } from "./backends/terminal.ts";
import { configureVirt, DRIVERS, type OpenBackends } from "./command_line/configure.ts";
import { reason } from "./command_line/files.ts";
import { OptionError } from "./command_line/key_values.ts";
import { parseCommandLine } from "./command_line/options.ts";
import type { CommandLine } from "./command_line/request.ts";
import { type CommandLineIo, terminalStreams } from "./command_line/streams.ts";
import { openTrace } from "./command_line/trace.ts";
import { informJit } from "./logs/jit_information.ts";
import { symbolsOf } from "./loader/boot_symbols.ts";
import { chosenNode, DeviceTreeError, text, writeDeviceTree } from "./loader/flattened_device_tree.ts";
import { ImageError } from "./loader/part.ts";
import { describeVirt } from "./virt/device_tree.ts";
import type { VirtOptions } from "./virt/options.ts";
import { createVirt, MachineError, type VirtMachine } from "./virt/machine.ts";

export type { CommandLineIo };

/** Mistakes of the user: their messages are sentences. */
const SENTENCES = [
  OptionError,
  ImageError,
  DeviceTreeError,
  MachineError,
  DeviceError,
  BlockError,
  OutOfGuestMemoryError,
];

/** What a program that runs a command line adds to its machine. */
export interface Instruments {
  /** Given what the machine is built with, what to build it with besides. */
  attach?(options: VirtOptions): Pick<VirtOptions, "processor">;
}

/** Signals that end the process, with the terminal restored. Exit status: 128 and the number, as shells count. */
const SIGNALS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;

/**
 * Runs a command line to its end; without arguments, the demonstration guest.
 *
 * @param io Streams other than the process's own.
 * @param instruments Who looks on; the demonstration guest is not looked at.
 * @returns The exit status: 0 when the guest powers off, what it gave the test finisher, 1 for mistakes of the user.
 */
export async function runCommandLine(
  args: readonly string[],
  io: Partial<CommandLineIo> = {},
  instruments: Instruments = {},
): Promise<number> {
  try {
    if (args.length === 0) return await runDemonstration(io);
    const line = parseCommandLine(args);
    if (line.devices.some(({ driver }) => driver === "help")) line.print = deviceHelp();
    if (line.print !== undefined) return await print(line.print, io);
    if (line.dumpDeviceTree !== undefined) return dumpDeviceTree(line, line.dumpDeviceTree);
    if (line.dumpMemoryMap !== undefined) return await dumpMemoryMap(line, line.dumpMemoryMap);
    return await runVirt(line, io, instruments);
  } catch (error) {
    if (!SENTENCES.some((kind) => error instanceof kind)) throw error;
    complain(io, (error as Error).message);
    return 1;
  }
}

function complain(io: Partial<CommandLineIo>, sentence: string): void {
  (io.error ?? console.error)(`freehold: ${sentence}`);
}

/** Builds a machine on a terminal that it opens, runs it to its end, and gives everything back. */
async function runVirt(line: CommandLine, io: Partial<CommandLineIo>, instruments: Instruments): Promise<number> {
  const trace = openTrace(line.log);
  try {
    return await withBackends((backends) =>
      runOnTerminal(io, (terminalFor) => {
        const options = configureVirt(
          line,
          backends,
          (request) => terminalFor(terminalStreams(io), request.escapes === true && io.input === undefined),
        );
        const watch = trace.watch(() => symbolsOf(options));
        const machine = createVirt({ ...options, ...(watch && { watch }), ...instruments.attach?.(options) });
        trace.attach(machine.world);
        return machine;
      }, (machine) => trace.report("jit", () => informJit(machine)))
    );
  } finally {
    trace.close();
  }
}

async function withBackends<T>(use: (backends: OpenBackends) => T | Promise<T>): Promise<T> {
  const backends: OpenBackends = { drives: new Map(), characters: new Map() };
  try {
    return await use(backends);
  } finally {
    for (const backend of backends.characters.values()) await backend.close();
    for (const drive of backends.drives.values()) drive.close();
  }
}

async function runDemonstration(io: Partial<CommandLineIo>): Promise<number> {
  const { createDemonstration, withEndOfTransmission } = await import("./virt/demonstration/run.ts");
  return await runOnTerminal(
    io,
    (terminalFor) => createDemonstration(terminalFor(withEndOfTransmission(terminalStreams(io)), false)),
  );
}

type TerminalFor = (streams: TerminalStreams, escapes: boolean) => Terminal;

/**
 * Runs the machine that `build` makes; `build` asks for the terminal if it wants one. Ends when the guest does, on Ctrl-A x,
 * on a signal, or when nobody reads the output any more; `ended` sees the machine then.
 */
async function runOnTerminal(
  io: Partial<CommandLineIo>,
  build: (terminalFor: TerminalFor) => VirtMachine,
  ended: (machine: VirtMachine) => void = () => {},
): Promise<number> {
  let terminal: Terminal | undefined;
  let machine: VirtMachine | undefined;
  let forced: number | undefined;
  const end = (status: number) => {
    forced ??= status;
    machine?.stop();
  };
  const release = onSignals((status) => {
    terminal?.restore();
    end(status);
  });
  try {
    machine = build((streams, escapes) => {
      const onFailure = (error: unknown) => {
        if (!(error instanceof Deno.errors.BrokenPipe)) complain(io, `the output can't be written: ${reason(error)}`);
        end(1);
      };
      const information = () => machine === undefined ? "" : informJit(machine);
      return terminal = new Terminal(streams, { escapes, onQuit: () => end(0), information, onFailure });
    });
    terminal?.open();
    const exit = await machine.run();
    ended(machine);
    return forced ?? exit.status;
  } finally {
    release();
    await terminal?.close();
    machine?.dispose();
  }
}

/** Calls `handle` with the exit status when a signal comes; returns what ends that. */
function onSignals(handle: (status: number) => void): () => void {
  const heard = Object.entries(SIGNALS).filter(([name]) => name === "SIGINT" || Deno.build.os !== "windows");
  const listeners = heard.map(([name, number]) => {
    const listener = () => handle(128 + number);
    Deno.addSignalListener(name as keyof typeof SIGNALS, listener);
    return () => Deno.removeSignalListener(name as keyof typeof SIGNALS, listener);
  });
  return () => listeners.forEach((remove) => remove());
}

async function print(text: string, io: Partial<CommandLineIo>): Promise<number> {
  const { output } = terminalStreams({ ...io, inputIsTerminal: false });
  for (let bytes = new TextEncoder().encode(text); bytes.length > 0;) bytes = bytes.subarray(await output.write(bytes));
  return 0;
}

function deviceHelp(): string {
  const rows = DRIVERS.map(({ type, description, properties = {} }) => {
    const names = Object.entries(properties).map(([name, property]) => `    ${name}=… ${property.description}\n`);
    return `${type}: ${description}\n${names.join("")}`;
  });
  return `Devices, with their properties:\n${rows.join("")}`;
}

function dumpDeviceTree(line: CommandLine, path: string): number {
  const tree = describeVirt(line);
  if (line.append !== undefined) chosenNode(tree).properties.set("bootargs", text(line.append));
  try {
    Deno.writeFileSync(path, writeDeviceTree(tree));
  } catch (error) {
    throw new OptionError(`-M virt,dumpdtb=${path}: ${reason(error)}`);
  }
  return 0;
}

/** The machine is built as asked for, with its devices, and does not run. */
function dumpMemoryMap(line: CommandLine, path: string): Promise<number> {
  return withBackends((backends) => {
    const machine = createVirt(configureVirt(line, backends, () => new NullBackend()));
    const map = JSON.stringify(memoryMap(machine.world), undefined, 2);
    machine.dispose();
    try {
      Deno.writeTextFileSync(path, `${map}\n`);
    } catch (error) {
      throw new OptionError(`-M virt,dumpmap=${path}: ${reason(error)}`);
    }
    return 0;
  });
}

// Standard input may still have a pending read, which would keep the process alive.
if (import.meta.main) Deno.exit(await runCommandLine(Deno.args));
