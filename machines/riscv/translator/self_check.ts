/**
 * Self-check of translated code: what a region has done is undone, done again by the interpreter, and compared. Regions
 * act on guest memory and registers only, so that this is possible.
 */
import type { GuestMemory } from "../../../ecs/ram_block.ts";
import type { InterpreterExports } from "../interpreter.ts";
import * as at from "../layout.ts";

export type RegionFunction = (base: number, depth: number, index: number) => number;

/** Translated and interpreted code differ. */
export class TranslationError extends Error {
  override readonly name = "TranslationError";
}

/** The part of the hart's state that regions change. */
const STATE_BYTES = at.CSR.mstatus;
/** A store changes 8 bytes at most. */
const STORE_BYTES = 8;

export class SelfCheck {
  readonly #memory: GuestMemory;
  readonly #interpreter: InterpreterExports;
  /** Where the region stored, and what was there, first store first. */
  #stores: { address: number; bytes: Uint8Array }[] = [];

  constructor(memory: GuestMemory, interpreter: InterpreterExports) {
    this.#memory = memory;
    this.#interpreter = interpreter;
  }

  /** Remembers what is at an address before a store. */
  log(address: number): void {
    this.#stores.push({ address, bytes: this.#memory.bytes.slice(address, address + STORE_BYTES) });
  }

  /** @throws {TranslationError} if the interpreter comes to another state. */
  run(base: number, index: number, region: RegionFunction, again: () => void): number {
    const { bytes, view } = this.#memory;
    const { flags, entering } = this.#interpreter;
    const before = bytes.slice(base, base + STATE_BYTES), flagsBefore = flags.value;
    this.#stores = [];
    // Without nested calls, so that no call returns into a region whose caller has not been checked.
    const status = region(base, 0, index);
    const budget = view.getInt32(base + at.BUDGET, true);
    const started = new DataView(before.buffer).getInt32(at.BUDGET, true) - budget;
    const after = this.#result(base);

    for (const { address, bytes: old } of this.#stores.toReversed()) bytes.set(old, address);
    bytes.set(before, base);
    flags.value = flagsBefore;
    view.setInt32(base + at.BUDGET, started, true);
    view.setInt32(base + at.FFLAGS, flagsBefore, true);
    entering.value = at.ENTER_NEVER;
    again();
    entering.value = at.ENTER_CHECKED;
    view.setInt32(base + at.BUDGET, budget, true);
    const expected = this.#result(base);
    const difference = expected.findIndex((value, i) => value !== after[i]);
    if (difference >= 0) throw new TranslationError(describe(difference, new DataView(before.buffer), after, expected));
    return status;
  }

  /** Registers, pc, flags, FS, reservation, and memory where the region stored. */
  #result(base: number): readonly bigint[] {
    const { view } = this.#memory;
    const fields = Array.from({ length: at.VALUE / 8 }, (_, i) => i * 8).filter((field) => field !== at.SINK);
    return [
      ...fields.map((field) => view.getBigUint64(base + field, true)),
      BigInt(this.#interpreter.flags.value),
      BigInt(view.getInt32(base + at.FS, true)),
      view.getBigUint64(base + at.RESERVATION, true),
      ...this.#stores.map(({ address }) => view.getBigUint64(address, true)),
    ];
  }
}

function describe(position: number, before: DataView, after: readonly bigint[], expected: readonly bigint[]): string {
  const pc = before.getBigUint64(at.PC, true).toString(16);
  const [found, wanted] = [after[position], expected[position]].map((value) => value?.toString(16));
  return `translated code from pc ${pc} on gives ${found}, not ${wanted}, as part ${position} of its result`;
}
