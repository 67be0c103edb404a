import { cryptoLimits } from '../../crypto/limits.ts'
import { isWithin } from '../../crypto/session/peer.ts'
import type { Username } from '../../protocol/names.ts'
import { decodeBase64Url } from '../../util/bytes.ts'
import { type ClientContext, readPeer } from '../connection/client-context.ts'
import { decodeMedia, encodeMedia } from '../messages/content.ts'
import type { InboxRecord } from '../messages/message.ts'
import { decodeInteger, encodeInteger } from '../records/integer-record.ts'
import { keys } from '../records/keys.ts'
import type { StateTransaction } from '../state/state-store.ts'
import { type Effect, event } from './effects.ts'
import { queueReply } from './request-records.ts'

export const inboxFull = {
  code: 'inbox_full',
  message: 'too many of your messages wait unread, and this one was not taken; send it again later',
}

/** How often one sender gets a message about its refused messages, ms: it must not cost more than it prevents. */
const noticeMs = cryptoLimits.hourMs

/**
 * Refuses a message because too much waits unread. The sender gets no receipt, and, once an hour, a reply that says so.
 * A reply is never answered: two agents that read nothing would answer each other without end.
 */
export async function refuseMessage(
  tx: StateTransaction,
  context: ClientContext,
  { from, record }: { from: Username; record: InboxRecord },
): Promise<Effect[]> {
  const reported = event('not-taken', { from, id: record.id, reason: 'too many messages wait unread' })
  const isReply = decodeMedia(decodeBase64Url(record.body)).header?.kind === 'reply'
  const nowMs = context.now()
  const told = await tx.get(keys.refusalTold(from))
  if (isReply || (told && isWithin(noticeMs, decodeInteger(told), nowMs))) return [reported]
  const peer = await readPeer(tx, context, from)
  // A peer with a changed key gets nothing until the user has decided about the key.
  if (!peer || peer.trust === 'changed') return [reported]
  tx.put(keys.refusalTold(from), encodeInteger(nowMs))
  await queueReply(tx, context, from, encodeMedia('', { kind: 'reply', re: record.id, error: inboxFull }))
  return [reported, { kind: 'flush', to: from }]
}
