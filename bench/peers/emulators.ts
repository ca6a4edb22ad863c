/** The two sides: command lines that differ in nothing but the program. */

export const PEER = "qemu-system-riscv64";
const MAIN = new URL("../../machines/main.ts", import.meta.url).pathname;
const CPU = "rv64,h=false,zba=false,zbb=false,zbc=false,zbs=false";
/** Both take `tcg` for the best that they have. */
const MACHINE = ["-M", "virt", "-cpu", CPU, "-accel", "tcg,thread=single"];
const QUIET = ["-display", "none", "-monitor", "none", "-serial", "stdio", "-no-reboot"];

export const machineArguments = (args: readonly string[]): string[] => [...MACHINE, ...QUIET, ...args];

export const peer = (args: readonly string[]): string[] => [PEER, ...machineArguments(args)];

export const ours = (args: readonly string[]): string[] => runScript(MAIN, machineArguments(args));

export function runScript(script: string, args: readonly string[]): string[] {
  return [Deno.execPath(), "run", "-q", "-A", "--no-check", script, ...args];
}
