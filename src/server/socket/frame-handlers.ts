import type { ProtocolError } from '../../protocol/errors.ts'
import type { ClientFrame, ClientFrameOf, ClientFrameType } from '../../protocol/frames.ts'
import { toProtocolError, unavailable } from '../base/to-protocol-error.ts'
import { endLogin, endLogins, listLogins } from '../operations/active-logins.ts'
import { fetchCard, publishCard } from '../operations/cards.ts'
import { fetchKeys, publishKeys } from '../operations/keys.ts'
import { login, register, resume } from '../operations/login.ts'
import { listRules, privacy, setRule } from '../operations/privacy.ts'
import { refuseSend, type SendRequest, send } from '../operations/send.ts'
import { listUsers } from '../operations/users.ts'
import { isLogin, isSend, refusalIn, type SendFrame } from '../rate-limits/frame-rules.ts'
import type { Connection } from './connection.ts'

type Handlers = {
  [Type in ClientFrameType]: (connection: Connection, frame: ClientFrameOf<Type>) => void | Promise<void>
}

/** What each frame does, once its state allows it. A throw is answered with an error. */
const handlers = {
  register: (connection, { id, ...request }) =>
    connection.logIn(id, undefined, nonce => register(connection.node, connection.address, { ...request, nonce })),

  authenticate: (connection, { id, token, username = '', signature = '' }) =>
    connection.logIn(id, token, nonce =>
      token === undefined ? login(connection.node, { username, signature, nonce }) : resume(connection.node, token),
    ),

  listen: (connection, { id, instance = '' }) => connection.listen(id, instance),

  stop: async (connection, { id }) => {
    await connection.stopListening()
    connection.reply({ type: 'stopped', id })
  },

  send: sendFrame,
  key_exchange: sendFrame,

  ack: (connection, { seq }) => connection.delivery.ack(seq),

  list_users: async (connection, { id, ...query }) => {
    connection.reply({ type: 'user_list', id, ...(await listUsers(connection.node, query)) })
  },

  publish_card: async (connection, { id, card }) => {
    await publishCard(connection.node, connection.session.username, card)
    connection.reply({ type: 'card_published', id })
  },

  fetch_card: async (connection, { id, username }) => {
    const card = await fetchCard(connection.node, connection.session.username, username)
    connection.reply({ type: 'card', id, ...card })
  },

  publish_keys: async (connection, { id, ...upload }) => {
    const counts = await publishKeys(connection.node, connection.session.username, upload)
    connection.reply({ type: 'published', id, ...counts })
  },

  fetch_keys: async (connection, { id, username }) => {
    const keys = await fetchKeys(connection.node, connection.session.username, username, id)
    connection.reply({ type: 'keys', id, ...keys })
  },

  reserve: async (connection, { id, upTo }) => {
    const reserved = await connection.node.store.reserve(connection.session.username, upTo)
    connection.reply({ type: 'reserved', id, upTo: reserved })
  },

  sessions: async (connection, { id }) => {
    const { username, tokenHash } = connection.session
    connection.reply({ type: 'session_list', id, sessions: await listLogins(connection.node, username, tokenHash) })
  },

  end_sessions: async (connection, { id, session }) => {
    const { username, tokenHash } = connection.session
    if (session !== undefined) await endLogin(connection.node, username, session)
    const count = session === undefined ? await endLogins(connection.node, username, tokenHash) : 1
    connection.reply({ type: 'sessions_ended', id, count })
  },

  privacy: async (connection, { id, writers }) => {
    connection.reply({ type: 'privacy', id, ...(await privacy(connection.node, connection.session.username, writers)) })
  },

  set_rule: async (connection, { id, username, rule }) => {
    const set = await setRule(connection.node, connection.session.username, username, rule)
    connection.reply({ type: 'rule', id, ...set })
  },

  list_rules: async (connection, { id, ...page }) => {
    const rules = await listRules(connection.node, connection.session.username, page)
    connection.reply({ type: 'rule_list', id, ...rules })
  },

  heartbeat: (connection, { id }) =>
    connection.reply({ type: 'heartbeat', ...(id !== undefined && { id }), time: connection.node.clock.now() }),

  logout: async (connection, { id }) => {
    await connection.logOut()
    connection.reply({ type: 'stopped', id })
    void connection.close('logout')
  },
} satisfies Handlers

async function sendFrame(connection: Connection, frame: SendFrame): Promise<void> {
  const { seq, queued } = await send(connection.node, connection.sends, connection.session.username, toRequest(frame))
  connection.reply({ type: 'accepted', id: frame.id, seq, queued })
}

const toRequest = ({ type, id, to, body, ttl }: SendFrame): SendRequest => ({
  id,
  to,
  body,
  ttl,
  kind: type === 'send' ? 'message' : 'key_exchange',
})

/** A frame that is refused, retryable, before it was tried: where it is a send, its successors wait for it. */
export function blockStream(connection: Connection, frame: ClientFrame): void {
  if (!isSend(frame) || connection.state === 'challenged') return
  refuseSend(connection.node, connection.sends, connection.session.username, toRequest(frame))
}

/** Handles a frame or answers it with an error. Never throws and never rejects; a promise means that it takes its time. */
export function dispatch(connection: Connection, frame: ClientFrame): void | Promise<void> {
  try {
    const refusal = refusalNow(connection, frame)
    if (refusal) return refuse(connection, frame, refusal)
    return handle(connection, frame.type, frame)?.catch(error => failed(connection, frame, error))
  } catch (error) {
    failed(connection, frame, error)
  }
}

function handle<Type extends ClientFrameType>(
  connection: Connection,
  type: Type,
  frame: ClientFrameOf<Type>,
): void | Promise<void> {
  const table: Handlers = handlers
  return table[type](connection, frame)
}

/** A node that cannot hear of revocations takes no frames (PROTOCOL.md section 5); logins say so with a new challenge. */
function refusalNow({ state, node }: Connection, { type }: ClientFrame): ProtocolError | null {
  const refusal = refusalIn(state, type)
  if (refusal || type === 'heartbeat' || type === 'ack' || isLogin(type)) return refusal
  if (node.isDraining()) return unavailable('the node is shutting down')
  return node.store.isReady() ? null : unavailable('the store is out of reach')
}

function refuse(connection: Connection, frame: ClientFrame, refusal: ProtocolError): void {
  if (refusal.code === 'unavailable') blockStream(connection, frame)
  connection.refuse(refusal, idOf(frame))
}

function failed(connection: Connection, frame: ClientFrame, error: unknown): void {
  const refusal = toProtocolError(error)
  if (refusal.code === 'internal') {
    const context = { err: error, connection: connection.id, frame: frame.type, id: idOf(frame) }
    connection.node.log.error(context, 'a frame failed')
    blockStream(connection, frame)
  }
  connection.refuse(refusal, idOf(frame))
}

export const idOf = (frame: ClientFrame): string | undefined => ('id' in frame ? frame.id : undefined)
