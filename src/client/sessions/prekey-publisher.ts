import { decodeBundle } from '../../crypto/keys/bundle.ts'
import {
  generatePrekeys,
  type KeyCounts,
  type KeyUpload,
  makeBundle,
  needsRotation,
  refillPrekeys,
  rotatePrekeys,
} from '../../crypto/keys/prekeys.ts'
import { offeredSuites } from '../../crypto/policy.ts'
import { ProtocolError } from '../../protocol/errors.ts'
import type { ClientFrameOf, ServerFrameOf } from '../../protocol/frames.ts'
import { decodeBase64Url, encodeBase64Url, equalBytes } from '../../util/bytes.ts'
import { ServerFaultError } from '../base/errors.ts'
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
      const counts = await this.#upload(link, bundle)
      await this.#context.store.transaction(tx => tx.put(keys.published(), this.#suites))
      await this.#fill(link, counts)
    })
  }

  /**
   * After a restore: publishes a new bundle and replaces all one-time keys at the node, in one step. Messages encrypted
   * to the old keys could not be decrypted here.
   * @returns the node's answer; undefined if there is nothing to replace
   */
  replace(link: Link): Promise<ServerFrameOf<'published'> | undefined> {
    return this.#inTurn(async () => {
      const { store, random, self, events } = this.#context
      const made = await store.transaction(async tx => {
        if (!(await tx.get(keys.recovering()))) return undefined
        tx.delete(keys.published())
        const bundle = await this.#renewBundle(tx)
        const filled = refillPrekeys(await loadPrekeys(tx), self().identity, noKeys, random)
        savePrekeys(tx, filled.prekeys)
        return { bundle, upload: filled.upload }
      })
      if (!made?.bundle) return undefined
      const answer = await this.#upload(link, made.bundle, { ...encodeUpload(made.upload), replace: true })
      await store.transaction(tx => {
        tx.put(keys.published(), this.#suites)
        if (answer.replaced) tx.delete(keys.recovering())
      })
      const { oneTimeKeys, oneTimeKemKeys } = answer
      if (answer.replaced) events.emit('published', { oneTimeKeys, oneTimeKemKeys })
      return answer
    })
  }

  /** Uploads one-time keys for the pools that are below their low marks. */
  refill(link: Link, counts: KeyCounts): Promise<void> {
    return this.#inTurn(() => this.#fill(link, counts))
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
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

  /** Uploads a bundle. If the node has a newer one of this agent, publishes the next one after it. */
  async #upload(
    link: Link,
    bundle: string,
    rest: Pick<ClientFrameOf<'publish_keys'>, 'oneTimeKeys' | 'oneTimeKemKeys' | 'replace'> = {},
  ): Promise<ServerFrameOf<'published'>> {
    try {
      return await link.request({ type: 'publish_keys', bundle, ...rest })
    } catch (error) {
      if (!(error instanceof ProtocolError) || error.code !== 'conflict') throw error
      const next = await this.#bundleAfter(await this.#publishedSeq(link))
      if (next === undefined) throw error
      return link.request({ type: 'publish_keys', bundle: next, ...rest })
    }
  }

  /**
   * Returns the `seq` of this agent's bundle at the node. The bundle has this agent's signature, so a node cannot make
   * up a number.
   */
  async #publishedSeq(link: Link): Promise<number> {
    const { identity, address, username } = this.#context.self()
    const { bundle } = await link.request({ type: 'fetch_keys', username })
    const published = decodeBundle(decodeBase64Url(bundle))
    const isOwn = equalBytes(published.identity, identity.publicKey) && published.address === address
    if (!isOwn) throw new ServerFaultError("the server serves another agent's keys under the name of this agent")
    return published.seq
  }

  /** Returns a bundle with a `seq` above `seq`; undefined if the last one of this state was above it already. */
  #bundleAfter(seq: number): Promise<string | undefined> {
    const { store, now, self, policy } = this.#context
    return store.transaction(async tx => {
      const known = await loadPrekeys(tx)
      if (seq < known.seq || seq >= Number.MAX_SAFE_INTEGER) return undefined
      const { prekeys, bundle } = makeBundle({ ...known, seq }, self(), now(), policy)
      savePrekeys(tx, prekeys)
      return encodeBase64Url(bundle)
    })
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
      ...encodeUpload(upload),
    })
    events.emit('published', { oneTimeKeys, oneTimeKemKeys })
  }
}

const noKeys: KeyCounts = { oneTimeKeys: 0, oneTimeKemKeys: 0 }

const encodeUpload = ({ oneTimeKeys, oneTimeKemKeys }: KeyUpload) => ({
  oneTimeKeys: oneTimeKeys.map(({ id, key }) => ({ id, key: encodeBase64Url(key) })),
  oneTimeKemKeys: oneTimeKemKeys.map(({ id, key, signature }) => ({
    id,
    key: encodeBase64Url(key),
    signature: encodeBase64Url(signature),
  })),
})
