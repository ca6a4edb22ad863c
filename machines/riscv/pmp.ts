/**
 * Physical memory protection: 16 entries of 4-byte grain (privileged specification, 3.7). The configuration is turned
 * into a table of byte ranges in the hart's state, which generated code checks on TLB misses.
 */
import type { HartState } from "./hart_state.ts";
import * as at from "./layout.ts";

const READ = 1, WRITE = 2, MODE_SHIFT = 3, LOCK = 0x80;
const TOR = 1, NA4 = 2;
/** pmpaddr holds bits 55..2 of an address. */
const ADDRESS_MASK = (1n << 54n) - 1n;

export class Pmp {
  readonly #configs = new Uint8Array(at.PMP_LIMIT);
  readonly #addresses = new BigUint64Array(at.PMP_LIMIT);
  readonly #state: HartState;

  constructor(state: HartState) {
    this.#state = state;
  }

  /** Turns all entries off, locked ones too. */
  reset(): void {
    this.#configs.fill(0);
    this.#addresses.fill(0n);
    this.#publish();
  }

  /** pmpcfg0 or pmpcfg2: eight entries each. */
  readConfigs(first: number): bigint {
    let value = 0n;
    for (let i = 7; i >= 0; i--) value = value << 8n | BigInt(this.#configs[first + i] ?? 0);
    return value;
  }

  /** Locked entries keep their value, as does one given the reserved combination of W without R. */
  writeConfigs(first: number, value: bigint): void {
    for (let i = 0; i < 8; i++) {
      const config = Number(value >> BigInt(8 * i) & 0x9fn);
      if (this.#isLocked(first + i) || (config & (READ | WRITE)) === WRITE) continue;
      this.#configs[first + i] = config;
    }
    this.#publish();
  }

  readAddress(index: number): bigint {
    return this.#addresses[index] ?? 0n;
  }

  /** Ignored if the entry is locked, or the next one is and its range begins here. */
  writeAddress(index: number, value: bigint): void {
    if (this.#isLocked(index) || (this.#isLocked(index + 1) && this.#mode(index + 1) === TOR)) return;
    this.#addresses[index] = value & ADDRESS_MASK;
    this.#publish();
  }

  #isLocked(index: number): boolean {
    return ((this.#configs[index] ?? 0) & LOCK) !== 0;
  }

  #mode(index: number): number {
    return ((this.#configs[index] ?? 0) >> MODE_SHIFT) & 3;
  }

  #publish() {
    let count = 0;
    for (let i = 0; i < at.PMP_LIMIT; i++) {
      const range = this.#range(i);
      if (range === undefined || range.first > range.last) continue;
      const config = this.#configs[i] ?? 0;
      const entry = at.PMP + count * at.PMP_ENTRY_BYTES;
      this.#state.set(entry, range.first);
      this.#state.set(entry + 8, range.last);
      this.#state.set32(entry + 16, (config & 7) | (config & LOCK ? at.PMP_LOCKED : 0));
      count++;
    }
    this.#state.set32(at.PMP_COUNT, count);
  }

  /** Nothing if the entry is off. The range of a TOR entry may be empty. */
  #range(index: number): { first: bigint; last: bigint } | undefined {
    const mode = this.#mode(index);
    const address = this.readAddress(index);
    if (mode === 0) return undefined;
    if (mode === TOR) {
      return { first: index === 0 ? 0n : this.readAddress(index - 1) << 2n, last: (address << 2n) - 1n };
    }
    if (mode === NA4) return { first: address << 2n, last: (address << 2n) + 3n };
    // NAPOT: the ones at the end, and the zero above them, say the size.
    const ones = address ^ (address + 1n);
    return { first: (address & ~ones) << 2n, last: ((address | ones) << 2n) + 3n };
  }
}
