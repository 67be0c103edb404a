import { ProtocolError } from '../../protocol/errors.ts'
import { limits } from '../../protocol/limits.ts'
import { onAbort, Signal } from '../../util/signal.ts'
import type { Timer } from '../../util/timer.ts'
import type { NoticeSubscriber } from '../delivery/notice-router.ts'
import type { TokenHolder } from '../node/connection-registry.ts'
import type { NodeContext } from '../node/node-context.ts'
import type { Claim, Envelope, Notice } from '../store/store.ts'
import type { Login } from './login.ts'

/** `cursor` is the value of `after` for the next page. `queued` counts all envelopes in the inbox. */
type InboxPage = { messages: Envelope[]; cursor: number; queued: number; epoch: number }
/** `wait` is in seconds. */
type InboxQuery = { limit?: number | undefined; wait?: number | undefined; after?: number | undefined }

const takenOver = () => new ProtocolError('conflict', 'the inbox is claimed by another connection')
const ownerOf = ({ tokenHash }: Login) => ({ kind: 'http', connection: tokenHash, ttlMs: limits.httpClaimMs }) as const
/** The most that one call returns: the push window of a socket. */
const maxPageBytes = limits.maxUnackedBytes

/** Wakes an HTTP call that waits for mail: at a notice about its inbox, or when its login ends. */
class InboxWatch implements NoticeSubscriber, TokenHolder {
  readonly connection: string
  readonly changed = new Signal()
  readonly #expiry: Timer
  #replacedBy = 0
  #loginEnded = false

  constructor({ tokenHash, expiresAt }: Login, { clock, store }: NodeContext) {
    this.connection = tokenHash
    this.#expiry = clock.after(Math.max(0, expiresAt - store.now()), () => void this.close())
  }

  notice(notice: Notice): void {
    if (notice.kind === 'replaced') this.#replacedBy = Math.max(this.#replacedBy, notice.epoch)
    if (notice.kind !== 'keys-low') this.changed.notify()
  }

  /** Called when the token is revoked or has expired. */
  async close(): Promise<void> {
    this.#loginEnded = true
    this.changed.notify()
  }

  end(): void {
    this.#expiry.cancel()
  }

  /** @throws {ProtocolError} `unauthorized` once the login has ended, `conflict` once another took the inbox over. */
  check({ epoch }: Claim): void {
    if (this.#loginEnded) throw new ProtocolError('unauthorized', 'the login has ended')
    if (this.#replacedBy > epoch) throw takenOver()
  }
}

/**
 * Returns envelopes that are not acknowledged, oldest first, above the cursor `after`. Claims a free inbox, or
 * continues the caller's own claim. Waits until there is an envelope, `wait` seconds have passed, or `abort` fires (the
 * caller hung up, or the node drains).
 * @throws {ProtocolError} `conflict` if another owner holds the inbox; `unauthorized` if the login ends during the wait
 */
export async function readInbox(
  node: NodeContext,
  login: Login,
  { limit = limits.defaultPage, wait = 0, after = 0 }: InboxQuery,
  abort: AbortSignal,
): Promise<InboxPage> {
  const watch = new InboxWatch(login, node)
  // Set by the timer, not computed from the clock: a timer may fire up to a millisecond early, and this one fires once.
  let isLate = wait === 0
  const timer = node.clock.after(wait * 1000, () => {
    isLate = true
    watch.changed.notify()
  })
  const stopWatching = onAbort(abort, () => watch.changed.notify())
  node.notices.add(login.username, watch)
  node.connections.bind(login.tokenHash, watch)
  try {
    const claim = await claimInbox(node, login)
    const messages = await watch.changed.until(async () => {
      watch.check(claim)
      const envelopes = await node.store.inboxes.read(claim, after, { maxItems: limit, maxBytes: maxPageBytes })
      if (envelopes === 'stale') throw takenOver()
      return envelopes.length > 0 || abort.aborted || isLate ? envelopes : undefined
    })
    const queued = await node.store.inboxes.countQueued(login.username)
    return { messages: chain(messages, after), cursor: messages.at(-1)?.seq ?? after, queued, epoch: claim.epoch }
  } finally {
    node.notices.remove(login.username, watch)
    node.connections.unbind(login.tokenHash, watch)
    watch.end()
    stopWatching()
    timer.cancel()
  }
}

async function claimInbox(node: NodeContext, login: Login): Promise<Claim> {
  const claimed = await node.store.inboxes.claim(login.username, ownerOf(login))
  if (claimed === 'conflict') throw takenOver()
  return claimed.claim
}

/** Sets `prev` as on a socket: to the `seq` of the envelope that the caller got before. */
const chain = (envelopes: readonly Envelope[], after: number): Envelope[] =>
  envelopes.map((envelope, index) => ({ ...envelope, prev: envelopes[index - 1]?.seq ?? after }))

/**
 * Acknowledges everything up to `seq`: the caller has stored it.
 * @throws {ProtocolError} `bad_ack` above the last returned `seq`, `conflict` if the claim is gone
 */
export async function ackInbox(
  node: NodeContext,
  login: Login,
  { seq, epoch }: { seq: number; epoch: number },
): Promise<void> {
  const outcome = await node.store.inboxes.ack({ username: login.username, epoch, owner: ownerOf(login) }, seq)
  if (outcome === 'bad_ack') throw new ProtocolError('bad_ack', 'seq is above what was returned')
  if (outcome === 'stale') throw takenOver()
}
