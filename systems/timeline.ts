/** Timeline: the lives of entities, out of the world's event ring: as data, as text, and as a trace that browsers draw. */
import type { LifeEvent } from "../ecs/event_ring.ts";
import type { World } from "../ecs/world.ts";

/** The world was created without the option `timeline`. */
export class NoTimelineError extends Error {
  override readonly name = "NoTimelineError";
}

/**
 * What happened to an entity, or had to do with it, oldest first; without `entity`, to all. The entity may be dead: its
 * handle still tells it from its successors. As far back as the ring goes.
 *
 * @throws {NoTimelineError} if the world keeps no events.
 */
export function timeline(world: World, entity?: number): LifeEvent[] {
  if (world.events === undefined) {
    throw new NoTimelineError("this world keeps no events: create it with the option timeline, the number to keep");
  }
  const events = world.events.events();
  return entity === undefined ? events : events.filter((event) => event.entity === entity || event.other === entity);
}

/** A line for each event. @throws {NoTimelineError} */
export function timelineText(world: World, entity?: number): string {
  return timeline(world, entity).map(sentence).join("\n");
}

function sentence({ time, kind, name, otherName, detail }: LifeEvent): string {
  const preposition = { attached: "to", detached: "from", pinned: "by", released: "by" }[kind as string] ?? "with";
  const other = otherName === undefined ? "" : ` ${preposition} "${otherName}"`;
  return `${time.toFixed(3)} ms: "${name}" ${kind}${other}${detail === undefined ? "" : ` (${detail})`}`;
}

/** One event of the Trace Event Format, as Perfetto and chrome://tracing read it; times in microseconds. */
export interface TraceEvent {
  readonly name: string;
  readonly cat: string;
  /** `b` and `e` begin and end a life, `n` is an instant of it, `M` names a process. */
  readonly ph: "b" | "e" | "n" | "M";
  readonly ts: number;
  readonly pid: number;
  readonly tid: number;
  /** Which life: the handle. */
  readonly id?: string;
  readonly args: { readonly [name: string]: string | number };
}

/**
 * The events as a trace (Trace Event Format, nestable asynchronous events): a row for each entity from its creation to
 * its end, with what happened to it. `JSON.stringify` of this is a file for ui.perfetto.dev. A begin and an end belong
 * together there, so a life that began before the oldest event that is kept begins with that, and one that goes on ends
 * with the newest; their `detail` says so.
 *
 * @throws {NoTimelineError}
 */
export function timelineTrace(world: World, entity?: number): { readonly traceEvents: readonly TraceEvent[] } {
  const events = timeline(world).filter((event) => entity === undefined || event.entity === entity);
  const named: TraceEvent = { name: "process_name", cat: "", ph: "M", ts: 0, pid: 1, tid: 1, args: { name: "world" } };
  return { traceEvents: [named, ...begunBefore(events), ...events.map(traceEvent), ...goingOn(events)] };
}

/** The beginnings that are not kept any more. */
function begunBefore(events: readonly LifeEvent[]): TraceEvent[] {
  const first = new Map<number, LifeEvent>();
  for (const event of events) if (!first.has(event.entity)) first.set(event.entity, event);
  const { time = 0, sequence = 0 } = events[0] ?? {};
  return [...first.values()].filter(({ kind }) => kind !== "created")
    .map((event) => traceEvent({ ...bare(event), kind: "created", time, sequence, detail: "before the oldest event" }));
}

/** The ends that have not come. */
function goingOn(events: readonly LifeEvent[]): TraceEvent[] {
  const last = new Map(events.map((event) => [event.entity, event]));
  const { time = 0, sequence = 0 } = events.at(-1) ?? {};
  return [...last.values()].filter(({ kind }) => kind !== "finalized")
    .map((event) => traceEvent({ ...bare(event), kind: "finalized", time, sequence, detail: "still there" }));
}

function bare({ entity, name }: LifeEvent) {
  return { entity, name, other: undefined, otherName: undefined };
}

function traceEvent({ kind, name, entity, otherName, detail, time, sequence }: LifeEvent): TraceEvent {
  const ph = kind === "created" ? "b" : kind === "finalized" ? "e" : "n";
  return {
    name: ph === "n" ? `${kind}${otherName === undefined ? "" : ` ${otherName}`}` : name,
    cat: "life",
    ph,
    ts: Math.round(time * 1000),
    pid: 1,
    tid: 1,
    id: String(entity),
    args: { sequence, entity: name, ...(otherName === undefined ? {} : { other: otherName }), detail: detail ?? "" },
  };
}
