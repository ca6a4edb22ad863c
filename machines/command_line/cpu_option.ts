/** The option `-cpu`: what the harts have, by the names of QEMU's properties (`-cpu rv64,zba=off,sv57=off`). */
import {
  ALL_FEATURES,
  type HartFeatures,
  isPlain,
  OPTIONAL_EXTENSIONS,
  type OptionalExtension,
} from "../riscv/features.ts";
import { KeyValues, OptionError } from "./key_values.ts";
import type { CommandLine } from "./request.ts";

const MODELS = ["rv64", "max", "any"];
/** Properties of what every hart has, and of what none has: either can be said, but not changed. */
const ALWAYS = ["i", "m", "a", "f", "d", "c", "g", "s", "u", "zicsr", "zifencei", "pmp"];
/** Of QEMU's properties those that name extensions; others are not known here. */
const NEVER = [
  ...["e", "h", "v", "j", "zfh", "zfhmin", "zve32f", "zve64f", "zdinx", "zfinx", "zhinx", "zhinxmin", "zmmul", "zawrs"],
  ...["zbkb", "zbkc", "zbkx", "zk", "zkn", "zknd", "zkne", "zknh", "zkr", "zks", "zksed", "zksh", "zkt"],
  ...["svinval", "svnapot", "svpbmt", "svadu", "sscofpmf", "x-epmp", "x-smaia", "x-ssaia", "xventanacondops"],
];
/** Depths of page tables: with one switched off, so are the deeper ones. */
const TABLES = [["sv39", 3], ["sv48", 4], ["sv57", 5]] as const;

/** What came after bit manipulation, and QEMU 7.2's rv64 has not. */
const LATER: readonly OptionalExtension[] = ["Zicbom", "Zicboz", "Zicond"];
const CHANGEABLE = [...OPTIONAL_EXTENSIONS.map((name) => name.toLowerCase()), ...TABLES.map(([name]) => name), "mmu"];

/** @throws {OptionError} for a model or property that is not known, or that the harts cannot have. */
export function applyCpu(line: CommandLine, value: string): void {
  if (value === "help") return void (line.print = "rv64\n");
  const list = KeyValues.parse("-cpu", value, "model");
  const model = list.take("model") ?? "rv64";
  if (!MODELS.includes(model)) throw new OptionError(`-cpu ${model}: there is no such CPU; -cpu help lists them`);
  const wanted = new Map<string, boolean>();
  for (const given of list.rest().keys()) {
    const name = known(given);
    const isOn = list.takeBoolean(given) ?? true;
    if (CHANGEABLE.includes(name)) wanted.set(name, isOn);
    else if (isOn !== ALWAYS.includes(name)) {
      const why = isOn ? "the harts don't have that" : "every hart is RV64GC with M, S and U mode and PMP";
      throw new OptionError(`-cpu ${given}=${isOn ? "on" : "off"} is not supported: ${why}`);
    }
  }
  line.features = { extensions: extensionsOf(wanted), levels: levelsOf(wanted) };
}

/** A property's name in lower case: QEMU's own differ in that from version to version. */
function known(given: string): string {
  const name = given.toLowerCase();
  if ([CHANGEABLE, ALWAYS, NEVER].some((names) => names.includes(name))) return name;
  throw new OptionError(`-cpu does not know '${given}'; it knows ${CHANGEABLE.join(", ")}`);
}

/**
 * All that there are and that are not switched off; but without any bit manipulation, what came later is there only if
 * it is asked for, so that such a hart is QEMU 7.2's.
 */
function extensionsOf(wanted: ReadonlyMap<string, boolean>): ReadonlySet<OptionalExtension> {
  const isOn = (name: OptionalExtension) => wanted.get(name.toLowerCase());
  const extensions = new Set(OPTIONAL_EXTENSIONS.filter((name) => isOn(name) !== false));
  if (isPlain({ extensions })) { for (const name of LATER) if (!isOn(name)) extensions.delete(name); }
  return extensions;
}

/** Those that are switched off end the list, those that are switched on say where it ends (as in QEMU from 8.0 on). */
function levelsOf(wanted: ReadonlyMap<string, boolean>): HartFeatures["levels"] {
  if (wanted.get("mmu") === false) {
    const table = TABLES.find(([name]) => wanted.get(name));
    if (table) throw new OptionError(`-cpu ${table[0]}=on needs the MMU, and mmu=off switches it off`);
    return 0;
  }
  const deepest = TABLES.findLast(([name]) => wanted.get(name));
  const firstOff = TABLES.find(([name]) => wanted.get(name) === false);
  if (deepest && firstOff && firstOff[1] < deepest[1]) {
    throw new OptionError(`-cpu ${deepest[0]}=on needs ${firstOff[0]} too, and ${firstOff[0]}=off switches it off`);
  }
  if (deepest) return deepest[1];
  if (!firstOff) return ALL_FEATURES.levels;
  return TABLES.findLast(([, levels]) => levels < firstOff[1])?.[1] ?? 0;
}
