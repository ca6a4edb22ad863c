/**
 * What a region's function keeps in locals while it runs: the guest's registers, the budget, and where it is. Registers
 * are loaded when it is entered and stored when it is left, wherever that is.
 */
import { type Callee, type Expr, f64, i32, i64, type Local } from "../../wasm/expression.ts";
import { type FunctionBuilder, type Global, readGlobal } from "../../wasm/module.ts";
import {
  branch,
  branchRarely,
  giveBack,
  run,
  set,
  type Statement,
  type Statements,
  store,
} from "../../wasm/statement.ts";
import * as at from "../layout.ts";
import { parameter } from "../page_walk.ts";
import { type Block, instructionsOf, type Shape, type Step } from "./discovery.ts";
import { Exits } from "./exits.ts";
import { INTERPRET, type Linkage } from "./linkage.ts";
import { bitOf, type File, readBy, writtenBy } from "./register_flow.ts";
import { loopingPlaces } from "./access.ts";

/** Bits of an exit code: the place in the page, and above them what goes back to the budget. */
const PLACE_BITS = 12;

/** One of the 64 registers of the two files. */
interface Register {
  readonly local: Local;
  readonly field: number;
  /** Of the register in sets of registers. */
  readonly bit: bigint;
}

export class RegionState {
  readonly base: Local;
  /** Calls that may still nest. */
  readonly depth: Local;
  /** i64: where the region is entered, in virtual memory. */
  readonly pc: Local;
  /** i64: virtual address of the page. */
  readonly page: Local;
  readonly budget: Local;
  /** The TLB context for loads and stores. */
  readonly tlb: Local;
  /** i64: address of a memory access. */
  readonly address: Local;
  /** i32: TLB entry of it, then where it is in guest memory. */
  readonly entry: Local;
  /** i64: where a jump goes. */
  readonly target: Local;
  /** i32: place and refund of a side exit. */
  readonly place: Local;
  /** i64: what a callee gave back. */
  readonly went: Local;
  readonly old: Local;
  readonly status: Local;
  /** i32: from a virtual address to guest memory. */
  readonly distance: Local;
  readonly rm: Local;
  /** i32: whether the rounding mode is to nearest and NX is set. */
  readonly isSettled: Local;
  /** Results of the host's own floating-point operators, and their encoding. */
  readonly double: Local;
  readonly single: Local;
  readonly bits: Local;
  /** Places of instructions that small loops run. */
  readonly #looping: ReadonlySet<number>;
  /** Ways out: to the interpreter, which runs the instruction at `place`; to `target`; back to a caller, probably. */
  readonly exits: Exits = new Exits("exit");
  readonly leaves: Exits = new Exits("leave");
  readonly returns: Exits = new Exits("back");
  /** What the hart's state does not know yet, at the point for which code is made. */
  #dirty = 0n;
  readonly #f: FunctionBuilder;
  readonly #decodedPage: number;
  readonly #anchors: Map<number, Local> = new Map();
  readonly #registers: ReadonlyMap<string, Register>;
  readonly #hart: number | undefined;
  readonly #log: Callee | undefined;
  readonly flags: Global;

  constructor(f: FunctionBuilder, { page, blocks }: Shape, readonly linkage: Linkage) {
    this.#f = f;
    this.#decodedPage = page;
    this.flags = linkage.flags;
    this.#log = linkage.log;
    this.base = parameter(f, 0);
    this.#hart = linkage.hart;
    this.depth = parameter(f, 1);
    this.pc = parameter(f, 3);
    this.page = f.local("i64");
    this.budget = f.local("i32");
    this.tlb = f.local("i32");
    this.address = f.local("i64");
    this.entry = f.local("i32");
    this.target = f.local("i64");
    this.place = f.local("i32");
    this.went = f.local("i64");
    this.old = f.local("i64");
    this.status = f.local("i32");
    this.rm = f.local("i32");
    this.isSettled = f.local("i32");
    this.double = f.local("f64");
    this.single = f.local("f32");
    this.bits = f.local("i64");
    this.distance = f.local("i32");
    this.#registers = registersOf(f, blocks);
    this.#looping = loopingPlaces(blocks);
  }

  read(file: File, number: number): Expr {
    if (file === "x" && number === 0) return i64.const(0);
    const { local } = this.#register(file, number);
    return file === "x" ? local : i64.reinterpret_f64(local);
  }

