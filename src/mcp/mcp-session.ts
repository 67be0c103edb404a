import type { Client, Content, MessageView } from '../client/public.ts'
import { UnknownPeerError } from '../client/public.ts'
import { RecentMap } from '../util/recent-map.ts'
import { fingerprint, type ToolMessage, toFullText, toPreview, type View } from './message-view.ts'
import { type Line, Transcript } from './transcript.ts'

/** How long a tool waits until a node has accepted a message, ms: the shortest hosts give a call 30 s. */
const sendWaitMs = 20_000

/** A message that a node has accepted, or that waits in the state. */
type Sent = { id: string; queued: boolean } | { id: string; accepted: false; note: string }

/** Bounds of what a session remembers. A message that was forgotten has to be read again. */
const maxShown = 10_000
const maxLateAnswers = 50

/** The state that the MCP connections of one agent share: its client, the transcript, and the listening. */
export class McpSession {
  readonly client: Client
  readonly transcript = new Transcript()
  readonly #closing = new AbortController()
  readonly #onError: (error: unknown) => void
  /** How much of the texts of messages was part of results, by id. */
  readonly #shown = new RecentMap<string, { upTo: number; isWhole: boolean }>(maxShown)
  readonly #answers = new RecentMap<string, MessageView>(maxLateAnswers)
  readonly #lateAnswers: MessageView[] = []
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

  full(message: MessageView, { offset = 0, room = Number.POSITIVE_INFINITY } = {}): ToolMessage {
    return this.#note(toFullText(message, { offset, room }))
  }

  /** Returns true if the whole text of a message was part of results. After a restart nothing was. */
  isRead({ id }: { id: string }): boolean {
    return this.#shown.peek(id)?.isWhole ?? false
  }

  /** Keeps an answer for a host that gave up the call before it came. */
  keepAnswer(answer: MessageView, isLate: boolean): void {
    this.#answers.take(answer.id, () => answer)
    if (answer.re !== undefined) this.#answers.take(answer.re, () => answer)
    if (isLate) this.#lateAnswers.push(answer)
    if (this.#lateAnswers.length > maxLateAnswers) this.#lateAnswers.shift()
  }

  /** Returns an answer by its own id or by that of its request, unless another key of its sender is pinned by now. */
  async answer(id: string): Promise<MessageView | undefined> {
    const answer = this.#answers.peek(id)
    return answer && (await this.#isStillRight(answer)) ? answer : undefined
  }

  async #isStillRight({ from, identity }: MessageView): Promise<boolean> {
    const known = await this.client.identityOf(from).catch(() => undefined)
    return known !== undefined && known.trust !== 'changed' && known.identity === identity
  }

  /** Returns the answers to slow calls that have not been listed since. */
  async takeLateAnswers(): Promise<ToolMessage[]> {
    const shown: ToolMessage[] = []
    for (const answer of this.#lateAnswers.splice(0))
      if (await this.#isStillRight(answer)) shown.push(this.preview(answer))
    return shown
  }

  /**
   * Sends a message and adds it to the transcript. If no node has accepted it in time, the message stays in the state
   * and goes out later: hosts give up a call that takes longer, and a model would send the message again.
   */
  async send(
    to: string,
    { text, content, inReplyTo }: { text: string; content: Content; inReplyTo?: MessageView | undefined },
    signal: AbortSignal,
  ): Promise<Sent> {
    let id: string | undefined
    const late = AbortSignal.timeout(sendWaitMs)
    const onStored = (stored: string) => {
      id = stored
    }
    const options = { onStored, signal: AbortSignal.any([signal, late]), ...(inReplyTo && { inReplyTo }) }
    try {
      const { queued, ...accepted } = await this.client.send(to, content, options)
      this.transcript.sent(to, accepted.id, text, new Date())
      return { id: accepted.id, queued }
    } catch (error) {
      if (id === undefined || signal.aborted || !late.aborted) throw error
      this.transcript.sent(to, id, text, new Date())
      return { id, accepted: false, note: 'kept here, goes out by itself; do not send it again' }
    }
  }

  #note({ message, from, to, isEnd }: View): ToolMessage {
    const shown = this.#shown.take(message.id, () => ({ upTo: 0, isWhole: false }))
    if (from <= shown.upTo) {
      shown.upTo = Math.max(shown.upTo, to)
      shown.isWhole ||= isEnd
    }
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
