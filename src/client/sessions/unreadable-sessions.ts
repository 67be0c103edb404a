import { decodeMessage } from '../../crypto/messages/message.ts'
import type { Username } from '../../protocol/names.ts'
import { decodeBase64Url, encodeBase64Url } from '../../util/bytes.ts'
import { keys } from '../records/keys.ts'
import { UndecryptableRecord } from '../records/undecryptable-record.ts'
import type { StateReader } from '../state/state-store.ts'

/** Bodies that were quarantined before this time, ms, are not asked for again: their resets are long past. */
const maxAgeMs = 86_400_000
/** Sids in one reset. */
const maxNamed = 64

/**
 * Returns the sids of the sessions of a peer's quarantined bodies, base64url: what a reset names. `opened` are those
 * that the peer started and that have no answer yet. `hasUnnamed` is true if the session of some body cannot be known,
 * because its bytes are no message.
 */
export async function unreadableSessions(
  tx: StateReader,
  peer: Username,
  nowMs: number,
): Promise<{ sids: string[]; opened: string[]; hasUnnamed: boolean }> {
  const bodies = (await tx.list(keys.undecryptableOf(peer)))
    .map(([, bytes]) => UndecryptableRecord.decode(bytes))
    .filter(({ at }) => Math.abs(nowMs - at) < maxAgeMs)
  const found = bodies.map(({ body }) => sessionOf(body))
  const named = new Set(found.flatMap(session => session?.sid ?? []))
  const opened = new Set(found.flatMap(session => (session?.isOpening ? session.sid : [])))
  const hasUnnamed = found.includes(undefined) || named.size > maxNamed
  return { sids: [...named].slice(0, maxNamed), opened: [...opened], hasUnnamed }
}

function sessionOf(body: string): { sid: string; isOpening: boolean } | undefined {
  try {
    const message = decodeMessage(decodeBase64Url(body))
    const inner = message.type === 'prekey' ? message.inner : message
    const isOpening = message.type === 'prekey'
    return inner.type === 'ratchet' ? { sid: encodeBase64Url(inner.sid), isOpening } : undefined
  } catch {
    return undefined
  }
}
