/**
 * `deno task profile`: runs a guest, finds out where it spends its instructions, and writes a flame graph and a list of
 * the busiest functions.
 *
 * @module
 */
import { readImage, reason } from "../command_line/files.ts";
import { OptionError } from "../command_line/key_values.ts";
import { parseJobOptions, UsageError } from "../linux/arguments.ts";
import { runJob } from "../linux/job.ts";
import { symbolsOf } from "../loader/boot_symbols.ts";
import { ImageError } from "../loader/part.ts";
import { readSymbols, type Symbol, Symbols } from "../loader/symbols.ts";
import { type Instruments, runCommandLine } from "../main.ts";
import { flameGraph } from "./flame_graph.ts";
import { topList } from "./report.ts";
import { Sampler } from "./sampler.ts";

const DEFAULT_OUTPUT = "profile.svg", DEFAULT_PERIOD = 100_000, DEFAULT_TOP = 20;
const MAX_PERIOD = 1e9;

const HELP = `Profiles a guest: a flame graph of its functions, and a list of the busiest.

Usage: deno task profile [option]… linux|virt [option of that task]…

  --output FILE     the flame graph (${DEFAULT_OUTPUT})
  --period N        instructions between two samples, on average (${DEFAULT_PERIOD})
  --symbols FILE    names of code: an ELF file, or text as /proc/kallsyms or System.map; may be given several times
  --top N           functions in the list (${DEFAULT_TOP})

What -kernel and -bios carry is known without --symbols: an ELF file's symbol table, and a Linux image's own kallsyms.
The list is written to standard error. Instructions are counted, not time.

Examples:
  deno task profile linux --exec "gzip -c /bin/busybox >/dev/null"
  deno task profile virt -bios none -kernel program.elf -accel jit
`;

/** A command line of the profiler. */
export interface ProfileOptions {
  readonly help: boolean;
  readonly output: string;
  readonly period: number;
  readonly symbols: readonly string[];
  readonly top: number;
  readonly job: "linux" | "virt";
  /** For the job. */
  readonly rest: readonly string[];
}

/** @throws {UsageError} for an unknown option, or a missing or bad value. */
export function parseProfileOptions(args: readonly string[]): ProfileOptions {
  let help = false, output = DEFAULT_OUTPUT, period = DEFAULT_PERIOD, top = DEFAULT_TOP;
  const symbols: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const [name = "", attached] = (args[i] ?? "").split(/=(.*)/s);
    const value = () => {
      const given = attached ?? args[++i];
      if (given === undefined) throw new UsageError(`${name} needs a value.`);
      return given;
    };
    const number = (most: number) => {
      const given = value();
      if (!/^\d{1,10}$/.test(given) || Number(given) < 1 || Number(given) > most) {
        throw new UsageError(`${name} must be a number from 1 to ${most}, not '${given}'.`);
      }
      return Number(given);
    };
    if (name === "--output") output = value();
    else if (name === "--period") period = number(MAX_PERIOD);
    else if (name === "--top") top = number(100_000);
    else if (name === "--symbols") symbols.push(value());
    else if (name === "--help" || name === "-h") help = true;
    else if (name === "linux" || name === "virt") {
      return { help, output, period, symbols, top, job: name, rest: args.slice(i + 1) };
    } else throw new UsageError(`'${name}' is no option of the profiler; name the job first: linux or virt.`);
  }
  if (!help) throw new UsageError("Name a job to profile: linux or virt; --help shows how.");
  return { help, output, period, symbols, top, job: "virt", rest: [] };
}

/**
 * Runs the job and writes what was found.
 *
 * @returns The job's exit status; 1 for mistakes of the user.
 */
export async function profile(options: ProfileOptions): Promise<number> {
  if (options.job === "virt" && options.rest.length === 0) {
    throw new UsageError("The demonstration guest is not profiled: give a program with -bios or -kernel.");
  }
  // Before the guest runs: a mistake should not cost a run.
  const named = options.symbols.flatMap((path) => readSymbols(readImage("symbols", path).bytes, `symbols '${path}'`));
  const file = openOutput(options.output);
  try {
    let sampler: Sampler | undefined;
    const instruments: Instruments = {
      attach(machine) {
        const symbols: Symbol[] = [...named, ...symbolsOf(machine)];
        const used = sampler = new Sampler(new Symbols(symbols), options.period);
        return { processor: (hart, memory) => used.sampled(hart, memory) };
      },
    };
    const status = options.job === "linux"
      ? await runJob(parseJobOptions(options.rest), instruments)
      : await runCommandLine(options.rest, {}, instruments);
    if (sampler !== undefined) {
      const title = `deno task profile ${options.job} ${options.rest.join(" ")}`;
      writeAll(file, new TextEncoder().encode(flameGraph(sampler.tree, title)));
      console.error(`${topList(sampler.tree, options.top)}flame graph: ${options.output}`);
    }
    return status;
  } finally {
    file.close();
  }
}

function openOutput(path: string): Deno.FsFile {
  try {
    return Deno.openSync(path, { write: true, create: true, truncate: true });
  } catch (error) {
    throw new OptionError(`the flame graph '${path}' can't be written: ${reason(error)}`);
  }
}

function writeAll(file: Deno.FsFile, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) at += file.writeSync(bytes.subarray(at));
}

/** Parses, runs, and says what is wrong in one sentence. */
export async function main(args: readonly string[]): Promise<number> {
  try {
    const options = parseProfileOptions(args);
    if (!options.help) return await profile(options);
    console.log(HELP.trimEnd());
    return 0;
  } catch (error) {
    if (!(error instanceof UsageError || error instanceof OptionError || error instanceof ImageError)) throw error;
    console.error(error.message);
    return 1;
  }
}

// Standard input may still have a pending read, which would keep the process alive.
if (import.meta.main) Deno.exit(await main(Deno.args));
