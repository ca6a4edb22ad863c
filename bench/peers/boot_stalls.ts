/**
 * Runs a command line of the machine and, beside it, a timer of the same thread that is due every millisecond: how late it
 * comes is how long whoever uses the console waits. Counted from the guest's first output on: until then there is nobody.
 */
import { runCommandLine } from "../../machines/main.ts";

const PERIOD_MS = 1;

const late: number[] = [];
let last = performance.now(), isBooting = false;
const timer = setInterval(() => {
  const now = performance.now();
  if (isBooting) late.push(now - last - PERIOD_MS);
  last = now;
}, PERIOD_MS);
const status = await runCommandLine(Deno.args, {
  inputIsTerminal: false,
  output() {
    isBooting = true;
  },
});
clearInterval(timer);
late.sort((a, b) => a - b);
const at = (share: number) => (late[Math.floor((late.length - 1) * share)] ?? 0).toFixed(1);
console.log(`longest stall ${at(1)} ms, 99 % below ${at(0.99)} ms`);
Deno.exit(status);
