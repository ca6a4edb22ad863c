/** IRQ: level lines from a device's output to a device's input or to a sink such as a hart's interrupt pin. */

export type Level = 0 | 1;

/** Where an output ends outside the device model. */
export type LevelSink = (level: Level) => void;

export interface InputLine {
  readonly name: string;
  readonly index: number;
  /** Several sources may be connected; the level is their OR. */
  readonly fanIn: boolean;
  /** Connected sources. */
  sources: number;
  /** Sources that are high now. */
  high: number;
  /** Tells the device of a new level. */
  readonly set: LevelSink;
}

export interface OutputLine {
  readonly name: string;
  readonly index: number;
  level: Level;
  sink: InputLine | LevelSink | undefined;
}

export function newOutputLine(name: string, index: number): OutputLine {
  return { name, index, level: 0, sink: undefined };
}

export function newInputLine(name: string, index: number, fanIn: boolean, set: LevelSink): InputLine {
  return { name, index, fanIn, sources: 0, high: 0, set };
}

/** Ties `output` to `sink` and passes its level on. The output must be free. */
export function attachSink(output: OutputLine, sink: InputLine | LevelSink): void {
  output.sink = sink;
  if (typeof sink === "function") {
    if (output.level === 1) sink(1);
    return;
  }
  sink.sources++;
  if (output.level === 1) raiseInput(sink);
}

/** Unties `output`; its level is withdrawn from the sink. */
export function detachSink(output: OutputLine): void {
  const { sink } = output;
  writeLevel(output, 0);
  output.sink = undefined;
  if (sink !== undefined && typeof sink !== "function") sink.sources--;
}

/** Sets the level of `output`; a change reaches the sink before this returns. */
export function writeLevel(output: OutputLine, level: Level): void {
  if (output.level === level) return;
  output.level = level;
  const { sink } = output;
  if (sink === undefined) return;
  if (typeof sink === "function") sink(level);
  else if (level === 1) raiseInput(sink);
  else lowerInput(sink);
}

function raiseInput(input: InputLine): void {
  if (input.high++ === 0) input.set(1);
}

function lowerInput(input: InputLine): void {
  if (--input.high === 0) input.set(0);
}
