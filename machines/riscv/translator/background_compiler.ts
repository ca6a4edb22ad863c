/**
 * Translates batches in a worker, so that the thread that runs the harts only installs them. Where workers are not
 * allowed to be (they need permission to read their files) there is none.
 */
import type { MessagePort, receiveMessageOnPort, Worker } from "node:worker_threads";
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

/** A worker that was started. */
interface Running {
  readonly worker: Worker;
  readonly port: MessagePort;
  readonly receive: typeof receiveMessageOnPort;
}

export class BackgroundCompiler implements BatchCompiler {
  /** Started by the first request at the latest: many machines never have one, and a worker takes longer than the rest. */
  #running: Running | undefined;
  #start: ReturnType<typeof setTimeout> | undefined;
  /** Asked instead of the port, which takes a thousand times as long; and neither needs a turn of the event loop. */
  readonly #signal: Int32Array<SharedArrayBuffer> = new Int32Array(new SharedArrayBuffer(4));
  #isUsable = true;

  get isUsable(): boolean {
    return this.#isUsable;
  }

  /** Starts the worker now: for who knows that there will be requests. */
  start(): void {
    this.#attempt(() => this.#worker());
  }

  begin(request: BatchRequest): void {
    const send = () => this.#attempt(() => this.#worker().port.postMessage(request));
    // To start a worker takes 40 ms: that has a turn of its own.
    if (this.#running) send();
    else this.#start = setTimeout(send);
  }

  #attempt(action: () => void): void {
    try {
      action();
    } catch {
      this.dispose();
    }
  }

  #worker(): Running {
    return this.#running ??= this.#startWorker();
  }

  #startWorker(): Running {
    // Imported above, threads would take every machine 6 ms to start.
    const threads = globalThis.process.getBuiltinModule("node:worker_threads");
    const worker = startWorker(threads.Worker, new URL("./batch_worker.ts", import.meta.url));
    worker.on("error", () => this.dispose());
    // A machine that was forgotten must not keep the process alive.
    worker.unref();
    const { port1, port2 } = new threads.MessageChannel();
    const start: WorkerStart = { port: port2, signal: this.#signal };
    worker.postMessage(start, [port2]);
    return { worker, port: port1, receive: threads.receiveMessageOnPort };
  }

  take(): CompiledBatch | undefined {
    if (!this.#running || Atomics.load(this.#signal, 0) === 0) return undefined;
    const { port, receive } = this.#running;
    const received: { readonly message: CompiledBatch } | undefined = receive(port);
    if (received) Atomics.store(this.#signal, 0, 0);
    return received?.message;
  }

  dispose(): void {
    if (!this.#isUsable) return;
    this.#isUsable = false;
    clearTimeout(this.#start);
    this.#running?.port.close();
    void this.#running?.worker.terminate();
  }
}

/** To copy the process's would take a permission, for which a terminal is asked. */
const NO_VARIABLES = {};

/** Only files can be named as they are; for those a missing permission is thrown at once. */
function startWorker(Thread: typeof Worker, module: URL): Worker {
  if (module.protocol === "file:") return new Thread(module, { env: NO_VARIABLES });
  return new Thread(`import(${JSON.stringify(module.href)})`, { eval: true, env: NO_VARIABLES });
}
