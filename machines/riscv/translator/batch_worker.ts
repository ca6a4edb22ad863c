/** The worker of {@linkcode BackgroundCompiler}: translates batches and compiles them, one after another. */
import { type BatchRequest, compileBatch, type CompiledBatch } from "./batch.ts";

/** What a worker has instead of a window. */
interface WorkerScope {
  onmessage: ((event: MessageEvent<BatchRequest>) => void) | null;
  postMessage(message: CompiledBatch): void;
}

const scope = self as unknown as WorkerScope;

scope.onmessage = ({ data }) => scope.postMessage(compileBatch(data));
