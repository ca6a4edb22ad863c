/** A random program to its end on our machine and on the peer: registers and memory must be the same then. */
import { assembler } from "../../../machines/riscv/assemble.ts";
import { decode } from "../../../machines/riscv/decode.ts";
import type { Tier } from "../../machines/riscv/tiers.ts";
import { OURS_ONLY_OFF, PEER_BIT_CPU } from "../peer.ts";
import { HungProgramError, runOurs, runPeer } from "../isa/run.ts";
import { DUMPED } from "./handler.ts";
import * as at from "./layout.ts";
import { type Program, startingCode } from "./program.ts";

/** Behind all that the program knows; the image begins with a jump there. */
const START = 0x8_0000;
/** Programs have half a second; what takes longer has lost its handler. */
const LIMIT_MS = 10_000;
const ENDED = "E".charCodeAt(0);
const [LOG] = DUMPED;
const TIMER = 1n << 63n | 7n;

export interface PeerOutcome {
  readonly difference?: string;
  /** Whether it ended by itself on both: else its traps are compared until its time was over. */
  readonly ended: boolean;
  /** How many of them were compared. */
  readonly traps: number;
}

export async function compareWithPeer(program: Program, tier: Tier): Promise<PeerOutcome> {
  const image = imageOf(program);
  const options = { ramBytes: at.MACHINE_RAM_BYTES, limitMs: LIMIT_MS };
  const onPeer = (isStepwise: boolean) => runPeer(image, { ...options, isStepwise, cpu: PEER_BIT_CPU });
  try {
    const [peer, ours] = await Promise.all([
      onPeer(false),
      runOurs(image, { ...options, tier, cpu: PEER_BIT_CPU + OURS_ONLY_OFF }),
    ]);
    const outcome = compareDumps(ours.output, peer.output);
    // Stray stores, too, change code.
    return outcome.difference === undefined ? outcome : compareDumps(ours.output, (await onPeer(true)).output);
  } catch (error) {
    if (error instanceof HungProgramError) return { ended: false, traps: 0 };
    throw error;
  }
}

function compareDumps(ours: Uint8Array, peer: Uint8Array): PeerOutcome {
  const ended = ours[0] === ENDED && peer[0] === ENDED;
  if (ours.length !== peer.length) {
    return { difference: `${ours.length} bytes, not ${peer.length}`, ended, traps: 0 };
  }
  const [left, right] = [ours, peer].map((output) => new DataView(output.slice(1, 1 + LOG[1]).buffer));
  if (!left || !right) throw new Error("there are two logs");
  for (let entry = 0; entry < LOG[1]; entry += at.LOG_ENTRY_BYTES) {
    const traps = entry / at.LOG_ENTRY_BYTES;
    if ([left, right].some((log) => log.getBigUint64(entry + 16, true) === TIMER)) return { ended: false, traps };
    // The cause: the peer takes faults of atomics and of page tables for others (see known_differences.ts).
    for (const field of [0, 8]) {
      if (left.getBigUint64(entry + field, true) === right.getBigUint64(entry + field, true)) continue;
      if (isFailingStore(ours, left, entry)) return { ended: false, traps };
      return { difference: describe(ours, peer, 1 + entry + field), ended, traps };
    }
  }
  const place = ours.findIndex((byte, i) => byte !== peer[i] && i > LOG[1]);
  const difference = place < 0 ? undefined : describe(ours, peer, place);
  return { ...(difference !== undefined && { difference }), ended, traps: at.TRAP_LIMIT };
}

function describe(ours: Uint8Array, peer: Uint8Array, place: number): string {
  return `${placeName(place - 1)} is ${doubleword(ours, place)}, not ${doubleword(peer, place)}`;
}

/** Whether it is that an SC faults here that fails anyway: the peer's does not. */
function isFailingStore(output: Uint8Array, log: DataView, entry: number): boolean {
  const address = Number(log.getBigUint64(entry, true) & 0xf_ffffn);
  if (address + 4 > at.TABLES) return false;
  // A service may have swapped the pages of the code.
  return [address, address ^ (at.CODE + at.PAGE) ^ (at.CODE + 2 * at.PAGE)].some((place) => {
    const word = new DataView(output.slice(1 + LOG[1] + place).buffer).getUint32(0, true);
    return decode(word)?.instruction.semantics.shape === "storeConditional";
  });
}

/** An executable for any machine with the board's map. */
export function imageOf(program: Program): Uint8Array {
  const start = startingCode(program);
  const bytes = new Uint8Array(START + start.length);
  bytes.set(program.image);
  bytes.set(start, START);
  // Firmware is entered at its first byte.
  const entry = assembler();
  entry.jal(0, START);
  bytes.set(entry.finish().bytes);
  return elf(bytes);
}

/** What a byte of the output stands for. */
function placeName(offset: number): string {
  let before = 0;
  for (const [start, length] of DUMPED) {
    const within = offset - before;
    before += length;
    if (within >= length) continue;
    const field = Math.floor(within / 8);
    if (start === at.LOG) return `${field % 4 === 0 ? "mepc" : "the sum of registers"} at trap ${field >> 2}`;
    if (start === 0) return `memory at ${within.toString(16)}`;
    return field < 32 ? `x${field}` : field < 64 ? `f${field - 32}` : "fcsr";
  }
  return `byte ${offset}`;
}

function doubleword(bytes: Uint8Array, place: number): string {
  const from = place - (place - 1) % 8;
  return Array.from(bytes.subarray(from, from + 8).toReversed(), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** An executable of one segment at the start of RAM, entered there (ELF-64 object file format, 1.5). */
function elf(segment: Uint8Array): Uint8Array {
  const HEADER = 64, PROGRAM_HEADER = 56, DATA = 0x1000;
  const bytes = new Uint8Array(DATA + segment.length), view = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  const fields: readonly (readonly [number, number, 2 | 4])[] = [
    [16, 2, 2],
    [18, 243, 2],
    [20, 1, 4],
    [52, HEADER, 2],
    [54, PROGRAM_HEADER, 2],
    [56, 1, 2],
    [HEADER, 1, 4],
    [HEADER + 4, 7, 4],
  ];
  for (const [place, value, size] of fields) {
    size === 2 ? view.setUint16(place, value, true) : view.setUint32(place, value, true);
  }
  const long: readonly (readonly [number, bigint])[] = [
    [24, at.RAM],
    [32, BigInt(HEADER)],
    [HEADER + 8, BigInt(DATA)],
    [HEADER + 16, at.RAM],
    [HEADER + 24, at.RAM],
    [HEADER + 32, BigInt(segment.length)],
    [HEADER + 40, BigInt(segment.length)],
    [HEADER + 48, BigInt(DATA)],
  ];
  for (const [place, value] of long) view.setBigUint64(place, value, true);
  bytes.set(segment, DATA);
  return bytes;
}
