/** Page tables that tests build in the RAM of a bench. */
import { type Bench, RAM } from "./bare_metal.ts";

/** Bits of an entry (privileged specification, 4.3.1). */
export const PTE = { V: 1n, R: 2n, W: 4n, X: 8n, U: 16n, A: 64n, D: 128n } as const;

export const ROOT = RAM + 0x10_0000n;

/** Builds page tables in RAM. */
export class Tables {
  #next: bigint;

  constructor(readonly bench: Bench, readonly levels = 3, readonly root = ROOT) {
    this.#next = root + 0x1000n;
  }

  /** Maps a page of level `level` (0: 4 KiB, 1: 2 MiB …) and gives the address of its entry. */
  map(va: bigint, pa: bigint, flags: bigint, level = 0): bigint {
    let table = this.root;
    for (let at = this.levels - 1; at > level; at--) {
      const entry = table + (va >> BigInt(12 + 9 * at) & 511n) * 8n;
      let pte = this.bench.peek(entry);
      if (pte === 0n) {
        pte = this.#next >> 2n | PTE.V;
        this.#next += 0x1000n;
        this.bench.poke(entry, pte);
      }
      table = (pte >> 10n) << 12n;
    }
    const entry = table + (va >> BigInt(12 + 9 * level) & 511n) * 8n;
    this.bench.poke(entry, pa >> 2n | flags | PTE.V);
    return entry;
  }
}
