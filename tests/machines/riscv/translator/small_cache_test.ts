/** What must be true of a hart must be true of one that has room for three regions only. */
import { SMALL_CACHE } from "../tiers.ts";
import { testEverythingIn } from "./everything.ts";

await testEverythingIn(SMALL_CACHE);
