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

/** How long peers that are unknown after a loss are waited for, ms: longer than what runs needs to come back. */
const patienceMs = 3_600_000

const deleted = () =>
  new ProtocolError('forbidden', 'this user was deleted; register to take the name again with the key that is here')
const notTaken = () =>
  new ProtocolError(
    'unauthorized',
    'the server does not know this agent, and takes nobody without an invite; get one from its operator and register with it: the key stays',
  )

/**
 * Logs in with a signature. Where the server does not know who was registered there, it has lost its data, and the name is claimed again for
 * the same key; one that was deleted on purpose stays deleted.
 * @throws {ProtocolError} `unauthorized`, `forbidden`; `username_taken` where another key has the name by now
 */
export async function logIn(
  proof: Proof,
  context: ClientContext,
  identity: Identity,
): Promise<{ answer: Authenticated; isAgain: boolean }> {
  try {
    return { answer: await authenticate(proof), isAgain: false }
  } catch (error) {
    const isUnknown = error instanceof ProtocolError && error.code === 'unauthorized'
    // What is another deployment's name is not claimed here unasked.
    if (!isUnknown || proof.self.domain !== identity.self?.domain) throw error
    if (identity.isDeleted) throw deleted()
    return { answer: await reclaimName(proof, context, identity), isAgain: true }
  }
}

async function reclaimName(proof: Proof, { store }: ClientContext, identity: Identity): Promise<Authenticated> {
  // On record before it happens: who stops in between publishes after the next login.
  await store.transaction(tx => {
    tx.delete(keys.published())
    tx.put(keys.untold(), new Uint8Array())
  })
  try {
    return await register(proof, { again: true })
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
    if (error.code === 'forbidden') throw notTaken()
    if (error.code !== 'unknown_user') throw error
    // Later losses would make a node forget that.
    await identity.recordDeletion()
    throw deleted()
  }
}

/** The server may have lost users that this agent knows. */
export const recordServerLoss = (tx: StateTransaction, nowMs: number): void => tx.put(keys.loss(), encodeInteger(nowMs))

/** Whether a peer that the server does not know is one of those that it lost a while ago: it comes back by itself. */
export function mayReturn({ store, now }: ClientContext, peer: Username): Promise<boolean> {
  return store.read(async tx => {
    const loss = await tx.get(keys.loss())
    const isLate = loss === undefined || Math.abs(now() - decodeInteger(loss)) > patienceMs
    return !isLate && (await tx.get(keys.peer(peer))) !== undefined
  })
}

/** Publishes the own card anew where the server has lost it. */
export async function republishCard({ store }: ClientContext, link: Link): Promise<void> {
  const card = await store.read(async tx => (await tx.get(keys.untold())) && tx.get(keys.ownCard()))
  if (card) await link.request({ type: 'publish_card', card: encodeBase64Url(card) })
  await store.transaction(tx => tx.delete(keys.untold()))
}
