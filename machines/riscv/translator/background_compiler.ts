/**
 * Translates batches in a worker, so that the thread that runs the harts only installs them. Where workers are not
 * allowed to be (they need permission to read their files) there is none.
 */
import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from "node:worker_threads";
import type { BatchRequest, CompiledBatch } from "./batch.ts";

/** Compiles elsewhere, one request at a time. */
export interface BatchCompiler {
  /** False after it failed or was disposed of: what is under way is lost. */
  readonly isUsable: boolean;
  begin(request: BatchRequest): void;
  /** What became of the request; nothing as long as it is under way. */
  take(): CompiledBatch | undefined;
}

/** What a worker is told first. */
export interface WorkerStart {
  /** For requests and answers. */
  readonly port: MessagePort;
  /** Becomes 1 when there is an answer. */
  readonly signal: Int32Array<SharedArrayBuffer>;
}

export class BackgroundCompiler implements BatchCompiler {
  /** Started by the first request: many machines never have one, and a worker takes longer than all the rest of them. */
  #worker: Worker | undefined;
  readonly #port: MessagePort;
  readonly #start: WorkerStart;
  /** Asked instead of the port, which takes a thousand times as long; and neither needs a turn of the event loop. */
  readonly #signal: Int32Array<SharedArrayBuffer> = new Int32Array(new SharedArrayBuffer(4));
  #isUsable = true;

  constructor() {
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    this.#start = { port: port2, signal: this.#signal };
  }

  get isUsable(): boolean {
    return this.#isUsable;
  }

  begin(request: BatchRequest): void {
    try {
      this.#worker ??= this.#startWorker();
      this.#port.postMessage(request);
    } catch {
      this.dispose();
    }
  }

  #startWorker(): Worker {
    const worker = startWorker(new URL("./batch_worker.ts", import.meta.url));
    worker.on("error", () => this.dispose());
    // A machine that was forgotten must not keep the process alive.
    worker.unref();
    worker.postMessage(this.#start, [this.#start.port]);
    return worker;
  }

  take(): CompiledBatch | undefined {
    if (Atomics.load(this.#signal, 0) === 0) return undefined;
    const received: { readonly message: CompiledBatch } | undefined = receiveMessageOnPort(this.#port);
    if (received) Atomics.store(this.#signal, 0, 0);
    return received?.message;
  }

  dispose(): void {
    if (!this.#isUsable) return;
    this.#isUsable = false;
    this.#port.close();
    this.#start.port.close();
    void this.#worker?.terminate();
  }
}

/** To copy the process's would take a permission, for which a terminal is asked. */
const NO_VARIABLES = {};

/** Only files can be named as they are; for those a missing permission is thrown at once. */
function startWorker(module: URL): Worker {
  if (module.protocol === "file:") return new Worker(module, { env: NO_VARIABLES });
  return new Worker(`import(${JSON.stringify(module.href)})`, { eval: true, env: NO_VARIABLES });
}
