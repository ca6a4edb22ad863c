/** Bare-metal programs for tests of the board, and a way to run them. */
import { type Assembler, assembler } from "../../../machines/riscv/assemble.ts";
import { x } from "../../../machines/riscv/registers.ts";
import { createVirt, type VirtMachine } from "../../../machines/virt/machine.ts";
import type { ExitStatus, VirtOptions } from "../../../machines/virt/options.ts";

export const RAM = 0x8000_0000;
export const UART = 0x1000_0000;
export const FINISHER = 0x10_0000;
export const POWER_OFF = 0x5555, FAIL = 0x3333, RESET = 0x7777;

/** A flat kernel for the start of RAM. */
export function program(write: (asm: Assembler) => void): { name: string; bytes: Uint8Array } {
  const asm = assembler();
  write(asm);
  return { name: "test program", bytes: asm.finish({ base: RAM }).bytes };
}

/** Sends the low byte of `register`. Changes t0. */
export function send(asm: Assembler, register: number): void {
  asm.li(x.t0, UART);
  asm.sb(register, 0, x.t0);
}

/** Sends a text of the program. Changes t0 and t1. */
export function sendText(asm: Assembler, text: string): void {
  for (const character of text) {
    asm.li(x.t1, character.charCodeAt(0));
    send(asm, x.t1);
  }
}

/** Writes to the test finisher, and waits for what it does. Changes t0 and t1. */
export function finish(asm: Assembler, value: number): void {
  asm.li(x.t0, FINISHER);
  asm.li(x.t1, value);
  asm.sw(x.t1, 0, x.t0);
  asm.j(0);
}

/** Sends `register` as 16 hexadecimal digits. Changes t0, t1 and t2. */
export function sendHex(asm: Assembler, register: number, name: string): void {
  asm.li(x.t2, 60);
  asm.label(name);
  asm.srl(x.t1, register, x.t2);
  asm.andi(x.t1, x.t1, 15);
  asm.slti(x.t0, x.t1, 10);
  asm.bnez(x.t0, `${name} decimal`);
  asm.addi(x.t1, x.t1, 39);
  asm.label(`${name} decimal`);
  asm.addi(x.t1, x.t1, 48);
  send(asm, x.t1);
  asm.addi(x.t2, x.t2, -4);
  asm.bge(x.t2, x.zero, name);
}

const SMALL_RAM = 8 * 2 ** 20;

export interface Outcome {
  exit: ExitStatus;
  output: string;
}

/** Runs a machine to its end and disposes of it; after ten seconds it is stopped. */
export async function runToEnd(
  options: VirtOptions,
  during: (machine: VirtMachine, output: () => string) => void = () => {},
): Promise<Outcome> {
  let output = "";
  const machine = createVirt({
    ramBytes: SMALL_RAM,
    ...options,
    onOutput: (byte) => output += String.fromCharCode(byte),
  });
  const impatience = setTimeout(() => machine.stop(), 10_000);
  try {
    during(machine, () => output);
    const exit = await machine.run();
    return { exit, output };
  } finally {
    clearTimeout(impatience);
    machine.dispose();
  }
}
