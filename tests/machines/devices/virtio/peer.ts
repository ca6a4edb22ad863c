/**
 * The same guest actions on QEMU: actions on a bench are recorded with their results and played again through qtest, where
 * every result must be the same.
 */
import { assertEquals } from "@std/assert";
import { SLOT } from "./bench.ts";
import type { GuestBus } from "./driver.ts";

const PEER = "qemu-system-riscv64";
/** Where QEMU puts the first virtio device. */
const PEER_SLOT = 0x10008000;
/** Entropy comes only while the machine runs (Debian's build has no accelerator that does nothing): its hart waits, `wfi; j .-4`. */
const IDLE = "loader,addr=0x80000000,data=0xffdff06f10500073,data-len=8";
const PATIENCE_MS = 5000;
const WIDTH = { 1: "b", 2: "w", 4: "l" } as const;

export const peerMissing = (() => {
  try {
    return !new Deno.Command(PEER, { args: ["--version"], stdout: "null", stderr: "null" }).outputSync().success;
  } catch {
    return true;
  }
})();

interface Action {
  /** qtest command and what it must answer, if that matters. */
  command: string;
  answer?: string;
  /** The answer may take a while. */
  eventually?: boolean;
}

/** A bus that notes what goes over it. */
export class Recorder implements GuestBus {
  readonly actions: Action[] = [];

  constructor(readonly bus: GuestBus) {}

  load(address: number, size: 1 | 2 | 4): number {
    const value = this.bus.load(address, size);
    this.actions.push({ command: `read${WIDTH[size]} ${at(address)}`, answer: hex(value, 16) });
    return value;
  }

  /** The value as it is here once all work is done; the peer may get there later. */
  awaitLoad(address: number, size: 1 | 2 | 4): number {
    const value = this.load(address, size);
    const action = this.actions.at(-1);
    if (action) action.eventually = true;
    return value;
  }

  /** As `load`, without demanding that the peer agrees. */
  loadAnything(address: number, size: 1 | 2 | 4): number {
    const value = this.load(address, size);
    delete this.actions.at(-1)?.answer;
    return value;
  }

  store(address: number, value: number, size: 1 | 2 | 4): void {
    this.bus.store(address, value, size);
    this.actions.push({ command: `write${WIDTH[size]} ${at(address)} 0x${value.toString(16)}` });
  }

  loadBytes(address: number, length: number): Uint8Array {
    const bytes = this.bus.loadBytes(address, length);
    this.actions.push({ command: `read ${at(address)} ${length}`, answer: `0x${text(bytes)}` });
    return bytes;
  }

  storeBytes(address: number, bytes: Uint8Array): void {
    this.bus.storeBytes(address, bytes);
    this.actions.push({ command: `write ${at(address)} ${bytes.length} 0x${text(bytes)}` });
  }

  /** Plays everything again on QEMU with these options. */
  async play(options: readonly string[]): Promise<void> {
    const args = ["-M", "virt", "-m", "64", "-bios", "none", "-display", "none", "-device", IDLE];
    const child = new Deno.Command(PEER, {
      args: [...args, "-qtest", "stdio", "-qtest-log", "/dev/null", ...options],
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const writer = child.stdin.getWriter();
    const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    let pending = "";
    const ask = async (command: string): Promise<string> => {
      await writer.write(new TextEncoder().encode(command + "\n"));
      for (;;) {
        const end = pending.indexOf("\n");
        if (end >= 0) {
          const line = pending.slice(0, end);
          pending = pending.slice(end + 1);
          return line;
        }
        const { value } = await lines.read();
        if (value === undefined) throw new Error(`${PEER} ended at "${command}"`);
        pending += value;
      }
    };
    try {
      for (const [index, { command, answer, eventually }] of this.actions.entries()) {
        let seen = await ask(command);
        const patience = Date.now() + PATIENCE_MS;
        while (eventually && seen !== `OK ${answer}` && Date.now() < patience) seen = await ask(command);
        if (answer !== undefined) {
          assertEquals(`OK ${answer}`, seen, `action ${index}, ${command}: we and the peer differ`);
        }
      }
    } finally {
      await writer.close().catch(() => {});
      stop(child);
      await lines.cancel();
      await child.status;
    }
  }
}

/** A peer that has ended by itself can't be killed any more, which is as well. */
function stop(child: Deno.ChildProcess): void {
  try {
    child.kill("SIGKILL");
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
  }
}

function at(address: number): string {
  const inSlot = address >= SLOT && address < SLOT + 0x200;
  return `0x${(inSlot ? address - SLOT + PEER_SLOT : address).toString(16)}`;
}

function hex(value: number, digits: number): string {
  return `0x${value.toString(16).padStart(digits, "0")}`;
}

function text(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
