/** Runs the demonstration: the board, an ejectable device on it, and the guest that shows both. */
import type { Device } from "../../../ecs/device.ts";
import { onFinalize } from "../../../systems/finalize.ts";
import { plug, unplug } from "../../../systems/plug.ts";
import type { Terminal, TerminalStreams } from "../../backends/terminal.ts";
import { doubleCells, findNode, node, text, writeDeviceTree } from "../../loader/flattened_device_tree.ts";
import { describeVirt } from "../device_tree.ts";
import { createVirt, type VirtMachine } from "../machine.ts";
import { EJECTOR, ejector } from "./ejector.ts";
import { demonstrationGuest } from "./guest.ts";

const RAM_BYTES = 32 * 2 ** 20;
/** What ends a line of input from a keyboard; the guest powers off. */
const END_OF_TRANSMISSION = 0x04;

/** A machine with the demonstration guest in it, and the ejectable device at 0x4000000. */
export function createDemonstration(terminal: Terminal): VirtMachine {
  const tree = describeVirt({ harts: 1, ramBytes: RAM_BYTES });
  findNode(tree, "/soc")?.children.push(
    node(`ejector@${EJECTOR.address.toString(16)}`, {
      reg: doubleCells(EJECTOR.address, EJECTOR.size),
      compatible: text("freehold,ejector"),
    }),
  );
  const machine = createVirt({
    ramBytes: RAM_BYTES,
    kernel: { name: "the demonstration guest", bytes: demonstrationGuest() },
    deviceTree: writeDeviceTree(tree),
    serial: terminal,
  });
  const { world, owner, system } = machine;
  const tell = (sentence: string) => terminal.say(`host:  ${sentence}\n`);
  let ejected = false;
  const eject = (device: Device) => {
    ejected = true;
    tell("the handler of EJECT runs, and unplugs its own device");
    unplug(world, device);
    tell("the device is out of the memory map; its handler goes on, with its state still there");
  };
  const device = plug(world, ejector, {
    id: "ejector",
    owner,
    properties: { host: { eject } },
    at: [{ region: "registers", container: system, offset: EJECTOR.address }],
  });
  onFinalize(world, device, () => {
    if (ejected) tell("the handler has returned and its scope is closed: the device is finalized");
  });
  return machine;
}

/** The same streams, with Ctrl-D for the guest at the end of piped input. */
export function withEndOfTransmission(streams: TerminalStreams): TerminalStreams {
  let ended = false;
  const { input, output } = streams;
  const read = async (into: Uint8Array) => {
    const count = await input.read(into);
    if (count !== null || ended) return count;
    ended = true;
    into[0] = END_OF_TRANSMISSION;
    return 1;
  };
  return {
    input: { read, isTerminal: () => input.isTerminal(), setRaw: (on) => input.setRaw(on) },
    output,
  };
}
