/** Define: everything that a device is written with. See README.md in this folder for a worked example. */
import type { DeviceType, Instance, RegionDeclaration } from "../../ecs/device.ts";
import type { PropertiesOf, PropertyDeclarations } from "../../ecs/property.ts";
import type { MmioOps } from "../../ecs/region.ts";
import { type Register, registerFile } from "./registers.ts";

export { type Device, DeviceError, type DeviceType, type Instance } from "../../ecs/device.ts";
export { boolean, choice, integer, link, type PropertiesOf, size, text } from "../../ecs/property.ts";
export type { Level } from "../../ecs/irq.ts";
export { schedule } from "../../systems/bottom_half.ts";
export { lineLevel, setLine } from "../../systems/interrupts.ts";
export { atUnrealize, childDevice, deviceRegion, instance } from "../../systems/plug.ts";
export { armTimer, cancelTimer, now } from "../../systems/timers.ts";
export { trace } from "../../systems/trace.ts";
export { bits, type Register } from "./registers.ts";

/** Registers and access rules of one region, or raw handlers. */
export type RegionSource<S extends object, P extends object> =
  & Pick<RegionDeclaration<S, P>, "size">
  & (
    | {
      readonly registers:
        | readonly Register<Instance<S, P>>[]
        | ((properties: P) => readonly Register<Instance<S, P>>[]);
      /** Access sizes that the hardware takes; default: any, aligned. */
      readonly valid?: MmioOps<Instance<S, P>>["valid"];
      readonly endian?: "little" | "big";
      /** An access of any size acts on the one register at its address, not on its neighbours too. */
      readonly single?: boolean;
    }
    | { readonly ops: MmioOps<Instance<S, P>> }
  );

/** A declaration of a device type: {@linkcode DeviceType} with register files. */
export type Declaration<S extends object, P extends PropertyDeclarations> =
  & Omit<DeviceType<S, P>, "regions" | "survivesReset">
  & {
    readonly survivesReset?: readonly (keyof S & string)[];
    readonly regions?: { readonly [name: string]: RegionSource<S, PropertiesOf<P>> };
  };

/** A device type out of its declaration. */
export function defineDevice<S extends object, P extends PropertyDeclarations = Record<never, never>>(
  declaration: Declaration<S, P>,
): DeviceType<S, P> {
  const regions: Record<string, RegionDeclaration<S, PropertiesOf<P>>> = {};
  for (const [name, region] of Object.entries(declaration.regions ?? {})) {
    regions[name] = { size: region.size, ops: "ops" in region ? region.ops : handlers(region) };
  }
  return Object.freeze({ ...declaration, regions });
}

function handlers<S extends object, P extends object>(
  region: Extract<RegionSource<S, P>, { registers: unknown }>,
): RegionDeclaration<S, P>["ops"] {
  const { registers, valid, endian, single } = region;
  const build = (list: readonly Register<Instance<S, P>>[]) => ({ ...registerFile(list, single), valid, endian });
  return typeof registers === "function" ? (properties: P) => build(registers(properties)) : build(registers);
}
