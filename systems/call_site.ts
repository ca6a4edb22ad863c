/** Call site: which line outside of the memory model asked for something. Only debug worlds pay for it. */

const ROOT = new URL("../", import.meta.url).href;
const FRAMES = 24;

/** Frames that are looked at for an error, where it costs nothing that they are many. */
const ALL_FRAMES = 500;

/** The caller's `path:line:column`, relative to the project where it lies in it. */
export function callSite(): string {
  return firstOutside(stackFrames(FRAMES));
}

/** Who called, the outermost time, into a file of `systems/` that is on the stack. */
export function callSiteInto(file: string): string {
  const frames = stackFrames(ALL_FRAMES);
  return firstOutside(frames.slice(frames.findLastIndex((frame) => frame.includes(`${ROOT}systems/${file}`)) + 1));
}

function stackFrames(limit: number): string[] {
  const former = Error.stackTraceLimit;
  Error.stackTraceLimit = limit;
  const frames = (new Error().stack ?? "").split("\n").slice(3).map((line) => line.trim().replace(/^at /, ""));
  Error.stackTraceLimit = former;
  return frames;
}

function firstOutside(frames: readonly string[]): string {
  const outside = frames.find((frame) => !frame.includes(`${ROOT}systems/`) && !frame.includes(`${ROOT}ecs/`));
  return (outside ?? frames.at(-1) ?? "unknown").replace(ROOT, "");
}
