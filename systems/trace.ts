/** Trace: lines about what guests do wrong go to the world's trace, and no device can flood it. */
import { countTrace, type DeviceRow, type Instance } from "../ecs/device.ts";

/** `guest-error`: the guest did what hardware leaves undefined; `unimplemented`: hardware does more than the model; `host-error`: the host failed the device. */
export type TraceKind = "guest-error" | "unimplemented" | "host-error";

/** Lines that a device may write between two resets. */
const LINES_PER_DEVICE = 50;

/** Writes a line about `d`. */
export function trace(d: Instance<object, object>, kind: TraceKind, sentence: string): void {
  const lines = countTrace(d as DeviceRow);
  if (lines > LINES_PER_DEVICE) return;
  d.world.trace(
    `${d.id}: ${kind}: ${lines === LINES_PER_DEVICE ? "further lines of this device are dropped" : sentence}`,
  );
}
