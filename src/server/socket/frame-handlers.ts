import type { ProtocolError } from '../../protocol/errors.ts'
import type { ClientFrame, ClientFrameOf, ClientFrameType } from '../../protocol/frames.ts'
import { limits } from '../../protocol/limits.ts'
import { toProtocolError, unavailable } from '../base/to-protocol-error.ts'
import { endLogin, endLogins, listLogins } from '../operations/active-logins.ts'
import { fetchCard, publishCard } from '../operations/cards.ts'
import { fetchKeys, publishKeys } from '../operations/keys.ts'
import { listRules, privacy, setRule } from '../operations/privacy.ts'
import { reserve } from '../operations/reservations.ts'
import { refuseSend, type SendRequest, send } from '../operations/send.ts'
import { listUsers } from '../operations/users.ts'
import { isLogin, isSend, refusalIn, type SendFrame } from '../rate-limits/frame-rules.ts'
import type { FrameContext } from './frame-context.ts'

type Handlers = {
  [Type in ClientFrameType]: (context: FrameContext, frame: ClientFrameOf<Type>) => void | Promise<void>
}

/**
 * One handler for each frame type, called if the connection's state allows the frame. An error becomes an error frame.
 */
const handlers = {
  register: (context, frame) => context.logIn(frame),
  authenticate: (context, frame) => context.logIn(frame),

  listen: (context, { id, instance = '' }) => context.listen(id, instance),

  stop: async (context, { id }) => {
    await context.stopListening()
    context.reply({ type: 'stopped', id })
  },

  send: sendFrame,
  key_exchange: sendFrame,

  ack: (context, { seq }) => context.delivery.ack(seq),

  list_users: async (context, { id, ...query }) => {
    const { looked, ...page } = await listUsers(context.node, query)
    await context.node.userRates.payFrame(context.login.username, looked / limits.lookupsPerToken)
    context.reply({ type: 'user_list', id, ...page })
  },

  publish_card: async (context, { id, card }) => {
    await publishCard(context.node, context.login.username, card)
    context.reply({ type: 'card_published', id })
  },

  fetch_card: async (context, { id, username }) => {
    const card = await fetchCard(context.node, context.login.username, username)
    context.reply({ type: 'card', id, ...card })
  },

  publish_keys: async (context, { id, ...upload }) => {
    const counts = await publishKeys(context.node, context.login.username, upload)
    context.reply({ type: 'published', id, ...counts })
  },

  fetch_keys: async (context, { id, username }) => {
    const keys = await fetchKeys(context.node, context.login.username, username, id)
    context.reply({ type: 'keys', id, ...keys })
  },

  reserve: async (context, { id, ...request }) => {
    const reserved = await reserve(context.node, context.login.username, request)
    context.reply({ type: 'reserved', id, ...reserved })
  },

  sessions: async (context, { id }) => {
    const { username, tokenHash } = context.login
    context.reply({ type: 'session_list', id, sessions: await listLogins(context.node, username, tokenHash) })
  },

  end_sessions: async (context, { id, session }) => {
    const { username, tokenHash } = context.login
    if (session !== undefined) await endLogin(context.node, username, session)
    const count = session === undefined ? await endLogins(context.node, username, tokenHash) : 1
    context.reply({ type: 'sessions_ended', id, count })
  },

  privacy: async (context, { id, writers }) => {
    context.reply({ type: 'privacy', id, ...(await privacy(context.node, context.login.username, writers)) })
  },

  set_rule: async (context, { id, username, rule }) => {
    const set = await setRule(context.node, context.login.username, username, rule)
    context.reply({ type: 'rule', id, ...set })
  },

  list_rules: async (context, { id, ...page }) => {
    const { looked, ...rules } = await listRules(context.node, context.login.username, page)
    await context.node.userRates.payFrame(context.login.username, looked / limits.rulesPerToken)
    context.reply({ type: 'rule_list', id, ...rules })
  },

  heartbeat: (context, { id }) =>
    context.reply({ type: 'heartbeat', ...(id !== undefined && { id }), time: context.node.clock.now() }),

  logout: async (context, { id }) => {
    await context.logOut()
    context.reply({ type: 'stopped', id })
    void context.close('logout')
  },
} satisfies Handlers

async function sendFrame(context: FrameContext, frame: SendFrame): Promise<void> {
  const { seq, queued } = await send(context.node, context.sendStream, context.login.username, toRequest(frame))
  context.reply({ type: 'accepted', id: frame.id, seq, queued })
}

const toRequest = ({ type, id, to, body, ttl }: SendFrame): SendRequest => ({
  id,
  to,
  body,
  ttl,
  kind: type === 'send' ? 'message' : 'key_exchange',
})

/**
 * Called for a frame that was refused untried and may be repeated: later sends to the recipient wait for its
 * repetition.
 */
export function blockStream(context: FrameContext, frame: ClientFrame): void {
  if (!isSend(frame) || context.state === 'challenged') return
  refuseSend(context.node, context.sendStream, context.login.username, toRequest(frame))
}

/** Runs the handler of a frame, or replies with an error. Never throws; a returned promise never rejects. */
export function handleFrame(context: FrameContext, frame: ClientFrame): void | Promise<void> {
  try {
    const refusal = refusalNow(context, frame)
    if (refusal) return refuse(context, frame, refusal)
    if (context.state !== 'challenged') context.node.lastSeen.note(context.login.username)
    return runHandler(context, frame.type, frame)?.catch(error => failed(context, frame, error))
  } catch (error) {
    failed(context, frame, error)
  }
}

function runHandler<Type extends ClientFrameType>(
  context: FrameContext,
  type: Type,
  frame: ClientFrameOf<Type>,
): void | Promise<void> {
  const table: Handlers = handlers
  return table[type](context, frame)
}

/**
 * A node that does not receive revocations takes no frames (PROTOCOL.md section 5). A login frame is left to
 * `FrameContext.logIn`, which sends a new challenge with its error.
 */
function refusalNow({ state, node }: FrameContext, { type }: ClientFrame): ProtocolError | null {
  const refusal = refusalIn(state, type)
  if (refusal || type === 'heartbeat' || type === 'ack' || isLogin(type)) return refusal
  if (node.isDraining()) return unavailable('the node is shutting down')
  return node.store.isReady() ? null : unavailable('the store is out of reach')
}

function refuse(context: FrameContext, frame: ClientFrame, refusal: ProtocolError): void {
  if (refusal.code === 'unavailable') blockStream(context, frame)
  context.refuse(refusal, idOf(frame))
}

function failed(context: FrameContext, frame: ClientFrame, error: unknown): void {
  const refusal = toProtocolError(error)
  if (refusal.code === 'internal') {
    const details = { err: error, connection: context.id, frame: frame.type, id: idOf(frame) }
    context.node.log.error(details, 'a frame failed')
    blockStream(context, frame)
  }
  context.refuse(refusal, idOf(frame))
}

export const idOf = (frame: ClientFrame): string | undefined => ('id' in frame ? frame.id : undefined)
