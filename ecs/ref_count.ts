/**
 * RefCount: who may still reach me, counted in eight kinds. Counts of pins sit on the entity and again on its anchor;
 * an edge (container, address space) is counted on the target's owner and kept in a list of its holder's owner, so
 * that the graph of counted edges can be walked from either end.
 */
import { defineColumns, type World, writeReference } from "./world.ts";

export const REFERENCE_KINDS = [
  "parent",
  "container",
  "addressSpace",
  "map",
  "cache",
  "listener",
  "callback",
  "external",
] as const;
export type ReferenceKind = typeof REFERENCE_KINDS[number];

const KINDS = REFERENCE_KINDS.length;
const INDEX: Readonly<Record<ReferenceKind, number>> = {
  parent: 0,
  container: 1,
  addressSpace: 2,
  map: 3,
  cache: 4,
  listener: 5,
  callback: 6,
  external: 7,
};

/** A release without a matching reference. */
export class UnbalancedReleaseError extends Error {
  override readonly name = "UnbalancedReleaseError";
}

/** A pin that names its holder. */
export interface Pin {
  readonly target: number;
  readonly kind: ReferenceKind;
  /** Call site; only in debug worlds. */
  readonly site: string | undefined;
  /** What is open and pins; undefined: the holder itself does. */
  readonly of?: { describe(world: World): string };
}

/** Where a reference without a holder was taken. */
export interface Site {
  readonly kind: ReferenceKind;
  readonly site: string;
}

const NO_PINS: readonly Pin[] = [];

export const refCounts = defineColumns((capacity) => ({
  byKind: new Int32Array(capacity * KINDS),
  total: new Int32Array(capacity),
  /** Counted edge that this region (container edge) or address space (root edge) stands for: the owner that it pins. */
  edgeTarget: new Int32Array(capacity),
  /** The owner that holds the edge; 0: something static. */
  edgeHolder: new Int32Array(capacity),
  /** Edges held by an owner. */
  firstEdge: new Int32Array(capacity),
  nextEdge: new Int32Array(capacity),
  previousEdge: new Int32Array(capacity),
  /** Named pins by holder. */
  pins: [] as (Pin[] | undefined)[],
  /** By target, in debug worlds: where references that name no holder were taken, creation references among them. */
  sites: [] as (Site[] | undefined)[],
  /** By bearer, in debug worlds: where the edge was made. */
  edgeSite: [] as (string | undefined)[],
}));

/** A new entity counts nothing. */
export function clearCounts(world: World, id: number): void {
  const columns = refCounts(world);
  columns.byKind.fill(0, id * KINDS, id * KINDS + KINDS);
  columns.total[id] = 0;
  columns.edgeTarget[id] = columns.edgeHolder[id] = 0;
  columns.firstEdge[id] = columns.nextEdge[id] = columns.previousEdge[id] = 0;
  writeReference(columns.pins, id, undefined);
  writeReference(columns.sites, id, undefined);
  writeReference(columns.edgeSite, id, undefined);
}

export function addReference(world: World, id: number, kind: ReferenceKind): void {
  const columns = refCounts(world);
  columns.byKind[id * KINDS + INDEX[kind]]!++;
  columns.total[id]!++;
}

export function countOf(world: World, id: number, kind: ReferenceKind): number {
  return refCounts(world).byKind[id * KINDS + INDEX[kind]]!;
}

/** The caller has checked that the count is positive. */
export function removeReference(world: World, id: number, kind: ReferenceKind): void {
  const columns = refCounts(world);
  columns.byKind[id * KINDS + INDEX[kind]]!--;
  columns.total[id]!--;
}

/** Counts the edge that `bearer` (a contained region or an address space) stands for. */
export function linkEdge(world: World, bearer: number, kind: ReferenceKind, holder: number, target: number): void {
  const columns = refCounts(world);
  columns.edgeTarget[bearer] = target;
  columns.edgeHolder[bearer] = holder;
  columns.previousEdge[bearer] = 0;
  const next = holder === 0 ? 0 : columns.firstEdge[holder]!;
  columns.nextEdge[bearer] = next;
  if (holder !== 0) columns.firstEdge[holder] = bearer;
  if (next !== 0) columns.previousEdge[next] = bearer;
  addReference(world, target, kind);
}

/** Undoes {@linkcode linkEdge}; does nothing if the bearer's edge was not counted. Returns the owner that was pinned. */
export function unlinkEdge(world: World, bearer: number, kind: ReferenceKind): number {
  const columns = refCounts(world);
  const target = columns.edgeTarget[bearer]!;
  if (target === 0) return 0;
  const next = columns.nextEdge[bearer]!;
  const previous = columns.previousEdge[bearer]!;
  const holder = columns.edgeHolder[bearer]!;
  if (previous !== 0) columns.nextEdge[previous] = next;
  else if (holder !== 0) columns.firstEdge[holder] = next;
  if (next !== 0) columns.previousEdge[next] = previous;
  columns.edgeTarget[bearer] = columns.edgeHolder[bearer] = 0;
  columns.nextEdge[bearer] = columns.previousEdge[bearer] = 0;
  removeReference(world, target, kind);
  return target;
}

/** Notes where a reference without a holder was taken. */
export function addSite(world: World, id: number, kind: ReferenceKind, site: string): void {
  (refCounts(world).sites[id] ??= []).push({ kind, site });
}

/** Forgets the latest such note. */
export function removeSite(world: World, id: number, kind: ReferenceKind): void {
  const sites = refCounts(world).sites[id];
  const at = sites?.findLastIndex((site) => site.kind === kind) ?? -1;
  if (at >= 0) sites?.splice(at, 1);
}

/** Notes where the edge of `bearer` was made. */
export function writeEdgeSite(world: World, bearer: number, site: string): void {
  refCounts(world).edgeSite[bearer] = site;
}

/** Notes that `holder` holds a pin. */
export function addPin(world: World, holder: number, pin: Pin): void {
  (refCounts(world).pins[holder] ??= []).push(pin);
}

/** Forgets one such pin that `holder` took itself; false if there is none. What it has open keeps its own. */
export function removePin(world: World, holder: number, target: number, kind: ReferenceKind): boolean {
  const pins = refCounts(world).pins[holder];
  const isIt = (pin: Pin) => pin.target === target && pin.kind === kind && pin.of === undefined;
  const at = pins?.findLastIndex(isIt) ?? -1;
  if (at >= 0) pins?.splice(at, 1);
  return at >= 0;
}

/** Forgets this pin of `holder`; false if it has it no more. */
export function forgetPin(world: World, holder: number, pin: Pin): boolean {
  const pins = refCounts(world).pins[holder];
  const at = pins?.lastIndexOf(pin) ?? -1;
  if (at >= 0) pins?.splice(at, 1);
  return at >= 0;
}

/** The named pins that `holder` has; they are taken out. */
export function takePins(world: World, holder: number): readonly Pin[] {
  const { pins } = refCounts(world);
  const taken = pins[holder] ?? NO_PINS;
  pins[holder] = undefined;
  return taken;
}
