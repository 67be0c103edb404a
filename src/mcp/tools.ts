import { fromJsonSchema, type McpServer, type ServerContext, type ToolAnnotations } from '@modelcontextprotocol/server'
import type { Static, TObject } from 'typebox'
import * as Type from 'typebox'
import { type AgentCard, type Content, type MessageView, NotOpenError, RequestRefusedError } from '../client/public.ts'
import type { Desk } from './mcp-session.ts'
import { escapeText, fingerprint, notice, timeText } from './message-view.ts'
import { failure, result } from './result.ts'

/** Hosts cut a call at about 60 s. */
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
  run(desk: Desk, input: Static<Input>, signal: AbortSignal): Promise<Values>
}

const tool = <Input extends TObject>(definition: Tool<Input>): Tool<Input> => definition
const readOnly = { readOnlyHint: true, openWorldHint: true }
const writes = { destructiveHint: false, openWorldHint: true }

const contentOf = (text: string, mediaType: string | undefined): Content =>
  mediaType === undefined ? text : { mediaType, data: text }

/** A message that waits, by its id. */
async function waiting(desk: Desk, id: string): Promise<MessageView> {
  const message = await desk.client.mailbox.get(id)
  if (!message) throw new NotOpenError(id)
  return message
}

export const tools = {
  send_message: tool({
    description: 'Send a message, end-to-end encrypted. The recipient may be offline.',
    input: Type.Object({ to: Name, text: Text, media_type: MediaType, in_reply_to: Type.Optional(Type.String()) }),
    annotations: writes,
    async run(desk, { to, text, media_type, in_reply_to }, signal) {
      const original = in_reply_to === undefined ? undefined : await waiting(desk, in_reply_to)
      const { id, queued } = await desk.send(to, text, contentOf(text, media_type), original, signal)
      return { id, queued }
    },
  }),

  wait_for_messages: tool({
    description:
      'Wait until unread messages are there; acknowledges nothing. Pass the last cursor as after to wait for newer ones.',
    input: Type.Object({ timeout_s: Wait, after: After }),
    annotations: readOnly,
    async run(desk, { timeout_s = 30, after }, signal) {
      const query = { waitMs: timeout_s * 1_000, limit: pageSize, signal, ...(after !== undefined && { after }) }
      const { messages, cursor, more } = await desk.client.mailbox.wait(query)
      return {
        messages: await Promise.all(messages.map(message => desk.preview(message))),
        cursor,
        ...(more && { more }),
      }
    },
  }),

  read_messages: tool({
    description: 'Previews of unread messages; with ids, their full text. done: ids to acknowledge for good.',
    input: Type.Object({ ids: Ids, done: Ids, from: Type.Optional(Name), after: After }),
    annotations: { ...writes, idempotentHint: true },
    async run(desk, { ids, done, from, after }) {
      const acknowledged = done && (await desk.client.mailbox.ack(done))
      const noted = acknowledged !== undefined && { acknowledged }
      if (ids) {
        const found = await Promise.all(ids.map(id => desk.client.mailbox.get(id)))
        const messages = await Promise.all(found.flatMap(message => (message ? [desk.full(message)] : [])))
        const missing = ids.filter((_id, index) => !found[index])
        return { messages, ...(missing.length > 0 && { missing }), ...noted }
      }
      const { messages, cursor, more } = await desk.client.mailbox.list({ after, from, limit: pageSize })
      const previews = await Promise.all(messages.map(message => desk.preview(message)))
      return { messages: previews, cursor, ...(more && { more }), ...noted }
    },
  }),

  request: tool({
    description: 'Ask an agent and wait for its one reply. For work that takes longer, send_message and wait.',
    input: Type.Object({ to: Name, text: Text, media_type: MediaType, timeout_s: Wait }),
    annotations: writes,
    async run(desk, { to, text, media_type, timeout_s = maxWaitS }, signal) {
      const parts: string[] = []
      const options = {
        timeoutMs: Math.max(1, timeout_s * 1_000),
        signal,
        onPart: (part: MessageView) => parts.push(escapeText(part.text ?? '')),
      }
      try {
        const answer = await desk.client.request(to, contentOf(text, media_type), options)
        return { answer: await desk.full(answer), ...(parts.length > 0 && { parts }) }
      } catch (error) {
        if (!(error instanceof RequestRefusedError)) throw error
        return { refused: { code: error.code, message: escapeText(error.message), notice } }
      }
    },
  }),

  reply: tool({
    description: 'Answer a message or request by id, and acknowledge it. refuse: a short code, to decline a request.',
    input: Type.Object({
      id: Type.String(),
      text: Text,
      media_type: MediaType,
      refuse: Type.Optional(Type.String({ pattern: '^[a-z0-9_]{1,64}$' })),
    }),
    annotations: writes,
    async run(desk, { id, text, media_type, refuse }, signal) {
      const message = await waiting(desk, id)
      const content = contentOf(text, media_type)
      if (message.kind !== 'request') {
        const { queued, id: sent } = await desk.send(message.from, text, content, message, signal)
        await desk.client.mailbox.ack([id])
        return { id: sent, to: message.from, queued }
      }
      if (refuse === undefined) await desk.client.reply(message, content)
      else await desk.client.refuse(message, { code: refuse, message: text })
      desk.transcript.sent(message.from, id, text, new Date())
      return { answered: id, to: message.from }
    },
  }),

  list_agents: tool({
    description: 'Registered agents, by name, with what each says of itself.',
    input: Type.Object({
      online: Type.Optional(Type.Boolean()),
      prefix: Type.Optional(Type.String()),
      capability: Type.Optional(Type.String({ description: 'a tag of their cards' })),
      limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 100 })),
    }),
    annotations: readOnly,
    async run(desk, { online, prefix, capability, limit = pageSize }) {
      const agents: Values[] = []
      const query = {
        cards: true,
        ...(online !== undefined && { online }),
        ...(prefix !== undefined && { prefix }),
        ...(capability !== undefined && { capability }),
      }
      for await (const { username, online: isOnline, card } of desk.client.users(query)) {
        if (agents.length === limit) return { agents, notice, more: true }
        agents.push({ name: username, online: isOnline, ...(card && introduce(card)) })
      }
      return { agents, notice }
    },
  }),

  whoami: tool({
    description: 'Own name, address and identity key, and how many messages are unread.',
    input: Type.Object({}),
    annotations: readOnly,
    async run(desk) {
      const { account } = desk.client
      return { ...account, ...(await unreadOf(desk)) }
    },
  }),

  verify_agent: tool({
    description:
      "Show an agent's key and safety number; with shown, the number or key that its own side shows, mark it verified.",
    input: Type.Object({ name: Name, shown: Type.Optional(Type.String()) }),
    annotations: { ...writes, idempotentHint: true },
    async run(desk, { name, shown }) {
      if (shown !== undefined) await desk.client.verifyPeer(name, shown)
      const { address, trust, identity, safetyNumber } = await desk.client.identityOf(name)
      return { address, trust, identity, key: fingerprint(identity), safetyNumber }
    },
  }),
}

