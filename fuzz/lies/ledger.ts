import { forgedText } from './hostile.ts'
import type { Scene } from './scene.ts'

/** A message that an honest agent sent. `id` is known once `send` has returned, or from an event. */
type Sent = { from: string; to: string; text: string; id?: string; isAccepted: boolean }
/** A message as a victim showed it. `identity` is undefined if that victim does not report the key. */
export type Shown = {
  id: string
  from: string
  text: string
  isVerified: boolean
  /** The start of the sender's key, or all of it. */
  identity?: string | undefined
}

type Key = `${string} ${string}`
const keyOf = (one: string, other: string): Key => `${one} ${other}`

/** What the agents of one scene really sent, showed and compared, and every violation. */
export class Ledger {
  readonly #scene: Scene
  readonly #report: (what: string, detail: unknown) => void
  readonly #sent = new Map<string, Sent>()
  readonly #acked = new Set<string>()
  readonly #shown = new Set<string>()
  readonly #refused = new Set<string>()
  readonly #compared = new Set<Key>()
  /** The identity key of each agent, base64url. */
  readonly keys = new Map<string, string>()
  /** Pairs that may have met an impostor first: their messages under its key may be shown, never as verified. */
  mayBeFooled = false

  constructor(scene: Scene, report: (what: string, detail: unknown) => void) {
    this.#scene = scene
    this.#report = report
  }

  fault(what: string, detail: unknown = null): void {
    const { seed, rate, log } = this.#scene
    this.#report(what, { seed, rate, detail, lies: log })
  }

  sending(from: string, to: string, text: string): Sent {
    const sent = { from, to, text, isAccepted: false }
    this.#sent.set(text, sent)
    return sent
  }

  refused(id: string): void {
    this.#refused.add(id)
  }

  /** The user has compared the true key of `peer`: from now on it may be verified. */
  comparing(by: string, peer: string): void {
    this.#compared.add(keyOf(by, peer))
  }

  /** `by` shows the trust in a key of `peer`. */
  trusted(by: string, peer: string, { identity, isVerified }: { identity: string; isVerified: boolean }): void {
    if (!isVerified) return
    if (!this.#compared.has(keyOf(by, peer))) this.fault('verified without a comparison', { by, peer })
    if (!this.#isKeyOf(peer, identity)) this.fault('a false verified: another key', { by, peer, identity })
  }

  shown(by: string, message: Shown): void {
    const { from, text, id, isVerified, identity } = message
    const place = keyOf(by, `${from} ${id}`)
    this.trusted(by, from, { isVerified, identity: identity ?? this.keys.get(from) ?? '' })
    if (this.#acked.has(place)) this.fault('shown again after its acknowledgement', { by, ...message })
    this.#shown.add(keyOf(by, text))
    if (text.startsWith(forgedText)) return this.#forged(by, message)
    const sent = this.#sent.get(text)
    if (!sent || sent.from !== from || sent.to !== by) this.fault('shown and never sent like this', { by, ...message })
    else if (identity !== undefined && !this.#isKeyOf(from, identity))
      this.fault('shown with the fingerprint of another key', { by, ...message })
  }

  acked(by: string, { from, id }: { from: string; id: string }): void {
    this.#acked.add(keyOf(by, `${from} ${id}`))
  }

  /**
   * Returns the accepted messages that are neither shown, nor reported to their sender, nor kept by it.
   * @param kept the ids of messages without a receipt, by the agent whose state holds them
   */
  lost(kept: ReadonlyMap<string, ReadonlySet<string>>): Sent[] {
    return [...this.#sent.values()].filter(({ from, to, text, id, isAccepted }) => {
      const isKnown = this.#shown.has(keyOf(to, text)) || id === undefined || this.#refused.has(id)
      return isAccepted && !isKnown && !kept.get(from)?.has(id)
    })
  }

  isShown(by: string, text: string): boolean {
    return this.#shown.has(keyOf(by, text))
  }

  /** Returns true if a text of `from` that contains `part` was shown. */
  isShownFrom(from: string, part: string): boolean {
    return [...this.#sent.values()].some(
      sent => sent.from === from && sent.text.includes(part) && this.isShown(sent.to, sent.text),
    )
  }

  #forged(by: string, message: Shown): void {
    if (message.isVerified) this.fault('an impostor is verified', { by, ...message })
    if (!this.mayBeFooled) this.fault('an impostor of a known agent is shown', { by, ...message })
    if (message.identity !== undefined && this.#isKeyOf(message.from, message.identity))
      this.fault('an impostor is shown with the true fingerprint', { by, ...message })
  }

  #isKeyOf(name: string, identity: string): boolean {
    return identity !== '' && (this.keys.get(name) ?? '').startsWith(identity)
  }
}
