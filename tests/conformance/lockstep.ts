/** Runs a case on two harts at once and reports the first difference. */

import { disassemble } from "../../machines/riscv/disassemble.ts";
import { type Case, COMPARED_MEMORY, PLACES } from "./random_case.ts";
import { incomparable, touchesPagesOtherwise, unexplained } from "./known_differences.ts";
import type { State, Target } from "./target.ts";

const GENERAL = Array.from({ length: 31 }, (_, i) => `x${i + 1}`);
const FLOATS = Array.from({ length: 32 }, (_, i) => `f${i}`);
const EVERY_STEP = ["pc", ...GENERAL, "priv", "mstatus", "mcause", "mepc", "mtval", "scause", "sepc", "stval"];
const AT_END = [
  ...[...EVERY_STEP, ...FLOATS, "satp", "medeleg", "mideleg", "mtvec", "stvec", "mscratch", "sscratch"],
  ...["mcounteren", "scounteren", "misa", "mie"],
];
/** FS Dirty; UXL 64 bits, in which the peer would keep whatever a stream wrote. */
const FLOAT_STATE_ON = 3n << 13n | 2n << 32n;

/** Instructions before a case is left, if it did not trap. */
const STEPS = 16;

/** SC to scratch memory through x1, SFENCE.VMA, MRET. */
const LAUNCH = new Uint8Array(Uint32Array.of(0x1800_a02f, 0x1200_0073, 0x3020_0073).buffer);

/**
 * Runs one case on the peer and on ours.
 *
 * @returns the number of steps that were compared, or a description of the first difference
 */
export async function runCase(peer: Target, ours: Target, situation: Case): Promise<number | string> {
  const targets = [peer, ours] as const;
  for (const target of targets) await launch(target, situation);
  let pc = situation.pc;
  const allowed = { lowered: situation.mode !== 3, tables: false };
  let step = 0;
  for (let isTrap = false; step < STEPS && !isTrap; step++) {
    const before = pc;
    const word = await wordAt(ours, before);
    for (const target of targets) await target.step();
    const states = [await peer.read(EVERY_STEP), await ours.read(EVERY_STEP)] as const;
    allowed.lowered ||= states[1].get("priv") !== 3n;
    const different = differences(states, allowed.lowered);
    if (different.length > 0) {
      const excused = incomparable({ word, pc: before, peer: states[0], ours: states[1] });
      return excused ? step : describe(situation, step, before, word, different);
    }
    await alignStatus(peer, ...states);
    pc = states[1].get("pc") ?? 0n;
    isTrap = pc === BigInt(PLACES.machineVector) || pc === BigInt(PLACES.supervisorVector);
    // Streams change stvec: a trap is told from where an atomic instruction leads.
    allowed.tables ||= touchesPagesOtherwise(word, pc !== before + 4n);
  }
  return await compareAtEnd(targets, situation, step, allowed) ?? step;
}

/** Where ours was allowed to make FS Dirty and the peer did not, the peer follows: a later read must give the same. */
async function alignStatus(peer: Target, theirs: State, ours: State): Promise<void> {
  const [left = 0n, right = 0n] = [theirs.get("mstatus"), ours.get("mstatus")];
  const fs = 3n << 13n;
  if ((left & fs) !== (right & fs)) await peer.write(new Map([["mstatus", left | fs]]));
}

/** Which differences earlier steps may leave behind. */
interface Allowed {
  /** The hart was below machine mode: MPRV. */
  lowered: boolean;
  /** A and D bits. */
  tables: boolean;
}

async function launch(target: Target, situation: Case): Promise<void> {
  // Written again each time: a case's stores may reach it.
  await target.writeMemory(PLACES.launch, LAUNCH);
  for (const { address, bytes } of situation.memory) await target.writeMemory(address, bytes);
  await target.enterMachineMode();
  await target.write(new Map([["mstatus", FLOAT_STATE_ON], ["satp", 0n], ["pmpcfg0", 0n]]));
  await target.write(new Map([["x1", BigInt(PLACES.scratch)], ["pc", BigInt(PLACES.launch)]]));
  await target.step();
  await target.step();
  await target.write(situation.csrs);
  await target.write(situation.registers);
  // An MRET with MPRV on would leave the peer with stale translations.
  if (situation.mode === 3) await target.write(new Map([["pc", situation.pc]]));
  else await target.step();
}

async function compareAtEnd(
  targets: readonly [Target, Target],
  situation: Case,
  steps: number,
  { lowered, tables }: Allowed,
): Promise<string | undefined> {
  const both = async (names: readonly string[]) =>
    [await targets[0].read(names), await targets[1].read(names)] as const;
  const different = differences(await both(AT_END), lowered);
  for (const target of targets) await target.write(new Map([["mstatus", FLOAT_STATE_ON]]));
  different.push(...differences(await both(["fcsr"]), lowered));
  for (const { address, length } of COMPARED_MEMORY) {
    if (tables && address === PLACES.tables) continue;
    const [left, right] = [await targets[0].readMemory(address, length), await targets[1].readMemory(address, length)];
    const at = left.findIndex((byte, index) => byte !== right[index]);
    if (at >= 0) different.push(`memory at ${hex(BigInt(address + at))}: ${left[at]} and ${right[at]}`);
  }
  return different.length > 0 ? `seed ${situation.seed}, after ${steps} steps: ${different.join("; ")}` : undefined;
}

function differences([peer, ours]: readonly [State, State], lowered: boolean): string[] {
  return unexplained(peer, ours, lowered)
    .map((name) => `${name} ${hex(peer.get(name) ?? -1n)} and ${hex(ours.get(name) ?? -1n)}`);
}

const hex = (value: bigint) => `0x${value.toString(16)}`;

/** The instruction at an address of a stream: both windows show the same pages at the same offsets. */
async function wordAt(target: Target, pc: bigint): Promise<number> {
  const bytes = await target.readMemory(0x8000_0000 + Number(pc & 0xff_ffffn), 4);
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
}

function describe(situation: Case, step: number, pc: bigint, word: number, different: string[]): string {
  const { seed, mode, paging } = situation;
  const text = disassemble((word & 3) === 3 ? word : word & 0xffff, Number(BigInt.asUintN(53, pc)));
  const where = `seed ${seed}, step ${step}, mode ${mode}${paging ? " with paging" : ""}`;
  return `${where}, at ${hex(pc)} ${hex(BigInt(word))} ${text}: ${different.join("; ")}`;
}
