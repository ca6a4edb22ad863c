/**
 * Event ring: the latest things that happened to entities, for whoever asks later. A world has one only if it was asked
 * to keep it; it keeps names, since what it tells of may be dead by then.
 */

export type EventKind =
  | "created"
  | "attached"
  | "detached"
  | "pinned"
  | "released"
  | "dropped"
  | "retired"
  | "finalized";

export interface LifeEvent {
  /** Counts from 0 in each world; what was overwritten leaves a gap at the front. */
  readonly sequence: number;
  /** Milliseconds since the ring was made. */
  readonly time: number;
  readonly kind: EventKind;
  /** Handle and name of whom it happened to. */
  readonly entity: number;
  readonly name: string;
  /** Handle and name of the other one: the container, or the holder of a pin. */
  readonly other: number | undefined;
  readonly otherName: string | undefined;
  /** Address, kind of reference, or epoch. */
  readonly detail: string | undefined;
}

export class EventRing {
  readonly #capacity: number;
  readonly #start = performance.now();
  #events: LifeEvent[] = [];
  #next = 0;

  /** @param capacity How many events are kept, at least one; the oldest is overwritten. */
  constructor(capacity: number) {
    this.#capacity = Math.max(1, Math.floor(capacity));
  }

  record(event: Omit<LifeEvent, "sequence" | "time">): void {
    const sequence = this.#next++;
    this.#events[sequence % this.#capacity] = { sequence, time: performance.now() - this.#start, ...event };
  }

  /** What is kept, oldest first. */
  events(): LifeEvent[] {
    const oldest = this.#next % this.#capacity;
    if (this.#next <= this.#capacity) return this.#events.slice();
    return [...this.#events.slice(oldest), ...this.#events.slice(0, oldest)];
  }
}
