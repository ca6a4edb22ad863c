/** Names of the code that a machine is started with, as far as its files tell. */
import { isElf } from "./elf.ts";
import type { BootFiles } from "./firmware.ts";
import { readKallsyms } from "./kallsyms.ts";
import { readElfSymbols, type Symbol } from "./symbols.ts";

/** From ELF files and from Linux images; none for other files. @throws {ImageError} if a symbol table is damaged. */
export function symbolsOf({ firmware, kernel }: BootFiles): Symbol[] {
  const symbols: Symbol[] = [];
  if (firmware && isElf(firmware.bytes)) symbols.push(...readElfSymbols(firmware.bytes, `firmware '${firmware.name}'`));
  if (kernel) {
    const ofKernel = isElf(kernel.bytes)
      ? readElfSymbols(kernel.bytes, `kernel '${kernel.name}'`)
      : readKallsyms(kernel.bytes);
    for (const symbol of ofKernel) symbols.push(symbol);
  }
  return symbols;
}
