/** Dispose: ends a world and gives everything back, whoever still counts on it. */
import { AddressSpaceKind } from "../ecs/address_space.ts";
import { entitiesOf, type Kind } from "../ecs/handle.ts";
import { openHoldings, unlinkHolding } from "../ecs/holding.ts";
import { NotifierKind } from "../ecs/io_event.ts";
import { ListenerKind } from "../ecs/listener.ts";
import { OwnerKind } from "../ecs/owner.ts";
import { RegionKind } from "../ecs/region.ts";
import type { World } from "../ecs/world.ts";
import { abandon } from "./collect.ts";
import { dismissReaders, openReaders, scopeDepth } from "./epoch.ts";
import { InUseError } from "./finalize.ts";
import { commit, transactionDepth } from "./transaction.ts";

/** Listeners first, so that nobody is told of the end piece by piece. */
const ORDER: readonly Kind[] = [ListenerKind, AddressSpaceKind, RegionKind, NotifierKind, OwnerKind];

/**
 * Finalizes every entity, in reverse creation order, static ones included. Readers are dismissed: harts and workers must
 * have stopped. The world is empty afterwards.
 *
 * @throws {InUseError} if a transaction or a read scope is open on this stack.
 */
export function disposeWorld(world: World): void {
  if (transactionDepth(world) > 0) throw new InUseError("cannot dispose of a world inside of a transaction");
  if (scopeDepth(world) > 0) {
    throw new InUseError(`cannot dispose of a world while ${openReaders(world).join(", ")} is open`);
  }
  dismissReaders(world);
  for (const holding of openHoldings(world)) unlinkHolding(world, holding);
  abandon(world, ORDER.flatMap((kind) => entitiesOf(world, kind)));
  commit(world);
}
