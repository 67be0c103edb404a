import { cryptoLimits } from '../../crypto/limits.ts'
import { decodeReset } from '../../crypto/messages/content.ts'
import { decodeMessage } from '../../crypto/messages/message.ts'
import { sha256 } from '../../crypto/provider.ts'
import type { Decrypted } from '../../crypto/session/decrypt-body.ts'
import { isWithin, type Peer } from '../../crypto/session/peer.ts'
import type { Username } from '../../protocol/names.ts'
import { decodeBase64Url, toHex } from '../../util/bytes.ts'
import type { ClientContext } from '../connection/client-context.ts'
import { requeue } from '../outbox/outbox-queue.ts'
import { OutboxRecord } from '../outbox/outbox-record.ts'
import { keys } from '../records/keys.ts'
import type { StateTransaction } from '../state/state-store.ts'
import { type Effect, event } from './effects.ts'

/** What one reset may cause to be sent again: as much as one sender may hold in a mailbox, messages and bytes. */
const maxAgain = 900
const maxAgainBytes = 16_777_216

/**
 * Sends again what a peer's reset asks for (docs/E2E.md section 6, resets). A reset counts only as the first content of
 * its session. No message is sent again more than once an hour because of resets: a peer must not make this client
 * repeat itself at will.
 */
export async function applyReset(
  tx: StateTransaction,
  { now }: Pick<ClientContext, 'now'>,
  from: Username,
  { peer, content, opensWithReset }: Pick<Decrypted, 'peer' | 'content' | 'opensWithReset'>,
): Promise<Effect[]> {
  const { reason, ids } = decodeReset(content.body)
  if (!opensWithReset) return [event('peer-reset', { peer: from, reason, resent: 0, withheld: 0, ignored: true })]
  if (reason === 'renewal') return report(from, { reason, resent: 0, withheld: 0 })
  const sent = (await tx.list(keys.sentTo(from))).map(([, bytes]) => OutboxRecord.decode(bytes))
  const wanted = wantedBy(sent, peer, { ids, asksForAll: reason === 'rollback' })
  const chosen = withinBounds(wanted, now())
  const resent = await requeue(tx, from, { nowMs: now(), ids: new Set(chosen.map(({ id }) => id)) })
  return report(from, { reason, resent, withheld: wanted.length - chosen.length })
}

const report = (peer: Username, reset: { reason: string; resent: number; withheld: number }): Effect[] => [
  { kind: 'flush', to: peer },
  event('peer-reset', { peer, ...reset }),
]

type Wanted = {
  id: string
  order: number
  bytes: number
  sentAgainAt: number | undefined
  /** The peer says that it cannot read the session, and it never answered there: it does not have the message. */
  isSurelyMissing: boolean
}

/** Returns the accepted messages without a receipt that a reset asks for, oldest first. */
function wantedBy(
  sent: readonly OutboxRecord[],
  peer: Peer,
  { ids, asksForAll }: { ids: readonly Uint8Array[]; asksForAll: boolean },
): Wanted[] {
  const named = new Set(ids.map(toHex))
  const unanswered = new Set(
    peer.sessions.filter(({ role }) => role.kind === 'unanswered').map(({ sid }) => toHex(sid)),
  )
  const all = sent.map(record => {
    const names = namesOf(record)
    const isNamed = [names.id, names.sid, names.hash].some(name => name !== undefined && named.has(name))
    const { id, order, sentAgainAt, body } = record
    const isSurelyMissing = names.sid !== undefined && named.has(names.sid) && unanswered.has(names.sid)
    return { id, order, sentAgainAt, bytes: body.length, isNamed, isSurelyMissing }
  })
  const isKnown =
    all.some(({ isNamed }) => isNamed) ||
    peer.sessions.some(({ sid, role }) => role.kind !== 'inbound' && named.has(toHex(sid)))
  // A node may have exchanged the body: then the peer names what this side never sent.
  const wanted = asksForAll || !isKnown ? all : all.filter(({ isNamed }) => isNamed)
  return wanted.sort((one, other) => one.order - other.order)
}

/** The names by which a reset may ask for a message, in hex. */
function namesOf({ id, sealed }: OutboxRecord): { id: string; sid?: string; hash?: string } {
  const messageId = toHex(decodeBase64Url(id))
  if (!sealed) return { id: messageId }
  const body = decodeBase64Url(sealed.body)
  const message = decodeMessage(body)
  const inner = message.type === 'prekey' ? message.inner : message
  return {
    id: messageId,
    hash: toHex(sha256(body).subarray(0, 16)),
    ...(inner.type === 'ratchet' && { sid: toHex(inner.sid) }),
  }
}

function withinBounds(wanted: readonly Wanted[], nowMs: number): Wanted[] {
  const chosen: Wanted[] = []
  let bytes = 0
  for (const message of wanted) {
    const isRecent = isWithin(cryptoLimits.resetIntervalMs, message.sentAgainAt ?? null, nowMs)
    if (isRecent && !message.isSurelyMissing) continue
    bytes += message.bytes
    if (chosen.length === maxAgain || bytes > maxAgainBytes) break
    chosen.push(message)
  }
  return chosen
}
