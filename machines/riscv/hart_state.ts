/** A hart's state as TypeScript sees it: the fields of `layout.ts` at the hart's base in guest memory. */
import type { GuestMemory } from "../../ecs/ram_block.ts";

/** Privilege modes by their numbers. */
export const U_MODE = 0, S_MODE = 1, M_MODE = 3;
export type Mode = typeof U_MODE | typeof S_MODE | typeof M_MODE;

export class HartState {
  readonly #i32: Int32Array;
  readonly #u64: BigUint64Array;
  readonly #words: number;
  readonly #doubles: number;

  constructor(memory: GuestMemory, readonly base: number) {
    this.#i32 = new Int32Array(memory.memory.buffer);
    this.#u64 = new BigUint64Array(memory.memory.buffer);
    this.#words = base / 4;
    this.#doubles = base / 8;
  }

  /** A 64-bit field, unsigned. */
  get(field: number): bigint {
    return this.#u64[this.#doubles + (field >> 3)] ?? 0n;
  }

  set(field: number, value: bigint): void {
    this.#u64[this.#doubles + (field >> 3)] = value;
  }

  get32(field: number): number {
    return this.#i32[this.#words + (field >> 2)] ?? 0;
  }

  set32(field: number, value: number): void {
    this.#i32[this.#words + (field >> 2)] = value;
  }
}
