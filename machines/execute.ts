/**
 * Execute: runs the harts of a machine on this thread, in slices, and shares the thread with everything else that the
 * host program does. All else of the machine happens between slices: timers, bottom halves, input.
 */
import { setImmediate } from "node:timers";
import type { Clock } from "../ecs/clock.ts";
import type { World } from "../ecs/world.ts";
import { hasBottomHalves, runBottomHalves } from "../systems/bottom_half.ts";
import { runDueTimers } from "../systems/timers.ts";
import type { HostedCharacterBackend } from "./backends/character.ts";
import type { GuestClock } from "./guest_clock.ts";

/** What is run: a hart, as far as this file is concerned. */
export interface Processor {
  /** Runs at most so many instructions; returns early, with how many it ran, when it waits or is asked to. */
  run(maxInstructions: number): number;
  /** Makes `run` return soon. */
  requestExit(): void;
  /** It waited for an interrupt when it last ran. */
  readonly waiting: boolean;
}

/** Milliseconds between two looks at the host's event loop. */
const SLICE_MS = 1;
/** Instructions of a hart before the next one has its turn; fixed with `-icount`, so that runs repeat. */
const TURN = 10_000;
const LONGEST_TURN = 200_000;
/** Shorter sleeps block the thread, because the host's timers are too coarse for them. */
const TIMER_GRAIN_MS = 2;
/** A sleep without deadline looks up now and then, which keeps the process alive. */
const LONGEST_SLEEP_MS = 60_000;

export class Execution {
  readonly #world: World;
  readonly #timers: Clock;
  readonly #time: GuestClock;
  readonly #harts: readonly Processor[];
  readonly #inputs: readonly HostedCharacterBackend[];
  readonly #repeatable: boolean;
  readonly #deadline: () => number;
  readonly #nap = new Int32Array(new SharedArrayBuffer(4));
  #turn = TURN;
  #idle = false;
  #stopped = false;
  #wake: (() => void) | undefined;
  #yields = 0;

  constructor(options: {
    readonly world: World;
    readonly timers: Clock;
    readonly time: GuestClock;
    readonly harts: readonly Processor[];
    /** When something is due at the latest, in nanoseconds of guest time. */
    readonly deadline: () => number;
    readonly inputs: readonly HostedCharacterBackend[];
    /** The order in which harts run must not depend on the host's speed. */
    readonly repeatable: boolean;
  }) {
    this.#world = options.world;
    this.#timers = options.timers;
    this.#time = options.time;
    this.#harts = options.harts;
    this.#inputs = options.inputs;
    this.#deadline = options.deadline;
    this.#repeatable = options.repeatable;
    for (const input of this.#inputs) input.onInput = () => this.wake();
  }

  /** Runs until {@linkcode stop}, also if that was called before. */
  async run(): Promise<void> {
    while (!this.#stopped) {
      const end = performance.now() + SLICE_MS;
      do this.#round(); while (!this.#stopped && !this.#idle && performance.now() < end);
      if (!this.#stopped) await (this.#idle ? this.#sleep() : this.#shareThread());
    }
    this.#stopped = false;
  }

  /** Ends {@linkcode run} after the instruction that runs now. */
  stop(): void {
    this.#stopped = true;
    this.endTurn();
  }

  /** Ends the turn of the hart that runs now, or the sleep: something is due earlier than was known. */
  endTurn(): void {
    for (const hart of this.#harts) hart.requestExit();
    this.wake();
  }

  /** Ends a sleep: a hart may have something to do. */
  wake(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  /** What happened meanwhile, then a turn of every hart. */
  #round(): void {
    for (const input of this.#inputs) input.deliver();
    runDueTimers(this.#world, this.#timers);
    runBottomHalves(this.#world);
    const started = performance.now();
    let ran = 0;
    for (const hart of this.#harts) {
      if (this.#stopped) return;
      ran += hart.run(this.#time.instructionsUntil(this.#deadline, this.#turn));
    }
    this.#idle = ran === 0 && this.#harts.every((hart) => hart.waiting) && !hasBottomHalves(this.#world);
    if (!this.#repeatable) this.#fitTurn(performance.now() - started);
  }

  /** Turns that are long enough to be cheap, and short enough for other harts, timers and the host. */
  #fitTurn(roundMs: number): void {
    if (roundMs > SLICE_MS / 2) this.#turn = Math.max(TURN / 10, this.#turn >> 1);
    else if (roundMs < SLICE_MS / 8) this.#turn = Math.min(LONGEST_TURN, this.#turn * 2);
  }

  async #sleep(): Promise<void> {
    const deadline = this.#deadline();
    const wait = this.#time.millisecondsUntil(deadline);
    if (wait <= TIMER_GRAIN_MS) {
      Atomics.wait(this.#nap, 0, 0, wait);
      await this.#shareThread();
      return this.#time.idledUntil(deadline);
    }
    const started = performance.now();
    const woken = await this.#wokenWithin(Math.min(wait - TIMER_GRAIN_MS / 2, LONGEST_SLEEP_MS));
    if (woken || wait > LONGEST_SLEEP_MS) this.#time.idledFor(performance.now() - started, deadline);
    else this.#time.idledUntil(deadline);
  }

  /** Whether {@linkcode wake} was called within `ms` milliseconds; resolves then. */
  #wokenWithin(ms: number): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#wake = undefined;
        resolve(false);
      }, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve(true);
      };
    });
  }

  /**
   * Lets timers, sockets and files of the host have their turn. Measured with 1 ms slices: `setImmediate` costs 11 µs and
   * serves timers but starves sockets; an operation of the thread pool (an empty digest) costs 90 µs and serves both;
   * message channels and byte pipes starve both. One of four is enough to answer within a few milliseconds.
   */
  #shareThread(): Promise<unknown> {
    if (++this.#yields % 4 !== 0) return new Promise<void>((resolve) => setImmediate(resolve));
    return crypto.subtle.digest("SHA-1", NOTHING);
  }
}

const NOTHING = new Uint8Array(0);
