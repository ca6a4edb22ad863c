/** Read scopes: while one is open, what was visible when it opened stays in existence (specification 1.19, LC20). */
import type { World } from "../ecs/world.ts";
import {
  addReader,
  currentEpoch,
  enterScope,
  hasRemoteReaders,
  leaveScope,
  openReaders,
  type Reader,
  type ReaderSlot,
  removeReader,
  scopeDepth,
} from "./epoch.ts";
import { callSiteInto } from "./call_site.ts";
import { retiredQueue, untilReclaimed } from "./retire.ts";
import { commit, transactionDepth } from "./transaction.ts";

/** How often `drain` looks at the slots of workers. */
const POLL_MS = 1;

/** Waiting for readers from inside of a read scope would wait for itself (LC22). */
export class DrainInScopeError extends Error {
  override readonly name = "DrainInScopeError";
}

/** What an open transaction takes out of sight is retired when it ends: waiting inside of it would miss that. */
export class DrainInTransactionError extends Error {
  override readonly name = "DrainInTransactionError";
}

/** Runs `body` inside a read scope. `name` says who opened it, in messages. */
export function readScope<T>(world: World, name: string, body: () => T): T {
  const state = enterScope(world, name);
  try {
    return body();
  } finally {
    leaveScope(state);
    if (state.depth === 0) commit(world);
  }
}

/** A scope that outlives the call stack; scopes close in any order. */
export function openScope(world: World, name: string): Reader {
  return addReader(world, name, currentEpoch(world));
}

export function closeScope(world: World, scope: Reader): void {
  unregisterReader(world, scope);
}

/**
 * Registers a reader that keeps what it has seen, such as a hart with its TLB. It is quiescent until it announces.
 * After any call into the host a reader whose `epoch` is below {@linkcode currentEpoch} drops what it keeps and announces.
 */
export function registerReader(world: World, name: string): Reader {
  return addReader(world, name, Infinity);
}

/** The reader has dropped everything that it saw before now, and goes on reading. */
export function announce(world: World, reader: Reader): void {
  reader.epoch = currentEpoch(world);
  if (scopeDepth(world) === 0) commit(world);
}

/** The reader has dropped everything, and reads nothing until it announces. */
export function quiesce(world: World, reader: Reader): void {
  reader.epoch = Infinity;
  if (scopeDepth(world) === 0) commit(world);
}

/** The reader has ended: it reads nothing any more, or is a worker that was terminated. */
export function unregisterReader(world: World, reader: ReaderSlot): void {
  removeReader(world, reader);
  if (scopeDepth(world) === 0) commit(world);
}

/**
 * Resolves when everything that is retired now has been reclaimed.
 *
 * @throws {DrainInScopeError} at once, if a read scope is open on this stack (S18).
 * @throws {DrainInTransactionError} at once, if a transaction is.
 */
export function drain(world: World): Promise<void> {
  if (scopeDepth(world) > 0) {
    throw new DrainInScopeError(`drain would wait for its own caller: ${openReaders(world).join(", ")} is open`);
  }
  if (transactionDepth(world) > 0) {
    const opener = callSiteInto("transaction.ts");
    throw new DrainInTransactionError(
      `drain would miss what the open transaction takes out of sight; opened at ${opener}`,
    );
  }
  commit(world);
  if (hasRemoteReaders(world)) poll(world);
  return untilReclaimed(world);
}

/** Nothing on this thread tells when a worker leaves. */
function poll(world: World): void {
  if (retiredQueue(world).length === 0) return;
  setTimeout(() => {
    commit(world);
    poll(world);
  }, POLL_MS);
}
