/**
 * Prepare: before anything of a commit is announced, listeners are asked for what it would add (W22). One that refuses
 * has the transaction undone, so that a mapping that an accelerator cannot make is an error of whoever asked for it, and
 * not of a callback that nobody can answer. What cannot be undone, since it died or stands, takes place all the same.
 */
import { formatAddress, TOP } from "../ecs/address.ts";
import { AddressSpaceKind } from "../ecs/address_space.ts";
import { nameOf, resolve } from "../ecs/handle.ts";
import { type ListenerRecord, listenersOf, mayRefuse, type Section } from "../ecs/listener.ts";
import { RegionKind } from "../ecs/region.ts";
import { defineState, type World } from "../ecs/world.ts";
import { TopologyError } from "./admission.ts";
import { call } from "./call_listener.ts";
import { markSpace } from "./dirty_windows.ts";
import { currentMask, hasMaskChanges } from "./log_masks.ts";
import { sectionOf } from "./section.ts";
import { renderChanges, type ViewChange } from "./share_views.ts";
import { canRestore, restore, takePlacements } from "./undo.ts";

/** A listener refused a range; nothing of the transaction has taken effect (or, in a registration, of that). */
export class RefusedError extends TopologyError {
  override readonly name = "RefusedError";
  /** Names of who refused what. */
  readonly listener: string;
  readonly region: string;

  constructor(world: World, { id }: ListenerRecord, section: Section, cause: unknown) {
    const listener = nameOf(world, id);
    const region = nameOf(world, resolve(world, section.region, RegionKind));
    const where = `${formatAddress(section.address)} of "${
      nameOf(world, resolve(world, section.space, AddressSpaceKind))
    }"`;
    const reason = cause instanceof Error ? cause.message : String(cause);
    super(`listener "${listener}" refused region "${region}" at ${where}: ${reason}`, { cause });
    this.listener = listener;
    this.region = region;
  }
}

interface Prepared {
  readonly listener: ListenerRecord;
  readonly section: Section;
}

const asking = defineState(() => ({ asked: undefined as string | undefined, prepared: [] as Prepared[] }));

/** What a commit changes, and who would not have it: then the mutators' part of it has been undone. */
export interface Agreed {
  readonly changes: readonly ViewChange[];
  readonly refusal: RefusedError | undefined;
}

/** Renders what was marked since the last call, and asks those who may refuse. Nothing is published yet. */
export function agreeOnChanges(world: World): Agreed {
  const placements = takePlacements(world);
  const changes = renderChanges(world);
  if (changes.length === 0 || !mayRefuse(world)) return { changes, refusal: undefined };
  if (!canRestore(placements) || world.policy.refusedAdd === "announced") {
    askAll(world, changes);
    return { changes, refusal: undefined };
  }
  const refusal = ask(world, changes);
  if (refusal === undefined) return { changes, refusal };
  restore(world, placements);
  for (const { space } of changes) markSpace(world, space, 0, TOP);
  const left = renderChanges(world).filter(({ removed, added }) =>
    hasMaskChanges(world) || removed.length + added.length > 0
  );
  askAll(world, left);
  return { changes: left, refusal };
}

/** Asks for each range that comes, by ascending address and priority, until one is refused; then nobody is prepared. */
function ask(world: World, changes: readonly ViewChange[]): RefusedError | undefined {
  for (const { listener, section } of questions(world, changes)) {
    const refusal = prepare(world, listener, section);
    if (refusal === undefined) continue;
    cancelPrepared(world);
    return refusal;
  }
  asking(world).prepared = [];
}

/** Asks for what comes in any case; refusals are reported. */
function askAll(world: World, changes: readonly ViewChange[]): void {
  for (const { listener, section } of questions(world, changes)) {
    const refusal = prepare(world, listener, section);
    if (refusal !== undefined) world.reportFault(refusal);
  }
  asking(world).prepared = [];
}

function* questions(world: World, changes: readonly ViewChange[]): Generator<Prepared> {
  for (const { space, added } of changes) {
    const listeners = listenersOf(world, space.id).filter(({ callbacks }) => callbacks.regionPrepare !== undefined);
    if (listeners.length === 0) continue;
    for (const range of added) {
      const section = sectionOf(world, space, range, currentMask(world, range.region));
      for (const listener of listeners) if (listener.isRegistered) yield { listener, section };
    }
  }
}

function prepare(world: World, listener: ListenerRecord, section: Section): RefusedError | undefined {
  const state = asking(world);
  state.asked = nameOf(world, listener.id);
  try {
    listener.callbacks.regionPrepare?.(section);
    if (listener.isRegistered) state.prepared.push({ listener, section });
  } catch (cause) {
    if (listener.isRegistered) return new RefusedError(world, listener, section, cause);
  } finally {
    state.asked = undefined;
  }
}

/** Tells those who were prepared, or one of them, that what they were prepared for does not come. */
export function cancelPrepared(world: World, only?: ListenerRecord): void {
  const state = asking(world);
  const { prepared, asked } = state;
  const concerned = prepared.filter(({ listener }) => only === undefined || listener === only).reverse();
  state.prepared = prepared.filter((one) => !concerned.includes(one));
  for (const { listener, section } of concerned) {
    state.asked = nameOf(world, listener.id);
    call(world, listener, () => listener.callbacks.regionCancel?.(section));
  }
  state.asked = asked;
}

/**
 * Asks one listener for what its space shows already.
 *
 * @throws {RefusedError} if it refuses any of it; what it was prepared for before has been cancelled.
 */
export function prepareReplay(world: World, listener: ListenerRecord, sections: Iterable<Section>): void {
  for (const section of sections) {
    const refusal = prepare(world, listener, section);
    if (refusal === undefined) continue;
    if (world.policy.refusedAdd === "announced") world.reportFault(refusal);
    else {
      cancelPrepared(world, listener);
      throw refusal;
    }
  }
  asking(world).prepared = [];
}

/** Whether a listener is asked what it accepts. */
export function isAsking(world: World): boolean {
  return asking(world).asked !== undefined;
}

/** @throws {TopologyError} while listeners are asked: what they are asked about must not change meanwhile. */
export function refuseWhileAsked(world: World, what: string): void {
  const { asked } = asking(world);
  if (asked === undefined) return;
  throw new TopologyError(`cannot change "${what}" while listener "${asked}" is asked what it accepts`);
}
