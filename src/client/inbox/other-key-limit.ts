import * as Type from 'typebox'
import { CryptoError } from '../../crypto/errors.ts'
import { cryptoLimits } from '../../crypto/limits.ts'
import { decodeMessage } from '../../crypto/messages/message.ts'
import { findSession, identityOf, isWithin, type Peer } from '../../crypto/session/peer.ts'
import type { Username } from '../../protocol/names.ts'
import { equalBytes } from '../../util/bytes.ts'
import { keys } from '../records/keys.ts'
import { recordCodec } from '../state/record-codec.ts'
import type { StateTransaction } from '../state/state-store.ts'

/** When first messages of a peer under another key than the pinned one were decrypted, ms since 1970. */
export const OtherKeyRecord = recordCodec('other-key', Type.Object({ triedAt: Type.Array(Type.Integer()) }))

/**
 * Limits how often a first message under another key than the pinned one is decrypted: as often as a peer may start
 * sessions. Each costs a handshake, and a node can make any number of them.
 * @throws {CryptoError} `rate_limited`: the body is tried again later
 */
export async function limitOtherKeys(
  tx: StateTransaction,
  from: Username,
  { peer, body, nowMs }: { peer: Peer; body: Uint8Array; nowMs: number },
): Promise<void> {
  const pinned = identityOf(peer)
  const message = decodeMessage(body)
  if (!pinned || message.type !== 'prekey' || equalBytes(message.header.identity, pinned)) return
  if (findSession(peer, message.inner.sid)) return
  const bytes = await tx.get(keys.otherKeyTries(from))
  const { hourMs, minuteMs, maxHandshakesPerHour, maxHandshakesPerMinute } = cryptoLimits
  const tried = bytes ? OtherKeyRecord.decode(bytes).triedAt : []
  const within = (intervalMs: number) => tried.filter(atMs => isWithin(intervalMs, atMs, nowMs))
  const lately = within(hourMs)
  if (lately.length >= maxHandshakesPerHour || within(minuteMs).length >= maxHandshakesPerMinute) {
    throw new CryptoError('rate_limited')
  }
  tx.put(keys.otherKeyTries(from), OtherKeyRecord.encode({ triedAt: [...lately, nowMs] }))
}
