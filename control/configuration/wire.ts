import { BlobError } from './errors.ts';

/** Appends little-endian integers and length-prefixed text to a growing buffer. */
export class ByteWriter {
  #bytes = Buffer.alloc(4_096);
  #length = 0;

  u8(value: number): void {
    const start = this.#grow(1);
    this.#bytes.writeUInt8(value, start);
  }

  u16(value: number): void {
    const start = this.#grow(2);
    this.#bytes.writeUInt16LE(value, start);
  }

  u32(value: number): void {
    const start = this.#grow(4);
    this.#bytes.writeUInt32LE(value, start);
  }

  ascii(text: string): void {
    const start = this.#grow(text.length);
    this.#bytes.write(text, start, 'latin1');
  }

  text(text: string): void {
    const length = Buffer.byteLength(text, 'utf8');
    this.u16(length);
    const start = this.#grow(length);
    this.#bytes.write(text, start, 'utf8');
  }

  finish(): Uint8Array {
    return new Uint8Array(this.#bytes.subarray(0, this.#length));
  }

  /** Makes room and answers where it begins. */
  #grow(count: number): number {
    const start = this.#length;
    this.#length += count;
    if (this.#length > this.#bytes.length) {
      const larger = Buffer.alloc(Math.max(this.#length, this.#bytes.length * 2));
      this.#bytes.copy(larger);
      this.#bytes = larger;
    }
    return start;
  }
}

/** Reads what `ByteWriter` wrote; reading past the end is a `BlobError`, never a short value. */
export class ByteReader {
  readonly #bytes: Buffer;
  readonly #utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  u8(): number {
    return this.#bytes.readUInt8(this.#take(1));
  }

  u16(): number {
    return this.#bytes.readUInt16LE(this.#take(2));
  }

  u32(): number {
    return this.#bytes.readUInt32LE(this.#take(4));
  }

  ascii(length: number): string {
    const start = this.#take(length);
    return this.#bytes.toString('latin1', start, start + length);
  }

  text(): string {
    const length = this.u16();
    const start = this.#take(length);
    try {
      return this.#utf8.decode(this.#bytes.subarray(start, start + length));
    } catch {
      throw new BlobError(`invalid UTF-8 at byte ${start}`);
    }
  }

  expectEnd(): void {
    const rest = this.#bytes.length - this.#at;
    if (rest !== 0) throw new BlobError(`${rest} bytes after the last rule`);
  }

  #take(count: number): number {
    const start = this.#at;
    if (start + count > this.#bytes.length) {
      throw new BlobError(`the blob ends at byte ${this.#bytes.length}, inside a rule`);
    }
    this.#at += count;
    return start;
  }
}
