/**
 * Bytes on their way to a host file or stream: written in the background and in order, so that a slow reader never blocks
 * the machine; full at 64 KiB, so that a fast guest never fills the host's memory.
 */

export interface ByteSink {
  write(bytes: Uint8Array): Promise<number>;
}

const CAPACITY = 64 * 1024;
/** How long closing waits for a reader that does not read. */
const PATIENCE_MS = 1000;

export class OutputQueue {
  /** Called when there is room again after `push` said no. */
  onRoom?: () => void;
  /** Called when the sink fails, for instance because its reader has gone. Output is dropped from then on. */
  onFailure?: (error: unknown) => void;

  readonly #sink: ByteSink;
  #waiting = new Uint8Array(CAPACITY);
  #spare = new Uint8Array(CAPACITY);
  #length = 0;
  #refused = false;
  #failed = false;
  #writing: Promise<void> | undefined;

  constructor(sink: ByteSink) {
    this.#sink = sink;
  }

  /** False if the queue is full. */
  push(byte: number): boolean {
    if (this.#failed) return true;
    if (this.#length === CAPACITY) {
      this.#refused = true;
      return false;
    }
    this.#waiting[this.#length++] = byte;
    this.#writing ??= this.#write();
    return true;
  }

  /** A message of the host itself, in its place between the guest's bytes. What does not fit is left out. */
  pushText(text: string): void {
    for (const byte of new TextEncoder().encode(text)) this.push(byte);
  }

  /** Resolves when everything is written, or after one second without a reader. */
  async drained(): Promise<void> {
    if (this.#writing === undefined) return;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const impatience = new Promise<void>((resolve) => timer = setTimeout(resolve, PATIENCE_MS));
    await Promise.race([this.#writing, impatience]);
    clearTimeout(timer);
  }

  async #write(): Promise<void> {
    await Promise.resolve(); // after the slice of the guest: its bytes go together
    try {
      while (this.#length > 0) {
        const bytes = this.#waiting.subarray(0, this.#length);
        [this.#waiting, this.#spare] = [this.#spare, this.#waiting];
        this.#length = 0;
        this.#announceRoom();
        for (let at = 0; at < bytes.length;) at += await this.#sink.write(bytes.subarray(at));
      }
    } catch (error) {
      this.#failed = true;
      this.#length = 0;
      this.#announceRoom();
      this.onFailure?.(error);
    } finally {
      this.#writing = undefined;
    }
  }

  #announceRoom(): void {
    if (!this.#refused) return;
    this.#refused = false;
    this.onRoom?.();
  }
}
