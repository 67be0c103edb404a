import { decodeBundle } from '../../src/crypto/keys/bundle.ts'
import { encodeCard } from '../../src/crypto/keys/card.ts'
import { decodeBase64Url, encodeBase64Url } from '../../src/util/bytes.ts'
import { type Agent, makeAgent, receive, send, serve, start } from '../../tools/clients/crypto-agents.ts'
import { forgedText, hostileMarker } from './hostile.ts'
import type { Frame } from './mutate.ts'

/** The keys that a victim has published, as its `publish_keys` frames contained them. */
export type PublishedKeys = { bundle?: string; oneTimeKeys: OneTime[]; oneTimeKemKeys: OneTime[] }
type OneTime = { id: number; key: string; signature?: string }

/**
 * An attacker with correctly signed keys of its own under the name of another agent. It reads what a fooled victim
 * sends, and writes to the victim.
 */
export class Impostor {
  readonly #agent: Agent
  /** True if the victim may have got this impostor's keys. */
  #hasServed = false
  #hasSession = false
  #said = 0
  readonly name: string

  constructor(name: string, victim: string, seed: number) {
    this.name = name
    this.#agent = makeAgent(name, victim, `impostor ${seed}`)
    this.#agent.nowMs = Date.now()
  }

  /** The answer to `fetch_keys`, with this impostor's keys. */
  keys(id: unknown): Frame {
    this.#hasServed = true
    const { bundle, oneTimeKey, oneTimeKemKey } = serve(this.#agent)
    return {
      type: 'keys',
      id,
      username: this.name,
      bundle: encodeBase64Url(bundle),
      ...(oneTimeKey && { oneTimeKey: { id: oneTimeKey.id, key: encodeBase64Url(oneTimeKey.key) } }),
      ...(oneTimeKemKey && {
        oneTimeKemKey: {
          id: oneTimeKemKey.id,
          key: encodeBase64Url(oneTimeKemKey.key),
          signature: encodeBase64Url(oneTimeKemKey.signature),
        },
      }),
    }
  }

  /** A card under the other agent's name, signed with this impostor's key. */
  card(): string {
    const { self } = this.#agent
    const content = { title: hostileMarker, capabilities: ['lies'], acceptsRequests: true }
    const seq = Math.floor(Date.now() / 1_000) + 1_000
    return encodeBase64Url(
      encodeCard(self.identity, { address: self.address, identity: self.identity.publicKey, seq, content }),
    )
  }

  /** Returns true if the victim encrypted this body for the impostor: it was fooled. */
  reads(body: unknown): boolean {
    if (!this.#hasServed || typeof body !== 'string') return false
    try {
      receive(this.#agent, decodeBase64Url(body))
      this.#hasSession = true
      return true
    } catch {
      return false
    }
  }

  /** Returns the body of a message to the victim, or undefined without keys to write with. */
  speak(published: PublishedKeys | undefined): string | undefined {
    try {
      if (!this.#hasSession) {
        const served = servedFrom(published)
        if (!served) return undefined
        start(this.#agent, served)
        this.#hasSession = true
      }
      return encodeBase64Url(send(this.#agent, `${forgedText} ${this.name} ${this.#said++} ${hostileMarker}`))
    } catch {
      return undefined
    }
  }
}

/** Uses up one one-time key of each kind. */
function servedFrom(published: PublishedKeys | undefined) {
  if (published?.bundle === undefined) return undefined
  const bundle = decodeBase64Url(published.bundle)
  decodeBundle(bundle)
  const oneTimeKey = published.oneTimeKeys.pop()
  const kem = published.oneTimeKemKeys.pop()
  return {
    bundle,
    ...(oneTimeKey && { oneTimeKey: { id: oneTimeKey.id, key: decodeBase64Url(oneTimeKey.key) } }),
    ...(kem && {
      oneTimeKemKey: {
        id: kem.id,
        key: decodeBase64Url(kem.key),
        signature: decodeBase64Url(kem.signature ?? ''),
      },
    }),
  }
}
