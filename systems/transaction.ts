/**
 * Transaction: changes of topology take effect together, when the outermost transaction ends. {@linkcode commit} is the
 * whole pipeline. A mutator outside of any transaction is one of its own.
 */
import { publishView } from "../ecs/address_space.ts";
import { defineState, type World } from "../ecs/world.ts";
import { collect, hasUnlinked, mayCollect, takeUnlinked } from "./collect.ts";
import { hasDirtySpaces } from "./dirty_windows.ts";
import { drainCoalesced } from "./coalesced_ring.ts";
import { advanceEpoch } from "./epoch.ts";
import { announceChanges, announceCommit } from "./notify.ts";
import { canReclaim, reclaim, retire } from "./retire.ts";
import { announceIoEvents, hasIoEventChanges } from "./io_event_lists.ts";
import { agreeOnChanges, type RefusedError } from "./prepare.ts";
import type { ViewChange } from "./share_views.ts";
import { forgetPlacements } from "./undo.ts";

/** Callbacks that keep changing the topology: their changes wait for the next commit. */
export class RunawayCommitError extends Error {
  override readonly name = "RunawayCommitError";
}

/** Rounds of one commit in which views change: callbacks may cause another, but not for ever. */
const ANNOUNCEMENTS_MAX = 100;

const transactions = defineState(() => ({ depth: 0, isCommitting: false }));

/**
 * Runs `body`; what it changes takes effect when the outermost transaction ends. If it throws, what was changed before
 * stays and takes effect (every single mutation is all or nothing), and the depth is as before (LC31).
 *
 * @throws {RefusedError} from the outermost one, if a listener refuses what it would add (W22): regions are as before.
 */
export function transaction<T>(world: World, body: () => T): T {
  return within(world, body, commit);
}

/**
 * A transaction around callbacks: what they change takes effect when it ends. What is refused of that is reported, since
 * whoever called did not ask for it.
 */
export function callbackTransaction(world: World, body: () => void): void {
  within(world, body, commitAnyway);
}

function within<T>(world: World, body: () => T, end: (world: World) => void): T {
  const state = transactions(world);
  drainCoalesced(world);
  state.depth++;
  let isWhole = false;
  try {
    const result = body();
    isWhole = true;
    return result;
  } finally {
    state.depth--;
    if (isWhole) end(world);
    else commitAnyway(world);
  }
}

/** Of two errors the body's goes to the caller, and a refusal is reported. */
function commitAnyway(world: World): void {
  try {
    commit(world);
  } catch (refusal) {
    world.reportFault(refusal as Error);
  }
}

/** How many transactions are open. */
export function transactionDepth(world: World): number {
  return transactions(world).depth;
}

/**
 * Lets all changes take effect, unless a transaction is open. Called during a commit, by a listener or a destructor, it
 * leaves the changes to another round of that commit (S108); what is refused of those is reported.
 *
 * @throws {RefusedError} if a listener refused the changes: they have been undone.
 */
export function commit(world: World): void {
  const state = transactions(world);
  if (state.depth > 0 || state.isCommitting) return;
  if (!isPending(world)) return forgetPlacements(world);
  if (hasDirtySpaces(world) || mayCollect(world)) deliverCollected(world);
  state.isCommitting = true;
  let refused: RefusedError | undefined;
  try {
    let announced = 0;
    let isCallers = true;
    if (!hasChanges(world)) collect(world); // something was dropped, and a round would tell nothing before
    while (isPending(world)) {
      if ((hasDirtySpaces(world) || hasIoEventChanges(world)) && announced++ === ANNOUNCEMENTS_MAX) {
        return world.reportFault(
          new RunawayCommitError(`callbacks changed the topology in ${announced} commits on end`),
        );
      }
      const isTopology = hasDirtySpaces(world);
      const { changes, refusal } = agreeOnChanges(world); // windows are merged, re-rendered, compared; listeners asked
      if (isCallers) refused = refusal;
      else if (refusal !== undefined) world.reportFault(refusal);
      isCallers = false;
      announceChanges(world, changes, isTopology); // begin, del, nop and add; spaces still show the old views
      publish(changes); // all new views together
      announceIoEvents(world, changes); // io events that went and came
      announceCommit(world, changes);
      retireChanges(world, changes); // old views and dying entities, under one epoch
      reclaim(world); // what no reader sees: destructors, ids, guest memory
      collect(world); // what nobody counts on is unlinked; the next round commits that
    }
  } finally {
    state.isCommitting = false;
    forgetPlacements(world);
  }
  if (refused !== undefined) throw refused;
}

/** What was written before a change is delivered before it (M2); what the handlers change takes effect with it. */
function deliverCollected(world: World): void {
  const state = transactions(world);
  state.depth++;
  try {
    drainCoalesced(world);
  } finally {
    state.depth--;
  }
}

function isPending(world: World): boolean {
  return mayCollect(world) || hasChanges(world);
}

function hasChanges(world: World): boolean {
  return hasDirtySpaces(world) || hasIoEventChanges(world) || hasUnlinked(world) || canReclaim(world);
}

function publish(changes: readonly ViewChange[]): void {
  for (const { space, view } of changes) if (space.root !== 0) publishView(space, view);
}

function retireChanges(world: World, changes: readonly ViewChange[]): void {
  const { entities, ranges } = takeUnlinked(world);
  const removed = changes.length === 1 && ranges.length === 0
    ? changes[0]!.removed
    : [...ranges, ...changes.flatMap((change) => change.removed)];
  if (removed.length + entities.length > 0) retire(world, removed, entities);
  else if (changes.length > 0) advanceEpoch(world); // readers that cached "nothing is there" look again
}
