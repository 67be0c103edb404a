import { fromJsonSchema, type McpServer, type ServerContext, type ToolAnnotations } from '@modelcontextprotocol/server'
import type { Static, TObject } from 'typebox'
import * as Type from 'typebox'
import {
  type AgentCard,
  type Content,
  type MailboxPage,
  type MessageView,
  NotOpenError,
  RequestRefusedError,
} from '../client/public.ts'
import { NotReadError } from './errors.ts'
import { forgive } from './forgiving-input.ts'
import type { McpSession } from './mcp-session.ts'
import {
  escapeText,
  fingerprint,
  fullChars,
  isOver,
  notice,
  resultChars,
  type ToolMessage,
  timeText,
} from './message-view.ts'
import { toModelText } from './model-text.ts'
import { failure, result } from './result.ts'

/** Hosts end a call after about 60 s. */
const maxWaitS = 50
/** A request waits shorter by default, because some hosts give a call 30 s. */
const requestWaitS = 25
/** The answer to a call that took longer is listed again, because some hosts give a call 5 s or less, ms. */
const slowMs = 3_000
const pageSize = 20
/** The interval of signs of life during a call, ms. */
const progressMs = 5_000

const Name = Type.String({ description: 'agent name' })
const Text = Type.String()
const MediaType = Type.Optional(Type.String({ description: 'of text, e.g. application/json' }))
const Wait = Type.Optional(Type.Integer({ minimum: 0, maximum: maxWaitS }))
const After = Type.Optional(Type.Integer({ minimum: 0, description: 'cursor of the last result' }))
const Offset = Type.Optional(Type.Integer({ minimum: 0, description: 'next_offset of a long text' }))
const Thread = Type.Optional(Type.String({ description: 'id of the message that they answer' }))
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

/** The parts that came before a reply, as many as one result holds. The peer decides how many it sends. */
class Parts {
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
async function listed(session: McpSession, { messages, cursor, more }: MailboxPage): Promise<Values> {
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
async function readInFull(session: McpSession, ids: readonly string[], offset: number): Promise<Values> {
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
async function acknowledge(session: McpSession, ids: readonly string[]): Promise<Values> {
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

/**
 * Registers a tool. The server checks its input against the schema; an error becomes the result of the tool. Each
 * result has the number of unread messages.
 */
export function addTool<Input extends TObject>(
  server: McpServer,
  session: McpSession,
  name: string,
  definition: Tool<Input>,
): void {
  const { description, input, annotations, run } = definition
  const config = { description, inputSchema: schemaOf<Input>(input), ...(annotations && { annotations }) }
  server.registerTool(name, config, async (args: Static<Input>, { mcpReq }: ServerContext) => {
    session.listen()
    const stop = sendProgress(mcpReq)
    try {
      const values = await run(session, args, mcpReq.signal)
      return result({ ...(await unreadHint(session)), ...values })
    } catch (error) {
      return failure(error)
    } finally {
      stop()
    }
  })
}

/** A call that has done its work does not fail because of the hint. */
const unreadHint = ({ client }: McpSession): Promise<Values> =>
  client.mailbox.unread().then(
    unread => ({ unread }),
    () => ({}),
  )

function schemaOf<Input extends TObject>(input: Input) {
  // Without this, a misspelled argument would be ignored silently.
  const schema = fromJsonSchema<Static<Input>>({ ...input, additionalProperties: false })
  const { validate, ...standard } = schema['~standard']
  return {
    '~standard': { ...standard, validate: (value: unknown) => validate(forgive(input, value)) },
  } as typeof schema
}

/** Tells a host that asked for it that a call goes on: some hosts end a call without a sign of life. */
function sendProgress({ _meta, notify }: ServerContext['mcpReq']): () => void {
  const progressToken = _meta?.progressToken
  if (progressToken === undefined) return () => {}
  let progress = 0
  const timer = setInterval(() => {
    progress += 1
    notify({ method: 'notifications/progress', params: { progressToken, progress } }).catch(() => {})
  }, progressMs)
  return () => clearInterval(timer)
}
