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
 * Returns the sids of the sessions of a peer's quarantined bodies, base64url: what a reset names. `hasUnnamed` is true
 * if the session of some body cannot be known, because its bytes are no message.
 */
export async function unreadableSessions(
  tx: StateReader,
  peer: Username,
  nowMs: number,
): Promise<{ sids: string[]; hasUnnamed: boolean }> {
  const bodies = (await tx.list(keys.undecryptableOf(peer)))
    .map(([, bytes]) => UndecryptableRecord.decode(bytes))
    .filter(({ at }) => Math.abs(nowMs - at) < maxAgeMs)
  const sids = bodies.map(({ body }) => sidOf(body))
  const named = new Set(sids.filter(sid => sid !== undefined))
  return { sids: [...named].slice(0, maxNamed), hasUnnamed: sids.includes(undefined) || named.size > maxNamed }
}

function sidOf(body: string): string | undefined {
  try {
    const message = decodeMessage(decodeBase64Url(body))
    const inner = message.type === 'prekey' ? message.inner : message
    return inner.type === 'ratchet' ? encodeBase64Url(inner.sid) : undefined
  } catch {
    return undefined
  }
}
