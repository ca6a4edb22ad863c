/** The escape key of a terminal that belongs to a guest: Ctrl-A and a letter are for the emulator, not for the guest. */

export type EscapeCommand = "quit" | "help" | "information";

const CONTROL_A = 0x01;
const COMMANDS: Readonly<Record<string, EscapeCommand>> = { x: "quit", h: "help", "?": "help", i: "information" };

export const ESCAPE_HELP = `
Ctrl-A h    print this help
Ctrl-A i    print what the translator has done
Ctrl-A x    exit the emulator
Ctrl-A Ctrl-A    send Ctrl-A to the guest
Everything else, Ctrl-C too, goes to the guest.
`;

export class EscapeFilter {
  #escaped = false;
  readonly #command: (command: EscapeCommand) => void;

  constructor(command: (command: EscapeCommand) => void) {
    this.#command = command;
  }

  /** What of `bytes` is for the guest. Commands are called on the way. */
  pass(bytes: Uint8Array): Uint8Array {
    if (!this.#escaped && !bytes.includes(CONTROL_A)) return bytes;
    const kept: number[] = [];
    for (const byte of bytes) {
      if (this.#escaped) {
        this.#escaped = false;
        if (byte === CONTROL_A) kept.push(byte);
        const command = COMMANDS[String.fromCharCode(byte)];
        if (command !== undefined) this.#command(command);
      } else if (byte === CONTROL_A) this.#escaped = true;
      else kept.push(byte);
    }
    return Uint8Array.from(kept);
  }
}
