/**
 * The engine compiles a function when it is first called, on the thread that calls it: half a millisecond for a larger
 * region. Here that is done ahead, where nobody waits.
 */
import type { RegionFunction } from "./linkage.ts";

/** Memories by their sizes in pages: no hart, no code, all zero. */
const EMPTY: Map<number, WebAssembly.Memory> = new Map();

/**
 * Runs every region of a module once, in a memory where the hart that it finds has no budget: it leaves at once. Code that
 * is compiled is shared by all threads that have the module.
 *
 * @param pages Size of the memory that the module imports, in units of WebAssembly.
 */
export function compileBaseline(module: WebAssembly.Module, pages: number): void {
  const memory = EMPTY.get(pages) ?? new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  EMPTY.set(pages, memory);
  const env: WebAssembly.ModuleImports = {};
  for (const { name, kind } of WebAssembly.Module.imports(module)) {
    if (kind === "memory") env[name] = memory;
    else if (kind === "table") env[name] = new WebAssembly.Table({ element: "anyfunc", initial: 1 });
    else if (kind === "global") env[name] = new WebAssembly.Global({ value: "i32", mutable: true }, 0);
    else env[name] = neverCalled;
  }
  const { exports } = new WebAssembly.Instance(module, { env });
  for (const { name, kind } of WebAssembly.Module.exports(module)) {
    if (kind === "function") (exports[name] as RegionFunction)(0, 0, 0, 0n);
  }
}

function neverCalled(): never {
  throw new Error("a region without budget called for something");
}
