/**
 * The demonstration guest: a program in machine mode that shows what the machine is made of, answers keys, and unplugs a
 * device under that device's own handler. Written with the assembler that comes from the instruction table.
 */
import { type Assembler, assembler } from "../../riscv/assemble.ts";
import { x } from "../../riscv/registers.ts";
import { INTERRUPT, MEMORY_MAP } from "../memory_map.ts";
import { EJECTOR } from "./ejector.ts";

const { a0, a1, a2, ra, s0, s1, s2, s3, s4, s5, s6, s7, s8, s10, s11, sp, t0, t1, t2, zero } = x;

const STACK = 0x10_0000;
/** 16550A: receive and transmit register, interrupt enable, line status and its two bits. */
const DATA = 0, ENABLE = 1, STATUS = 5, RECEIVED = 1, EMPTY = 0x20;
/** PLIC: priorities, enable bits of hart 0 in machine mode, and its threshold and claim registers. */
const PRIORITY = 4 * INTERRUPT.serial, ENABLES = 0x2000, CLAIM = 0x20_0004;
const MACHINE_EXTERNAL = 1 << 11;
const POWER_OFF = 0x5555, RESET = 0x7777;
/** Tokens of a flattened device tree (specification 5.4.1). */
const BEGIN_NODE = 1, PROPERTY = 3, END = 9;

const WELCOME = `
Freehold: a RISC-V machine in TypeScript. This is its demonstration guest,
a program in machine mode that has read the device tree. It found:

`;
const MENU = `
  m  memory map          u  unplug a device inside its own handler
  t  time                r  reboot          q  power off
  Ctrl-A x quits the emulator, Ctrl-A h helps.
`;

/** The program, to be loaded at the start of RAM. */
export function demonstrationGuest(): Uint8Array {
  const asm = assembler();
  const texts: string[] = [];
  /** Calls the routine that prints `text`, which goes behind the program. */
  const say = (text: string) => {
    asm.la(a0, `text${texts.length}`);
    texts.push(text);
    asm.call("print");
  };
  start(asm, say);
  menu(asm, say);
  unplug(asm, say);
  walk(asm, say);
  console(asm);
  for (const [i, text] of texts.entries()) {
    asm.label(`text${i}`);
    asm.ascii(text.replaceAll("\n", "\r\n") + "\0");
  }
  return asm.finish({ base: MEMORY_MAP.dram.address }).bytes;
}

type Say = (text: string) => void;

/** a1 is the device tree, as the reset vector leaves it. Throughout: s0 the UART, s1 the tree, s10 and s11 the last trap. */
function start(asm: Assembler, say: Say): void {
  asm.bnez(a0, "park");
  asm.mv(s1, a1);
  asm.li(s0, MEMORY_MAP.serial.address);
  asm.li(sp, MEMORY_MAP.dram.address + STACK);
  asm.la(t0, "trap");
  asm.csrw("mtvec", t0);

  // A key must end `wfi`: UART → PLIC → machine external interrupt, which stays masked in mstatus.
  asm.li(t0, 1);
  asm.sb(t0, ENABLE, s0);
  asm.li(t1, MEMORY_MAP.plic.address);
  asm.sw(t0, PRIORITY, t1);
  asm.li(t2, MEMORY_MAP.plic.address + ENABLES);
  asm.li(t0, 1 << INTERRUPT.serial);
  asm.sw(t0, 0, t2);
  asm.li(t0, MACHINE_EXTERNAL);
  asm.csrw("mie", t0);
  say(WELCOME);
  asm.call("walk");
  say(MENU);
  asm.j("prompt");

  asm.label("park");
  asm.wfi();
  asm.j("park");

  asm.align(4);
  asm.label("trap"); // Remembers cause and address, and goes on after the instruction. All loads here are 4 bytes long.
  asm.csrr(s10, "mcause");
  asm.csrr(s11, "mtval");
  asm.csrr(t0, "mepc");
  asm.addi(t0, t0, 4);
  asm.csrw("mepc", t0);
  asm.mret();
}

