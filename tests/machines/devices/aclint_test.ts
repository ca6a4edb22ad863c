import { assertEquals } from "@std/assert";
import { clint, mtime } from "../../../machines/devices/aclint.ts";
import { resetDevice } from "../../../systems/plug.ts";
import { withRig } from "./rig.ts";

const BASE = 0x2000000;
const MTIMECMP = BASE + 0x4000;
const MTIME = BASE + 0xbff8;
const NEVER = 2n ** 64n - 1n;

Deno.test(
  "each hart has a software interrupt, of which one bit exists",
  withRig((rig) => {
    const device = rig.plug(clint, BASE, { harts: 3 });
    const lines = [0, 1, 2].map((hart) => rig.watch(device, "software", hart));
    rig.write(BASE + 4, 0xffffffff);
    assertEquals(rig.read(BASE + 4), 1);
    rig.write(BASE + 4, 0xfffffffe);
    assertEquals(lines, [[], [1, 0], []]);
    rig.write(BASE + 12, 1);
    assertEquals(rig.read(BASE + 12), 0, "there is no fourth hart");
  }),
);

Deno.test(
  "mtime counts 10 MHz and can be set, whole or by halves",
  withRig((rig) => {
    const device = rig.plug(clint, BASE);
    rig.time = 1_234_567_899;
    assertEquals([rig.read64(MTIME), mtime(rig.world, device)], [12_345_678n, 12_345_678n]);
    rig.write(MTIME, 0x1_0000_0000n, 8);
    rig.time += 250;
    assertEquals([rig.read64(MTIME), rig.read(MTIME), rig.read(MTIME + 4)], [0x1_0000_0003n, 3, 1]);
    rig.write(MTIME + 4, 7);
    assertEquals(rig.read64(MTIME), 0x7_0000_0003n);
  }),
);

Deno.test(
  "the timer interrupt is pending from mtime = mtimecmp on, until mtimecmp is moved",
  withRig((rig) => {
    const device = rig.plug(clint, BASE, { harts: 2 });
    const lines = [0, 1].map((hart) => rig.watch(device, "timer", hart));
    assertEquals(lines, [[1], [1]], "mtimecmp is 0 at power-on");
    rig.write(MTIMECMP, NEVER, 8);
    rig.write(MTIMECMP + 8, 100n, 8);
    rig.runUntil(9_999);
    assertEquals(lines, [[1, 0], [1, 0]]);
    rig.runUntil(10_000);
    assertEquals(lines, [[1, 0], [1, 0, 1]]);
    rig.write(MTIMECMP + 8, 101n, 8);
    rig.runUntil(10_100);
    assertEquals(lines, [[1, 0], [1, 0, 1, 0, 1]]);
  }),
);

Deno.test(
  "mtimecmp by halves, as 32-bit guests write it",
  withRig((rig) => {
    const device = rig.plug(clint, BASE);
    const line = rig.watch(device, "timer");
    rig.write(MTIMECMP, 0xffffffff);
    rig.write(MTIMECMP + 4, 0);
    rig.write(MTIMECMP, 50);
    assertEquals(rig.read64(MTIMECMP), 50n);
    rig.runUntil(5_000);
    assertEquals(line, [1, 0, 1]);
  }),
);

Deno.test(
  "setting mtime moves every deadline",
  withRig((rig) => {
    const device = rig.plug(clint, BASE);
    const line = rig.watch(device, "timer");
    rig.write(MTIMECMP, 1000n, 8);
    rig.write(MTIME, 990n, 8);
    rig.runUntil(999);
    assertEquals(line, [1, 0]);
    rig.runUntil(1000);
    assertEquals(line, [1, 0, 1]);
    rig.write(MTIME, 0n, 8);
    assertEquals(line, [1, 0, 1, 0]);
  }),
);

Deno.test(
  "a deadline that the clock can't reach arms nothing",
  withRig((rig) => {
    rig.plug(clint, BASE);
    for (const target of [NEVER, 2n ** 63n, 2n ** 53n / 100n + 1n]) {
      rig.write(MTIMECMP, target, 8);
      assertEquals([rig.clock.armed.length, rig.read64(MTIMECMP)], [0, target]);
    }
  }),
);

Deno.test(
  "reset stops the time at 0 and withdraws software interrupts",
  withRig((rig) => {
    const device = rig.plug(clint, BASE);
    const line = rig.watch(device, "software");
    rig.write(BASE, 1);
    rig.time = 1e9;
    resetDevice(rig.world, device);
    assertEquals([rig.read64(MTIME), rig.read(BASE), line], [0n, 0, [1, 0]]);
  }),
);

Deno.test(
  "bytes and halfwords are refused; doublewords reach the timer only",
  withRig((rig) => {
    rig.plug(clint, BASE);
    const refused = [[BASE, 1], [BASE, 2], [BASE, 8], [MTIMECMP, 1], [MTIMECMP, 2]] as const;
    assertEquals(refused.map(([address, size]) => rig.write(address, 0, size) !== 0), refused.map(() => true));
    assertEquals(([[BASE, 4], [MTIMECMP, 8]] as const).map(([address, size]) => rig.write(address, 0, size)), [0, 0]);
  }),
);
