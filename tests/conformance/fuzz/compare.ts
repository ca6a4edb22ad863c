/** Runs a random program in two tiers side by side and says where they first differ; makes programs that differ smaller. */
import { Bench, DEVICE } from "../../machines/riscv/bare_metal.ts";
import { type Tier, translationIn } from "../../machines/riscv/tiers.ts";
import { TranslationError } from "../../../machines/riscv/translator/self_check.ts";
import type { BatchCompiler } from "../../../machines/riscv/translator/background_compiler.ts";
import { type BatchRequest, compileBatch, type CompiledBatch } from "../../../machines/riscv/translator/batch.ts";
import * as at from "./layout.ts";
import { initialState, type Program } from "./program.ts";
import type { Event, Turn } from "./schedule.ts";

export interface Case {
  readonly program: Program;
  readonly schedule: readonly Turn[];
  readonly tier: Tier;
  /** As for the translator. */
  readonly straddles?: number | undefined;
}

/** Translates as the worker does, in a while: an answer is there when it has been asked for some times. */
class SlowCompiler implements BatchCompiler {
  readonly isUsable = true;
  #request: BatchRequest | undefined;
  #asked = 0;

  begin(request: BatchRequest): void {
    this.#request = request;
  }

  take(): CompiledBatch | undefined {
    const request = this.#request;
    if (!request || ++this.#asked % 3 !== 0) return undefined;
    this.#request = undefined;
    return compileBatch(request);
  }
}

export interface Outcome {
  /** Where the tiers first differed. */
  readonly difference?: string;
  /** Turns until then, or all. */
  readonly turns: number;
  readonly instructions: number;
  readonly traps: number;
  /** That were made, and that went because their code changed. */
  readonly regions: number;
  readonly dropped: number;
}

/** CSRs that are compared. */
const CSRS = [
  0x003,
  0x100,
  0x140,
  0x141,
  0x142,
  0x143,
  0x180,
  0x300,
  0x302,
  0x304,
  0x340,
  0x341,
  0x342,
  0x343,
  0x344,
  0x3a0,
];
const NAMES = [
  "fcsr",
  "sstatus",
  "sscratch",
  "sepc",
  "scause",
  "stval",
  "satp",
  "mstatus",
  "medeleg",
  "mie",
  "mscratch",
  "mepc",
  "mcause",
  "mtval",
  "mip",
  "pmpcfg0",
];

function start({ program, tier, straddles }: Case, isReference: boolean): Bench {
  const bench = new Bench(program.harts, at.BENCH_RAM_BYTES);
  const options = isReference ? undefined : translationIn(tier);
  bench.hart.translate(options && { ...options, straddles, foreground: 0 });
  if (!isReference && tier.translation?.threshold !== 1) bench.hart.translateBy(new SlowCompiler());
  bench.onAccess = ({ address }) => address * 0x9e3779b97f4a7c15n;
  bench.write(at.RAM, program.image);
  bench.write(at.RAM + BigInt(at.SEAM_TO), program.image.subarray(at.SEAMED, at.SEAMED + at.PAGE));
  seam(bench);
  for (const hart of bench.harts) {
    const { registers, csrs } = initialState(program, hart.id);
    // An environment call: the handler sends control to the first function.
    hart.reset({ pc: DEVICE - 0x1000n });
    for (const [csr, value] of csrs) hart.writeCsr(csr, value);
    registers.forEach((value, number) => hart.writeRegister(number, value));
  }
  return bench;
}

/** Shows one page of data from elsewhere in memory. */
function seam(bench: Bench): void {
  const [ram] = bench.ranges;
  if (!ram) throw new Error("a bench has RAM");
  const first = at.RAM + BigInt(at.SEAMED), behind = first + BigInt(at.PAGE);
  bench.ranges.splice(
    0,
    1,
    { ...ram, last: first - 1n },
    { ...ram, first, last: behind - 1n, offset: ram.offset + at.SEAM_TO },
    { ...ram, first: behind, offset: ram.offset + at.SEAMED + at.PAGE },
  );
  bench.mapChanged();
}

function happen(bench: Bench, event: Event, hart: number): void {
  switch (event.kind) {
    case "line":
      return bench.harts[hart]?.setInterrupt(event.line, event.level);
    case "store":
      return bench.write(at.RAM + BigInt(event.offset), event.bytes);
    case "remap":
      return bench.mapChanged();
    case "window": {
      const first = at.MOVED_WINDOW;
      const place = bench.ranges.findIndex((range) => range.first === first);
      if (place >= 0) { for (const gone of bench.ranges.splice(place, 1)) bench.unmapped(gone.offset, at.PAGE); }
      if (event.offset !== undefined) {
        bench.ranges.push({
          first,
          last: first + BigInt(at.PAGE) - 1n,
          offset: bench.offset + event.offset,
          stores: 0,
        });
      }
      return bench.mapChanged();
    }
  }
}

export function compare(one: Case): Outcome {
  const reference = start(one, true), tested = start(one, false);
  const benches = [reference, tested] as const;
  let instructions = 0, turns = 0;
  let difference: string | undefined;
  try {
    for (const { hart, budget, event } of one.schedule) {
      turns++;
      const ran = benches.map((bench) => {
        if (event) happen(bench, event, hart);
        const running = bench.harts[hart];
        return running?.run(budget) ?? 0;
      });
      instructions += ran[0] ?? 0;
      if (ran[0] !== ran[1]) difference = `${ran[1]} instructions ran, not ${ran[0]}`;
      else difference = differentState(tested, reference, hart);
      if (difference !== undefined) break;
    }
  } catch (error) {
    if (!(error instanceof TranslationError)) throw error;
    difference = error.message;
  } finally {
    for (const bench of benches) bench.dispose();
  }
  const { made, dropped } = tested.hart.translation;
  const traps = Number(reference.memory.view.getBigUint64(reference.offset + at.SAVE_AREAS + at.SAVE.traps, true));
  return {
    ...(difference !== undefined && { difference }),
    turns,
    instructions,
    traps,
    regions: made.regions,
    dropped: dropped["code changed"],
  };
}

/** Of the hart that ran, and of memory. */
function differentState(tested: Bench, reference: Bench, hart: number): string | undefined {
  const [left, right] = [tested.harts[hart], reference.harts[hart]];
  if (!left || !right) throw new RangeError(`there is no hart ${hart}`);
  const hex = (value: bigint | undefined) => value?.toString(16) ?? "nothing";
  const differ = (what: string, found: bigint | undefined, wanted: bigint | undefined) =>
    found === wanted
      ? undefined
      : `hart ${hart}'s ${what} is ${hex(found)}, not ${hex(wanted)}, at pc ${hex(right.pc)}`;
  const scalar = differ("pc", left.pc, right.pc) ?? differ("instret", BigInt(left.instret), BigInt(right.instret)) ??
    differ("mode", BigInt(left.mode), BigInt(right.mode)) ??
    differ("waiting", BigInt(left.waiting), BigInt(right.waiting));
  if (scalar !== undefined) return scalar;
  for (let number = 0; number < 64; number++) {
    const name = number < 32 ? `x${number}` : `f${number - 32}`;
    const found = differ(name, left.readRegister(number), right.readRegister(number));
    if (found !== undefined) return found;
  }
  for (const [i, csr] of CSRS.entries()) {
    const found = differ(NAMES[i] ?? `CSR ${csr}`, left.readCsr(csr), right.readCsr(csr));
    if (found !== undefined) return found;
  }
  return differentMemory(tested, reference) ?? differentAccess(tested, reference);
}

/** What programs can reach of RAM on purpose: its beginning, what is shown there from elsewhere, and its end. */
const PARTS = [[0, at.COMPARED_BYTES], [at.SEAM_TO, at.PAGE], [at.BENCH_RAM_BYTES - at.PAGE, at.PAGE]] as const;

function differentMemory(tested: Bench, reference: Bench): string | undefined {
  for (const [start, bytes] of PARTS) {
    const words = ({ memory, offset }: Bench) => new Int32Array(memory.memory.buffer, offset + start, bytes / 4);
    const [ours, theirs] = [words(tested), words(reference)];
    for (let i = 0; i < ours.length; i++) {
      if (ours[i] === theirs[i]) continue;
      const place = (start + 4 * i).toString(16);
      return `the word at ${place} of RAM is ${ours[i]?.toString(16)}, not ${theirs[i]?.toString(16)}`;
    }
  }
  return undefined;
}

/**
 * What devices were asked for, in which order; it is forgotten then. Halfwords may be read by fetches, of which there may
 * be one more where a turn ends.
 */
function differentAccess(tested: Bench, reference: Bench): string | undefined {
  const [ours, theirs] = [tested, reference].map(({ accesses }) =>
    accesses.splice(0).filter(({ kind, size }) => kind === "write" || size !== 2).map((
      { kind, address, size, value },
    ) => `${kind} of ${size} at ${address.toString(16)}: ${value}`)
  );
  const count = Math.max(ours?.length ?? 0, theirs?.length ?? 0);
  for (let i = 0; i < count; i++) {
    if (ours?.[i] !== theirs?.[i]) return `access ${i} is a ${ours?.[i]}, not a ${theirs?.[i]}`;
  }
  return undefined;
}

const NOP = 0x13, SHORT_NOP = 0x01;

function without(program: Program, gone: ReadonlySet<number>): Program {
  const image = program.image.slice(), view = new DataView(image.buffer);
  for (const index of gone) {
    const { offset, length } = program.pieces[index] ?? { offset: 0, length: 0 };
    for (let place = offset; place < offset + length;) {
      if (offset + length - place >= 4) view.setUint32(place, NOP, true), place += 4;
      else view.setUint16(place, SHORT_NOP, true), place += 2;
    }
  }
  return { ...program, image };
}

/** Fewer pieces and turns that still differ, in at most so many tries. */
export function shrink(found: Case, tries: number): Case & { readonly removed: ReadonlySet<number> } {
  let { schedule } = found;
  let removed: ReadonlySet<number> = new Set();
  const differs = (turns: readonly Turn[], gone: ReadonlySet<number>) => {
    if (tries-- <= 0) return undefined;
    const outcome = compare({ ...found, program: without(found.program, gone), schedule: turns });
    return outcome.difference === undefined ? undefined : turns.slice(0, outcome.turns);
  };
  schedule = differs(schedule, removed) ?? schedule;
  for (let size = found.program.pieces.length >> 1; size >= 1; size >>= 1) {
    for (let first = 0; first < found.program.pieces.length; first += size) {
      const more = new Set(removed);
      for (let i = first; i < first + size; i++) more.add(i);
      if (more.size === removed.size) continue;
      const left = differs(schedule, more);
      if (left) [schedule, removed] = [left, more];
    }
  }
  for (let i = 0; i < schedule.length; i++) {
    const less = schedule.toSpliced(i, 1);
    const left = differs(less, removed);
    if (left) schedule = left, i--;
  }
  return { ...found, program: without(found.program, removed), schedule, removed };
}
