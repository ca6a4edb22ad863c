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
import { renderChanges, type ViewChange } from "./share_views.ts";

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
 */
export function transaction<T>(world: World, body: () => T): T {
  const state = transactions(world);
  drainCoalesced(world);
  state.depth++;
  try {
    return body();
  } finally {
    state.depth--;
    commit(world);
  }
}

/** How many transactions are open. */
export function transactionDepth(world: World): number {
  return transactions(world).depth;
}

/**
 * Lets all changes take effect, unless a transaction is open. Called during a commit, by a listener or a destructor, it
 * leaves the changes to another round of that commit (S108).
 */
export function commit(world: World): void {
  const state = transactions(world);
  if (state.depth > 0 || state.isCommitting || !isPending(world)) return;
  if (hasDirtySpaces(world) || mayCollect(world)) deliverCollected(world);
  state.isCommitting = true;
  try {
    let announced = 0;
    while (isPending(world)) {
      if ((hasDirtySpaces(world) || hasIoEventChanges(world)) && announced++ === ANNOUNCEMENTS_MAX) {
        return world.reportFault(
          new RunawayCommitError(`callbacks changed the topology in ${announced} commits on end`),
        );
      }
      const changes = renderChanges(world); // merges windows, re-renders them, tells the difference
      announceChanges(world, changes); // begin, del, nop and add; spaces still show the old views
      publish(changes); // all new views together
      announceIoEvents(world, changes); // io events that went and came
      announceCommit(world, changes);
      retireChanges(world, changes); // old views and dying entities, under one epoch
      reclaim(world); // what no reader sees: destructors, ids, guest memory
      collect(world); // what nobody counts on is unlinked; the next round commits that
    }
  } finally {
    state.isCommitting = false;
  }
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
  return hasDirtySpaces(world) || hasIoEventChanges(world) || mayCollect(world) || hasUnlinked(world) ||
    canReclaim(world);
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
