/** The self-check finds whatever a region does that the interpreter does not, and puts right what it finds nothing in. */
import { assertEquals, assertThrows } from "@std/assert";
import { executionOf } from "../../../../machines/riscv/execution.ts";
import * as at from "../../../../machines/riscv/layout.ts";
import { x } from "../../../../machines/riscv/registers.ts";
import { SelfCheck, TranslationError } from "../../../../machines/riscv/translator/self_check.ts";
import { Bench, RAM } from "../bare_metal.ts";

const { a0, s0 } = x;
const DATA = RAM + 0x1000n;

/** What a region does with the hart's state at `base` and the doubleword at DATA, whose address is `data`. */
type Fake = (view: DataView, base: number, data: number, store: (value: bigint) => void) => bigint | void;

/** Runs `addi a0, a0, 5; sd a0, 0(s0)` under the check of a region that should do the same. Gives a0 and the doubleword. */
function check(region: Fake): readonly bigint[] {
  const bench = new Bench();
  try {
    bench.load((asm) => {
      asm.addi(a0, a0, 5);
      asm.sd(a0, 0, s0);
      asm.ebreak();
    });
    const { hart, memory } = bench;
    hart.writeRegister(s0, DATA);
    // Fetches and the store are in the TLB from here on.
    hart.run(2);
    hart.pc = RAM;
    hart.writeRegister(a0, 1n);
    bench.poke(DATA, 7n);
    const { view } = memory, data = bench.offset + 0x1000;
    const { exports } = executionOf(memory);
    const selfCheck = new SelfCheck(memory, exports);
    const store = (value: bigint) => {
      selfCheck.log(data);
      view.setBigUint64(data, value, true);
    };
    hart.state.set32(at.BUDGET, 10);
    const faked = () => {
      return region(view, hart.base, data, store) ?? RAM + 8n;
    };
    assertEquals(selfCheck.run(hart.base, 0, faked, () => exports.run(hart.base)), 0);
    assertEquals(hart.state.get32(at.BUDGET), 8);
    return [hart.readRegister(a0), bench.peek(DATA)];
  } finally {
    bench.dispose();
  }
}

function faithful(view: DataView, base: number, store: (value: bigint) => void) {
  view.setBigUint64(base + at.X + 8 * a0, 6n, true);
  view.setInt32(base + at.BUDGET, 8, true);
  store(3n);
  store(6n);
}

Deno.test("nothing is found in a region that does what the interpreter does, and it stays done", () => {
  assertEquals(check((view, base, _data, store) => faithful(view, base, store)), [6n, 6n]);
});

const faults: readonly (readonly [string, Fake, string])[] = [
  ["a wrong register", (view, base) => view.setBigUint64(base + at.X + 8 * a0, 9n, true), "x10 is 9, not 6"],
  ["a changed float register", (view, base) => view.setBigUint64(base + at.F + 8 * 3, 1n, true), "f3 is 1, not 0"],
  ["a wrong pc", () => RAM, "pc is 80000000, not 80000008"],
  ["too few instructions", (view, base) => view.setInt32(base + at.BUDGET, 9, true), "pc is 80000008, not 80000004"],
  ["a lost reservation", (view, base) => view.setBigUint64(base + at.RESERVATION, 1n, true), "the reservation is 1"],
  ["a wrong store", (_view, _base, _data, store) => store(8n), "of memory is 8, not 6"],
];

for (const [what, fault, message] of faults) {
  Deno.test(`${what} is found`, () => {
    const region: Fake = (view, base, data, store) => {
      faithful(view, base, store);
      return fault(view, base, data, store);
    };
    assertThrows(() => check(region), TranslationError, message);
  });
}
