/** A repeatable source of random numbers: a failure is reproduced by its seed. */
export class Random {
  #state: number;

  constructor(seed: number) {
    // Neighbouring seeds must not give similar streams.
    this.#state = Math.imul(seed + 1, 0x9e3779b1) | 1;
    for (let i = 0; i < 4; i++) this.bits32();
  }

  /** Xorshift32 (Marsaglia, "Xorshift RNGs", 2003). */
  bits32(): number {
    let state = this.#state;
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    this.#state = state;
    return Math.imul(state, 0x2545f491) >>> 0;
  }

  /** 0 … limit − 1. */
  below(limit: number): number {
    return Math.floor(this.bits32() / 2 ** 32 * limit);
  }

  chance(probability: number): boolean {
    return this.bits32() / 2 ** 32 < probability;
  }

  pick<T>(list: readonly [T, ...T[]] | readonly T[]): T {
    const item = list[this.below(list.length)];
    if (item === undefined) throw new RangeError("Nothing to pick from.");
    return item;
  }

  bits64(): bigint {
    return BigInt(this.bits32()) << 32n | BigInt(this.bits32());
  }
}
