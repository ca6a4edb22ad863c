/** The worker of {@linkcode BackgroundCompiler}: translates batches and compiles them, one after another. */
import { parentPort } from "node:worker_threads";
import { compileBaseline } from "./baseline.ts";
import { type BatchRequest, compileBatch } from "./batch.ts";
import { WASM_PAGE_BYTES } from "./region_module.ts";

parentPort?.on("message", (request: BatchRequest) => {
  const batch = compileBatch(request);
  if (batch.module) compileBaseline(batch.module, request.memoryBytes / WASM_PAGE_BYTES);
  parentPort?.postMessage(batch);
});
