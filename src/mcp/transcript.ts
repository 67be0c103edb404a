import type { ToolMessage } from './message-view.ts'

export type Line =
  | { direction: 'sent'; id: string; at: string; text: string }
  | ({ direction: 'received' } & ToolMessage)

/** Limits on messages per peer and on peers: the transcript is a memory aid for the model, not a store. */
const maxLines = 50
const maxPeers = 100

/** The messages of this process, for the conversation resource. */
export class Transcript {
  readonly #lines = new Map<string, Line[]>()

  sent(peer: string, id: string, text: string, at: Date): void {
    this.#add(peer, { direction: 'sent', id, at: at.toISOString(), text: text.slice(0, 2_000) })
  }

  /** A message that is shown again replaces its earlier line. */
  received(message: ToolMessage): void {
    const known = this.#lines.get(message.from)?.findIndex(({ id }) => id === message.id) ?? -1
    if (known >= 0) this.#lines.get(message.from)?.splice(known, 1, { direction: 'received', ...message })
    else this.#add(message.from, { direction: 'received', ...message })
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
