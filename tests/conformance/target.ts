/** What the lockstep runner needs of a hart, and the peer's hart seen through its gdb port. */

import { fromHex, type GdbRemote, GdbRemoteError, registerFromHex, registerToHex, toHex } from "./gdb_remote.ts";

/** Architectural state that is compared. Keys are register names. */
export type State = ReadonlyMap<string, bigint>;

export interface Target {
  /** Physical memory. */
  writeMemory(address: number, bytes: Uint8Array): Promise<void>;
  readMemory(address: number, length: number): Promise<Uint8Array>;
  /** Machine mode, whatever went before. */
  enterMachineMode(): Promise<void>;
  /** Sets registers: "pc", "x1" … "x31", "f0" … "f31", or the name of a CSR. */
  write(registers: State): Promise<void>;
  /** The same, and "priv", the privilege mode. */
  read(names: readonly string[]): Promise<Map<string, bigint>>;
  /** Executes one instruction, or takes its trap. */
  step(): Promise<void>;
}

/** The CSRs that are compared or set, by number (privileged specification, CSR listing). */
export const CSRS: Readonly<Record<string, number>> = {
  fcsr: 0x003,
  sstatus: 0x100,
  stvec: 0x105,
  scounteren: 0x106,
  sscratch: 0x140,
  sepc: 0x141,
  scause: 0x142,
  stval: 0x143,
  satp: 0x180,
  mstatus: 0x300,
  misa: 0x301,
  medeleg: 0x302,
  mideleg: 0x303,
  mie: 0x304,
  mtvec: 0x305,
  mcounteren: 0x306,
  menvcfg: 0x30a,
  mscratch: 0x340,
  mepc: 0x341,
  mcause: 0x342,
  mtval: 0x343,
  pmpcfg0: 0x3a0,
  pmpaddr0: 0x3b0,
  pmpaddr1: 0x3b1,
  pmpaddr2: 0x3b2,
  pmpaddr3: 0x3b3,
  mhartid: 0xf14,
};

/** Numbering of QEMU's target description: x0–x31, pc, f0–f31, the privilege mode, then CSRs. */
const PC = 32, FIRST_FLOAT = 33, PRIVILEGE = 65, FIRST_CSR = 66;

function numberOf(name: string): number {
  if (name === "pc") return PC;
  if (name === "priv") return PRIVILEGE;
  const csr = CSRS[name];
  if (csr !== undefined) return FIRST_CSR + csr;
  const match = /^([xf])(\d+)$/.exec(name);
  if (match === null) throw new GdbRemoteError(`There is no register ${name}.`);
  return Number(match[2]) + (match[1] === "f" ? FIRST_FLOAT : 0);
}

const MEMORY_CHUNK = 1024;

export class PeerTarget implements Target {
  constructor(readonly gdb: GdbRemote) {}

  /** The stub gives single registers once its description was read; memory packets act on physical addresses from here on. */
  async start(): Promise<void> {
    await this.gdb.readObject("features", "target.xml");
    await this.gdb.request("Qqemu.PhyMemMode:1");
  }

  async writeMemory(address: number, bytes: Uint8Array): Promise<void> {
    const packets: string[] = [];
    for (let at = 0; at < bytes.length; at += MEMORY_CHUNK) {
      const chunk = bytes.subarray(at, at + MEMORY_CHUNK);
      packets.push(`M${(address + at).toString(16)},${chunk.length.toString(16)}:${toHex(chunk)}`);
    }
    for (const reply of await this.#each(packets)) {
      if (reply !== "OK") throw new GdbRemoteError(`The peer refused to write memory: ${reply}`);
    }
  }

  async readMemory(address: number, length: number): Promise<Uint8Array> {
    const packets: string[] = [];
    for (let at = 0; at < length; at += MEMORY_CHUNK) {
      packets.push(`m${(address + at).toString(16)},${Math.min(MEMORY_CHUNK, length - at).toString(16)}`);
    }
    return fromHex((await this.#each(packets)).join(""));
  }

  async write(registers: State): Promise<void> {
    const packets = Array.from(registers, ([name, value]) => `P${numberOf(name).toString(16)}=${registerToHex(value)}`);
    const replies = await this.gdb.requests(packets);
    const refused = replies.findIndex((reply) => reply !== "OK");
    if (refused >= 0) throw new GdbRemoteError(`The peer refused ${packets[refused]}: ${replies[refused]}`);
  }

  async enterMachineMode(): Promise<void> {
    await this.write(new Map([["priv", 3n]]));
  }

  async read(names: readonly string[]): Promise<Map<string, bigint>> {
    const state = new Map<string, bigint>();
    const single = names.filter((name) => !/^(x\d+|pc)$/.test(name));
    const packets = ["g", ...single.map((name) => `p${numberOf(name).toString(16)}`)];
    let [general = "", ...others] = await this.gdb.requests(packets);
    if (others.some((reply) => reply.startsWith("E"))) {
      // Some CSRs are readable in machine mode only, or while TVM is off, even for a debugger.
      const { priv = 0n } = Object.fromEntries(await this.read(["priv"]));
      await this.enterMachineMode();
      [general = "", ...others] = await this.gdb.requests(packets);
      await this.write(new Map([["priv", priv]]));
      const index = single.indexOf("priv");
      if (index >= 0) others[index] = registerToHex(priv);
    }
    for (const name of names) {
      const number = numberOf(name);
      if (number <= PC) state.set(name, registerFromHex(general.slice(number * 16, number * 16 + 16)));
    }
    for (const [index, name] of single.entries()) {
      const reply = others[index] ?? "";
      if (reply.startsWith("E") || reply === "") throw new GdbRemoteError(`The peer has no register ${name}: ${reply}`);
      state.set(name, registerFromHex(reply));
    }
    return state;
  }

  async step(): Promise<void> {
    const reply = await this.gdb.request("s");
    if (!reply.startsWith("T05")) throw new GdbRemoteError(`The peer did not stop after a step: ${reply}`);
  }

  /** Large packets one at a time: the stub's own buffer is a few kilobytes. */
  async #each(packets: readonly string[]): Promise<string[]> {
    const replies: string[] = [];
    for (const packet of packets) replies.push(await this.gdb.request(packet));
    return replies;
  }
}
