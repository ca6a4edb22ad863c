/** Our hart as a lockstep target: RAM at 0x8000_0000 and nothing else on its bus. */

import { allocateRange, createGuestMemory } from "../../ecs/ram_block.ts";
import { Hart } from "../../machines/riscv/hart.ts";
import { STORES_WRITE } from "../../machines/riscv/layout.ts";
import { featuresOf, OURS_ONLY_OFF, PEER_BIT_CPU } from "./peer.ts";
import { INTERPRETED, type Tier, translationIn } from "../machines/riscv/tiers.ts";
import { CSRS, type State, type Target } from "./target.ts";

const RAM = 0x8000_0000;

export class HartTarget implements Target {
  readonly #hart: Hart;
  readonly #bytes: Uint8Array;
  readonly #offset: number;

  /** @param ramBytes size of RAM; the hart's own state and decoded pages come in addition */
  constructor(ramBytes: number, tier: Tier = INTERPRETED) {
    const memory = createGuestMemory(ramBytes + (96 << 20));
    this.#offset = allocateRange(memory, ramBytes, 4096);
    this.#bytes = memory.bytes;
    const range = {
      first: BigInt(RAM),
      last: BigInt(RAM + ramBytes - 1),
      offset: this.#offset,
      stores: STORES_WRITE,
    };
    this.#hart = new Hart({
      memory,
      features: featuresOf(PEER_BIT_CPU + OURS_ONLY_OFF),
      id: 0,
      time: () => 0n,
      connect: () => ({
        high: 0,
        failed: true,
        read: () => 0,
        write: () => true,
        ranges: () => [range],
        enter: () => {},
        leave: () => {},
        dispose: () => {},
      }),
    });
    this.#hart.translate(translationIn(tier));
  }

  dispose(): void {
    this.#hart.dispose();
  }

  writeMemory(address: number, bytes: Uint8Array): Promise<void> {
    const at = this.#offset + address - RAM;
    this.#bytes.set(bytes, at);
    this.#hart.stored(at, bytes.length);
    return Promise.resolve();
  }

  readMemory(address: number, length: number): Promise<Uint8Array> {
    const at = this.#offset + address - RAM;
    return Promise.resolve(this.#bytes.slice(at, at + length));
  }

  enterMachineMode(): Promise<void> {
    this.#hart.reset({ pc: 0n });
    return Promise.resolve();
  }

  write(registers: State): Promise<void> {
    for (const [name, value] of registers) {
      const csr = CSRS[name];
      if (name === "pc") this.#hart.pc = value;
      else if (csr === undefined) this.#hart.writeRegister(fileIndex(name), value);
      else if (!this.#hart.writeCsr(csr, value)) throw new RangeError(`The hart has no register ${name}.`);
    }
    return Promise.resolve();
  }

  read(names: readonly string[]): Promise<Map<string, bigint>> {
    return Promise.resolve(new Map(names.map((name) => [name, this.#one(name)])));
  }

  step(): Promise<void> {
    this.#hart.run(1);
    return Promise.resolve();
  }

  #one(name: string): bigint {
    if (name === "pc") return this.#hart.pc;
    if (name === "priv") return BigInt(this.#hart.mode);
    const csr = CSRS[name];
    const value = csr === undefined ? this.#hart.readRegister(fileIndex(name)) : this.#hart.readCsr(csr);
    if (value === undefined) throw new RangeError(`The hart has no register ${name}.`);
    return value;
  }
}

/** x0–x31 are 0–31, f0–f31 are 32–63. */
function fileIndex(name: string): number {
  return Number(name.slice(1)) + (name.startsWith("f") ? 32 : 0);
}
