/** What must be true of a hart must be true of one that translates everything at its first execution. */
import { tiers } from "../bare_metal.ts";

tiers.translation = { threshold: 1, limit: 16, eager: true };
await import("../execute_test.ts");
await import("../paging_test.ts");
await import("../pmp_test.ts");
await import("../trap_test.ts");
await import("../soft_float/hart_test.ts");
