import type { MailboxPage } from '../client/public.ts'
import type { Values } from './add-tool.ts'
import type { McpSession } from './mcp-session.ts'
import { fingerprint, fullChars, resultChars, type ToolMessage } from './message-view.ts'
import { toModelText } from './model-text.ts'

/** The parts that came before a reply, as many as one result holds. The peer decides how many it sends. */
export class Parts {
  readonly #texts: string[] = []
  #room = resultChars - fullChars
  #escaped = false
  #left = 0

  add(part: string): void {
    const { text, escaped } = toModelText(part)
    this.#room -= text.length
    if (this.#room < 0) {
      this.#left += 1
      return
    }
    this.#texts.push(text)
    this.#escaped ||= escaped
  }

  get shown(): Values {
    if (this.#texts.length + this.#left === 0) return {}
    return {
      parts: this.#texts,
      ...(this.#escaped && { parts_escaped: true }),
      ...(this.#left > 0 && { parts_left: this.#left }),
    }
  }
}

/** Returns previews of a page, with what else waits to be seen. */
export async function listed(session: McpSession, { messages, cursor, more }: MailboxPage): Promise<Values> {
  const answers = await session.takeLateAnswers()
  return {
    messages: messages.map(message => session.preview(message)),
    cursor,
    ...(more && { more }),
    ...(answers.length > 0 && { answers }),
    ...(await withheldIn(session)),
  }
}

/** Returns full texts, as many as one result holds. `left` has the ids to ask for again. */
export async function readInFull(session: McpSession, ids: readonly string[], offset: number): Promise<Values> {
  const messages: ToolMessage[] = []
  const missing: string[] = []
  const left: string[] = []
  let room = resultChars
  for (const id of ids) {
    const message = (await session.client.mailbox.get(id)) ?? (await session.answer(id))
    if (!message) missing.push(id)
    else if (room <= 0) left.push(id)
    else {
      const shown = session.full(message, { offset, room })
      messages.push(shown)
      room -= shown.content?.length ?? 0
    }
  }
  return { messages, ...(missing.length > 0 && { missing }), ...(left.length > 0 && { left }) }
}

/** Acknowledges the messages whose whole text was shown. */
export async function acknowledge(session: McpSession, ids: readonly string[]): Promise<Values> {
  const read: string[] = []
  const kept: string[] = []
  for (const id of ids) {
    const message = await session.client.mailbox.get(id)
    if (message) (session.isRead(message) ? read : kept).push(id)
  }
  const acknowledged = await session.client.mailbox.ack(read)
  const why = 'not shown in full yet: read them with ids, and to the end with offset'
  return { acknowledged, ...(kept.length > 0 && { not_acknowledged: kept, why }) }
}

/** Returns the messages that are not shown because of the key that they came under; nothing if there are none. */
export async function withheldIn({ client }: McpSession): Promise<Values> {
  const all = await client.mailbox.withheld()
  if (all.length === 0) return {}
  const withheld = all.map(({ identity = '', ...rest }) => ({ ...rest, key: fingerprint(identity) }))
  return { withheld }
}
