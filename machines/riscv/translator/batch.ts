/**
 * Translates a batch of hot places into one WebAssembly module. It knows of the machine only what the request says, so
 * that it can run in a worker.
 */
import { decode } from "../decode.ts";
import { PAGE_BYTES, SLOT_SHIFT } from "../layout.ts";
import {
  callOf,
  discover,
  type End,
  entriesOf,
  instructionsOf,
  isCall,
  isReturn,
  type Shape,
  type Step,
  stepsOf,
} from "./discovery.ts";
import { granulesOf } from "./granules.ts";
import type { PageHints } from "./hints.ts";
import { regionModule } from "./region_module.ts";

/** All places are offsets from the start of their page. */
export interface BatchRequest {
  /** By the address of the decoded page. */
  readonly pages: ReadonlyMap<number, PageSource>;
  /** What to translate. */
  readonly places: readonly Place[];
  /** Instructions from which on no further place is begun. */
  readonly room: number;
  /** Instructions of a region up to which it may have copies of what other regions have. */
  readonly copies: number;
  /** Which instructions there are: see `decode`. */
  readonly instructionSet: Uint8Array;
  /** Size of guest memory. */
  readonly memoryBytes: number;
  /** Base of the only hart. */
  readonly hart: number | undefined;
  readonly isChecked: boolean;
  /** Whether the answer has a {@linkcode ShownBatch}. */
  readonly isShown: boolean;
}

export interface Place {
  readonly page: number;
  readonly head: number;
}

export interface PageSource extends PageHints {
  /** The page, and two bytes more if the instruction is known that ends with them. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Where other regions are entered, and how many instructions each has. */
  readonly entries: ReadonlyMap<number, number>;
  /** Instructions that are not to be translated, because a debugger wants to know when they run. */
  readonly stops: ReadonlySet<number>;
  /** By halfword: whether the instruction that begins there has run; nothing if that is of no account. */
  readonly hasRun: Uint8Array<ArrayBuffer> | undefined;
}

/** What is known of a region that was translated. */
export interface RegionPlan extends Place {
  /** Where it is entered, in the order of the function's ordinals. */
  readonly entries: readonly number[];
  /** Where its blocks begin, but for those of callees. */
  readonly blocks: readonly number[];
  /** Its jumps by register. */
  readonly jumps: readonly number[];
  /** The 64-byte pieces of the page that it was made from. */
  readonly granules: bigint;
  readonly instructions: number;
}

/** What people may want to see of a batch. */
export interface ShownBatch {
  readonly module: Uint8Array;
  /** By region: the instructions that it was made from, in the order of their places. */
  readonly code: readonly (readonly { readonly place: number; readonly word: number }[])[];
}

interface Batch {
  /** The module; nothing if no place begins a region. */
  readonly bytes: Uint8Array<ArrayBuffer> | undefined;
  /** In the order of the module's exports. */
  readonly regions: readonly RegionPlan[];
  /** Places for which there was no room. */
  readonly left: readonly Place[];
  readonly shown?: ShownBatch;
}

/** A batch as a module that can be installed. */
export interface CompiledBatch extends Omit<Batch, "bytes"> {
  readonly module: WebAssembly.Module | undefined;
  /** Of the module. */
  readonly bytes: number;
  /** What it took. */
  readonly milliseconds: number;
}

export function compileBatch(request: BatchRequest): CompiledBatch {
  const started = performance.now();
  const { bytes, ...rest } = translateBatch(request);
  const module = bytes && new WebAssembly.Module(bytes);
  return { module, bytes: bytes?.length ?? 0, ...rest, milliseconds: performance.now() - started };
}

function translateBatch(request: BatchRequest): Batch {
  const { pages, instructionSet, memoryBytes, hart, isChecked } = request;
  // Of the places in one function, the first is likely to lead to the others.
  const places = request.places.toSorted((a, b) => a.page - b.page || a.head - b.head);
  const entries = new Map([...pages].map(([page, { entries }]) => [page, new Map(entries)]));
  const shapes: Shape[] = [];
  /** Slots of places in regions of this batch: control came there when there was none. */
  const isCovered = new Set<number>();
  let { room } = request, next = 0;
  for (; next < places.length && room > 0; next++) {
    const { page, head } = places[next] as Place;
    const source = pages.get(page), taken = entries.get(page);
    if (!source || !taken || taken.has(head) || isCovered.has(slotOf({ page, head }))) continue;
    const view = viewOf(source);
    const readStep = stepsOf(view, (word) => decode(word, instructionSet), source.stops);
    const shape = discover(page, readStep, head, {
      elsewhere: (offset) => taken.get(offset) ?? 0,
      seenOf: (offset) => [...source.seen.get(offset) ?? []],
      apart: source.apart,
      hasRun: (offset) => source.hasRun === undefined || source.hasRun[offset >>> 1] === 1,
      copies: request.copies,
    });
    if (!shape) continue;
    shapes.push(shape);
    const size = shape.blocks.reduce((sum, { count }) => sum + count, 0);
    room -= size;
    for (const { place } of entriesOf(shape)) taken.set(place, size);
    for (const head of headsOf(shape)) isCovered.add(slotOf({ page, head }));
  }
  const bytes = shapes.length > 0 ? regionModule(shapes, memoryBytes, hart, isChecked) : undefined;
  const shown = request.isShown && bytes && { module: bytes, code: shapes.map((shape) => codeOf(shape, pages)) };
  return { bytes, regions: shapes.map(planOf), left: places.slice(next), ...(shown && { shown }) };
}

function codeOf({ page, blocks }: Shape, pages: ReadonlyMap<number, PageSource>): ShownBatch["code"][number] {
  const view = viewOf(pages.get(page) as PageSource);
  return blocks.flatMap(instructionsOf)
    .toSorted((a, b) => a.offset - b.offset)
    .map(({ offset, decoded }) => ({
      place: offset,
      word: decoded.length === 4 ? view.getUint32(offset, true) : view.getUint16(offset, true),
    }));
}

function viewOf({ bytes: { buffer, byteOffset, byteLength } }: PageSource): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}

function planOf(shape: Shape): RegionPlan {
  const steps = shape.blocks.flatMap(instructionsOf);
  const granulesAt = ({ offset, decoded }: Step) =>
    granulesOf(offset, Math.min(offset + decoded.length, PAGE_BYTES) - 1);
  return {
    page: shape.page,
    head: shape.blocks[0]?.place ?? 0,
    entries: entriesOf(shape).map(({ place }) => place),
    blocks: headsOf(shape),
    jumps: shape.blocks.flatMap(({ end }) => isByRegister(end) ? [end.step.offset] : []),
    granules: steps.reduce((granules, step) => granules | granulesAt(step), 0n),
    instructions: steps.length,
  };
}

/** Where the blocks of a region begin, but for those of callees. */
function headsOf({ blocks }: Shape): number[] {
  return blocks.flatMap(({ place }) => callOf(place) === 0 ? [place] : []);
}

function isByRegister(end: End): end is Extract<End, { kind: "jump" }> {
  return end.kind === "jump" && !isCall(end.step.decoded) && !isReturn(end.step.decoded);
}

/** A page's slot of a place. */
export function slotOf({ page, head }: Place): number {
  return page + (head << SLOT_SHIFT);
}
