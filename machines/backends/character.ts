/**
 * Character backends: what a serial line or console is connected to on the host. Both directions have backpressure: a
 * backend that is full refuses a byte and says when it has room; a device takes no more than it says.
 */

/** The device's end. Its methods never throw; they run outside of guest accesses. */
export interface CharacterFrontend {
  /** How many bytes it takes now. */
  acceptable(): number;
  /** Input for the guest, at most `acceptable()` bytes. */
  receive(bytes: Uint8Array): void;
  /** The backend refused a byte and now has room. */
  writable(): void;
  /** The host's end was connected or closed. */
  opened(isOpen: boolean): void;
}

export interface CharacterBackend {
  /** Guest to host. False if the backend is full: the device keeps the byte and waits for `writable`. */
  send(byte: number): boolean;
  /** Set by the device that uses this backend. */
  frontend?: CharacterFrontend;
}

/** A backend of a running machine: the board calls it between slices. */
export interface HostedCharacterBackend extends CharacterBackend {
  /** Hands waiting input to the device, as much as that takes. Returns whether it took any. */
  deliver(): boolean;
  /** Called when input arrives: a sleeping machine must look. */
  onInput?: () => void;
  /** Completes output and closes what is open. Idempotent. */
  close(): Promise<void>;
}

/** Input on its way to a device. */
export class InputQueue {
  #chunks: Uint8Array[] = [];
  #length = 0;
  #room: (() => void) | undefined;

  get length(): number {
    return this.#length;
  }

  push(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#chunks.push(bytes);
    this.#length += bytes.length;
  }

  /** Resolves once the device has taken everything: the time to read on. */
  emptied(): Promise<void> {
    if (this.#length === 0) return Promise.resolve();
    return new Promise((resolve) => this.#room = resolve);
  }

  /** Drops everything. */
  clear(): void {
    this.#chunks = [];
    this.#length = 0;
    this.#announceRoom();
  }

  deliverTo(frontend: CharacterFrontend | undefined): boolean {
    if (frontend === undefined || this.#length === 0) return false;
    let any = false;
    for (let room = frontend.acceptable(); room > 0 && this.#length > 0; room = frontend.acceptable()) {
      frontend.receive(this.#take(room));
      any = true;
    }
    if (this.#length === 0) this.#announceRoom();
    return any;
  }

  /** The next at most `count` bytes; never empty while the queue is not. */
  #take(count: number): Uint8Array {
    const chunk = this.#chunks[0];
    if (chunk === undefined) return new Uint8Array(0);
    if (chunk.length <= count) this.#chunks.shift();
    else this.#chunks[0] = chunk.subarray(count);
    const taken = chunk.subarray(0, count);
    this.#length -= taken.length;
    return taken;
  }

  #announceRoom(): void {
    const room = this.#room;
    this.#room = undefined;
    room?.();
  }
}

/** Takes everything and says nothing. */
export class NullBackend implements HostedCharacterBackend {
  frontend?: CharacterFrontend;

  send(): boolean {
    return true;
  }

  deliver(): boolean {
    return false;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** For programs that embed a machine: output goes to a function, input comes from `type`. */
export class CallbackBackend implements HostedCharacterBackend {
  frontend?: CharacterFrontend;
  onInput?: () => void;
  readonly #input = new InputQueue();
  readonly #output: ((byte: number) => void) | undefined;

  constructor(output?: (byte: number) => void) {
    this.#output = output;
  }

  send(byte: number): boolean {
    this.#output?.(byte);
    return true;
  }

  /** Input for the guest; text is sent as UTF-8. */
  type(input: string | Uint8Array): void {
    this.#input.push(typeof input === "string" ? new TextEncoder().encode(input) : input.slice());
    this.onInput?.();
  }

  deliver(): boolean {
    return this.#input.deliverTo(this.frontend);
  }

  close(): Promise<void> {
    this.#input.clear();
    return Promise.resolve();
  }
}
