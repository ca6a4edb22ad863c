/** What must be true of harts, whatever tier they run in: the tests of harts once more, in this one. */
import { current, type Tier } from "../tiers.ts";

export async function testEverythingIn(tier: Tier): Promise<void> {
  current.tier = tier;
  await import("../address_space_test.ts");
  await import("../cache_blocks_test.ts");
  await import("../breakpoint_test.ts");
  await import("../dirty_log_test.ts");
  await import("../execute_test.ts");
  await import("../features_test.ts");
  await import("../hostile_test.ts");
  await import("../hot_changes_test.ts");
  await import("../page_permissions_test.ts");
  await import("../paging_test.ts");
  await import("../pmp_test.ts");
  await import("../trap_test.ts");
  await import("../soft_float/hart_test.ts");
}
