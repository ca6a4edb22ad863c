/** A random program to its end on our machine and on the peer: registers and memory must be the same then. */
import { assembler } from "../../../machines/riscv/assemble.ts";
import { decode } from "../../../machines/riscv/decode.ts";
import type { Tier } from "../../machines/riscv/tiers.ts";
import { OURS_ONLY_OFF, PEER_BIT_CPU } from "../peer.ts";
import { HungProgramError, runOurs, runPeer } from "../isa/run.ts";
import { DUMPED } from "./handler.ts";
import * as at from "./layout.ts";
import { type Program, startingCode } from "./program.ts";

const RAM_BYTES = 16 << 20;
/** Behind all that the program knows; the image begins with a jump there. */
const START = 0x8_0000;
const ENDED = "E".charCodeAt(0);

/** Nothing if both agree; "unfinished" if the program's time was over on one of them. */
export async function differenceFromPeer(program: Program, tier: Tier): Promise<string | undefined> {
  const image = imageOf(program);
  try {
    const ours = await runOurs(image, { ramBytes: RAM_BYTES, tier, cpu: PEER_BIT_CPU + OURS_ONLY_OFF });
    const peer = await runPeer(image, { ramBytes: RAM_BYTES, cpu: PEER_BIT_CPU });
    if (ours.output[0] !== ENDED || peer.output[0] !== ENDED) return "unfinished";
    if (ours.output.length !== peer.output.length) return `${ours.output.length} bytes, not ${peer.output.length}`;
    // The cause: the peer takes faults of atomics and of page tables for others (see known_differences.ts).
    const isCompared = (place: number) => place > DUMPED[0][1] || (place - 1) % at.LOG_ENTRY_BYTES < 16;
    const place = ours.output.findIndex((byte, i) => byte !== peer.output[i] && isCompared(i));
    if (place < 0) return undefined;
    if (isAbsentDevice(ours.output, place) || isFailingStore(ours.output, place)) return "unfinished";
    return `${placeName(place - 1)} is ${doubleword(ours.output, place)}, not ${doubleword(peer.output, place)}`;
  } catch (error) {
    if (error instanceof HungProgramError) return "unfinished";
    throw error;
  }
}

/** Whether the first difference is that ours found nothing below RAM, where the peer has a device. */
function isAbsentDevice(output: Uint8Array, place: number): boolean {
  const [, length] = DUMPED[0];
  if (place > length) return false;
  const entry = new DataView(output.slice(1, 1 + length).buffer);
  const start = place - 1 - (place - 1) % at.LOG_ENTRY_BYTES;
  const cause = entry.getBigUint64(start + 16, true), address = entry.getBigUint64(start + 24, true);
  return (cause === 1n || cause === 5n || cause === 7n) && address < at.RAM;
}

/** Whether it is that an SC faults here that fails anyway: the peer's does not. */
function isFailingStore(output: Uint8Array, place: number): boolean {
  const [[, length]] = DUMPED;
  if (place > length) return false;
  const dump = new DataView(output.slice(1).buffer);
  const start = place - 1 - (place - 1) % at.LOG_ENTRY_BYTES;
  const address = Number(dump.getBigUint64(start, true) & 0xf_ffffn);
  if (address + 4 > at.TABLES) return false;
  return decode(dump.getUint32(length + address, true))?.instruction.semantics.shape === "storeConditional";
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
