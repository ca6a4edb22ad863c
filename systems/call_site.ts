/** Call site: which line outside of the memory model asked for something. Only debug worlds pay for it. */

const ROOT = new URL("../", import.meta.url).href;
const FRAMES = 24;

/** The caller's `path:line:column`, relative to the project where it lies in it. */
export function callSite(): string {
  const former = Error.stackTraceLimit;
  Error.stackTraceLimit = FRAMES;
  const frames = (new Error().stack ?? "").split("\n").slice(2).map((line) => line.trim().replace(/^at /, ""));
  Error.stackTraceLimit = former;
  const outside = frames.find((frame) => !frame.includes(`${ROOT}systems/`) && !frame.includes(`${ROOT}ecs/`));
  return (outside ?? frames.at(-1) ?? "unknown").replace(ROOT, "");
}
