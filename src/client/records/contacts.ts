import { decodePeer } from '../../crypto/session/peer-codec.ts'
import type { Username } from '../../protocol/names.ts'
import type { StateReader, StateTransaction } from '../state/state-store.ts'
import { keys, nameIn } from './keys.ts'

/**
 * A contact is an agent that this one has written to by itself, or whose key the user has verified. An answer to a
 * stranger's request makes no contact: a stranger could then make itself one.
 */
export const isContact = async (tx: StateReader, name: Username): Promise<boolean> =>
  (await tx.get(keys.contact(name))) !== undefined

export async function markContact(tx: StateTransaction, name: Username): Promise<void> {
  if (!(await isContact(tx, name))) tx.put(keys.contact(name), new Uint8Array())
}

/**
 * Marks the contacts of a state that an earlier release wrote: verified peers, peers of a session that this agent
 * started, and recipients of its requests.
 */
export async function markKnownContacts(tx: StateTransaction): Promise<void> {
  for (const [key] of await tx.list(keys.askeds())) await markContact(tx, nameIn(key))
  for (const [key, bytes] of await tx.list(keys.peers())) {
    if (wasMet(bytes)) await markContact(tx, nameIn(key))
  }
}

function wasMet(bytes: Uint8Array): boolean {
  try {
    const { trust, sessions } = decodePeer(bytes)
    return trust === 'verified' || sessions.some(({ role, opening }) => role.kind !== 'inbound' && opening !== 'reset')
  } catch {
    return false
  }
}
