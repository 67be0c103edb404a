import type { Letter } from './message-view.ts'

export type Line = { direction: 'sent'; id: string; at: string; text: string } | ({ direction: 'received' } & Letter)

/** Messages kept per peer, and peers: what a model may want to look back at, and not a store. */
const maxLines = 50
const maxPeers = 100

/** What was said in this process, for the resource of a conversation. */
export class Transcript {
  readonly #lines = new Map<string, Line[]>()

  sent(peer: string, id: string, text: string, at: Date): void {
    this.#add(peer, { direction: 'sent', id, at: at.toISOString(), text: text.slice(0, 2_000) })
  }

  /** A message that is shown twice stands once, as it was shown last. */
  received(letter: Letter): void {
    const known = this.#lines.get(letter.from)?.findIndex(({ id }) => id === letter.id) ?? -1
    if (known >= 0) this.#lines.get(letter.from)?.splice(known, 1, { direction: 'received', ...letter })
    else this.#add(letter.from, { direction: 'received', ...letter })
  }

  with(peer: string): readonly Line[] {
    return this.#lines.get(peer) ?? []
  }

  #add(peer: string, line: Line): void {
    const lines = this.#lines.get(peer) ?? []
    this.#lines.delete(peer)
    this.#lines.set(peer, [...lines, line].slice(-maxLines))
    const [oldest] = this.#lines.keys()
    if (this.#lines.size > maxPeers && oldest !== undefined) this.#lines.delete(oldest)
  }
}
