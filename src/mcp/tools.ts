import type { TObject } from 'typebox'
import * as Type from 'typebox'
import { type AgentCard, type Content, type MessageView, NotOpenError, RequestRefusedError } from '../client/public.ts'
import type { Tool, Values } from './add-tool.ts'
import { NotReadError } from './errors.ts'
import type { McpSession } from './mcp-session.ts'
import { escapeText, fingerprint, isOver, notice, timeText } from './message-view.ts'
import { acknowledge, listed, Parts, readInFull, withheldIn } from './reading.ts'

/** Hosts end a call after about 60 s. */
const maxWaitS = 50
/** A request waits shorter by default, because some hosts give a call 30 s. */
const requestWaitS = 25
/** The answer to a call that took longer is listed again, because some hosts give a call 5 s or less, ms. */
const slowMs = 3_000
const pageSize = 20

const Name = Type.String({ description: 'agent name' })
const Text = Type.String()
const MediaType = Type.Optional(Type.String({ description: 'of text, e.g. application/json' }))
const Wait = Type.Optional(Type.Integer({ minimum: 0, maximum: maxWaitS }))
const After = Type.Optional(Type.Integer({ minimum: 0, description: 'cursor of the last result' }))
const Offset = Type.Optional(Type.Integer({ minimum: 0, description: 'next_offset of a long text' }))
const Thread = Type.Optional(Type.String({ description: 'id of the message that they answer' }))
const Ids = Type.Optional(Type.Array(Type.String(), { maxItems: 50 }))

const tool = <Input extends TObject>(definition: Tool<Input>): Tool<Input> => definition
const readOnly = { readOnlyHint: true, openWorldHint: true }
const writes = { destructiveHint: false, openWorldHint: true }

const contentOf = (text: string, mediaType: string | undefined): Content =>
  mediaType === undefined ? text : { mediaType, data: text }

/** Returns an unacknowledged message, or an answer to a call of `request`, by its id. @throws {NotOpenError} */
async function openMessage(session: McpSession, id: string): Promise<MessageView> {
  const message = (await session.client.mailbox.get(id)) ?? (await session.answer(id))
  if (!message) throw new NotOpenError(id)
  return message
}

