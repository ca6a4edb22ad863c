/**
 * Mutations: planted faults of the core's rules, each an exact replacement in one source file, and the test that must
 * fail because of it. `deno task mutations` applies them one at a time; `mutations_test.ts` fails if one no longer fits.
 */
import { ACCESS_MUTATIONS } from "./mutations/accesses.ts";
import { GRACE_MUTATIONS } from "./mutations/grace.ts";
import { IO_EVENT_MUTATIONS } from "./mutations/io_events.ts";
import { LISTENER_MUTATIONS } from "./mutations/listeners.ts";
import { LOG_MUTATIONS } from "./mutations/logs.ts";
import { MAPPING_MUTATIONS } from "./mutations/mappings.ts";
import { OWNERSHIP_MUTATIONS } from "./mutations/ownership.ts";
import { READER_MUTATIONS } from "./mutations/readers.ts";
import { MAP_MUTATIONS } from "./mutations/views.ts";
import type { Mutation } from "./mutations/mutation.ts";

export const MUTATIONS: readonly Mutation[] = [
  ...OWNERSHIP_MUTATIONS,
  ...GRACE_MUTATIONS,
  ...MAP_MUTATIONS,
  ...LISTENER_MUTATIONS,
  ...ACCESS_MUTATIONS,
  ...IO_EVENT_MUTATIONS,
  ...LOG_MUTATIONS,
  ...MAPPING_MUTATIONS,
  ...READER_MUTATIONS,
];
