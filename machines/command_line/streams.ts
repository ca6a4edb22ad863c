/** The streams that a command line talks to: the process's own, or those of a program that runs it. */
import type { TerminalStreams } from "../backends/terminal.ts";

/** Everything is optional; the default is the process's own standard streams. */
export interface CommandLineIo {
  /** False: no raw mode and no escape keys. */
  readonly inputIsTerminal: boolean;
  /** Host to guest. Its end does not stop the machine. */
  input(): AsyncIterable<Uint8Array>;
  /** Guest to host. */
  output(bytes: Uint8Array): void;
  /** One sentence for stderr. */
  error(sentence: string): void;
}

/** Standard streams where `io` has none. */
export function terminalStreams(io: Partial<CommandLineIo>): TerminalStreams {
  const isTerminal = io.inputIsTerminal ?? (io.input === undefined && Deno.stdin.isTerminal());
  const read = io.input === undefined ? (into: Uint8Array) => Deno.stdin.read(into) : reader(io.input());
  const write = io.output === undefined ? (bytes: Uint8Array) => Deno.stdout.write(bytes) : writer(io.output);
  const setRaw = (on: boolean) => {
    if (Deno.stdin.isTerminal()) Deno.stdin.setRaw(on);
  };
  return { input: { read, isTerminal: () => isTerminal, setRaw }, output: { write } };
}

function reader(source: AsyncIterable<Uint8Array>): (into: Uint8Array) => Promise<number | null> {
  const chunks = source[Symbol.asyncIterator]();
  let rest: Uint8Array = new Uint8Array(0);
  return async (into) => {
    while (rest.length === 0) {
      const next = await chunks.next();
      if (next.done) return null;
      rest = next.value;
    }
    const part = rest.subarray(0, into.length);
    into.set(part);
    rest = rest.subarray(part.length);
    return part.length;
  };
}

function writer(sink: (bytes: Uint8Array) => void): (bytes: Uint8Array) => Promise<number> {
  return (bytes) => {
    sink(bytes.slice()); // the queue uses its buffer again
    return Promise.resolve(bytes.length);
  };
}
