/** Speed of the decoder: words of the same instruction, words of all instructions, compressed words. */
import { decode } from "../machines/riscv/decode.ts";
import { INSTRUCTIONS } from "../machines/riscv/table.ts";

const COUNT = 1000;
const same = new Uint32Array(COUNT).fill(0x0031_0093);
const mixed = Uint32Array.from({ length: COUNT }, (_, i) => INSTRUCTIONS[(i * 31) % INSTRUCTIONS.length]!.match);
const compressed = Uint32Array.from({ length: COUNT }, (_, i) => (i * 0x9e37 & 0xfffc) | (i % 3));

function decodeAll(words: Uint32Array): number {
  let legal = 0;
  for (const word of words) if (decode(word)) legal++;
  return legal;
}

Deno.bench(`decode ${COUNT} × addi`, { baseline: true }, () => void decodeAll(same));
Deno.bench(`decode ${COUNT} instructions of the whole table`, () => void decodeAll(mixed));
Deno.bench(`decode ${COUNT} compressed instructions`, () => void decodeAll(compressed));
