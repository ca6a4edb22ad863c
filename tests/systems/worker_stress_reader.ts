/** A worker that reads what is published until it is told to stop, and counts what is not as it must be. */
import { openPublishedView, type SharedView } from "../../systems/published_reader.ts";
import { Count, type Job, wordOf } from "./worker_stress_pattern.ts";

/** Reads between enter and leave. */
const READS = 16;

const scope = self as unknown as {
  onmessage: ((event: MessageEvent<{ shared: SharedView; job: Job }>) => void) | null;
  postMessage(message: string): void;
};

scope.onmessage = ({ data: { shared, job } }) => {
  const counts = new Int32Array(job.counts);
  const view = openPublishedView(shared);
  const words = new Uint32Array(shared.memory);
  let random = job.seed;
  let sum = 0;
  const next = (below: number) => {
    random = (Math.imul(random, 1664525) + 1013904223) >>> 0;
    return Math.floor(random / 2 ** 32 * below);
  };
  while (Atomics.load(counts, Count.STOP) === 0) {
    view.enter();
    for (let i = 0; i < READS; i++) {
      if (!view.find(next(job.slots) * job.stride)) continue;
      Atomics.add(counts, Count.READS, 1);
      const first = view.offset / 4;
      const length = (view.end - view.start) / 4;
      for (let at = 0; at < length; at++) {
        const found = words[first + at]!;
        sum ^= found;
        if (found !== wordOf(view.region, at)) {
          Atomics.add(counts, Count.INVALID, 1);
          break;
        }
      }
    }
    view.leave();
    Atomics.add(counts, Count.SCOPES, 1);
  }
  scope.postMessage(`stopped ${sum}`);
};
scope.postMessage("ready");
