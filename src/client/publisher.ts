import {
  decodePrekeys,
  generatePrekeys,
  type KeyCounts,
  makeBundle,
  needsRotation,
  refillPrekeys,
  rotatePrekeys,
} from '../crypto/prekeys.ts'
import { encodeBase64Url } from '../util/bytes.ts'
import { type Agent, newId } from './agent.ts'
import type { Link } from './link.ts'
import { keys } from './record-keys.ts'
import type { StateTransaction } from './state/state-store.ts'
import { loadPrekeys, savePrekeys } from './vault.ts'

/**
 * Keeps published keys fresh: a bundle after registration and rotation, one-time keys when the node runs low. Private
 * parts are on disk before public ones leave (docs/E2E.md section 8).
 */
export class Publisher {
  readonly #agent: Agent
  #working: Promise<unknown> = Promise.resolve()

  constructor(agent: Agent) {
    this.#agent = agent
  }

  /** Publishes a bundle where none of this state's is known to be published, or where it is due for rotation. */
  publish(link: Link): Promise<void> {
    return this.#inTurn(async () => {
      const bundle = await this.#agent.store.transaction(tx => this.#renewBundle(tx))
      if (!bundle) return
      const counts = await link.request({ type: 'publish_keys', id: newId(this.#agent.random), bundle })
      await this.#agent.store.transaction(tx => tx.put(keys.published(), Uint8Array.of(1)))
      await this.#fill(link, counts)
    })
  }

  /** Fills the pools that are below their marks. */
  refill(link: Link, counts: KeyCounts): Promise<void> {
    return this.#inTurn(() => this.#fill(link, counts))
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#working.then(work)
    this.#working = done.catch(() => {})
    return done
  }

  /** The bundle to publish, encoded; nothing when the published one is good. */
  async #renewBundle(tx: StateTransaction): Promise<string | undefined> {
    const { random, now, self } = this.#agent
    const nowMs = now()
    const bytes = await tx.get(keys.prekeys())
    const known = bytes ? decodePrekeys(bytes) : generatePrekeys({ nowMs, random })
    const isDue = needsRotation(known, nowMs)
    if (!isDue && (await tx.get(keys.published()))) return undefined
    const current = isDue ? rotatePrekeys(known, { nowMs, random }) : known
    const { prekeys, bundle } = makeBundle(current, self(), nowMs)
    savePrekeys(tx, prekeys)
    tx.delete(keys.published())
    return encodeBase64Url(bundle)
  }

  async #fill(link: Link, counts: KeyCounts): Promise<void> {
    const { store, random, self, events } = this.#agent
    const upload = await store.transaction(async tx => {
      const filled = refillPrekeys(await loadPrekeys(tx), self().identity, counts, random)
      savePrekeys(tx, filled.prekeys)
      return filled.upload
    })
    if (upload.oneTimeKeys.length + upload.oneTimeKemKeys.length === 0) return
    const { oneTimeKeys, oneTimeKemKeys } = await link.request({
      type: 'publish_keys',
      id: newId(random),
      oneTimeKeys: upload.oneTimeKeys.map(({ id, key }) => ({ id, key: encodeBase64Url(key) })),
      oneTimeKemKeys: upload.oneTimeKemKeys.map(({ id, key, signature }) => ({
        id,
        key: encodeBase64Url(key),
        signature: encodeBase64Url(signature),
      })),
    })
    events.emit('published', { oneTimeKeys, oneTimeKemKeys })
  }
}
