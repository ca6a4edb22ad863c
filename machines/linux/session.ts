/**
 * The host's end of a batch or exec session on the guest's serial line: when input may start, how its end and its bytes
 * are written so that a terminal in line mode takes them as data, and which output is the command's. `init.sh` is the
 * guest's end.
 *
 * @module
 */

/** What the guest's serial line is connected to. */
export interface SerialLine {
  /** Host to guest. Its end is the end of input. */
  input(): AsyncIterable<Uint8Array>;
  /** Guest to host. */
  output(bytes: Uint8Array): void;
}

/** How a session uses the line: batch shows all that the guest prints, exec only what its command prints. */
export type SessionKind = "batch" | "exec";

const STX = 0x02;
const END_OF_TRANSMISSION = 0x04;
const ENQ = 0x05;
const QUOTE = 0x16;

/** Longest run without a newline that is sent as one line. A terminal in line mode drops what exceeds 4095 bytes. */
const LINE_LIMIT = 2048;

/**
 * Wraps a line for a session: input is held back until the guest asks for it (ENQ, removed from the output); at its end
 * comes what ends the reader in the guest. With "exec", output starts after the guest's STX.
 */
export function sessionLine(line: SerialLine, kind: SessionKind): SerialLine {
  const asked = Promise.withResolvers<void>();
  let shown = kind === "batch";
  let enquired = false;
  return {
    async *input() {
      await asked.promise;
      const encoder = lineModeEncoder();
      for await (const bytes of line.input()) yield encoder.data(bytes);
      yield encoder.end();
    },
    output(bytes) {
      let rest = bytes;
      if (!shown) {
        const start = rest.indexOf(STX);
        if (start < 0) return;
        shown = true;
        rest = rest.subarray(start + 1);
      }
      const enquiry = enquired ? -1 : rest.indexOf(ENQ);
      if (enquiry >= 0) {
        enquired = true;
        if (enquiry > 0) line.output(rest.subarray(0, enquiry));
        rest = rest.subarray(enquiry + 1);
        asked.resolve();
      }
      if (rest.length > 0) line.output(rest);
    },
  };
}

/**
 * Writes arbitrary bytes for a terminal in line mode whose only special characters are the end of input and the quote:
 * those two are quoted; an end of input within a line only hands the line over (termios(3), ICANON), which keeps long
 * lines whole.
 */
function lineModeEncoder() {
  let column = 0;
  return {
    data(bytes: Uint8Array): Uint8Array {
      const out: number[] = [];
      for (const byte of bytes) {
        if (byte === END_OF_TRANSMISSION || byte === QUOTE) out.push(QUOTE);
        out.push(byte);
        column = byte === 0x0a ? 0 : column + 1;
        if (column === LINE_LIMIT) {
          out.push(END_OF_TRANSMISSION);
          column = 0;
        }
      }
      return Uint8Array.from(out);
    },
    /** The end of input; a line that was not ended is handed over first. */
    end(): Uint8Array {
      return Uint8Array.from(column > 0 ? [END_OF_TRANSMISSION, END_OF_TRANSMISSION] : [END_OF_TRANSMISSION]);
    },
  };
}
