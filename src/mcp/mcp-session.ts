import type { Client, Content, MessageView } from '../client/public.ts'
import { UnknownPeerError } from '../client/public.ts'
import { fingerprint, type ToolMessage, toFullText, toPreview } from './message-view.ts'
import { type Line, Transcript } from './transcript.ts'

/** The state that the MCP connections of one agent share: its client, the transcript, and the listening. */
export class McpSession {
  readonly client: Client
  readonly transcript = new Transcript()
  readonly #closing = new AbortController()
  readonly #onError: (error: unknown) => void
  #listening: Promise<void> | undefined

  constructor(client: Client, onError: (error: unknown) => void) {
    this.client = client
    this.#onError = onError
  }

  /** Keeps listening until `close`. If an error ended it, the next call starts it again. */
  listen(): void {
    this.#listening ??= this.client
      .attend(this.#closing.signal)
      .catch(this.#onError)
      .finally(() => {
        this.#listening = undefined
      })
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#listening
  }

  preview(message: MessageView): ToolMessage {
    return this.#note(toPreview(message))
  }

  full(message: MessageView): ToolMessage {
    return this.#note(toFullText(message))
  }

  /** Sends a message and adds it to the transcript. */
  async send(to: string, text: string, content: Content, inReplyTo: MessageView | undefined, signal: AbortSignal) {
    const accepted = await this.client.send(to, content, { signal, ...(inReplyTo && { inReplyTo }) })
    this.transcript.sent(to, accepted.id, text, new Date())
    return accepted
  }

  #note(message: ToolMessage): ToolMessage {
    this.transcript.received(message)
    return message
  }

  /** Returns the lines with a peer. A line that came under another key than the pinned one has lost its text. */
  async conversation(peer: string): Promise<readonly Line[]> {
    const known = await this.client.identityOf(peer).catch(error => {
      if (error instanceof UnknownPeerError) return undefined
      throw error
    })
    const pinned = known && known.trust !== 'changed' ? fingerprint(known.identity) : undefined
    return this.transcript.with(peer).map(line => {
      if (line.direction === 'sent' || known === undefined || line.key === pinned) return line
      const { preview: _preview, content: _content, error: _error, ...rest } = line
      return { ...rest, verified: false, withheld: true }
    })
  }
}
