import { setTimeout as delay } from 'node:timers/promises'
import { type Store, StoreUnavailableError } from '../../../../src/server/store/store.ts'
import { item, until } from '../contract/world.ts'

const giveUpMs = 60_000

/**
 * Sends messages to alice one by one, each until it is accepted, as clients do. Returns the longest time without an
 * acceptance, ms.
 */
export async function sendAll(store: Store, ids: readonly string[]): Promise<number> {
  const end = performance.now() + giveUpMs
  let [last, silence] = [performance.now(), 0]
  for (const id of ids) {
    while (!(await isAccepted(store, id))) {
      if (performance.now() > end) throw new Error(`${id} was not accepted in time`)
      await delay(50)
    }
    silence = Math.max(silence, performance.now() - last)
    last = performance.now()
  }
  return silence
}

async function isAccepted(store: Store, id: string): Promise<boolean> {
  try {
    const [result] = await store.inboxes.append([item(id)])
    if (result?.status === 'unavailable') return false
    if (result?.status === 'stored') return true
    throw new Error(`${id}: ${result?.status}`)
  } catch (error) {
    if (error instanceof StoreUnavailableError) return false
    throw error
  }
}

/** Waits until the node is ready again, after its connections have found the current servers. */
export const readyAgain = (store: Store): Promise<void> =>
  until(
    () =>
      store.nodes.renewLease().then(
        () => store.isReady(),
        () => false,
      ),
    'the node is ready',
  )
