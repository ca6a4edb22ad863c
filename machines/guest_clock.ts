/**
 * Guest time: the host's monotonic clock, or with `-icount` the instructions that were retired, which makes runs
 * repeatable bit for bit. Nanoseconds since the machine started, below 2^53.
 */

export interface GuestClock {
  /** Never goes back. */
  now(): number;
  /**
   * How many of at most `most` instructions may run before the deadline. One that has passed does not count: what was due
   * has happened, or is an interrupt that the guest does not take.
   */
  instructionsUntil(deadline: () => number, most: number): number;
  /** Host milliseconds to wait until `deadline` when no hart has anything to do; 0 if none. */
  millisecondsUntil(deadline: number): number;
  /** No hart had anything to do until `deadline`. */
  idledUntil(deadline: number): void;
  /** No hart had anything to do for `ms` milliseconds, and `deadline` is still to come. */
  idledFor(ms: number, deadline: number): void;
}

export class HostClock implements GuestClock {
  readonly #start = performance.now();

  now(): number {
    return Math.round((performance.now() - this.#start) * 1e6);
  }

  instructionsUntil(_deadline: () => number, most: number): number {
    return most;
  }

  millisecondsUntil(deadline: number): number {
    return Math.max(0, (deadline - this.now()) / 1e6);
  }

  idledUntil(): void {}

  idledFor(): void {}
}

export class InstructionClock implements GuestClock {
  readonly #nanoseconds: number;
  readonly #sleeps: boolean;
  readonly #retired: () => number;
  #skipped = 0;

  /**
   * @param shift An instruction takes 2^shift nanoseconds.
   * @param sleeps Whether an idle guest waits for the host's clock; else its time jumps to the next deadline.
   * @param retired Instructions of all harts until now, also in the middle of a slice.
   */
  constructor(shift: number, sleeps: boolean, retired: () => number) {
    this.#nanoseconds = 2 ** shift;
    this.#sleeps = sleeps;
    this.#retired = retired;
  }

  now(): number {
    return this.#retired() * this.#nanoseconds + this.#skipped;
  }

  instructionsUntil(deadline: () => number, most: number): number {
    const left = Math.ceil((deadline() - this.now()) / this.#nanoseconds);
    return left > 0 ? Math.min(most, left) : most;
  }

  millisecondsUntil(deadline: number): number {
    if (deadline === Infinity) return Infinity;
    return this.#sleeps ? Math.max(0, (deadline - this.now()) / 1e6) : 0;
  }

  idledUntil(deadline: number): void {
    this.#skipped += Math.max(0, deadline - this.now());
  }

  idledFor(ms: number, deadline: number): void {
    const now = this.now();
    this.#skipped += Math.max(0, Math.min(Math.floor(ms * 1e6), deadline - now));
  }
}
