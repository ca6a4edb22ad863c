/** A character backend that writes what the guest sends to a file. */
import type { CharacterFrontend, HostedCharacterBackend } from "./character.ts";
import { OutputQueue } from "./output_queue.ts";

export class FileBackend implements HostedCharacterBackend {
  frontend?: CharacterFrontend;
  readonly #file: Deno.FsFile;
  readonly #output: OutputQueue;
  #closed = false;

  /** @throws {Deno.errors.NotFound} and other errors of the file system. */
  constructor(
    path: string,
    options: { readonly append?: boolean; readonly onFailure?: (error: unknown) => void } = {},
  ) {
    const append = options.append ?? false;
    this.#file = Deno.openSync(path, { create: true, append, write: !append, truncate: !append });
    this.#output = new OutputQueue(this.#file);
    this.#output.onRoom = () => this.frontend?.writable();
    if (options.onFailure !== undefined) this.#output.onFailure = options.onFailure;
  }

  send(byte: number): boolean {
    return this.#output.push(byte);
  }

  deliver(): boolean {
    return false;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#output.drained();
    this.#file.close();
  }
}
