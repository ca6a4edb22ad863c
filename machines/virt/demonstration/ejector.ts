/**
 * A device that the guest can unplug while its own handler runs: the case in which emulators use memory after it was
 * freed. It exists in the demonstration only.
 */
import {
  bits,
  defineDevice,
  type Device,
  type Instance,
  link,
  type PropertiesOf,
  type Register,
} from "../../devices/define.ts";

/** Takes the device out of the machine. */
export interface EjectorHost {
  eject(device: Device): void;
}

/** Where the demonstration puts it, in guest-physical bytes. */
export const EJECTOR = { address: 0x400_0000, size: 0x1000, identity: 0x45_4a_43_54 } as const;

const properties = { host: link<EjectorHost>("who unplugs the device", { shared: true }) };

interface State {
  /** Writes to EJECT: proof that the device's state outlives its place in the machine. */
  ejects: number;
}

type Ejector = Instance<State, PropertiesOf<typeof properties>>;

const REGISTERS: readonly Register<Ejector>[] = [
  { name: "IDENTITY", offset: 0, bytes: 4, access: "ro", read: () => EJECTOR.identity },
  {
    name: "EJECT",
    offset: 4,
    bytes: 4,
    fields: bits({ now: 0 }),
    read: (d) => d.state.ejects,
    write(d) {
      d.properties.host.eject(d.device);
      d.state.ejects++;
    },
  },
];

export const ejector = defineDevice<State, typeof properties>({
  type: "demonstration-ejector",
  description: "device that unplugs itself when EJECT is written",
  properties,
  state: () => ({ ejects: 0 }),
  regions: { registers: { size: EJECTOR.size, registers: REGISTERS } },
});
