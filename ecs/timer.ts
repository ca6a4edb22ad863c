/** Timer: a callback that a clock owes to an owner at a deadline. An armed timer pins its owner (callback reference). */
import type { Clock } from "./clock.ts";
import type { Owner } from "./owner.ts";

export interface Timer {
  readonly name: string;
  readonly owner: Owner;
  readonly clock: Clock;
  readonly callback: () => void;
  /** Nanoseconds on the clock; meaningful while armed. */
  deadline: number;
  /** Rank among equal deadlines. */
  order: number;
  /** Index in the clock's heap; -1 while not armed. */
  position: number;
  /** A deleted timer is never armed again. */
  deleted: boolean;
}

/** A timer that is not armed. */
export function newTimer(name: string, owner: Owner, clock: Clock, callback: () => void): Timer {
  return { name, owner, clock, callback, deadline: 0, order: 0, position: -1, deleted: false };
}

/** Ends the timer's life. It must not be armed. */
export function markTimerDeleted(timer: Timer): void {
  timer.deleted = true;
}
