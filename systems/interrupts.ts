/** Interrupts: level lines are driven, wired and withdrawn. */
import { type Device, DeviceError, type DeviceRow, deviceRow, deviceRows, type Instance } from "../ecs/device.ts";
import { attachSink, detachSink, type InputLine, type Level, type LevelSink, writeLevel } from "../ecs/irq.ts";
import type { OutputLine } from "../ecs/irq.ts";
import type { World } from "../ecs/world.ts";

/** One line of a device. */
export interface LineEnd {
  readonly device: Device;
  readonly line: string;
  /** Default 0. */
  readonly index?: number;
}

/** Drives an output of the running device `d`; it stays low once `d` is being unrealized. */
export function setLine(d: Instance<object, object>, name: string, level: boolean | Level, index = 0): void {
  const row = d as DeviceRow;
  if (row.stage !== "realized" && row.stage !== "realizing") return;
  writeLevel(output(row, name, index), level ? 1 : 0);
}

/** The level that `d` drives now. */
export function lineLevel(d: Instance<object, object>, name: string, index = 0): Level {
  return output(d as DeviceRow, name, index).level;
}

/**
 * Wires an output to an input, or to a sink such as a hart's interrupt pin. The current level is passed on at once.
 *
 * @throws {DeviceError} if either line does not exist, the output is wired already, or the input is and does not fan in.
 */
export function connect(world: World, from: LineEnd, to: LineEnd | LevelSink): void {
  const source = deviceRow(world, from.device);
  const line = output(source, from.line, from.index ?? 0);
  if (line.sink !== undefined) throw new DeviceError(`Output ${name(source, line)} is connected already`);
  if (typeof to === "function") return attachSink(line, to);
  const sink = deviceRow(world, to.device);
  const target = input(sink, to.line, to.index ?? 0);
  if (target.sources > 0 && !target.fanIn) {
    throw new DeviceError(`Input ${name(sink, target)} has a source already and can't take ${name(source, line)} too`);
  }
  attachSink(line, target);
}

/** Gives an input a level as if from outside (tests, monitors). @throws {DeviceError} if the line does not exist. */
export function driveInput(world: World, device: Device, lineName: string, level: Level, index = 0): void {
  input(deviceRow(world, device), lineName, index).set(level);
}

/** All outputs low. */
export function lowerOutputs(row: DeviceRow): void {
  for (const line of linesOf(row.outputs)) writeLevel(line, 0);
}

/** Tells `row`'s device again of its inputs that are high. */
export function deliverInputs(row: DeviceRow): void {
  for (const line of linesOf(row.inputs)) if (line.high > 0) line.set(1);
}

/** Unties all lines of `row`, in and out. */
export function disconnect(row: DeviceRow): void {
  for (const line of linesOf(row.outputs)) detachSink(line);
  const inputs = new Set<unknown>(linesOf(row.inputs));
  if (inputs.size === 0) return;
  for (const other of deviceRows(row.world)) {
    for (const line of linesOf(other.outputs)) if (inputs.has(line.sink)) detachSink(line);
  }
}

function* linesOf<L>(lines: Record<string, L[]>): Iterable<L> {
  for (const named of Object.values(lines)) yield* named;
}

function output(row: DeviceRow, lineName: string, index: number): OutputLine {
  const line = row.outputs[lineName]?.[index];
  if (line === undefined) {
    throw new DeviceError(`Device "${row.id}" (${row.type.type}) has no output ${lineName}[${index}]`);
  }
  return line;
}

function input(row: DeviceRow, lineName: string, index: number): InputLine {
  const line = row.inputs[lineName]?.[index];
  if (line === undefined) {
    throw new DeviceError(`Device "${row.id}" (${row.type.type}) has no input ${lineName}[${index}]`);
  }
  return line;
}

function name(row: DeviceRow, line: OutputLine | InputLine): string {
  return `${row.id}.${line.name}[${line.index}]`;
}
