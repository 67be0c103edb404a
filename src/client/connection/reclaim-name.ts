import { ProtocolError } from '../../protocol/errors.ts'
import type { Username } from '../../protocol/names.ts'
import { encodeBase64Url } from '../../util/bytes.ts'
import { decodeInteger, encodeInteger } from '../records/integer-record.ts'
import { keys } from '../records/keys.ts'
import type { StateTransaction } from '../state/state-store.ts'
import type { ClientContext } from './client-context.ts'
import type { Identity } from './identity.ts'
import type { Link } from './link.ts'
import { type Authenticated, authenticate, type Proof, register } from './login.ts'

/**
 * After a data loss at the server, how long a send to a peer that the server does not know is retried, ms. A running
 * agent needs less time to return.
 */
const returnMs = 3_600_000

const deleted = () =>
  new ProtocolError('forbidden', 'this user was deleted; register to take the name again with the key in this state')
const notInvited = () =>
  new ProtocolError(
    'unauthorized',
    'the server does not know this agent and requires an invite; get one from its operator and register: the key stays',
  )

/**
 * Logs in with a signature. If the server does not know an agent that was registered there, it has lost its data: the
 * agent then claims the name again, with the same key. A user that an operator deleted stays deleted.
 * @throws {ProtocolError} `unauthorized`, `forbidden`; `username_taken` if another key has the name now
 */
export async function logInOrReclaim(
  proof: Proof,
  context: ClientContext,
  identity: Identity,
): Promise<{ answer: Authenticated; isReclaimed: boolean }> {
  try {
    return { answer: await authenticate(proof), isReclaimed: false }
  } catch (error) {
    const isUnknown = error instanceof ProtocolError && error.code === 'unauthorized'
    // Only the caller of `register` claims a name at another deployment.
    if (!isUnknown || proof.self.domain !== identity.self?.domain) throw error
    if (identity.isDeleted) throw deleted()
    return { answer: await reclaimName(proof, context, identity), isReclaimed: true }
  }
}

async function reclaimName(proof: Proof, { store }: ClientContext, identity: Identity): Promise<Authenticated> {
  // Stored before the registration: after a crash in between, the next login publishes keys and card again.
  await store.transaction(tx => {
    tx.delete(keys.published())
    tx.put(keys.cardUnpublished(), new Uint8Array())
  })
  try {
    return await register(proof, { again: true })
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
    if (error.code === 'forbidden') throw notInvited()
    if (error.code !== 'unknown_user') throw error
    // Stored here because a later data loss could make the nodes forget the deletion.
    await identity.recordDeletion()
    throw deleted()
  }
}

/** Records that the server may have lost users that this agent knows. */
export const recordServerLoss = (tx: StateTransaction, nowMs: number): void =>
  tx.put(keys.serverLoss(), encodeInteger(nowMs))

/**
 * Returns true if the server may have lost this peer less than `returnMs` ago: the peer then reclaims its name by
 * itself.
 */
export function mayReturn({ store, now }: ClientContext, peer: Username): Promise<boolean> {
  return store.read(async tx => {
    const loss = await tx.get(keys.serverLoss())
    const isLate = loss === undefined || Math.abs(now() - decodeInteger(loss)) > returnMs
    return !isLate && (await tx.get(keys.peer(peer))) !== undefined
  })
}

/** Publishes the agent's own card again if the server may have lost it. */
export async function republishCard({ store }: ClientContext, link: Link): Promise<void> {
  const card = await store.read(async tx => (await tx.get(keys.cardUnpublished())) && tx.get(keys.ownCard()))
  if (card) await link.request({ type: 'publish_card', card: encodeBase64Url(card) })
  await store.transaction(tx => tx.delete(keys.cardUnpublished()))
}
