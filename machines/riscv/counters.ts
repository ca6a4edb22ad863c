/** mcycle and minstret: both count retired instructions, each from its own start, and can be stopped (3.1.10, 3.1.12). */
export type Counter = "cycle" | "instret";

/** Bits of mcountinhibit. */
const INHIBIT: Readonly<Record<Counter, bigint>> = { cycle: 1n, instret: 4n };

export class Counters {
  /** Value minus retired instructions while running, the value while stopped. */
  readonly #bases: Record<Counter, bigint> = { cycle: 0n, instret: 0n };
  #inhibited = 0n;

  read(counter: Counter, retired: number): bigint {
    const base = this.#bases[counter];
    return BigInt.asUintN(64, this.#stopped(counter) ? base : base + BigInt(retired));
  }

  write(counter: Counter, value: bigint, retired: number): void {
    this.#bases[counter] = this.#stopped(counter) ? value : value - BigInt(retired);
  }

  inhibit(bits: bigint, retired: number): void {
    for (const counter of ["cycle", "instret"] as const) {
      const value = this.read(counter, retired);
      this.#inhibited = (this.#inhibited & ~INHIBIT[counter]) | (bits & INHIBIT[counter]);
      this.write(counter, value, retired);
    }
  }

  #stopped(counter: Counter): boolean {
    return (this.#inhibited & INHIBIT[counter]) !== 0n;
  }
}
