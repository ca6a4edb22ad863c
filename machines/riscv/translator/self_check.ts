/**
 * Self-check of translated code: what regions have done is undone, done again by the interpreter, and compared. Regions
 * act on guest memory and registers only, so that this is possible.
 */
import type { GuestMemory } from "../../../ecs/ram_block.ts";
import type { InterpreterExports } from "../interpreter.ts";
import * as at from "../layout.ts";
import { CALL_DEPTH, type RegionFunction, runRegion } from "./linkage.ts";

/** Translated and interpreted code differ. */
export class TranslationError extends Error {
  override readonly name = "TranslationError";
}

/** The part of the hart's state that regions change. */
const STATE_BYTES = at.IDLE_COUNTERS;
/** The parts of it that are compared, from one field to another (exclusive). Others are scratch. */
const COMPARED: readonly (readonly [number, number])[] = [
  [at.X, at.SINK],
  [at.F, at.VALUE],
  [at.FFLAGS, at.LEVELS],
  [at.RESERVATION, at.CODE_MAP],
  [at.CSR.mstatus, at.IDLE_COUNTERS],
];
/** A store changes 8 bytes at most. */
const STORE_BYTES = 8;

export class SelfCheck {
  readonly #interpreter: InterpreterExports;
  readonly #i32: Int32Array;
  readonly #view: DataView;
  /** The hart's state before, and as the regions left it. */
  readonly #before = new Int32Array(STATE_BYTES / 4);
  readonly #after = new Int32Array(STATE_BYTES / 4);
  /** Where regions stored, first store first, and for each place two words: what was there, then what is there. */
  readonly #stores: number[] = [];
  readonly #words: number[] = [];

  constructor(memory: GuestMemory, interpreter: InterpreterExports) {
    this.#interpreter = interpreter;
    this.#i32 = new Int32Array(memory.memory.buffer);
    this.#view = memory.view;
  }

  /** Remembers what is at an address before a store. */
  log(address: number): void {
    const place = Math.min(address, this.#view.byteLength - STORE_BYTES);
    this.#stores.push(place);
    this.#words.push(this.#view.getInt32(place, true), this.#view.getInt32(place + 4, true));
  }

  /**
   * Runs the region that is entered by `index` and all that it calls, then the interpreter by `again`.
   * @throws {TranslationError} if the interpreter comes to another state.
   */
  run(base: number, index: number, region: RegionFunction, again: () => void): number {
    const { flags, entering } = this.#interpreter;
    const state = this.#i32.subarray(base / 4, (base + STATE_BYTES) / 4);
    const before = this.#before, after = this.#after, budget = at.BUDGET / 4;
    this.#stores.length = this.#words.length = 0;
    before.set(state);
    const flagsBefore = before[at.FFLAGS / 4] = flags.value;
    const status = runRegion(this.#view, region, base, CALL_DEPTH, index);
    after.set(state);
    after[at.FFLAGS / 4] = flags.value;

    this.#undo();
    state.set(before);
    flags.value = flagsBefore;
    const left = after[budget] ?? 0, started = (before[budget] ?? 0) - left;
    state[budget] = started;
    entering.value = at.ENTER_NEVER;
    try {
      again();
    } finally {
      entering.value = at.ENTER_CHECKED;
    }
    state[budget] = left;
    state[at.FFLAGS / 4] = flags.value;
    const difference = this.#differentField(state) ?? this.#differentStore();
    if (difference === undefined) return status;
    throw new TranslationError(this.#describe(started, difference));
  }

  /** What the regions stored is taken back, and kept in the place of what was there before. */
  #undo(): void {
    for (let i = this.#stores.length - 1; i >= 0; i--) {
      for (const half of [0, 1]) {
        const place = (this.#stores[i] ?? 0) + 4 * half;
        const old = this.#words[2 * i + half] ?? 0;
        this.#words[2 * i + half] = this.#view.getInt32(place, true);
        this.#view.setInt32(place, old, true);
      }
    }
  }

  #differentField(state: Int32Array): string | undefined {
    for (const [from, to] of COMPARED) {
      for (let word = from / 4; word < to / 4; word++) {
        if (state[word] === this.#after[word]) continue;
        const half = word & ~1;
        return `${nameOf(half * 4)} is ${hex(this.#after, half)}, not ${hex(state, half)}`;
      }
    }
    return undefined;
  }

  /** Of the stores to one place, the last tells. */
  #differentStore(): string | undefined {
    const seen = new Set<number>();
    for (let i = this.#stores.length - 1; i >= 0; i--) {
      const place = this.#stores[i] ?? 0;
      for (let byte = 0; byte < STORE_BYTES; byte++) {
        if (seen.has(place + byte)) continue;
        seen.add(place + byte);
        const word = this.#words[2 * i + (byte >> 2)] ?? 0;
        const found = (word >>> (8 * (byte & 3))) & 0xff, wanted = this.#view.getUint8(place + byte);
        if (found !== wanted) return `the byte at ${(place + byte).toString(16)} of memory is ${found}, not ${wanted}`;
      }
    }
    return undefined;
  }

  #describe(started: number, difference: string): string {
    return `translated code from pc ${
      hex(this.#before, at.PC / 4)
    } on differs after ${started} instructions: ${difference}`;
  }
}

function nameOf(field: number): string {
  if (field < at.SINK) return `x${field / 8}`;
  if (field < at.PC) return `f${(field - at.F) / 8}`;
  const names: readonly (readonly [number, string])[] = [
    [at.PC, "pc"],
    [at.BUDGET, "fflags, in the upper half,"],
    [at.FRM, "mstatus.FS, in the upper half, and frm"],
    [at.RESERVATION, "the reservation"],
    [at.RESERVED_VALUE, "the reserved value"],
    [at.CSR.mstatus, "mstatus"],
  ];
  return names.find(([place]) => place === field)?.[1] ?? `field ${field.toString(16)}`;
}

function hex(words: Int32Array, at: number): string {
  const high = BigInt((words[at + 1] ?? 0) >>> 0), low = BigInt((words[at] ?? 0) >>> 0);
  return (high << 32n | low).toString(16);
}
