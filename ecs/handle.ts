/**
 * Handle: how users name an entity. A handle is generation · 2^24 + entity id, exact as a number; the generation goes
 * up each time the id is freed, so that a stale handle is told from its successor's (S147).
 */
import { addComponent, addEntity, query, removeEntity } from "./deps.ts";
import type { EventKind } from "./event_ring.ts";
import { defineColumns, growColumns, type World } from "./world.ts";

/** Kind of entity: the tag that it carries in the entity library. */
export interface Kind {
  readonly name: string;
  /** From 1. */
  readonly number: number;
}

/** Ids are below this. `handle & (ID_LIMIT - 1)` is the id: bit operations take the low bits, also of large handles. */
export const ID_LIMIT = 2 ** 24;

/** Ids per kind that are kept for the next: the library takes a third of the time of creating and destroying a region. */
const SPARE_MAX = 1024;

/** A handle whose entity is gone, or that never named one of the wanted kind. */
export class StaleHandleError extends Error {
  override readonly name = "StaleHandleError";
}

/** More than 2^24 entities alive at once. */
export class TooManyEntitiesError extends Error {
  override readonly name = "TooManyEntitiesError";
}

const identities = defineColumns((capacity) => ({
  generation: new Uint32Array(capacity),
  /** Creation order, which is never reused: destructors run in its reverse. */
  creation: new Float64Array(capacity),
  /** Number of the kind; 0: no entity has this id now. */
  kind: new Uint8Array(capacity),
  name: [] as string[],
  /** Ids that were given back, by number of their kind: the entity library keeps them with their tag. */
  spare: [] as (number[] | undefined)[],
  /** Name of the last entity that died with this id. */
  tombstone: [] as string[],
  created: 0,
  alive: 0,
}));

const kinds: (Kind | undefined)[] = [undefined];

/** Declares a kind of entity. There may be at most 31. */
export function defineKind(name: string): Kind {
  const kind = { name, number: kinds.length };
  kinds.push(kind);
  return kind;
}

/** Takes a free id and gives it a row in every column. */
export function newEntity(world: World, kind: Kind, name: string): number {
  const columns = identities(world);
  const id = columns.spare[kind.number]?.pop() ?? addTagged(world, kind, name);
  columns.kind[id] = kind.number;
  columns.name[id] = name;
  columns.creation[id] = ++columns.created;
  columns.alive++;
  if (world.events !== undefined) recordEvent(world, "created", id, 0, kind.name);
  return id;
}

function addTagged(world: World, kind: Kind, name: string): number {
  const id = addEntity(world.entities);
  if (id >= ID_LIMIT) {
    removeEntity(world.entities, id);
    throw new TooManyEntitiesError(`Cannot create "${name}": ${ID_LIMIT} entities are alive`);
  }
  if (id >= world.capacity) growColumns(world, id);
  addComponent(world.entities, id, kind);
  return id;
}

/** Gives the id back; handles to it are stale from now on. */
export function freeEntity(world: World, id: number): void {
  if (world.events !== undefined) recordEvent(world, "finalized", id);
  const columns = identities(world);
  columns.generation[id]!++;
  columns.tombstone[id] = columns.name[id]!;
  const spare = columns.spare[columns.kind[id]!] ??= [];
  columns.kind[id] = 0;
  columns.alive--;
  if (spare.length < SPARE_MAX) spare.push(id);
  else removeEntity(world.entities, id);
}

/** The handle of a living entity. The brand is the caller's knowledge of its kind. */
export function handleOf<H extends number>(world: World, id: number): H {
  return (identities(world).generation[id]! * ID_LIMIT + id) as H;
}

/**
 * Entity id of a handle.
 *
 * @throws {StaleHandleError} if the entity is gone or is not of this kind.
 */
export function resolve(world: World, handle: number, kind: Kind): number {
  const id = handle & (ID_LIMIT - 1);
  const columns = identities(world);
  if (columns.kind[id] === kind.number && columns.generation[id] === (handle - id) / ID_LIMIT) return id;
  throw staleHandle(world, handle, kind.name);
}

/** Entity id of a handle of any kind. @throws {StaleHandleError} if the entity is gone. */
export function resolveAny(world: World, handle: number): number {
  const id = handle & (ID_LIMIT - 1);
  if (!isAlive(world, handle)) throw staleHandle(world, handle, "entity");
  return id;
}

/** Whether the handle's entity still exists (it may be dying). */
export function isAlive(world: World, handle: number): boolean {
  const id = handle & (ID_LIMIT - 1);
  const columns = identities(world);
  return (columns.kind[id] ?? 0) !== 0 && columns.generation[id] === (handle - id) / ID_LIMIT;
}

function staleHandle(world: World, handle: number, wanted: string): StaleHandleError {
  const id = handle & (ID_LIMIT - 1);
  const generation = (handle - id) / ID_LIMIT;
  const columns = identities(world);
  const now = columns.generation[id];
  if (now === undefined || generation > now || !Number.isInteger(handle)) {
    return new StaleHandleError(`${handle} is not a handle of this world`);
  }
  const kind = kindOf(world, id);
  if (generation === now && kind !== undefined) {
    return new StaleHandleError(`"${columns.name[id]}" is not a ${wanted} (its kind: ${kind.name})`);
  }
  const former = generation === now - 1 ? `"${columns.tombstone[id]}"` : "an entity that died long ago";
  return new StaleHandleError(`the handle of ${wanted} ${former} is stale: it was destroyed`);
}

/** Writes to the world's event ring, if it has one; callers in hot paths ask that first. `other` 0: there is none. */
export function recordEvent(world: World, kind: EventKind, id: number, other = 0, detail?: string): void {
  world.events?.record({
    kind,
    entity: handleOf(world, id),
    name: nameOf(world, id),
    other: other === 0 ? undefined : handleOf(world, other),
    otherName: other === 0 ? undefined : nameOf(world, other),
    detail,
  });
}

/** Kind of a living entity; undefined for a free id. */
export function kindOf(world: World, id: number): Kind | undefined {
  return kinds[identities(world).kind[id]!];
}

export function nameOf(world: World, id: number): string {
  return identities(world).name[id] ?? "";
}

/** Creation order: a later entity has a greater number. */
export function creationOf(world: World, id: number): number {
  return identities(world).creation[id]!;
}

/** How many entities exist, dying ones included. */
export function countEntities(world: World): number {
  return identities(world).alive;
}

/** Ids of all entities of a kind, dying ones included, in creation order. */
export function entitiesOf(world: World, kind: Kind): number[] {
  const { kind: kinds } = identities(world);
  const found = [...query(world.entities, [kind])].filter((id) => kinds[id] === kind.number);
  return found.sort((a, b) => creationOf(world, a) - creationOf(world, b));
}
