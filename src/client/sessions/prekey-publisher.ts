import {
  generatePrekeys,
  type KeyCounts,
  makeBundle,
  needsRotation,
  refillPrekeys,
  rotatePrekeys,
} from '../../crypto/keys/prekeys.ts'
import { offeredSuites } from '../../crypto/policy.ts'
import { encodeBase64Url, equalBytes } from '../../util/bytes.ts'
import type { ClientContext } from '../connection/client-context.ts'
import type { Link } from '../connection/link.ts'
import { loadPrekeys, savePrekeys } from '../records/crypto-records.ts'
import { keys } from '../records/keys.ts'
import type { StateReader, StateTransaction } from '../state/state-store.ts'

/**
 * Keeps the published keys up to date: uploads a bundle after registration and rotation, and one-time keys when the
 * node runs low. Private keys are on disk before their public keys are sent (docs/E2E.md section 8).
 */
export class PrekeyPublisher {
  readonly #context: ClientContext
  #working: Promise<unknown> = Promise.resolve()

  constructor(context: ClientContext) {
    this.#context = context
  }

  /**
   * Prepares a registration: generates prekeys if the state has none, and marks the bundle as unpublished, because the
   * server may not know an earlier one.
   */
  prepare(): Promise<void> {
    const { store, now, random } = this.#context
    return store.transaction(async tx => {
      tx.delete(keys.published())
      if (!(await tx.get(keys.prekeys()))) savePrekeys(tx, generatePrekeys({ nowMs: now(), random }))
    })
  }

  /**
   * Publishes a bundle if the published one is missing or not known to be there, is due for rotation, or offers other
   * suites than this client.
   */
  publish(link: Link): Promise<void> {
    return this.#inTurn(async () => {
      if (!(await this.#context.store.read(tx => this.#isDue(tx)))) return
      const bundle = await this.#context.store.transaction(tx => this.#renewBundle(tx))
      if (!bundle) return
      const counts = await link.request({ type: 'publish_keys', bundle })
      await this.#context.store.transaction(tx => tx.put(keys.published(), this.#suites))
      await this.#fill(link, counts)
    })
  }

  /** Uploads one-time keys for the pools that are below their low marks. */
  refill(link: Link, counts: KeyCounts): Promise<void> {
    return this.#inTurn(() => this.#fill(link, counts))
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#working.then(work)
    this.#working = done.catch(() => {})
    return done
  }

  async #isDue(tx: StateReader): Promise<boolean> {
    const published = await tx.get(keys.published())
    if (!published || !equalBytes(published, this.#suites)) return true
    return needsRotation(await loadPrekeys(tx), this.#context.now())
  }

  /** The suites that this client offers, one byte each. */
  get #suites(): Uint8Array {
    return Uint8Array.from(offeredSuites(this.#context.policy))
  }

  /** Returns the bundle to publish, base64url; undefined if the published one is up to date. */
  async #renewBundle(tx: StateTransaction): Promise<string | undefined> {
    if (!(await this.#isDue(tx))) return undefined
    const { random, now, self, policy } = this.#context
    const nowMs = now()
    const known = await loadPrekeys(tx)
    const current = needsRotation(known, nowMs) ? rotatePrekeys(known, { nowMs, random }) : known
    const { prekeys, bundle } = makeBundle(current, self(), nowMs, policy)
    savePrekeys(tx, prekeys)
    tx.delete(keys.published())
    return encodeBase64Url(bundle)
  }

  async #fill(link: Link, counts: KeyCounts): Promise<void> {
    const { store, random, self, events } = this.#context
    const upload = await store.transaction(async tx => {
      const filled = refillPrekeys(await loadPrekeys(tx), self().identity, counts, random)
      savePrekeys(tx, filled.prekeys)
      return filled.upload
    })
    if (upload.oneTimeKeys.length + upload.oneTimeKemKeys.length === 0) return
    const { oneTimeKeys, oneTimeKemKeys } = await link.request({
      type: 'publish_keys',
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
