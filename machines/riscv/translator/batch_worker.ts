/** The worker of {@linkcode BackgroundCompiler}: translates batches and compiles them, one after another. */
import { parentPort } from "node:worker_threads";
import type { WorkerStart } from "./background_compiler.ts";
import { compileBaseline } from "./baseline.ts";
import { type BatchRequest, compileBatch } from "./batch.ts";
import { WASM_PAGE_BYTES } from "./region_module.ts";

parentPort?.once("message", ({ port, signal }: WorkerStart) => {
  port.on("message", (request: BatchRequest) => {
    const batch = compileBatch(request);
    if (batch.module) compileBaseline(batch.module, request.memoryBytes / WASM_PAGE_BYTES);
    port.postMessage(batch);
    Atomics.store(signal, 0, 1);
  });
});
