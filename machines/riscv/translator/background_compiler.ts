/**
 * Translates batches in a worker, so that the thread that runs the harts only installs them. Where workers are not
 * allowed to be (they need permission to read their files) there is none.
 */
import type { BatchRequest, CompiledBatch } from "./batch.ts";

/** Compiles elsewhere. */
export interface BatchCompiler {
  /** False after it failed or was disposed of. */
  readonly isUsable: boolean;
  /** Answers while no hart runs, with nothing if it failed; one request at a time. */
  compile(request: BatchRequest, answer: (batch: CompiledBatch | undefined) => void): void;
}

export class BackgroundCompiler implements BatchCompiler {
  readonly #worker: Worker;
  #answer: ((batch: CompiledBatch | undefined) => void) | undefined;
  #isUsable = true;

  private constructor(worker: Worker) {
    this.#worker = worker;
    worker.onmessage = ({ data }: MessageEvent<CompiledBatch>) => this.#settle(data);
    worker.onerror = (event) => {
      event.preventDefault();
      this.dispose();
    };
  }

  /** Starts a worker, if that is allowed; it keeps the process alive until {@linkcode dispose}. */
  static start(): BackgroundCompiler | undefined {
    // Not caught: the runtime reports what a worker may not read on standard error, too.
    if (WORKER.protocol === "file:" && !mayRead(WORKER)) return undefined;
    try {
      return new BackgroundCompiler(new Worker(WORKER, { type: "module" }));
    } catch {
      return undefined;
    }
  }

  get isUsable(): boolean {
    return this.#isUsable;
  }

  compile(request: BatchRequest, answer: (batch: CompiledBatch | undefined) => void): void {
    this.#answer = answer;
    this.#worker.postMessage(request);
  }

  /** Ends the worker. A request that is under way is answered with nothing. */
  dispose(): void {
    if (!this.#isUsable) return;
    this.#isUsable = false;
    this.#worker.terminate();
    this.#settle(undefined);
  }

  #settle(batch: CompiledBatch | undefined): void {
    const answer = this.#answer;
    this.#answer = undefined;
    answer?.(batch);
  }
}

const WORKER = new URL("./batch_worker.ts", import.meta.url);

function mayRead(file: URL): boolean {
  return Deno.permissions.querySync({ name: "read", path: file }).state === "granted";
}
