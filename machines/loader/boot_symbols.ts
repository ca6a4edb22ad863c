/** Names of the code that a machine is started with, as far as its files tell. */
import { isElf } from "./elf.ts";
import type { BootFiles } from "./firmware.ts";
import { readElfSymbols, type Symbol } from "./symbols.ts";

/** None for files that carry no symbols. @throws {ImageError} if a symbol table is damaged. */
export function symbolsOf({ firmware, kernel }: BootFiles): Symbol[] {
  const symbols: Symbol[] = [];
  if (firmware && isElf(firmware.bytes)) symbols.push(...readElfSymbols(firmware.bytes, `firmware '${firmware.name}'`));
  if (kernel && isElf(kernel.bytes)) symbols.push(...readElfSymbols(kernel.bytes, `kernel '${kernel.name}'`));
  return symbols;
}
