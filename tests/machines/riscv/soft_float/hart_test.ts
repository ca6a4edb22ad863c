/** F and D on a hart: decoding, rounding modes from frm, accrual into fflags, the registers between. */
import { assert } from "@std/assert";
import { Bench, DEVICE, RAM } from "../bare_metal.ts";
import { floatProgram, UART } from "./float_program.ts";

const LINE_STATUS = 5, TRANSMITTER_EMPTY = 0x20;

Deno.test("a hart gives what the soft-float functions give, for every instruction of F and D", () => {
  const bench = new Bench();
  const { image, check } = floatProgram(40, 12);
  const sent: number[] = [];
  bench.onAccess = ({ kind, address, value }) => {
    if (kind === "read" && address === BigInt(UART + LINE_STATUS)) return BigInt(TRANSMITTER_EMPTY);
    if (kind === "write" && address === DEVICE) sent.push(Number(value));
  };
  bench.write(RAM, image);
  bench.hart.reset({ pc: RAM });
  bench.hart.run(2_000_000);
  assert(bench.hart.waiting, "the program did not end");
  check(Uint8Array.from(sent));
  bench.dispose();
});
