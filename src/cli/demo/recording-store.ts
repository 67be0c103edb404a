import type { AppendItem, Store } from '../../server/store/store.ts'
import { encodeUtf8 } from '../../util/bytes.ts'

/** Everything that a node hands to its store to keep, and every line that it logs. */
export class Witness {
  readonly envelopes: AppendItem[] = []
  readonly #logged: string[] = []

  /** Where a logger writes. */
  readonly log = { write: (line: string): void => void this.#logged.push(line) }

  /** The same store, which keeps nothing that is not noted here. */
  watch(store: Store): Store {
    const append = store.inboxes.append.bind(store.inboxes)
    store.inboxes.append = items => {
      this.envelopes.push(...items)
      return append(items)
    }
    return store
  }

  /** Whether a text stands anywhere in it, as it is or as bytes that were only encoded. */
  has(text: string): boolean {
    const everything = [...this.envelopes.map(envelope => JSON.stringify(envelope)), ...this.#logged].join('\n')
    return [text, ...encodings(text)].some(form => everything.includes(form))
  }
}

/** base64url and hex of the text; base64url also for a text that starts in the middle of a group of three bytes. */
function encodings(text: string): string[] {
  const bytes = encodeUtf8(text)
  const shifted = [0, 1, 2].map(shift =>
    Buffer.from(bytes.subarray(shift, shift + 3 * Math.floor((bytes.length - shift) / 3))),
  )
  return [...shifted.map(part => part.toString('base64url')), Buffer.from(bytes).toString('hex')]
}
