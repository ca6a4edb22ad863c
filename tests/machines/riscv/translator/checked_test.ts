/** What must be true of a hart must be true of one that checks whatever it has translated. */
import { CHECKED } from "../tiers.ts";
import { testEverythingIn } from "./everything.ts";

await testEverythingIn(CHECKED);
