/** A growing byte buffer with the integer encodings of the WebAssembly binary format (core specification, 5.2). */
export class Bytes {
  #data = new Uint8Array(256);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** The bytes written so far, as a copy. */
  finish(): Uint8Array<ArrayBuffer> {
    return this.#data.slice(0, this.#length);
  }

  byte(value: number): this {
    if (this.#length === this.#data.length) this.#grow(1);
    this.#data[this.#length++] = value;
    return this;
  }

  bytes(values: ArrayLike<number>): this {
    if (this.#length + values.length > this.#data.length) this.#grow(values.length);
    this.#data.set(values, this.#length);
    this.#length += values.length;
    return this;
  }

  append(other: Bytes): this {
    return this.bytes(other.#data.subarray(0, other.#length));
  }

  /** Unsigned LEB128 of an integer below 2^53. */
  unsigned(value: number): this {
    while (value >= 0x80) {
      this.byte((value % 0x80) | 0x80);
      value = Math.floor(value / 0x80);
    }
    return this.byte(value);
  }

  /** Signed LEB128. Numbers must be safe integers; a bigint is taken as a signed 64-bit value. */
  signed(value: number | bigint): this {
    if (typeof value === "bigint") {
      const wrapped = BigInt.asIntN(64, value), near = Number(wrapped);
      if (!Number.isSafeInteger(near)) return this.#signedBig(wrapped);
      value = near;
    }
    for (;;) {
      const low = ((value % 0x80) + 0x80) % 0x80;
      value = Math.floor(value / 0x80);
      if ((value === 0 && low < 0x40) || (value === -1 && low >= 0x40)) return this.byte(low);
      this.byte(low | 0x80);
    }
  }

  #signedBig(value: bigint): this {
    for (;;) {
      const low = Number(value & 0x7fn);
      value >>= 7n;
      if ((value === 0n && low < 0x40) || (value === -1n && low >= 0x40)) return this.byte(low);
      this.byte(low | 0x80);
    }
  }

  f32(value: number): this {
    return this.bytes(new Uint8Array(new Float32Array([value]).buffer));
  }

  f64(value: number): this {
    return this.bytes(new Uint8Array(new Float64Array([value]).buffer));
  }

  name(text: string): this {
    const encoded = new TextEncoder().encode(text);
    return this.unsigned(encoded.length).bytes(encoded);
  }

  /** A section, body or other part that is preceded by its own length. */
  sized(part: Bytes): this {
    return this.unsigned(part.length).append(part);
  }

  #grow(more: number) {
    const larger = new Uint8Array(Math.max(this.#data.length * 2, this.#length + more));
    larger.set(this.#data);
    this.#data = larger;
  }
}