/** What a card says, as data. */
const introduce = ({ title, description, capabilities, acceptsRequests, verified }: AgentCard): Values => ({
  title: escapeText(title),
  ...(description !== undefined && { description: escapeText(description) }),
  ...(capabilities.length > 0 && { capabilities }),
  ...(acceptsRequests && { accepts_requests: true }),
  verified: verified === 'verified',
})

/** How many messages wait, of whom, and since when. */
export async function unreadOf(desk: Desk): Promise<Values> {
  const senders: Record<string, number> = {}
  let unread = 0
  let oldest: number | undefined
  for (let after = 0; ; ) {
    const { messages, cursor, more } = await desk.client.mailbox.list({ after, limit: 500 })
    for (const { from, sentAt } of messages) {
      unread += 1
      oldest = Math.min(oldest ?? sentAt, sentAt)
      senders[from] = (senders[from] ?? 0) + 1
    }
    if (!more) return { unread, ...(oldest !== undefined && { oldest: timeText(oldest) }), senders }
    after = cursor
  }
}

/** Adds a tool to a server: its schema is checked before it runs, and what it throws is its result. */
export function addTool<Input extends TObject>(
  server: McpServer,
  desk: Desk,
  name: string,
  definition: Tool<Input>,
): void {
  const { description, input, annotations, run } = definition
  // An argument of another name than it has here would do nothing, and nobody would say so.
  const inputSchema = fromJsonSchema<Static<Input>>({ ...input, additionalProperties: false })
  const config = { description, inputSchema, ...(annotations && { annotations }) }
  server.registerTool(name, config, async (args: Static<Input>, { mcpReq }: ServerContext) => {
    desk.attend()
    try {
      return result(await run(desk, args, mcpReq.signal))
    } catch (error) {
      return failure(error)
    }
  })
}
