import { fromJsonSchema, type McpServer, type ServerContext, type ToolAnnotations } from '@modelcontextprotocol/server'
import type { Static, TObject } from 'typebox'
import * as Type from 'typebox'
import { type AgentCard, type Content, type MessageView, NotOpenError, RequestRefusedError } from '../client/public.ts'
import type { McpSession } from './mcp-session.ts'
import { escapeText, fingerprint, notice, timeText } from './message-view.ts'
import { failure, result } from './result.ts'

/** Hosts end a call after about 60 s. */
const maxWaitS = 50
const pageSize = 20

const Name = Type.String({ description: 'agent name' })
const Text = Type.String()
const MediaType = Type.Optional(Type.String({ description: 'of text, e.g. application/json' }))
const Wait = Type.Optional(Type.Integer({ minimum: 0, maximum: maxWaitS }))
const After = Type.Optional(Type.Integer({ minimum: 0, description: 'cursor of the last result' }))
const Ids = Type.Optional(Type.Array(Type.String(), { maxItems: 50 }))

type Values = Record<string, unknown>
type Tool<Input extends TObject> = {
  description: string
  input: Input
  annotations?: ToolAnnotations
  run(session: McpSession, input: Static<Input>, signal: AbortSignal): Promise<Values>
}

const tool = <Input extends TObject>(definition: Tool<Input>): Tool<Input> => definition
const readOnly = { readOnlyHint: true, openWorldHint: true }
const writes = { destructiveHint: false, openWorldHint: true }

const contentOf = (text: string, mediaType: string | undefined): Content =>
  mediaType === undefined ? text : { mediaType, data: text }

/** Returns an unacknowledged message by its id. @throws {NotOpenError} */
async function openMessage(session: McpSession, id: string): Promise<MessageView> {
  const message = await session.client.mailbox.get(id)
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
      const { id, queued } = await session.send(to, text, contentOf(text, media_type), original, signal)
      return { id, queued }
    },
  }),

  wait_for_messages: tool({
    description:
      'Wait for unread messages, without acknowledging them. Pass the last cursor as after to wait for newer ones.',
    input: Type.Object({ timeout_s: Wait, after: After }),
    annotations: readOnly,
    async run(session, { timeout_s = 30, after }, signal) {
      const query = { waitMs: timeout_s * 1_000, limit: pageSize, signal, ...(after !== undefined && { after }) }
      const { messages, cursor, more } = await session.client.mailbox.wait(query)
      return {
        messages: messages.map(message => session.preview(message)),
        cursor,
        ...(more && { more }),
        ...(await withheldIn(session)),
      }
    },
  }),

  read_messages: tool({
    description:
      'Previews of unread messages; with ids, their full text. done: ids to acknowledge, which cannot be undone.',
    input: Type.Object({ ids: Ids, done: Ids, from: Type.Optional(Name), after: After }),
    annotations: { ...writes, idempotentHint: true },
    async run(session, { ids, done, from, after }) {
      const acknowledged = done && (await session.client.mailbox.ack(done))
      const noted = acknowledged !== undefined && { acknowledged }
      if (ids) {
        const found = await Promise.all(ids.map(id => session.client.mailbox.get(id)))
        const messages = found.flatMap(message => (message ? [session.full(message)] : []))
        const missing = ids.filter((_id, index) => !found[index])
        return { messages, ...(missing.length > 0 && { missing }), ...noted }
      }
      const { messages, cursor, more } = await session.client.mailbox.list({ after, from, limit: pageSize })
      const previews = messages.map(message => session.preview(message))
      return { messages: previews, cursor, ...(more && { more }), ...noted, ...(await withheldIn(session)) }
    },
  }),

  request: tool({
    description: 'Ask an agent and wait for its one reply. For longer work, use send_message and wait_for_messages.',
    input: Type.Object({ to: Name, text: Text, media_type: MediaType, timeout_s: Wait }),
    annotations: writes,
    async run(session, { to, text, media_type, timeout_s = maxWaitS }, signal) {
      const parts: string[] = []
      const options = {
        timeoutMs: Math.max(1, timeout_s * 1_000),
        signal,
        onPart: (part: MessageView) => parts.push(escapeText(part.text ?? '')),
      }
      try {
        const answer = await session.client.request(to, contentOf(text, media_type), options)
        return { answer: session.full(answer), ...(parts.length > 0 && { parts }) }
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
      const content = contentOf(text, media_type)
      if (message.kind !== 'request') {
        const { queued, id: sent } = await session.send(message.from, text, content, message, signal)
        await session.client.mailbox.ack([id])
        return { id: sent, to: message.from, queued }
      }
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
    }),
    annotations: readOnly,
    async run(session, { online, prefix, capability, limit = pageSize }) {
      const agents: Values[] = []
      const query = {
        cards: true,
        ...(online !== undefined && { online }),
        ...(prefix !== undefined && { prefix }),
        ...(capability !== undefined && { capability }),
      }
      for await (const { username, online: isOnline, card } of session.client.users(query)) {
        if (agents.length === limit) return { agents, notice, more: true }
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

/** Returns the messages that are not shown because of the key that they came under; nothing if there are none. */
async function withheldIn({ client }: McpSession): Promise<Values> {
  const all = await client.mailbox.withheld()
  if (all.length === 0) return {}
  const withheld = all.map(({ identity = '', ...rest }) => ({ ...rest, key: fingerprint(identity) }))
  return { withheld }
}

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

/** Registers a tool. The server checks its input against the schema; an error becomes the result of the tool. */
export function addTool<Input extends TObject>(
  server: McpServer,
  session: McpSession,
  name: string,
  definition: Tool<Input>,
): void {
  const { description, input, annotations, run } = definition
  // Without this, a misspelled argument would be ignored silently.
  const inputSchema = fromJsonSchema<Static<Input>>({ ...input, additionalProperties: false })
  const config = { description, inputSchema, ...(annotations && { annotations }) }
  server.registerTool(name, config, async (args: Static<Input>, { mcpReq }: ServerContext) => {
    session.listen()
    try {
      return result(await run(session, args, mcpReq.signal))
    } catch (error) {
      return failure(error)
    }
  })
}