function menu(asm: Assembler, say: Say): void {
  const keys: [keys: string, label: string][] = [["m", "map"], ["t", "time"], ["u", "unplug"], ["r", "reboot"], [
    "\x03",
    "interrupt",
  ]];
  asm.label("prompt");
  say("\n> ");
  asm.label("listen");
  asm.call("getKey");
  asm.mv(s2, a0);
  for (const [key, label] of [...keys, ["q", "quit"], ["\x04", "quit"]] as const) {
    asm.li(t0, key.charCodeAt(0));
    asm.beq(s2, t0, `key ${label}`);
  }
  asm.li(t0, 0x20);
  asm.bltu(s2, t0, "listen");
  asm.mv(a0, s2);
  asm.call("putCharacter");
  say(": there is no such key\n");
  say(MENU);
  asm.j("prompt");

  asm.label("key map");
  say("memory map, out of the device tree\n");
  asm.call("walk");
  asm.j("prompt");

  asm.label("key interrupt");
  say("Ctrl-C reaches the guest, and this one goes on; Ctrl-A x quits the emulator");
  asm.j("prompt");

  asm.label("key time");
  say("time since the start, in units of 100 ns: 0x");
  asm.csrr(a0, "time");
  asm.li(a1, 16);
  asm.call("putHex");
  asm.j("prompt");

  for (const [label, value, text] of [["reboot", RESET, "reboot\n"], ["quit", POWER_OFF, "power off\n"]] as const) {
    asm.label(`key ${label}`);
    say(text);
    asm.li(t0, MEMORY_MAP.testFinisher.address);
    asm.li(t1, value);
    asm.sw(t1, 0, t0);
    asm.j("park");
  }
}

function unplug(asm: Assembler, say: Say): void {
  asm.label("key unplug");
  say("unplug\nguest: reading the device at 0x04000000 ... ");
  asm.call("readEjector");
  asm.bnez(s10, "faulted");
  say("it says 0x");
  asm.mv(a0, s8);
  asm.li(a1, 8);
  asm.call("putHex");
  say("\nguest: writing its eject register\n");
  asm.li(t0, EJECTOR.address);
  asm.li(t1, 1);
  asm.li(s10, 0);
  asm.sw(t1, 4, t0);
  asm.bnez(s10, "faulted");
  say("guest: the write has completed. Reading the device again ... ");
  asm.call("readEjector");
  asm.label("faulted");
  asm.beqz(s10, "answered");
  say("access fault, cause ");
  asm.addi(a0, s10, "0".charCodeAt(0));
  asm.call("putCharacter");
  say(", at 0x");
  asm.mv(a0, s11);
  asm.li(a1, 8);
  asm.call("putHex");
  say(": it is gone\n");
  asm.j("prompt");
  asm.label("answered");
  say("it still answers\n");
  asm.j("prompt");

  asm.label("readEjector"); // s8 = what it says; s10 = cause of the trap, 0 if none
  asm.li(t0, EJECTOR.address);
  asm.li(s10, 0);
  asm.lwu(s8, 0, t0);
  asm.ret();
}

