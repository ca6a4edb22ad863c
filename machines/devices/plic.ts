/**
 * PLIC: platform-level interrupt controller. Two contexts per hart: machine, supervisor.
 *
 * Source: RISC-V Platform-Level Interrupt Controller specification 1.0.0; priorities of 3 bits and the number of sources
 * as on QEMU's `virt` (device tree: `sifive,plic-1.0.0`).
 */
import { bits, defineDevice, type Instance, integer, type Level, type PropertiesOf, setLine } from "./define.ts";
import type { Register } from "./define.ts";

const properties = {
  harts: integer("number of harts", { default: 1, minimum: 1, maximum: 512 }),
  sources: integer("number of interrupt sources", { default: 96, minimum: 1, maximum: 1023 }),
};

type Properties = PropertiesOf<typeof properties>;

const words = (p: Properties) => (p.sources >> 5) + 1;
const contexts = (p: Properties) => p.harts * 2;

/** Bit sets have source n in bit n mod 32 of word n / 32; source 0 does not exist. */
const powerOn = (p: Properties) => ({
  priority: new Uint8Array(p.sources + 1),
  /** Lines as the devices drive them. */
  level: new Uint32Array(words(p)),
  pending: new Uint32Array(words(p)),
  /** Claimed and not completed: the gateway holds back further requests. */
  inService: new Uint32Array(words(p)),
  /** `words` words per context. */
  enable: new Uint32Array(words(p) * contexts(p)),
  threshold: new Uint8Array(contexts(p)),
});

type Plic = Instance<ReturnType<typeof powerOn>, Properties>;

const PRIORITY = bits({ level: [0, 2] });

const registers = (p: Properties): readonly Register<Plic>[] => [
  {
    name: "priority",
    offset: 4,
    bytes: 4,
    count: p.sources,
    fields: PRIORITY,
    read: readPriority,
    write: writePriority,
  },
  { name: "pending", offset: 0x1000, bytes: 4, count: words(p), access: "ro", read: (d, i) => d.state.pending[i] ?? 0 },
  {
    name: "threshold",
    offset: 0x200000,
    bytes: 4,
    count: contexts(p),
    stride: 0x1000,
    fields: PRIORITY,
    read: (d, context) => d.state.threshold[context] ?? 0,
    write(d, value, context) {
      d.state.threshold[context] = value;
      notify(d, context);
    },
  },
  {
    name: "claim",
    offset: 0x200004,
    bytes: 4,
    count: contexts(p),
    stride: 0x1000,
    read: (d, context) => best(d, context),
    afterRead: claim,
    write: complete,
  },
  ...Array.from({ length: contexts(p) }, (_, context) => enables(p, context)),
];

function enables(p: Properties, context: number): Register<Plic> {
  const first = context * words(p);
  return {
    name: `enable of context ${context}`,
    offset: 0x2000 + context * 0x80,
    bytes: 4,
    count: words(p),
    read: (d, word) => d.state.enable[first + word] ?? 0,
    write(d, value, word) {
      d.state.enable[first + word] = value & existing(p, word);
      notify(d, context);
    },
  };
}

/** Sources of a word of a bit set that exist. */
function existing(p: Properties, word: number): number {
  const beyond = p.sources + 1 - word * 32;
  return (word === 0 ? ~1 : ~0) & (beyond >= 32 ? ~0 : 2 ** beyond - 1);
}

function readPriority(d: Plic, index: number): number {
  return d.state.priority[index + 1] ?? 0;
}

function writePriority(d: Plic, value: number, index: number): void {
  d.state.priority[index + 1] = value;
  notifyAll(d);
}

/** The gateway of a level-triggered source: a request stays, even if the line falls; after completion it asks again. */
function driveSource(d: Plic, source: number, level: Level): void {
  const word = source >> 5;
  const bit = 1 << source;
  const { state } = d;
  state.level[word] = level ? (state.level[word] ?? 0) | bit : (state.level[word] ?? 0) & ~bit;
  if (level && ((state.inService[word] ?? 0) & bit) === 0) request(d, word, bit);
}

function request(d: Plic, word: number, bit: number): void {
  d.state.pending[word] = (d.state.pending[word] ?? 0) | bit;
  notifyAll(d);
}

/** The pending and enabled source of highest priority, the lowest number among equals; 0 if there is none. */
function best(d: Plic, context: number): number {
  const { state, properties: p } = d;
  const first = context * words(p);
  let winner = 0;
  for (let word = 0; word < words(p); word++) {
    let candidates = (state.pending[word] ?? 0) & (state.enable[first + word] ?? 0);
    for (; candidates !== 0; candidates &= candidates - 1) {
      const source = word * 32 + 31 - Math.clz32(candidates & -candidates);
      if ((state.priority[source] ?? 0) > (state.priority[winner] ?? 0)) winner = source;
    }
  }
  return winner;
}

/** Claiming does not look at the threshold (specification, chapter 8). */
function claim(d: Plic, _context: number, source: number): void {
  if (source === 0) return;
  const word = source >> 5;
  const bit = 1 << source;
  d.state.pending[word] = (d.state.pending[word] ?? 0) & ~bit;
  d.state.inService[word] = (d.state.inService[word] ?? 0) | bit;
  notifyAll(d);
}

/** Completion of a source that is not enabled for the context is ignored (specification, chapter 9). */
function complete(d: Plic, source: number, context: number): void {
  const { state, properties: p } = d;
  const word = source >>> 5;
  const bit = 1 << source;
  if (source > p.sources || ((state.enable[context * words(p) + word] ?? 0) & bit) === 0) return;
  state.inService[word] = (state.inService[word] ?? 0) & ~bit;
  if ((state.level[word] ?? 0) & bit) request(d, word, bit);
}

function notifyAll(d: Plic): void {
  for (let context = 0; context < contexts(d.properties); context++) notify(d, context);
}

function notify(d: Plic, context: number): void {
  const priority = d.state.priority[best(d, context)] ?? 0;
  setLine(d, context & 1 ? "supervisor" : "machine", priority > (d.state.threshold[context] ?? 0), context >> 1);
}

export const plic = defineDevice<ReturnType<typeof powerOn>, typeof properties>({
  type: "riscv.sifive.plic",
  description: "platform-level interrupt controller",
  properties,
  state: powerOn,
  inputs: { source: { count: (p) => p.sources + 1, set: driveSource } },
  outputs: { machine: (p) => p.harts, supervisor: (p) => p.harts },
  regions: { registers: { size: 0x600000, registers, valid: { min: 4, max: 4 } } },
});
