/**
 * Loads and stores by the same value of a register, constants added to it in between, are a *group*: the first one makes
 * sure of all of them, and the others need no check. A group reaches as far as no two paths meet.
 */
import type { Expr } from "../../wasm/expression.ts";
import * as at from "../layout.ts";
import { type Block, isCall, type Step } from "./discovery.ts";
import type { Graph } from "./loops.ts";

export interface Access {
  readonly register: number;
  readonly distance: number;
  readonly bytes: number;
  readonly table: number;
  /** Misaligned ones leave the region. */
  readonly isAligned: boolean;
}

/** Accesses that are made safe by the first of them. */
export interface Group {
  readonly leader: Step;
  /** Distances of the first and the last byte from where the base register points to at first. */
  first: number;
  last: number;
  /** A page that may be written may be read: W without R is reserved, in page tables as for PMP. */
  isWritten: boolean;
  /** How many there are. */
  count: number;
}

/** An access's part in a group: its distance from where the base register points to at first. */
export interface Member {
  readonly group: Group;
  readonly distance: number;
}

/** From the first byte of a group to the last: further ones are more likely to be in different pages. */
const GROUP_BYTES = 512;

/** The load or store that a step is. */
export function accessOf({ decoded }: Step): Access | undefined {
  const s = decoded.instruction.semantics;
  if (s.shape !== "load" && s.shape !== "store") return undefined;
  const table = s.shape === "load" ? at.READ_TABLE : at.WRITE_TABLE;
  return { register: decoded.rs1, distance: decoded.imm, bytes: s.bytes, table, isAligned: false };
}

/** By base register: the group that the next access may join, and how far the register has moved since it began. */
type Open = Map<number, { group: Group; moved: number; isInBlock: boolean }>;

/** Which accesses belong to which group; those by the registers in `apart` don't belong to any. */
export function groupsOf(
  blocks: readonly Block[],
  graph: Graph,
  entries: readonly number[],
  apart: ReadonlySet<number>,
): ReadonlyMap<Step, Member> {
  const members = new Map<Step, Member>();
  const arrivals = blocks.map(() => 0);
  for (const node of entries) arrivals[node] = 2;
  for (const successors of graph) for (const to of successors) arrivals[to] = (arrivals[to] ?? 0) + 1;
  const visit = (node: number, open: Open): void => {
    const one = blocks[node];
    if (!one) return;
    for (const step of one.steps) joinOrBegin(step, open, members, apart);
    // Whoever is called may change any register.
    if (one.end.kind === "jump" && isCall(one.end.step.decoded)) return;
    if ("step" in one.end) open.delete(one.end.step.decoded.rd);
    for (const to of graph[node] ?? []) {
      if (arrivals[to] === 1) {
        visit(to, new Map([...open].map(([register, one]) => [register, { ...one, isInBlock: false }])));
      }
    }
  };
  for (const node of blocks.keys()) if (arrivals[node] !== 1) visit(node, new Map());
  return members;
}

function joinOrBegin(step: Step, open: Open, members: Map<Step, Member>, apart: ReadonlySet<number>): void {
  const access = accessOf(step);
  if (access && access.register !== 0) {
    const isWritten = access.table === at.WRITE_TABLE;
    const known = open.get(access.register);
    const distance = access.distance + (known?.moved ?? 0), end = distance + access.bytes - 1;
    // That a page is read often says nothing of whether it may be written.
    const isAllowed = known && (known.isInBlock || known.group.isWritten || !isWritten);
    const joined = isAllowed && join(known.group, distance, end, isWritten);
    if (joined) members.set(step, { group: joined, distance });
    else if (!apart.has(access.register)) {
      const first = access.distance, last = first + access.bytes - 1;
      const group = { leader: step, first, last, isWritten, count: 1 };
      open.set(access.register, { group, moved: 0, isInBlock: true });
      members.set(step, { group, distance: first });
    }
  }
  const { rd, rs1, imm, instruction: { semantics: s } } = step.decoded;
  // Behind a change of SUM other pages are accessible.
  if (s.shape === "csr") open.clear();
  const known = open.get(rd);
  if (!known || ("file" in s && s.file === "f")) return;
  if (rd === rs1 && s.shape === "compute" && isSum(s.result)) known.moved += imm;
  else if (s.shape !== "store" && s.shape !== "system") open.delete(rd);
}

function join(group: Group, first: number, last: number, isWritten: boolean): Group | undefined {
  const all = { first: Math.min(group.first, first), last: Math.max(group.last, last) };
  if (all.last - all.first >= GROUP_BYTES) return undefined;
  return Object.assign(group, { ...all, isWritten: group.isWritten || isWritten, count: group.count + 1 });
}

/** Whether a result is the sum of the base register and the immediate. */
function isSum(e: Expr): boolean {
  if (e.kind !== "numeric" || e.op.name !== "i64.add") return false;
  const [a, b] = e.args;
  return a?.kind === "operand" && a.name === "rs1" && b?.kind === "operand" && b.name === "imm";
}
