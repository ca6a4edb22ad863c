/**
 * Client of the GDB remote serial protocol (GDB manual, appendix "Remote Protocol"), as far as stepping a hart and looking
 * at its state need it. Requests that do not run the target are pipelined.
 */

/** The peer's gdb port answered something unexpected, or nothing. */
export class GdbRemoteError extends Error {
  override name = "GdbRemoteError";
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

export function toHex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += HEX[byte];
  return text;
}

export function fromHex(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length >> 1);
  for (let i = 0; i < bytes.length; i++) bytes[i] = parseInt(text.slice(2 * i, 2 * i + 2), 16);
  return bytes;
}

/** A 64-bit register as the protocol writes it: bytes in target order, which is little-endian. */
export function registerToHex(value: bigint): string {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value, true);
  return toHex(bytes);
}

export function registerFromHex(text: string): bigint {
  const bytes = new Uint8Array(8);
  bytes.set(fromHex(text.slice(0, 16)));
  return new DataView(bytes.buffer).getBigUint64(0, true);
}

export class GdbRemote {
  readonly #connection: Deno.Conn;
  readonly #buffer = new Uint8Array(1 << 16);
  #pending = "";

  private constructor(connection: Deno.Conn) {
    this.#connection = connection;
  }

  /** Connects to a stub on the loopback interface, waiting up to five seconds for it to listen. */
  static async connect(port: number): Promise<GdbRemote> {
    for (let attempt = 0;; attempt++) {
      try {
        const connection = await Deno.connect({ hostname: "127.0.0.1", port });
        connection.setNoDelay(true);
        const remote = new GdbRemote(connection);
        await remote.request("QStartNoAckMode");
        return remote;
      } catch (error) {
        if (!(error instanceof Deno.errors.ConnectionRefused) || attempt === 100) throw error;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  }

  close(): void {
    this.#connection.close();
  }

  async request(packet: string): Promise<string> {
    const [reply] = await this.requests([packet]);
    return reply ?? "";
  }

  /** Sends all packets, then reads as many replies. Only for packets that leave the target halted. */
  async requests(packets: readonly string[]): Promise<string[]> {
    const framed = packets.map((packet) => `$${packet}#${HEX[checksum(packet)]}`).join("");
    const bytes = new TextEncoder().encode(framed);
    for (let at = 0; at < bytes.length;) at += await this.#connection.write(bytes.subarray(at));
    const replies: string[] = [];
    while (replies.length < packets.length) replies.push(await this.#receive());
    return replies;
  }

  /** The next packet's content. */
  async #receive(): Promise<string> {
    for (;;) {
      const start = this.#pending.indexOf("$");
      const end = start < 0 ? -1 : this.#pending.indexOf("#", start);
      if (end >= 0 && this.#pending.length >= end + 3) {
        const packet = this.#pending.slice(start + 1, end);
        this.#pending = this.#pending.slice(end + 3);
        return packet;
      }
      const length = await this.#connection.read(this.#buffer);
      if (length === null) throw new GdbRemoteError("The gdb port was closed.");
      this.#pending += new TextDecoder("latin1").decode(this.#buffer.subarray(0, length));
    }
  }

  /** Reads a whole object of the stub, such as a target description. */
  async readObject(object: string, annex: string): Promise<string> {
    let text = "";
    for (;;) {
      const reply = await this.request(`qXfer:${object}:read:${annex}:${text.length.toString(16)},ff0`);
      if (!/^[lm]/.test(reply)) throw new GdbRemoteError(`The stub has no ${object} ${annex}: ${reply}`);
      text += reply.slice(1);
      if (reply.startsWith("l")) return text;
    }
  }
}

function checksum(packet: string): number {
  let sum = 0;
  for (let i = 0; i < packet.length; i++) sum = (sum + packet.charCodeAt(i)) & 0xff;
  return sum;
}
