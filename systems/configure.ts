/** Configure: checks given property values and initial state against what a device type declares. */
import { DeviceError, type DeviceType } from "../ecs/device.ts";
import type { Property, PropertyValues } from "../ecs/property.ts";

/**
 * Complete properties: given values, else defaults.
 *
 * @throws {DeviceError} naming the device, the property and what it accepts.
 */
export function configure(id: string, type: DeviceType, given: PropertyValues): PropertyValues {
  const declared = type.properties ?? {};
  for (const name of Object.keys(given)) {
    if (declared[name] === undefined) throw new DeviceError(`${who(id, type)} has no property "${name}"`);
  }
  const values: Record<string, unknown> = {};
  for (const [name, property] of Object.entries(declared)) {
    const value = given[name] ?? property.default;
    if (value === undefined) {
      if (property.optional) continue;
      throw new DeviceError(`${who(id, type)} needs a value for property "${name}": ${property.description}`);
    }
    const wanted = refuse(property, value);
    if (wanted !== undefined) {
      throw new DeviceError(`Property "${name}" of ${who(id, type)} is ${show(value)}; it must be ${wanted}`);
    }
    values[name] = value;
  }
  return Object.freeze(values);
}

/**
 * Refuses state that a snapshot could not hold.
 *
 * @throws {DeviceError} naming the field.
 */
export function checkState(id: string, type: DeviceType, state: object): void {
  for (const [name, value] of Object.entries(state)) {
    if (isPlain(value)) continue;
    throw new DeviceError(`State field "${name}" of ${who(id, type)} is not plain data`);
  }
}

function who(id: string, type: DeviceType): string {
  return `device "${id}" (${type.type})`;
}

/** What the property accepts, if not this value. */
function refuse(property: Property, value: unknown): string | undefined {
  switch (property.kind) {
    case "boolean":
      return typeof value === "boolean" ? undefined : "true or false";
    case "integer":
    case "size": {
      const fits = Number.isSafeInteger(value) && (value as number) >= property.minimum &&
        (value as number) <= property.maximum;
      return fits ? undefined : `an integer from ${property.minimum} to ${property.maximum}`;
    }
    case "text":
      return typeof value === "string" && value.length <= property.maximum
        ? undefined
        : `a text of at most ${property.maximum} characters`;
    case "choice":
      return property.choices.includes(value as string) ? undefined : `one of ${property.choices.join(", ")}`;
    case "link":
      return typeof value === "object" && value !== null ? undefined : "a host object";
  }
}

function show(value: unknown): string {
  return typeof value === "object" ? "an object" : typeof value === "string" ? `"${value}"` : String(value);
}

function isPlain(value: unknown): boolean {
  if (["number", "bigint", "boolean", "string"].includes(typeof value)) return true;
  if (Array.isArray(value)) return value.every(isPlain);
  return ArrayBuffer.isView(value);
}
