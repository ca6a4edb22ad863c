/**
 * Test finisher: one register through which the guest ends or restarts the machine.
 *
 * SiFive test device as on QEMU's `virt` (device tree: `sifive,test1`, with syscon-poweroff and syscon-reboot nodes).
 */
import { bits, defineDevice, type Instance, link, type PropertiesOf, type Register, trace } from "./define.ts";

/** What the machine does when the guest asks. */
export interface FinisherHost {
  /** Powers off; `status` is what the process exits with. */
  shutdown(status: number): void;
  /** Resets the machine. */
  reset(): void;
}

const properties = {
  host: link<FinisherHost>("machine to end or restart", { shared: true }),
};

type Finisher = Instance<object, PropertiesOf<typeof properties>>;

const FINISH = bits({ command: [0, 15], code: [16, 31] });
const Command = { FAIL: 0x3333, PASS: 0x5555, RESET: 0x7777 };

const REGISTERS: readonly Register<Finisher>[] = [{
  name: "FINISH",
  offset: 0,
  bytes: 4,
  access: "wo",
  fields: FINISH,
  write(d, value) {
    const { host } = d.properties;
    const command = value & FINISH.command;
    if (command === Command.PASS) host.shutdown(0);
    else if (command === Command.FAIL) host.shutdown(value >>> 16);
    else if (command === Command.RESET) host.reset();
    else trace(d, "guest-error", `unknown command 0x${command.toString(16)}`);
  },
}];

export const testFinisher = defineDevice<object, typeof properties>({
  type: "riscv.sifive.test",
  description: "SiFive test finisher: power off, reset",
  properties,
  state: () => ({}),
  regions: { registers: { size: 0x1000, registers: REGISTERS, valid: { min: 2, max: 4 } } },
});
