/**
 * Logged stores: one byte for each page of guest memory, set while some client's dirty bit of the page may be clear. A
 * store to such a page is told first; only then may the page enter a write TLB. Clearing bits takes it out again, so a
 * hart's own stores cost nothing but the first to each page.
 */
import { allocateRange, freeRange, type GuestMemory } from "../../ecs/ram_block.ts";
import { type Expr, i32, type Local } from "../wasm/expression.ts";
import { run, type Statement, when } from "../wasm/statement.ts";
import type { HartImports } from "./imports.ts";
import * as at from "./layout.ts";

/** To stand before a store of a hart to this address in guest memory. */
export function logStore(imports: HartImports, base: Local, address: Expr): Statement {
  const page = i32.add(i32.load(base, at.LOGGED_MAP), i32.shr_u(address, i32.const(12)));
  return when(i32.load8_u(page), [run(imports.logStore, base, address)]);
}

export class LoggedStores {
  /** Address of the bytes. */
  readonly map: number;
  readonly #memory: GuestMemory;
  readonly #fill: (start: number, value: number, length: number) => void;

  constructor(memory: GuestMemory, fill: (start: number, value: number, length: number) => void) {
    this.#memory = memory;
    this.#fill = fill;
    this.map = allocateRange(memory, loggedStoresBytes(memory.bytes.length), 8);
  }

  dispose(): void {
    freeRange(this.#memory, this.map, loggedStoresBytes(this.#memory.bytes.length));
  }

  /** Stores to these bytes of guest memory have to be told. */
  add(offset: number, length: number): void {
    const first = Math.floor(offset / at.PAGE_BYTES);
    this.#fill(this.map + first, 1, Math.ceil((offset + length) / at.PAGE_BYTES) - first);
  }

  /** A store to this page has been told. */
  delete(address: number): void {
    this.#memory.bytes[this.map + Math.floor(address / at.PAGE_BYTES)] = 0;
  }
}

/** Bytes of guest memory that the map takes, for a memory of this size. */
export function loggedStoresBytes(memoryBytes: number): number {
  return Math.ceil(memoryBytes / at.PAGE_BYTES);
}