export const tools = {
  send_message: tool({
    description: 'Send a message, end-to-end encrypted. The recipient may be offline.',
    input: Type.Object({ to: Name, text: Text, media_type: MediaType, in_reply_to: Type.Optional(Type.String()) }),
    annotations: writes,
    async run(session, { to, text, media_type, in_reply_to }, signal) {
      const original = in_reply_to === undefined ? undefined : await openMessage(session, in_reply_to)
      const content = contentOf(text, media_type)
      return session.send(to, { text, content, inReplyTo: original }, signal)
    },
  }),

  wait_for_messages: tool({
    description:
      'Wait for unread messages, without acknowledging them. Pass the last cursor as after to wait for newer ones.',
    input: Type.Object({ timeout_s: Wait, after: After, from: Type.Optional(Name), thread: Thread }),
    annotations: readOnly,
    async run(session, { timeout_s = 30, after, from, thread }, signal) {
      const query = { waitMs: timeout_s * 1_000, limit: pageSize, signal, after, from, re: thread }
      return listed(session, await session.client.mailbox.wait(query))
    },
  }),

  read_messages: tool({
    description:
      'Previews of unread messages; with ids, their full text; offset continues a long one. done: ids to acknowledge ' +
      'once they are read, which cannot be undone.',
    input: Type.Object({ ids: Ids, offset: Offset, done: Ids, from: Type.Optional(Name), after: After }),
    annotations: { ...writes, idempotentHint: true },
    async run(session, { ids, offset = 0, done, from, after }) {
      const shown = ids
        ? await readInFull(session, ids, offset)
        : await listed(session, await session.client.mailbox.list({ after, from, limit: pageSize }))
      return { ...shown, ...(done && (await acknowledge(session, done))) }
    },
  }),

  request: tool({
    description: 'Ask an agent and wait for its one reply. A later reply arrives as a message, with re.',
    input: Type.Object({ to: Name, text: Text, media_type: MediaType, timeout_s: Wait }),
    annotations: writes,
    async run(session, { to, text, media_type, timeout_s = requestWaitS }, signal) {
      const start = performance.now()
      const parts = new Parts()
      const options = {
        timeoutMs: Math.max(1, timeout_s * 1_000),
        signal,
        onPart: (part: MessageView) => parts.add(part.text ?? ''),
      }
      try {
        const answer = await session.client.request(to, contentOf(text, media_type), options)
        session.keepAnswer(answer, performance.now() - start > slowMs)
        return { answer: session.full(answer), ...parts.shown }
      } catch (error) {
        if (!(error instanceof RequestRefusedError)) throw error
        return { refused: { code: error.code, message: escapeText(error.message), notice } }
      }
    },
  }),

  reply: tool({
    description: 'Answer a message or request by id, and acknowledge it. refuse: a short code that declines a request.',
    input: Type.Object({
      id: Type.String(),
      text: Text,
      media_type: MediaType,
      refuse: Type.Optional(Type.String({ pattern: '^[a-z0-9_]{1,64}$' })),
    }),
    annotations: writes,
    async run(session, { id, text, media_type, refuse }, signal) {
      const message = await openMessage(session, id)
      if (!session.isRead(message)) throw new NotReadError(id)
      const content = contentOf(text, media_type)
      if (message.kind !== 'request' || (isOver(message) && refuse === undefined)) {
        const sent = await session.send(message.from, { text, content, inReplyTo: message }, signal)
        await session.client.mailbox.ack([id])
        return { ...sent, to: message.from, ...(message.kind === 'request' && { late: true }) }
      }
      // A refusal that is late has nobody to tell, so it fails.
      if (refuse === undefined) await session.client.reply(message, content)
      else await session.client.refuse(message, { code: refuse, message: text })
      session.transcript.sent(message.from, id, text, new Date())
      return { answered: id, to: message.from }
    },
  }),

  list_agents: tool({
    description: 'Registered agents, sorted by name, with their own descriptions of themselves.',
    input: Type.Object({
      online: Type.Optional(Type.Boolean()),
      prefix: Type.Optional(Type.String()),
      capability: Type.Optional(Type.String({ description: 'a tag in the card' })),
      limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 100 })),
      after: Type.Optional(Type.String({ description: 'cursor of the last result' })),
    }),
    annotations: readOnly,
    async run(session, { online, prefix, capability, limit = pageSize, after }) {
      const agents: Values[] = []
      let cursor = ''
      const query = {
        cards: true,
        ...(online !== undefined && { online }),
        ...(prefix !== undefined && { prefix }),
        ...(capability !== undefined && { capability }),
        ...(after !== undefined && { after }),
      }
      for await (const { username, online: isOnline, card } of session.client.users(query)) {
        if (agents.length === limit) return { agents, notice, more: true, cursor }
        cursor = username
        agents.push({ name: username, online: isOnline, ...(card && introduce(card)) })
      }
      return { agents, notice }
    },
  }),

  whoami: tool({
    description: 'Your own name, address and identity key, and the number of unread messages.',
    input: Type.Object({}),
    annotations: readOnly,
    async run(session) {
      const { account } = session.client
      return { ...account, ...(await unreadOf(session)) }
    },
  }),

  verify_agent: tool({
    description:
      "Show an agent's key and safety number. shown: the number or key that the agent itself shows; marks it verified.",
    input: Type.Object({ name: Name, shown: Type.Optional(Type.String()) }),
    annotations: { ...writes, idempotentHint: true },
    async run(session, { name, shown }) {
      const done = shown === undefined ? undefined : await session.client.verifyPeer(name, shown)
      const { address, trust, identity, safetyNumber, seen, unconfirmed } = await session.client.identityOf(name)
      const other = seen && { seen: { ...seen, key: fingerprint(seen.identity) }, unconfirmed }
      return { address, trust, identity, key: fingerprint(identity), safetyNumber, ...other, ...done }
    },
  }),
}

/** Returns the content of a card as data. */
const introduce = ({ title, description, capabilities, acceptsRequests, verified }: AgentCard): Values => ({
  title: escapeText(title),
  ...(description !== undefined && { description: escapeText(description) }),
  ...(capabilities.length > 0 && { capabilities }),
  ...(acceptsRequests && { accepts_requests: true }),
  verified: verified === 'verified',
})

/** Returns the number of unread messages, their senders, and the time of the oldest. */
export async function unreadOf(session: McpSession): Promise<Values> {
  const senders: Record<string, number> = {}
  let unread = 0
  let oldest: number | undefined
  for (let after = 0; ; ) {
    const { messages, cursor, more } = await session.client.mailbox.list({ after, limit: 500 })
    for (const { from, sentAt } of messages) {
      unread += 1
      oldest = Math.min(oldest ?? sentAt, sentAt)
      senders[from] = (senders[from] ?? 0) + 1
    }
    if (!more) {
      const held = await withheldIn(session)
      return { unread, ...(oldest !== undefined && { oldest: timeText(oldest) }), senders, ...held }
    }
    after = cursor
  }
}
