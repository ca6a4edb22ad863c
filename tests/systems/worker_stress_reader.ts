/** A worker that reads what is published until it is told to stop, and counts what is not as it must be. */
import { openPublishedView, type PublishedReader } from "../../systems/published_reader.ts";
import { Count, type Job, type Message, WARD_BLOCKS, wordOf } from "./worker_stress_pattern.ts";

/** Reads between enter and leave. */
const READS = 16;
/** More in the space that dies, so that a worker is in there as often as elsewhere. */
const WARD_READS = 64;
/** Scopes between two looks at what the main thread has sent. */
const TURN = 64;

const scope = self as unknown as {
  onmessage: ((event: MessageEvent<Message>) => void) | null;
  postMessage(message: string): void;
};

class Reading {
  readonly #counts: Int32Array;
  readonly #job: Job;
  readonly #view: PublishedReader;
  readonly #words: Uint32Array;
  /** The space that dies again and again, as it was published last. */
  #ward: PublishedReader | undefined;
  #random: number;

  constructor({ shared, job }: Extract<Message, { job: Job }>) {
    this.#job = job;
    this.#counts = new Int32Array(job.counts);
    this.#view = openPublishedView(shared);
    this.#words = new Uint32Array(shared.memory);
    this.#random = job.seed;
  }

  /** From here on the worker does not enter the publication before. */
  takeOver({ ward, generation }: Extract<Message, { generation: number }>): void {
    this.#ward = openPublishedView(ward);
    Atomics.store(this.#counts, Count.SEEN + this.#job.index, generation);
  }

  async run(): Promise<void> {
    while (Atomics.load(this.#counts, Count.STOP) === 0) {
      for (let i = 0; i < TURN; i++) {
        this.#readScope(this.#view, Count.READS, READS, this.#job.slots);
        if (this.#ward !== undefined) this.#readScope(this.#ward, Count.WARD_READS, WARD_READS, WARD_BLOCKS);
      }
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
  }

  #readScope(view: PublishedReader, count: number, reads: number, slots: number): void {
    view.enter();
    for (let i = 0; i < reads; i++) {
      if (!view.find(this.#next(slots) * this.#job.stride)) continue;
      Atomics.add(this.#counts, count, 1);
      if (!this.#isWhole(view)) Atomics.add(this.#counts, Count.INVALID, 1);
    }
    view.leave();
    Atomics.add(this.#counts, Count.SCOPES, 1);
  }

  /** Whether every word of the block is its region's. */
  #isWhole({ offset, start, end, region }: PublishedReader): boolean {
    const first = offset / 4;
    const length = (end - start) / 4;
    for (let at = 0; at < length; at++) if (this.#words[first + at] !== wordOf(region, at)) return false;
    return true;
  }

  #next(below: number): number {
    this.#random = (Math.imul(this.#random, 1664525) + 1013904223) >>> 0;
    return Math.floor(this.#random / 2 ** 32 * below);
  }
}

let reading: Reading | undefined;
scope.onmessage = ({ data }) => {
  if (!("job" in data)) return reading?.takeOver(data);
  reading = new Reading(data);
  void reading.run().then(() => scope.postMessage("stopped"));
};
scope.postMessage("ready");
