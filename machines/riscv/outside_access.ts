/** A hart's accesses that are not guest memory: PHYSICAL and VALUE of its state on the bus. */
import type { AccessSize } from "../../ecs/region.ts";
import type { Bus } from "./bus.ts";
import type { HartState } from "./hart_state.ts";
import * as at from "./layout.ts";

export class OutsideAccess {
  readonly #state: HartState;
  readonly #bus: Bus;

  constructor(state: HartState, bus: Bus) {
    this.#state = state;
    this.#bus = bus;
  }

  /** Memory at PHYSICAL to VALUE; false if the access failed. */
  read(bytes: number): boolean {
    const state = this.#state;
    const hi = state.get32(at.PHYSICAL + 4), lo = state.get32(at.PHYSICAL);
    const within = lo & (bytes - 1);
    if (within !== 0) return this.#readMisaligned(hi, lo - within, bytes, within);
    const low = this.#bus.read(hi, lo, bytes as AccessSize);
    state.set32(at.VALUE, low);
    state.set32(at.VALUE + 4, bytes === 8 ? this.#bus.high : 0);
    return !this.#bus.failed;
  }

  /** Two aligned reads around the access, as QEMU does. It lies within a page, so the upper half stays. */
  #readMisaligned(hi: number, lo: number, bytes: number, within: number): boolean {
    let both = 0n;
    for (const half of [1, 0]) {
      const low = this.#bus.read(hi, lo + half * bytes, bytes as AccessSize);
      if (this.#bus.failed) return false;
      const high = bytes === 8 ? this.#bus.high : 0;
      const value = BigInt.asUintN(8 * bytes, BigInt(high >>> 0) << 32n | BigInt(low >>> 0));
      both = both << BigInt(8 * bytes) | value;
    }
    this.#state.set(at.VALUE, BigInt.asUintN(8 * bytes, both >> BigInt(8 * within)));
    return true;
  }

  /** VALUE to memory at PHYSICAL, or zeros in bytes if it is a block; false if the access failed. Misaligned, it is one of bytes, as QEMU's. */
  write(bytes: number): boolean {
    const state = this.#state;
    const hi = state.get32(at.PHYSICAL + 4), lo = state.get32(at.PHYSICAL);
    if (bytes === at.BLOCK_BYTES) return this.#zeroBlock(hi, lo);
    const valueLo = state.get32(at.VALUE), valueHi = state.get32(at.VALUE + 4);
    if ((lo & (bytes - 1)) === 0) {
      const value = valueLo & (bytes < 4 ? (1 << 8 * bytes) - 1 : -1);
      return !this.#bus.write(hi, lo, bytes as AccessSize, value, bytes === 8 ? valueHi : 0);
    }
    for (let i = 0; i < bytes; i++) {
      const byte = ((i < 4 ? valueLo : valueHi) >>> (8 * (i & 3))) & 0xff;
      if (this.#bus.write(hi, lo + i, 1, byte, 0)) return false;
    }
    return true;
  }

  #zeroBlock(hi: number, lo: number): boolean {
    for (let i = 0; i < at.BLOCK_BYTES; i++) if (this.#bus.write(hi, lo + i, 1, 0, 0)) return false;
    return true;
  }
}
