/**
 * Which registers a region has to load and to store where: a call or an exit stores what may have been written since the
 * hart's state was last right, and whoever comes from outside loads what is used before it is written.
 */
import { layoutOf, registerFiles } from "../operands.ts";
import { INSTRUCTIONS } from "../table.ts";
import { type Block, instructionsOf, isCall, type Step } from "./discovery.ts";
import type { Graph } from "./loops.ts";

export type File = "x" | "f";

/** A register in a set of registers. */
export const bitOf = (file: File, number: number): bigint => 1n << BigInt(file === "x" ? number : 32 + number);

/** Register operands of each instruction of the table, and their files. */
const OPERANDS = INSTRUCTIONS.map((instruction) => {
  const files = registerFiles(instruction);
  const names = layoutOf(instruction.format).operands.filter((operand) => operand !== "imm");
  const isRead = (operand: string) => operand !== "rd" && (operand !== "rs1" || instruction.format !== "csri");
  const read = names.filter(isRead).map((operand) => ({ operand, file: files[operand] }));
  return { read, written: names.includes("rd") ? files.rd : undefined };
});

const ZERO = bitOf("x", 0);

/** The registers that a step reads. x0 is none. */
export function readBy({ decoded }: Step): bigint {
  const read = OPERANDS[decoded.index]?.read ?? [];
  return read.reduce((set, { operand, file }) => set | bitOf(file, decoded[operand]), 0n) & ~ZERO;
}

/** The register that a step writes. */
export function writtenBy({ decoded }: Step): bigint {
  const file = OPERANDS[decoded.index]?.written;
  return file === undefined ? 0n : bitOf(file, decoded.rd) & ~ZERO;
}

/** Sets of registers by block, at its head. */
export interface RegisterFlow {
  /** May have been written since the region was entered, or since the last call. */
  readonly dirty: readonly bigint[];
  /** Must be right: they are read before they are written, or an exit may have to store them. */
  readonly live: readonly bigint[];
}

export function registerFlow(blocks: readonly Block[], graph: Graph): RegisterFlow {
  const uses = blocks.map(usesOf);
  // What is called loads and stores all that it uses; behind the call all is loaded again.
  const edges = graph.map((successors, node) => isLeftByCall(blocks[node]) ? [] : successors);
  const dirty = blocks.map(() => 0n);
  repeat(() => {
    let isStable = true;
    for (const [node, { written }] of uses.entries()) {
      const behind = (dirty[node] ?? 0n) | written;
      for (const to of edges[node] ?? []) {
        const all = (dirty[to] ?? 0n) | behind;
        if (all !== dirty[to]) isStable = false;
        dirty[to] = all;
      }
    }
    return isStable;
  });
  const live = uses.map(({ read }, node) => read | (dirty[node] ?? 0n));
  repeat(() => {
    let isStable = true;
    for (let node = uses.length - 1; node >= 0; node--) {
      const written = uses[node]?.written ?? 0n;
      const behind = (edges[node] ?? []).reduce((set, to) => set | (live[to] ?? 0n), 0n);
      const all = (live[node] ?? 0n) | (behind & ~written);
      if (all !== live[node]) isStable = false;
      live[node] = all;
    }
    return isStable;
  });
  return { dirty, live };
}

function isLeftByCall(block: Block | undefined): boolean {
  return block?.end.kind === "jump" && isCall(block.end.step.decoded);
}

/** The registers that a block reads before it writes them, and those that it writes. */
function usesOf(block: Block): { read: bigint; written: bigint } {
  let read = 0n, written = 0n;
  for (const step of instructionsOf(block)) {
    read |= readBy(step) & ~written;
    written |= writtenBy(step);
  }
  return { read, written };
}

function repeat(pass: () => boolean): void {
  while (!pass()) { /* Until nothing changes. */ }
}
