import { CryptoError } from '../errors.ts'

/** Reads a byte string from start to end, big-endian (docs/E2E.md section 1). Missing bytes are `malformed`. */
export class ByteReader {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  #offset = 0

  constructor(bytes: Uint8Array) {
    // `Buffer.prototype.slice` does not copy.
    this.#bytes = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  get remaining(): number {
    return this.#bytes.length - this.#offset
  }

  /** Returns a copy, so that a stored record does not keep the whole frame alive. */
  take(length: number): Uint8Array {
    return this.#bytes.slice(this.#move(length), this.#offset)
  }

  rest(): Uint8Array {
    return this.take(this.remaining)
  }

  u8(): number {
    return this.#view.getUint8(this.#move(1))
  }

  u16(): number {
    return this.#view.getUint16(this.#move(2))
  }

  u32(): number {
    return this.#view.getUint32(this.#move(4))
  }

  /** @throws {CryptoError} `malformed` above `Number.MAX_SAFE_INTEGER`. */
  u64(): number {
    const number = this.#view.getBigUint64(this.#move(8))
    if (number > BigInt(Number.MAX_SAFE_INTEGER)) throw new CryptoError('malformed')
    return Number(number)
  }

  vec8(): Uint8Array {
    return this.take(this.u8())
  }

  vec16(): Uint8Array {
    return this.take(this.u16())
  }

  vec32(): Uint8Array {
    return this.take(this.u32())
  }

  /** Reads a byte that must have the given value, such as a version. */
  expect(byte: number): void {
    if (this.u8() !== byte) throw new CryptoError('malformed')
  }

  /** Reads `count` items. */
  list<Item>(count: number, read: (reader: ByteReader) => Item): Item[] {
    const items: Item[] = []
    for (let index = 0; index < count; index++) items.push(read(this))
    return items
  }

  /** Reads a byte 0, or a byte 1 followed by an item. */
  optional<Item>(read: (reader: ByteReader) => Item): Item | undefined {
    const flag = this.u8()
    if (flag > 1) throw new CryptoError('malformed')
    return flag === 1 ? read(this) : undefined
  }

  end(): void {
    if (this.remaining > 0) throw new CryptoError('malformed')
  }

  #move(length: number): number {
    const start = this.#offset
    if (length > this.remaining) throw new CryptoError('malformed')
    this.#offset += length
    return start
  }
}

/**
 * Decodes all of `bytes`.
 * @throws {CryptoError} `malformed` if bytes are missing or left over.
 */
export function readAll<Value>(bytes: Uint8Array, read: (reader: ByteReader) => Value): Value {
  const reader = new ByteReader(bytes)
  const value = read(reader)
  reader.end()
  return value
}