  /** Nothing if the register is x0: then the value must have no effect. */
  write(file: File, number: number, value: Expr): Statements {
    if (file === "x" && number === 0) return [];
    return [set(this.#register(file, number).local, file === "x" ? value : asDouble(value))];
  }

  /** An f register as a double, whatever it holds. */
  writeDouble(number: number, value: Expr): Statements {
    return [set(this.#register("f", number).local, value)];
  }

  /** Finds out whether results need no more than to be rounded to nearest: NX has been raised. */
  settleFloats(): Statements {
    const isNearest = i32.eqz(i32.load(this.base, at.FRM));
    return [set(this.isSettled, i32.and(isNearest, readGlobal(this.flags)))];
  }

  /** Whether a small loop runs the instruction. */
  isLooping(step: Step): boolean {
    return this.#looping.has(step.offset);
  }

  /** i32: where the base register of a group of accesses points to in guest memory. */
  anchor(register: number): Local {
    const anchor = this.#anchors.get(register) ?? this.#f.local("i32");
    this.#anchors.set(register, anchor);
    return anchor;
  }

  /** The decoded slot of a place. */
  slotOf(offset: number): number {
    return this.#decodedPage + (offset << at.SLOT_SHIFT);
  }

  /** What follows is made for a point where these registers may be other than in the hart's state. */
  reach(dirty: bigint): void {
    this.#dirty = dirty;
  }

  /** Takes over the hart's state, but for registers. */
  enter(): Statements {
    return [
      // A constant spares the engine's bounds checks of registers.
      ...(this.#hart === undefined ? [] : [set(this.base, i32.const(this.#hart))]),
      set(this.page, i64.and(this.pc, i64.const(-at.PAGE_BYTES))),
      ...this.resume(),
    ];
  }

  /** Takes over what others count: behind a call, too. */
  resume(): Statements {
    const hasFloats = this.#among(-1n).some(({ local }) => local.type === "f64");
    return [
      set(this.budget, i32.load(this.base, at.BUDGET)),
      // With SUM.
      set(this.tlb, i32.load(this.base, at.DATA_TLB)),
      ...(hasFloats ? this.settleFloats() : []),
    ];
  }

  /** Takes over registers. */
  load(registers: bigint): Statements {
    return this.#among(registers).map(({ local, field }) =>
      set(local, (local.type === "i64" ? i64 : f64).load(this.base, field))
    );
  }

  spill(registers: bigint = this.#dirty): Statements {
    return this.#among(registers).map(({ local, field }) =>
      (local.type === "i64" ? store.i64 : store.f64)(this.base, local, field)
    );
  }

  spillBudget(): Statement {
    return store.i32(this.base, this.budget, at.BUDGET);
  }

  #among(registers: bigint): Register[] {
    return [...this.#registers.values()].filter(({ bit }) => (registers & bit) !== 0n);
  }

  /** Before a store to `entry`: what is there may have to be restored. */
  logStore(): Statements {
    return this.#log ? [run(this.#log, this.entry)] : [];
  }

  /** Address of a place relative to the page. */
  addressOf(offset: number): Expr {
    return i64.add(this.page, i64.const(offset));
  }

  /** Leaves before the instruction at `offset` if the condition holds, giving back what has not been started. */
  exitIf(condition: Expr, offset: number, refund: number): Statements {
    const exit = this.exits.label(this.#dirty);
    return [set(this.place, i32.const(offset | (refund << PLACE_BITS))), branchRarely(exit, condition)];
  }

  /** Behind an exit. */
  settle(): Statements {
    const inPage = i64.extend_i32_u(i32.and(this.place, i32.const(at.PAGE_BYTES - 1)));
    return [
      set(this.budget, i32.add(this.budget, i32.shr_u(this.place, i32.const(PLACE_BITS)))),
      this.spillBudget(),
      giveBack(i64.add(this.page, i64.or(inPage, i64.const(INTERPRET)))),
    ];
  }

  /** Goes on at `target`, in whatever region. */
  leave(): Statement {
    return branch(this.leaves.label(this.#dirty));
  }

  /** Goes on at `target`, where a caller probably waits. */
  goBack(): Statement {
    return branch(this.returns.label(this.#dirty));
  }

  /** The same if a condition holds, which is not expected. */
  goBackIf(condition: Expr): Statement {
    return branchRarely(this.returns.label(this.#dirty), condition);
  }

  #register(file: File, number: number): Register {
    const register = this.#registers.get(file + number);
    if (!register) throw new Error(`${file}${number} is not a register of this region`);
    return register;
  }
}

/** The double with an encoding; the two directions cancel out. */
export function asDouble(bits: Expr): Expr {
  if (bits.kind === "numeric" && bits.op.name === "i64.reinterpret_f64" && bits.args[0]) return bits.args[0];
  return f64.reinterpret_i64(bits);
}

/** The registers that the region's instructions name. */
function registersOf(f: FunctionBuilder, blocks: readonly Block[]): ReadonlyMap<string, Register> {
  const named = blocks.flatMap(instructionsOf).reduce((set, step) => set | readBy(step) | writtenBy(step), 0n);
  const registers = new Map<string, Register>();
  for (const file of ["x", "f"] as const) {
    for (let number = 0; number < 32; number++) {
      const bit = bitOf(file, number);
      if ((named & bit) === 0n) continue;
      const field = (file === "x" ? at.X : at.F) + 8 * number;
      registers.set(file + number, { local: f.local(file === "x" ? "i64" : "f64"), field, bit });
    }
  }
  return registers;
}
