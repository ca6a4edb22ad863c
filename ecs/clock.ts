/** Clock: a source of virtual time, in nanoseconds since the start of the machine, and the timers that are armed on it. */
import type { Owner } from "./owner.ts";

export interface Clock {
  readonly name: string;
  /** Nanoseconds since the machine started; never decreases; below 2^53 (104 days). */
  readonly now: () => number;
  /** Called when the earliest deadline becomes earlier: a board that sleeps must look again. */
  readonly onDeadlineChange: (() => void) | undefined;
  /** Armed timers: a binary heap, earliest deadline first, equal deadlines in the order of arming. */
  readonly armed: Timer[];
  /** Times any timer was armed on this clock: the tie-breaker of equal deadlines. */
  armings: number;
}

/** A callback that a clock owes to an owner at a deadline. An armed timer pins its owner (callback reference). */
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

/** A clock that reads `now`. */
export function newClock(name: string, now: () => number, onDeadlineChange?: () => void): Clock {
  return { name, now, onDeadlineChange, armed: [], armings: 0 };
}

/** A timer that is not armed. */
export function newTimer(name: string, owner: Owner, clock: Clock, callback: () => void): Timer {
  return { name, owner, clock, callback, deadline: 0, order: 0, position: -1, deleted: false };
}

/** Ends the timer's life. It must not be armed. */
export function markTimerDeleted(timer: Timer): void {
  timer.deleted = true;
}

/** Enters a timer with its deadline set. It must not be in a heap. */
export function enterTimer(clock: Clock, timer: Timer, deadline: number): void {
  timer.deadline = deadline;
  timer.order = clock.armings++;
  clock.armed.push(timer);
  rise(clock.armed, clock.armed.length - 1, timer);
}

/** Takes a timer out of the heap; `timer.position` becomes -1. */
export function leaveTimer(clock: Clock, timer: Timer): void {
  const { armed } = clock;
  const hole = timer.position;
  const last = armed.pop();
  timer.position = -1;
  if (last === undefined || last === timer) return;
  sink(armed, hole, last);
  rise(armed, last.position, last);
}

/** Armed timers with a deadline of at most `time`, earliest first. */
export function dueTimers(clock: Clock, time: number): readonly Timer[] {
  const first = clock.armed[0];
  if (first === undefined || first.deadline > time) return NONE;
  return clock.armed.filter((timer) => timer.deadline <= time).sort((a, b) => earlier(a, b) ? -1 : 1);
}

const NONE: readonly Timer[] = [];

function earlier(a: Timer, b: Timer): boolean {
  return a.deadline < b.deadline || (a.deadline === b.deadline && a.order < b.order);
}

function rise(heap: Timer[], from: number, timer: Timer): void {
  let at = from;
  while (at > 0) {
    const parent = heap[(at - 1) >> 1] as Timer;
    if (!earlier(timer, parent)) break;
    put(heap, at, parent);
    at = (at - 1) >> 1;
  }
  put(heap, at, timer);
}

function sink(heap: Timer[], from: number, timer: Timer): void {
  let at = from;
  for (;;) {
    let child = 2 * at + 1;
    const left = heap[child];
    if (left === undefined) break;
    let smallest = left;
    const right = heap[child + 1];
    if (right !== undefined && earlier(right, left)) {
      smallest = right;
      child++;
    }
    if (!earlier(smallest, timer)) break;
    put(heap, at, smallest);
    at = child;
  }
  put(heap, at, timer);
}

function put(heap: Timer[], at: number, timer: Timer): void {
  heap[at] = timer;
  timer.position = at;
}
