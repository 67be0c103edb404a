import { CryptoError } from '../errors.ts'

/** Reads a byte string from front to end; what is missing, or left over, is `malformed`. Big-endian (docs/E2E.md section 1). */
export class ByteReader {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  #offset = 0

  constructor(bytes: Uint8Array) {
    // A Buffer's own `slice` would not copy.
    this.#bytes = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  get remaining(): number {
    return this.#bytes.length - this.#offset
  }

  /** A copy, so that a record that is kept does not hold the frame it came in. */
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

  /** A u64 that fits a JavaScript integer. */
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

  /** A byte that must be the given one, such as a version. */
  expect(byte: number): void {
    if (this.u8() !== byte) throw new CryptoError('malformed')
  }

  /** `count` items, each read by `read`. */
  list<Item>(count: number, read: (reader: ByteReader) => Item): Item[] {
    const items: Item[] = []
    for (let index = 0; index < count; index++) items.push(read(this))
    return items
  }

  /** A byte 0, or 1 and an item. */
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
 * Runs a decoder over all of `bytes`.
 * @throws {CryptoError} `malformed` when it wants more, or leaves some.
 */
export function readAll<Value>(bytes: Uint8Array, read: (reader: ByteReader) => Value): Value {
  const reader = new ByteReader(bytes)
  const value = read(reader)
  reader.end()
  return value
}
