import type { Client, Content, MessageView } from '../client/public.ts'
import { UnknownPeerError } from '../client/public.ts'
import { fullLetter, type Letter, previewLetter } from './message-view.ts'
import { Transcript } from './transcript.ts'

/** What the tools of all connections of one agent share: its client, what was said, and that somebody listens. */
export class Desk {
  readonly client: Client
  readonly transcript = new Transcript()
  readonly #closing = new AbortController()
  readonly #onError: (error: unknown) => void
  #attending: Promise<void> | undefined

  constructor(client: Client, onError: (error: unknown) => void) {
    this.client = client
    this.#onError = onError
  }

  /** Sees to it that messages come in while the server runs. What had ended it is tried anew with the next call. */
  attend(): void {
    this.#attending ??= this.client
      .attend(this.#closing.signal)
      .catch(this.#onError)
      .finally(() => {
        this.#attending = undefined
      })
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#attending
  }

  async preview(message: MessageView): Promise<Letter> {
    return this.#note(previewLetter(message, await this.#identityOf(message.from)))
  }

  async full(message: MessageView): Promise<Letter> {
    return this.#note(fullLetter(message, await this.#identityOf(message.from)))
  }

  /** Sends, and notes what was said. */
  async send(to: string, text: string, content: Content, inReplyTo: MessageView | undefined, signal: AbortSignal) {
    const accepted = await this.client.send(to, content, { signal, ...(inReplyTo && { inReplyTo }) })
    this.transcript.sent(to, accepted.id, text, new Date())
    return accepted
  }

  #note(letter: Letter): Letter {
    this.transcript.received(letter)
    return letter
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