/** Prints every node that has addresses. s2 the next token, s3 the names, s4 the node, s5 and s6 its addresses. */
function walk(asm: Assembler, say: Say): void {
  asm.label("walk");
  asm.addi(sp, sp, -16);
  asm.sd(ra, 0, sp);
  asm.addi(a0, s1, 8);
  asm.call("readBig");
  asm.add(s2, s1, a0);
  asm.addi(a0, s1, 12);
  asm.call("readBig");
  asm.add(s3, s1, a0);

  asm.label("token");
  asm.call("nextBig");
  asm.li(t0, BEGIN_NODE);
  asm.beq(a0, t0, "node");
  asm.li(t0, PROPERTY);
  asm.beq(a0, t0, "property");
  asm.li(t0, END);
  asm.bne(a0, t0, "token");
  asm.ld(ra, 0, sp);
  asm.addi(sp, sp, 16);
  asm.ret();

  asm.label("node");
  asm.mv(s4, s2);
  asm.label("nameByte");
  asm.lbu(t0, 0, s2);
  asm.addi(s2, s2, 1);
  asm.bnez(t0, "nameByte");
  asm.j("aligned");

  asm.label("property");
  asm.call("nextBig");
  asm.mv(s7, a0);
  asm.call("nextBig");
  asm.add(a0, s3, a0);
  asm.mv(s5, s2);
  asm.add(s2, s2, s7);
  for (const [i, character] of [..."reg\0"].entries()) {
    asm.lbu(t0, i, a0);
    asm.li(t1, character.charCodeAt(0));
    asm.bne(t0, t1, "aligned");
  }
  asm.li(t0, 16); // two cells of address and two of size
  asm.bne(s7, t0, "aligned");
  asm.mv(s7, s2);
  asm.mv(s2, s5);
  say("  0x");
  asm.call("nextBig64");
  asm.mv(s6, a0);
  asm.li(a1, 8);
  asm.call("putHex");
  say(" - 0x");
  asm.call("nextBig64");
  asm.add(a0, s6, a0);
  asm.addi(a0, a0, -1);
  asm.li(a1, 8);
  asm.call("putHex");
  say("  ");
  asm.mv(a0, s4);
  asm.call("print");
  say("\n");
  asm.mv(s2, s7);
  asm.label("aligned");
  asm.addi(s2, s2, 3);
  asm.andi(s2, s2, -4);
  asm.j("token");

  asm.label("nextBig64");
  asm.addi(sp, sp, -16);
  asm.sd(ra, 0, sp);
  asm.call("nextBig");
  asm.slli(a0, a0, 32);
  asm.sd(a0, 8, sp);
  asm.call("nextBig");
  asm.ld(t0, 8, sp);
  asm.or(a0, a0, t0);
  asm.ld(ra, 0, sp);
  asm.addi(sp, sp, 16);
  asm.ret();

  asm.label("nextBig"); // the 32 bits at s2, big-endian; s2 moves on
  asm.mv(a0, s2);
  asm.addi(s2, s2, 4);
  asm.label("readBig");
  asm.mv(a2, a0);
  asm.li(a0, 0);
  for (const i of [0, 1, 2, 3]) {
    asm.slli(a0, a0, 8);
    asm.lbu(t0, i, a2);
    asm.or(a0, a0, t0);
  }
  asm.ret();
}

function console(asm: Assembler): void {
  asm.label("getKey");
  asm.lbu(t0, STATUS, s0);
  asm.andi(t0, t0, RECEIVED);
  asm.bnez(t0, "received");
  asm.wfi();
  asm.li(t1, MEMORY_MAP.plic.address + CLAIM);
  asm.lw(t0, 0, t1);
  asm.sw(t0, 0, t1);
  asm.j("getKey");
  asm.label("received");
  asm.lbu(a0, DATA, s0);
  asm.ret();

  asm.label("print"); // the text at a0, up to a zero
  asm.mv(a2, ra);
  asm.mv(t2, a0);
  asm.label("printByte");
  asm.lbu(a0, 0, t2);
  asm.addi(t2, t2, 1);
  asm.beqz(a0, "printed");
  asm.call("putCharacter");
  asm.j("printByte");
  asm.label("printed");
  asm.jr(a2);

  asm.label("putHex"); // a1 digits of a0
  asm.mv(a2, ra);
  asm.mv(t2, a0);
  asm.label("digit");
  asm.addi(a1, a1, -1);
  asm.slli(t0, a1, 2);
  asm.srl(a0, t2, t0);
  asm.andi(a0, a0, 15);
  asm.li(t0, 10);
  asm.bltu(a0, t0, "decimal");
  asm.addi(a0, a0, "a".charCodeAt(0) - "0".charCodeAt(0) - 10);
  asm.label("decimal");
  asm.addi(a0, a0, "0".charCodeAt(0));
  asm.call("putCharacter");
  asm.bne(a1, zero, "digit");
  asm.jr(a2);

  asm.label("putCharacter"); // a0; changes t0 only
  asm.lbu(t0, STATUS, s0);
  asm.andi(t0, t0, EMPTY);
  asm.beqz(t0, "putCharacter");
  asm.sb(a0, DATA, s0);
  asm.ret();
}
