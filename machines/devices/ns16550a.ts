/**
 * UART 16550A: two 16-byte FIFOs, registers one byte apart.
 *
 * Source: National Semiconductor PC16550D data sheet. As on QEMU's `virt`, an access of any size acts on one register.
 */
import type { CharacterBackend } from "../backends/character.ts";
import { armTimer, atUnrealize, bits, cancelTimer, defineDevice, type Instance, integer, link } from "./define.ts";
import { now, type PropertiesOf, type Register, setLine } from "./define.ts";

const IER = bits({ DATA: 0, EMPTY: 1, LINE: 2, MODEM: 3 });
const FCR = bits({ ENABLE: 0, CLEAR_RX: 1, CLEAR_TX: 2, DMA: 3, TRIGGER: [6, 7] });
const LCR = bits({ WORD: [0, 1], STOP: 2, PARITY: 3, EVEN: 4, STICK: 5, BREAK: 6, DLAB: 7 });
const MCR = bits({ DTR: 0, RTS: 1, OUT1: 2, OUT2: 3, LOOP: 4 });
const LSR = bits({ DATA: 0, OVERRUN: 1, THR_EMPTY: 5, IDLE: 6 });
const MSR = bits({ CTS: 4, DSR: 5, RI: 6, DCD: 7 });
/** Interrupt identification. */
const Id = { LINE: 0x06, DATA: 0x04, TIMEOUT: 0x0c, EMPTY: 0x02, NONE: 0x01, FIFOS: 0xc0 };
/** Bytes at which a full-enough receive FIFO interrupts, by FCR.TRIGGER. */
const TRIGGER = [1, 4, 8, 14];

const properties = {
  chardev: link<CharacterBackend>("where characters come from and go to", { optional: true }),
  frequency: integer("input clock in Hz: 16 × divisor × baud rate", { default: 3686400, minimum: 1 }),
};

/** `emptied`, `timeout` and `overrun` are causes of interrupts that the FIFOs do not tell. */
const powerOn = () => ({
  ...{ ier: 0, fcr: 0, lcr: 0, mcr: MCR.OUT2, scratch: 0, divisorLow: 12, divisorHigh: 0 },
  ...{ emptied: false, timeout: false, overrun: false },
  ...{ rx: new Uint8Array(16), rxCount: 0, tx: new Uint8Array(16), txCount: 0 },
});

type Uart = Instance<ReturnType<typeof powerOn>, PropertiesOf<typeof properties>>;

const latch = (d: Uart) => (d.state.lcr & LCR.DLAB) !== 0;
const fifo = (d: Uart) => (d.state.fcr & FCR.ENABLE) !== 0;
const loop = (d: Uart) => (d.state.mcr & MCR.LOOP) !== 0;
const depth = (d: Uart) => fifo(d) ? 16 : 1;

const REGISTERS: readonly Register<Uart>[] = [
  { name: "DLL", offset: 0, bytes: 1, when: latch, field: "divisorLow" },
  { name: "DLM", offset: 1, bytes: 1, when: latch, field: "divisorHigh" },
  { name: "RBR", offset: 0, bytes: 1, access: "ro", read: received, afterRead: takeReceived },
  { name: "THR", offset: 0, bytes: 1, access: "wo", write: transmit },
  { name: "IER", offset: 1, bytes: 1, fields: IER, read: (d) => d.state.ier, write: enableInterrupts },
  { name: "IIR", offset: 2, bytes: 1, access: "ro", read: identify, afterRead: acknowledge },
  { name: "FCR", offset: 2, bytes: 1, access: "wo", fields: FCR, write: controlFifos },
  { name: "LCR", offset: 3, bytes: 1, fields: LCR, field: "lcr" },
  { name: "MCR", offset: 4, bytes: 1, fields: MCR, field: "mcr" },
  { name: "LSR", offset: 5, bytes: 1, access: "ro", read: lineStatus, afterRead: (d) => update(d, { overrun: false }) },
  { name: "MSR", offset: 6, bytes: 1, access: "ro", read: modemStatus },
  { name: "SCR", offset: 7, bytes: 1, field: "scratch" },
];

function received({ state }: Uart): number {
  return state.rxCount > 0 ? state.rx[0] ?? 0 : 0;
}

function takeReceived(d: Uart): void {
  const { state } = d;
  if (state.rxCount > 0) state.rx.copyWithin(0, 1, state.rxCount--);
  awaitSilence(d);
  update(d, { timeout: false });
}

/** One byte too many is lost in front of a full FIFO, but without FIFOs it replaces the byte that was not read. */
function receive(d: Uart, byte: number): void {
  const { state } = d;
  state.overrun ||= state.rxCount === depth(d);
  if (!fifo(d)) state.rxCount = 0;
  if (state.rxCount < depth(d)) state.rx[state.rxCount++] = byte;
  awaitSilence(d);
  update(d, { timeout: false });
}

