import type { Client, Content, MessageView } from '../client/public.ts'
import { UnknownPeerError } from '../client/public.ts'
import { type ToolMessage, toFullText, toPreview } from './message-view.ts'
import { Transcript } from './transcript.ts'

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

  async preview(message: MessageView): Promise<ToolMessage> {
    return this.#note(toPreview(message, await this.#identityOf(message.from)))
  }

  async full(message: MessageView): Promise<ToolMessage> {
    return this.#note(toFullText(message, await this.#identityOf(message.from)))
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

  async #identityOf(name: string): Promise<string> {
    try {
      return (await this.client.identityOf(name)).identity
    } catch (error) {
      if (error instanceof UnknownPeerError) return ''
      throw error
    }
  }
}
