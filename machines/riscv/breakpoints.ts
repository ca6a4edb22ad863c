/** Breakpoints of a hart, by virtual address, in whatever mode and address space. */
import type { DecodedPages } from "./decoded_pages.ts";

export class Breakpoints {
  readonly #pages: DecodedPages;
  readonly #addresses: Set<bigint> = new Set();
  /** Where the hart stopped last, and how many instructions had started by then: from there it goes on. */
  #stoppedAt: { readonly pc: bigint; readonly started: number } | undefined;

  constructor(pages: DecodedPages) {
    this.#pages = pages;
  }

  dispose(): void {
    for (const address of this.#addresses) this.clear(address);
  }

  set(address: bigint): void {
    if (this.#addresses.has(address)) return;
    this.#addresses.add(address);
    this.#pages.changeStops(address, 1);
  }

  clear(address: bigint): void {
    if (this.#addresses.delete(address)) this.#pages.changeStops(address, -1);
  }

  /** Whether the hart stops before the instruction at `pc`, after so many; it is taken to do so. */
  stops(pc: bigint, started: number): boolean {
    if (!this.#addresses.has(pc) || this.hasStopped(pc, started)) return false;
    this.#stoppedAt = { pc, started };
    return true;
  }

  /** Whether it stopped there last, and has not gone on since. */
  hasStopped(pc: bigint, started: number): boolean {
    return this.#stoppedAt?.pc === pc && this.#stoppedAt.started === started;
  }
}
