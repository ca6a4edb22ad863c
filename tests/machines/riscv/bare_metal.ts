/** A hart on a bus of plain RAM and one recording device, without a world: for tests of execution alone. */
import { assertEquals } from "@std/assert";
import { allocateRange, createGuestMemory, type GuestMemory } from "../../../ecs/ram_block.ts";
import { type Assembler, assembler } from "../../../machines/riscv/assemble.ts";
import type { Bus, BusEvents, MemoryRange } from "../../../machines/riscv/bus.ts";
import { executionBytes } from "../../../machines/riscv/execution.ts";
import type { HartFeatures } from "../../../machines/riscv/features.ts";
import { Hart } from "../../../machines/riscv/hart.ts";
import { STORES_WRITE } from "../../../machines/riscv/layout.ts";
import { current, translationIn } from "./tiers.ts";

export const RAM = 0x8000_0000n;
export const RAM_BYTES = 0x40_0000;
export const DEVICE = 0x1000_0000n;
/** Beyond RAM and device nothing answers. */
export const NOWHERE = 0x4000_0000n;

export interface Access {
  readonly kind: "read" | "write";
  readonly address: bigint;
  readonly size: number;
  readonly value: bigint;
}

export class Bench {
  readonly memory: GuestMemory;
  readonly offset: number;
  readonly harts: Hart[] = [];
  readonly accesses: Access[] = [];
  readonly ranges: MemoryRange[];
  /** Called for each device access; what it gives is what a read reads. */
  onAccess: (access: Access) => bigint | void = () => {};
  /** What `time` reads. */
  now: () => bigint = () => 0n;
  readonly #events: BusEvents[] = [];

  constructor(harts = 1, readonly ramBytes = RAM_BYTES, features?: HartFeatures) {
    const bytes = ramBytes + 0x10_0000;
    this.memory = createGuestMemory(bytes + executionBytes(harts, bytes + 0x400_0000));
    this.offset = allocateRange(this.memory, ramBytes, 4096);
    this.ranges = [{ first: RAM, last: RAM + BigInt(ramBytes) - 1n, offset: this.offset, stores: STORES_WRITE }];
    for (let id = 0; id < harts; id++) {
      const connect = (events: BusEvents) => this.#connect(events);
      this.harts.push(
        new Hart({ memory: this.memory, connect, id, time: () => this.now(), ...(features && { features }) }),
      );
    }
    this.hart.translate(translationIn(current.tier));
  }

  get hart(): Hart {
    const [hart] = this.harts;
    if (!hart) throw new Error("a bench has at least one hart");
    return hart;
  }

  /** Assembles a program into RAM and points the hart at it. Gives its labels. */
  load(write: (asm: Assembler) => void, address = RAM): ReadonlyMap<string, bigint> {
    const asm = assembler();
    write(asm);
    const { bytes, symbols } = asm.finish({ base: address });
    this.write(address, bytes);
    this.hart.reset({ pc: address });
    return symbols;
  }

  /** Runs a program in machine mode to its wfi, within so many instructions; traps go to the label "trap", if any. */
  runToWait(write: (asm: Assembler) => void, most: number): this {
    const symbols = this.load((asm) => {
      write(asm);
      asm.label("end");
      asm.wfi();
      asm.j("end");
    });
    const trap = symbols.get("trap");
    if (trap !== undefined) this.hart.writeCsr(0x305, trap);
    this.hart.run(most);
    assertEquals(this.hart.waiting, true, `did not end: pc ${this.hart.pc.toString(16)}`);
    return this;
  }

  /** As a device would by DMA. */
  write(address: bigint, bytes: Uint8Array): void {
    const offset = this.offset + Number(address - RAM);
    this.memory.bytes.set(bytes, offset);
    for (const events of this.#events.slice(0, 1)) events.stored(offset, bytes.length);
  }

  peek(address: bigint): bigint {
    return this.memory.view.getBigUint64(this.offset + Number(address - RAM), true);
  }

  poke(address: bigint, value: bigint): void {
    this.memory.view.setBigUint64(this.offset + Number(address - RAM), value, true);
  }

  mapChanged(): void {
    for (const events of this.#events) events.mapChanged();
  }

  unmapped(offset: number, length: number): void {
    for (const events of this.#events) events.unmapped(offset, length);
  }

  dispose(): void {
    for (const hart of this.harts) hart.dispose();
  }

  #connect(events: BusEvents): Bus {
    this.#events.push(events);
    let high = 0, failed = false;
    const perform = (kind: "read" | "write", hi: number, lo: number, size: number, value: bigint): bigint => {
      const address = BigInt(hi >>> 0) << 32n | BigInt(lo >>> 0);
      const access: Access = { kind, address, size, value };
      this.accesses.push(access);
      failed = address < DEVICE || address >= DEVICE + 0x1000n;
      const result = failed ? 0n : BigInt.asUintN(8 * size, this.onAccess(access) ?? 0n);
      high = Number(result >> 32n) | 0;
      return result;
    };
    return {
      read: (hi, lo, size) => Number(perform("read", hi, lo, size, 0n) & 0xffff_ffffn) | 0,
      write: (hi, lo, size, valueLo, valueHi) => {
        perform("write", hi, lo, size, BigInt(valueHi >>> 0) << 32n | BigInt(valueLo >>> 0));
        return failed;
      },
      get high() {
        return high;
      },
      get failed() {
        return failed;
      },
      ranges: () => this.ranges,
      enter: () => {},
      leave: () => {},
      dispose: () => {},
    };
  }
}