/** Bytes that stay in the FIFO for four character times without a new one interrupt, though they are below the trigger. */
function awaitSilence(d: Uart): void {
  if (!fifo(d) || d.state.rxCount === 0) return cancelTimer(d, "silence");
  const { lcr, divisorLow, divisorHigh } = d.state;
  const bitsPerCharacter = 7 + (lcr & LCR.WORD) + (lcr & LCR.STOP ? 1 : 0) + (lcr & LCR.PARITY ? 1 : 0);
  const divisor = (divisorHigh << 8 | divisorLow) || 1;
  armTimer(d, "silence", now(d) + 4e9 * bitsPerCharacter * 16 * divisor / d.properties.frequency);
}

function transmit(d: Uart, byte: number): void {
  const { state } = d;
  if (loop(d)) receive(d, byte);
  else if (state.txCount < depth(d)) state.tx[state.txCount++] = byte;
  update(d, { emptied: false });
  drain(d);
}

/** Sends what the backend takes; the transmitter is empty again once it took all. */
function drain(d: Uart): void {
  const { state, properties: { chardev } } = d;
  while (state.txCount > 0 && (chardev?.send(state.tx[0] ?? 0) ?? true)) state.tx.copyWithin(0, 1, state.txCount--);
  if (state.txCount === 0) update(d, { emptied: true });
}

function enableInterrupts(d: Uart, value: number): void {
  const turnedOn = value & ~d.state.ier & IER.EMPTY;
  const stays = value & d.state.ier & IER.EMPTY;
  d.state.ier = value;
  update(d, { emptied: stays ? d.state.emptied : turnedOn !== 0 && d.state.txCount === 0 });
}

function controlFifos(d: Uart, value: number): void {
  const { state } = d;
  const switched = ((value ^ state.fcr) & FCR.ENABLE) !== 0;
  const clearsTx = switched || (value & FCR.CLEAR_TX) !== 0;
  state.fcr = value & (FCR.ENABLE | FCR.TRIGGER);
  if (switched || value & FCR.CLEAR_RX) state.rxCount = 0;
  if (clearsTx) state.txCount = 0;
  awaitSilence(d);
  update(d, { timeout: state.timeout && state.rxCount > 0, emptied: state.emptied || clearsTx });
}

/** The cause of highest priority (data sheet, table IV). */
function cause({ state }: Uart): number {
  const trigger = state.fcr & FCR.ENABLE ? TRIGGER[state.fcr >> 6] ?? 1 : 1;
  if (state.ier & IER.LINE && state.overrun) return Id.LINE;
  if (state.ier & IER.DATA && state.timeout) return Id.TIMEOUT;
  if (state.ier & IER.DATA && state.rxCount >= trigger) return Id.DATA;
  if (state.ier & IER.EMPTY && state.emptied) return Id.EMPTY;
  return Id.NONE;
}

function identify(d: Uart): number {
  return cause(d) | (fifo(d) ? Id.FIFOS : 0);
}

/** Reading IIR takes back "transmitter empty", if that is what it told. */
function acknowledge(d: Uart): void {
  if (cause(d) === Id.EMPTY) update(d, { emptied: false });
}

function update(d: Uart, causes: { emptied?: boolean; timeout?: boolean; overrun?: boolean }): void {
  Object.assign(d.state, causes);
  setLine(d, "irq", cause(d) !== Id.NONE);
}

function lineStatus({ state }: Uart): number {
  const empty = state.txCount === 0 ? LSR.THR_EMPTY | LSR.IDLE : 0;
  return empty | (state.rxCount > 0 ? LSR.DATA : 0) | (state.overrun ? LSR.OVERRUN : 0);
}

/** In loopback the modem inputs are the outputs; else a connected terminal is ready. */
function modemStatus(d: Uart): number {
  const { mcr } = d.state;
  if (!loop(d)) return MSR.DCD | MSR.DSR | MSR.CTS;
  return (mcr & MCR.RTS ? MSR.CTS : 0) | (mcr & MCR.DTR ? MSR.DSR : 0) |
    (mcr & MCR.OUT1 ? MSR.RI : 0) | (mcr & MCR.OUT2 ? MSR.DCD : 0);
}

export const ns16550a = defineDevice<ReturnType<typeof powerOn>, typeof properties>({
  type: "ns16550a",
  description: "UART 16550A",
  properties,
  state: powerOn,
  outputs: { irq: 1 },
  timers: { silence: { fire: (d) => update(d, { timeout: true }) } },
  regions: { registers: { size: 8, registers: REGISTERS, single: true } },
  realize(d) {
    const { chardev } = d.properties;
    if (chardev === undefined) return;
    chardev.frontend = {
      acceptable: () => loop(d) ? 0 : depth(d) - d.state.rxCount,
      receive: (bytes) => bytes.forEach((byte) => receive(d, byte)),
      writable: () => d.state.txCount > 0 && drain(d),
      opened: () => {},
    };
    atUnrealize(d, () => chardev.frontend = undefined);
  },
});
