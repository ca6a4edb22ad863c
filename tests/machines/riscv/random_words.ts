/** Words that look like instructions: an encoding of the table with random operands, some of them with a bit flipped. */
import { INSTRUCTIONS } from "../../../machines/riscv/table.ts";

/** A small repeatable generator (xorshift32), so that a failing run can be seen again. */
export function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}

/** Only words of 32-bit instructions: the two low bits are 11, and the next three are not 111. */
export function randomWords(count: number, next: () => number): Uint32Array<ArrayBuffer> {
  return Uint32Array.from({ length: count }, (_, i) => {
    const { mask, match } = INSTRUCTIONS[i % INSTRUCTIONS.length]!;
    let word = match | (next() & ~mask);
    if (next() % 3 === 0) word ^= 1 << (next() >>> 27);
    if (next() % 7 === 0) word = next();
    word |= 3;
    return (word & 0x1c) === 0x1c ? word ^ 4 : word;
  });
}
