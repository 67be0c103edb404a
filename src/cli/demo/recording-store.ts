import type { AppendItem, Store } from '../../server/store/store.ts'
import { encodeUtf8 } from '../../util/bytes.ts'

/** Records every envelope that a node stores, and every line that it logs. */
export class Recorder {
  readonly envelopes: AppendItem[] = []
  readonly #logged: string[] = []

  /** The destination for a logger. */
  readonly log = { write: (line: string): void => void this.#logged.push(line) }

  /** Returns the same store. From now on it records each envelope before it stores it. */
  record(store: Store): Store {
    const append = store.inboxes.append.bind(store.inboxes)
    store.inboxes.append = items => {
      this.envelopes.push(...items)
      return append(items)
    }
    return store
  }

  /** Returns true if the records contain a text as it is, or as bytes that were encoded but not encrypted. */
  has(text: string): boolean {
    const everything = [...this.envelopes.map(envelope => JSON.stringify(envelope)), ...this.#logged].join('\n')
    return [text, ...encodings(text)].some(form => everything.includes(form))
  }
}

/** Returns the text in hex, and in base64url for each of the three positions in a group of three bytes. */
function encodings(text: string): string[] {
  const bytes = encodeUtf8(text)
  const shifted = [0, 1, 2].map(shift =>
    Buffer.from(bytes.subarray(shift, shift + 3 * Math.floor((bytes.length - shift) / 3))),
  )
  return [...shifted.map(part => part.toString('base64url')), Buffer.from(bytes).toString('hex')]
}
