/** What must be true of a hart must be true of one that translates everything at its first execution. */
import { AT_ONCE } from "../tiers.ts";
import { testEverythingIn } from "./everything.ts";

await testEverythingIn(AT_ONCE);
