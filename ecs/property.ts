/**
 * Property: a declared, typed setting of a device type. The declaration alone says what values are legal, what the default
 * is and what the value is for.
 */

/** What a property accepts. `T` is the type of its value as the device sees it. */
export type Property<T = unknown> = {
  /** One line for lists and documentation. */
  readonly description: string;
  /** Absent: the property is required, unless `optional`. */
  readonly default?: T;
  /** Optional properties without a default are `undefined`. */
  readonly optional?: true;
} & Kind;

type Kind =
  | { readonly kind: "boolean" }
  | { readonly kind: "integer"; readonly minimum: number; readonly maximum: number }
  | { readonly kind: "size"; readonly minimum: number; readonly maximum: number }
  | { readonly kind: "text"; readonly maximum: number }
  | { readonly kind: "choice"; readonly choices: readonly string[] }
  | { readonly kind: "link"; readonly shared?: true };

export type PropertyDeclarations = { readonly [name: string]: Property };

/** The values that a device with these declarations sees. */
export type PropertiesOf<P> = {
  readonly [K in keyof P]: P[K] extends { readonly optional: true } ? Value<P[K]> | undefined : Value<P[K]>;
};

/** Values of properties whose declarations are not known here. */
export type PropertyValues = PropertiesOf<PropertyDeclarations>;

type Value<D> = D extends Property<infer T> ? T : never;

interface Defaulted<T> {
  readonly default?: T;
}

/** On or off. */
export function boolean(description: string, options: Defaulted<boolean> = {}): Property<boolean> {
  return { kind: "boolean", description, ...options };
}

/** A safe integer within `[minimum, maximum]`; default 0 to 2^32 - 1. */
export function integer(
  description: string,
  options: Defaulted<number> & { readonly minimum?: number; readonly maximum?: number } = {},
): Property<number> {
  return { kind: "integer", description, minimum: 0, maximum: 2 ** 32 - 1, ...options };
}

/** A number of bytes within `[minimum, maximum]`; default 1 to 2^53 - 1. */
export function size(
  description: string,
  options: Defaulted<number> & { readonly minimum?: number; readonly maximum?: number } = {},
): Property<number> {
  return { kind: "size", description, minimum: 1, maximum: Number.MAX_SAFE_INTEGER, ...options };
}

/** A string of at most `maximum` UTF-16 units; default 4096. */
export function text(
  description: string,
  options: Defaulted<string> & { readonly maximum?: number } = {},
): Property<string> {
  return { kind: "text", description, maximum: 4096, ...options };
}

/** One word out of a list. */
export function choice<const C extends string>(
  description: string,
  choices: readonly C[],
  options: Defaulted<NoInfer<C>> = {},
): Property<C> {
  return { kind: "choice", description, choices, ...options };
}

/** A backend or another host object of interface `T`. At most one realized device uses a target, unless it is shared. */
export function link<T extends object>(description: string, options?: { readonly shared?: true }): Property<T>;
export function link<T extends object>(
  description: string,
  options: { readonly shared?: true; readonly optional: true },
): Property<T> & { readonly optional: true };
export function link<T extends object>(
  description: string,
  options: { readonly shared?: true; readonly optional?: true } = {},
): Property<T> {
  return { kind: "link", description, ...options };
}
