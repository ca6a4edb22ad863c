/**
 * Standard input and output as a guest's terminal. A real terminal is switched to raw mode, so that every key, Ctrl-C too,
 * reaches the guest; it is restored on every way out. Piped input is read no faster than the guest takes it.
 */
import { type CharacterFrontend, type HostedCharacterBackend, InputQueue } from "./character.ts";
import { ESCAPE_HELP, type EscapeCommand, EscapeFilter } from "./escape_filter.ts";
import { type ByteSink, OutputQueue } from "./output_queue.ts";

/** The host's streams; `Deno.stdin` and `Deno.stdout` are ones. */
export interface TerminalStreams {
  readonly input: {
    read(into: Uint8Array): Promise<number | null>;
    isTerminal(): boolean;
    setRaw(on: boolean): void;
  };
  readonly output: ByteSink;
}

export interface TerminalOptions {
  /** Whether Ctrl-A is the escape key even if the input is no terminal. */
  readonly escapes?: boolean;
  /** Ctrl-A x was typed. */
  readonly onQuit: () => void;
  /** Ctrl-A i was typed: what to print. */
  readonly information?: () => string;
  /** The input has ended and the guest has taken all of it. Never called for a terminal that is open. */
  readonly onEndOfInput?: () => void;
  /** The reader of the output has gone. */
  readonly onFailure?: (error: unknown) => void;
}

/** Keys beyond these, typed while the guest does not listen, are lost, as on a real terminal. */
const MAX_TYPED_AHEAD = 64 * 1024;

export class Terminal implements HostedCharacterBackend {
  frontend?: CharacterFrontend;
  onInput?: () => void;
  readonly #streams: TerminalStreams;
  readonly #options: TerminalOptions;
  readonly #raw: boolean;
  readonly #input = new InputQueue();
  readonly #output: OutputQueue;
  readonly #escapes: EscapeFilter | undefined;
  #reading = false;
  #closed = false;

  constructor(streams: TerminalStreams, options: TerminalOptions) {
    this.#streams = streams;
    this.#options = options;
    this.#raw = streams.input.isTerminal();
    this.#output = new OutputQueue(streams.output);
    this.#output.onRoom = () => this.frontend?.writable();
    if (options.onFailure !== undefined) this.#output.onFailure = options.onFailure;
    if (this.#raw || options.escapes) {
      this.#escapes = new EscapeFilter((command) => this.#obey(command));
    }
  }

  /** Takes the terminal: raw mode, and reading begins. */
  open(): void {
    if (this.#raw) this.#streams.input.setRaw(true);
    if (!this.#reading) this.#read();
    this.#reading = true;
  }

  /** Gives the terminal back to the shell at once. Idempotent. */
  restore(): void {
    if (this.#raw && !this.#closed) this.#streams.input.setRaw(false);
    this.#closed = true;
  }

  #obey(command: EscapeCommand): void {
    if (command === "quit") this.#options.onQuit();
    else this.say(command === "help" ? ESCAPE_HELP : `\n${this.#options.information?.() ?? ""}`);
  }

  /** A message of the emulator, between what the guest says. */
  say(text: string): void {
    this.#output.pushText(this.#raw ? text.replaceAll("\n", "\r\n") : text);
  }

  send(byte: number): boolean {
    return this.#output.push(byte);
  }

  deliver(): boolean {
    return this.#input.deliverTo(this.frontend);
  }

  async close(): Promise<void> {
    this.#input.clear();
    await this.#output.drained();
    this.restore();
  }

  async #read(): Promise<void> {
    const buffer = new Uint8Array(4096);
    while (!this.#closed) {
      const count = await this.#streams.input.read(buffer).catch(() => null);
      if (count === null) break;
      const bytes = buffer.slice(0, count);
      this.#input.push(this.#escapes?.pass(bytes) ?? bytes);
      this.onInput?.();
      if (!this.#raw) await this.#input.emptied();
      // A guest that reads nothing must not lock out the escape key, so at a terminal reading always goes on.
      else if (this.#input.length > MAX_TYPED_AHEAD) this.#input.clear();
    }
    await this.#input.emptied();
    if (!this.#closed) this.#options.onEndOfInput?.();
  }
}
