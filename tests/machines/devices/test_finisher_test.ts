import { assertEquals } from "@std/assert";
import { testFinisher } from "../../../machines/devices/test_finisher.ts";
import { withRig } from "./rig.ts";

Deno.test(
  "the finisher ends the machine with the guest's status, or resets it",
  withRig((rig) => {
    const asked: string[] = [];
    const host = {
      shutdown: (status: number) => void asked.push(`exit ${status}`),
      reset: () => void asked.push("reset"),
    };
    rig.plug(testFinisher, 0x100000, { host });
    for (const command of [0x5555, 0x3333, 0x7_3333, 0xffff_3333, 0x7777, 0x1234, 0]) rig.write(0x100000, command);
    assertEquals(asked, ["exit 0", "exit 0", "exit 7", "exit 65535", "reset"]);
    assertEquals(rig.read(0x100000), 0);
    assertEquals(rig.traces.length, 3, "two unknown commands and a read are traced");
  }),
);

Deno.test(
  "a halfword is a command without a code",
  withRig((rig) => {
    const asked: number[] = [];
    rig.plug(testFinisher, 0x100000, { host: { shutdown: (status: number) => void asked.push(status), reset() {} } });
    rig.write(0x100000, 0x3333, 2);
    assertEquals(asked, [0]);
  }),
);

Deno.test(
  "bytes and doublewords are refused",
  withRig((rig) => {
    const asked: number[] = [];
    rig.plug(testFinisher, 0x100000, { host: { shutdown: (status: number) => void asked.push(status), reset() {} } });
    assertEquals(
      [1, 2, 4, 8].map((size) => rig.write(0x100000, 0x5555 & (size === 1 ? 0xff : -1), size as 1 | 2 | 4 | 8) !== 0),
      [true, false, false, true],
    );
    assertEquals(asked, [0, 0]);
  }),
);
