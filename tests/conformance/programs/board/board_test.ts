/** Programs for the whole board: the serial output and the exit status are those of the peer, byte for byte. */
import { assertEquals } from "@std/assert";
import { runOurs, runPeer } from "../../isa/run.ts";
import { TIERS_FOR_PROGRAMS } from "../../../machines/riscv/tiers.ts";
import { ignoredWithout, PEER } from "../../peer.ts";
import { compile, COMPILER } from "./compile.ts";

interface Program {
  /** What the program hands the test finisher. */
  readonly status?: number;
  readonly harts?: number;
  readonly input?: string;
}

const PROGRAMS: Readonly<Record<string, Program>> = {
  reset_state: {},
  mmio_widths: {},
  memory: {},
  recursion: { status: 3 },
  floats: {},
  interrupts: { input: "hello" },
  devices: { status: 77 },
  harts: { harts: 4 },
};

const ignore = ignoredWithout(PEER, COMPILER);
const decode = (bytes: Uint8Array) => new TextDecoder("latin1").decode(bytes).split("\n");

for (const [name, { status = 0, ...options }] of Object.entries(PROGRAMS)) {
  Deno.test({
    name: `the program "${name}" does here what it does on the peer`,
    ignore,
    async fn() {
      const program = await compile(`${name}.c`);
      const ramBytes = 16 << 20;
      const peer = await runPeer(program, { ramBytes, ...options });
      assertEquals(peer.status, status);
      for (const tier of TIERS_FOR_PROGRAMS) {
        const ours = await runOurs(program, { ramBytes, ...options, tier });
        assertEquals(decode(ours.output), decode(peer.output), tier.name);
        assertEquals(ours.status, status, tier.name);
      }
    },
  });
}
