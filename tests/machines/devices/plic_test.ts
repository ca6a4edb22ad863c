import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { plic } from "../../../machines/devices/plic.ts";
import type { Device } from "../../../ecs/device.ts";
import type { Level } from "../../../ecs/irq.ts";
import { driveInput } from "../../../systems/interrupts.ts";
import { resetDevice } from "../../../systems/plug.ts";
import { Rig, withRig } from "./rig.ts";

const BASE = 0xc000000;
const priority = (source: number) => BASE + 4 * source;
const pending = (word: number) => BASE + 0x1000 + 4 * word;
const enable = (context: number, word = 0) => BASE + 0x2000 + 0x80 * context + 4 * word;
const threshold = (context: number) => BASE + 0x200000 + 0x1000 * context;
const claim = (context: number) => threshold(context) + 4;

function drive(rig: Rig, device: Device, source: number, level: Level): void {
  driveInput(rig.world, device, "source", level, source);
}

Deno.test(
  "a source interrupts the contexts that enable it, above their threshold",
  withRig((rig) => {
    const device = rig.plug(plic, BASE, { harts: 2 });
    const lines = ["machine", "supervisor"].flatMap((line) => [0, 1].map((hart) => rig.watch(device, line, hart)));
    rig.write(priority(10), 3);
    rig.write(enable(1), 1 << 10); // hart 0, supervisor
    rig.write(enable(2), 1 << 10); // hart 1, machine
    rig.write(threshold(2), 3);
    drive(rig, device, 10, 1);
    assertEquals(rig.read(pending(0)), 1 << 10);
    assertEquals(lines, [[], [], [1], []]);
    rig.write(threshold(2), 2);
    assertEquals(lines, [[], [1], [1], []]);
    assertEquals(rig.read(claim(2)), 10);
    assertEquals(lines, [[], [1, 0], [1, 0], []]);
    assertEquals(rig.read(claim(1)), 0, "another context was faster");
  }),
);

Deno.test(
  "claims come by priority, then by lowest number, and do not look at the threshold",
  withRig((rig) => {
    const device = rig.plug(plic, BASE);
    for (const [source, level] of [[3, 1], [40, 7], [41, 7], [96, 2]] as const) {
      rig.write(priority(source), level);
      rig.write(enable(0, source >> 5), rig.read(enable(0, source >> 5)) | 1 << source);
      drive(rig, device, source, 1);
    }
    rig.write(threshold(0), 7);
    assertEquals([0, 1, 2, 3, 4].map(() => rig.read(claim(0))), [40, 41, 96, 3, 0]);
  }),
);

Deno.test(
  "a level that stays asks again after completion; one that fell does not",
  withRig((rig) => {
    const device = rig.plug(plic, BASE);
    const line = rig.watch(device, "machine");
    rig.write(priority(5), 1);
    rig.write(enable(0), 1 << 5);
    drive(rig, device, 5, 1);
    assertEquals(rig.read(claim(0)), 5);
    drive(rig, device, 5, 1);
    assertEquals([rig.read(pending(0)), line], [0, [1, 0]], "held back by the gateway");
    rig.write(claim(0), 5);
    assertEquals([rig.read(pending(0)), line], [32, [1, 0, 1]]);
    assertEquals(rig.read(claim(0)), 5);
    drive(rig, device, 5, 0);
    rig.write(claim(0), 5);
    assertEquals([rig.read(pending(0)), line], [0, [1, 0, 1, 0]]);
  }),
);

Deno.test(
  "completion of a source that is not enabled, or does not exist, is ignored",
  withRig((rig) => {
    const device = rig.plug(plic, BASE);
    rig.write(priority(5), 1);
    rig.write(enable(0), 1 << 5);
    drive(rig, device, 5, 1);
    rig.read(claim(0));
    rig.write(enable(0), 0);
    for (const source of [5, 0, 97, 0xffffffff]) rig.write(claim(0), source);
    rig.write(enable(0), 1 << 5);
    assertEquals(rig.read(claim(0)), 0, "still in service");
    rig.write(claim(0), 5);
    assertEquals(rig.read(claim(0)), 5);
  }),
);

Deno.test(
  "priority 0 never interrupts; source 0 and sources beyond the last do not exist",
  withRig((rig) => {
    const device = rig.plug(plic, BASE);
    rig.write(enable(0), 0xffffffff);
    rig.write(enable(0, 3), 0xffffffff);
    assertEquals([rig.read(enable(0)), rig.read(enable(0, 3))], [0xfffffffe, 1]);
    drive(rig, device, 1, 1);
    assertEquals(rig.read(claim(0)), 0);
    for (const source of [0, 96, 97]) rig.write(priority(source), 0xff);
    assertEquals([0, 96, 97].map((source) => rig.read(priority(source))), [0, 7, 0]);
    rig.write(threshold(0), 0xffffffff);
    assertEquals(rig.read(threshold(0)), 7);
  }),
);

Deno.test(
  "reset forgets everything but the levels",
  withRig((rig) => {
    const device = rig.plug(plic, BASE);
    rig.write(priority(5), 1);
    rig.write(enable(0), 1 << 5);
    drive(rig, device, 5, 1);
    resetDevice(rig.world, device);
    assertEquals([priority(5), enable(0), threshold(0)].map((address) => rig.read(address)), [0, 0, 0]);
  }),
);

Deno.test(
  "only words are accepted",
  withRig((rig) => {
    rig.plug(plic, BASE);
    assertEquals(([1, 2, 8, 4] as const).map((size) => rig.write(priority(8), 0, size) !== 0), [
      true,
      true,
      true,
      false,
    ]);
  }),
);

Deno.test("any sequence of accesses and levels keeps the gateway's rule: pending or in service, never both anew", () => {
  const step = fc.record({
    kind: fc.nat(4),
    source: fc.integer({ min: 0, max: 100 }),
    value: fc.nat(8),
    context: fc.nat(3),
  });
  fc.assert(
    fc.property(fc.array(step, { minLength: 20, maxLength: 60 }), (steps) => {
      const rig = new Rig();
      const device = rig.plug(plic, BASE, { harts: 2 });
      const claimed = new Set<number>();
      for (const { kind, source, value, context } of steps) {
        const word = source >> 5;
        if (kind === 0) rig.write(priority(source), value);
        if (kind === 1) rig.write(enable(context, word), rig.read(enable(context, word)) | 1 << source);
        if (kind === 2 && source <= 96) drive(rig, device, source, value & 1 ? 1 : 0);
        if (kind === 3) {
          const got = rig.read(claim(context));
          assertEquals(claimed.has(got), false, "claimed twice without completion");
          if (got !== 0) claimed.add(got);
        }
        if (kind === 4) {
          rig.write(claim(context), source);
          if (rig.read(enable(context, word)) >>> (source & 31) & 1) claimed.delete(source);
        }
      }
      rig.dispose();
    }),
    { numRuns: 60 },
  );
});
