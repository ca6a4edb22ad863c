/**
 * The `value,key=value,…` lists of QEMU's options (QEMU docs: "Invocation"). A comma inside a value is written twice; a
 * key alone means `on`, and with `no` before it `off`.
 */

/** A mistake of the user in the command line. The message is one sentence. */
export class OptionError extends Error {
  override name = "OptionError";
}

/**
 * Keys and values in order of appearance; the last of two with the same key counts. Every key must be taken by a `take…`
 * method before `finish()`, so that nothing given is silently ignored.
 */
export class KeyValues {
  readonly #what: string;
  readonly #values: Map<string, string>;

  /** @param what Names the option in errors: "-drive". */
  constructor(what: string, values: Map<string, string>) {
    this.#what = what;
    this.#values = values;
  }

  /**
   * @param implied The key of a first item that has no `=`: `-device virtio-rng-device` means `driver=…`.
   * @throws {OptionError} if an item is empty.
   */
  static parse(what: string, text: string, implied?: string): KeyValues {
    const values = new Map<string, string>();
    for (const [i, item] of splitAtCommas(text).entries()) {
      const equals = item.indexOf("=");
      if (item === "" || equals === 0) throw new OptionError(`${what} ${text}: an item of the list is empty`);
      if (equals > 0) values.set(item.slice(0, equals), item.slice(equals + 1));
      else if (i === 0 && implied !== undefined) values.set(implied, item);
      else if (item.startsWith("no") && item.length > 2) values.set(item.slice(2), "off");
      else values.set(item, "on");
    }
    return new KeyValues(what, values);
  }

  take(key: string): string | undefined {
    const value = this.#values.get(key);
    this.#values.delete(key);
    return value;
  }

  /** @throws {OptionError} if the key is missing. */
  require(key: string): string {
    const value = this.take(key);
    if (value === undefined) throw new OptionError(`${this.#what} needs ${key}=…`);
    return value;
  }

  takeBoolean(key: string): boolean | undefined {
    const value = this.take(key);
    return value === undefined ? undefined : parseBoolean(`${this.#what}: ${key}`, value);
  }

  takeInteger(key: string, least: number, most: number): number | undefined {
    const value = this.take(key);
    return value === undefined ? undefined : parseInteger(`${this.#what}: ${key}`, value, least, most);
  }

  /** @throws {OptionError} if the value is not one of `choices`. */
  takeChoice<T extends string>(key: string, choices: readonly T[]): T | undefined {
    const value = this.take(key);
    const choice = choices.find((c) => c === value);
    if (value !== undefined && choice === undefined) {
      throw new OptionError(`${this.#what}: ${key}=${value} is not supported; possible: ${choices.join(", ")}`);
    }
    return choice;
  }

  /** What has not been taken, for a consumer that checks it elsewhere. */
  rest(): ReadonlyMap<string, string> {
    return new Map(this.#values);
  }

  /** @throws {OptionError} if something was given that nobody took. */
  finish(): void {
    const [unknown] = this.#values.keys();
    if (unknown !== undefined) throw new OptionError(`${this.#what} does not know '${unknown}'`);
  }
}

/** Splits at single commas; a doubled one stands for itself. */
function splitAtCommas(text: string): string[] {
  const items: string[] = [];
  let item = "";
  for (let i = 0; i < text.length; i++) {
    if (text[i] !== ",") item += text[i];
    else if (text[i + 1] === ",") item += text[i++];
    else {
      items.push(item);
      item = "";
    }
  }
  return [...items, item];
}

export function parseBoolean(what: string, text: string): boolean {
  if (["on", "yes", "true", "y"].includes(text)) return true;
  if (["off", "no", "false", "n"].includes(text)) return false;
  throw new OptionError(`${what} must be on or off, not '${text}'`);
}

/** A whole number in decimal or, with 0x, hexadecimal. */
export function parseInteger(what: string, text: string, least: number, most: number): number {
  const value = /^(0x[0-9a-f]+|[0-9]+)$/i.test(text) ? Number(text) : NaN;
  if (!(value >= least && value <= most)) {
    throw new OptionError(`${what} must be a number from ${least} to ${most}, not '${text}'`);
  }
  return value;
}

const SUFFIXES: Readonly<Record<string, number>> = { b: 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 };

/** A size in bytes: "256M", "1.5G"; without suffix in units of `unit` bytes. */
export function parseSize(what: string, text: string, unit: number): number {
  const match = /^([0-9]+(?:\.[0-9]+)?|0x[0-9a-f]+)([bkmgt]?)$/i.exec(text);
  if (match === null) throw new OptionError(`${what} must be a size such as 256M or 1G, not '${text}'`);
  const [, number = "", suffix = ""] = match;
  return Math.floor(Number(number) * (suffix === "" ? unit : SUFFIXES[suffix.toLowerCase()] ?? unit));
}
