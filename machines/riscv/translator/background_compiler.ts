/**
 * Translates batches in a worker, so that the thread that runs the harts only installs them. Where workers are not
 * allowed to be (they need permission to read their files) there is none.
 */
import { Worker } from "node:worker_threads";
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
    worker.on("message", (batch: CompiledBatch) => this.#settle(batch));
    worker.on("error", () => this.dispose());
    // A machine that was forgotten must not keep the process alive.
    worker.unref();
  }

  /** Starts a worker, if that is allowed; until {@linkcode dispose}. */
  static start(): BackgroundCompiler | undefined {
    try {
      return new BackgroundCompiler(startWorker(new URL("./batch_worker.ts", import.meta.url)));
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
    void this.#worker.terminate();
    this.#settle(undefined);
  }

  #settle(batch: CompiledBatch | undefined): void {
    const answer = this.#answer;
    this.#answer = undefined;
    answer?.(batch);
  }
}

/** Only files can be named as they are; for those a missing permission is thrown at once. */
function startWorker(module: URL): Worker {
  if (module.protocol === "file:") return new Worker(module);
  return new Worker(`import(${JSON.stringify(module.href)})`, { eval: true });
}
