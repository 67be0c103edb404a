import { ProtocolError } from '../../protocol/errors.ts'
import { limits } from '../../protocol/limits.ts'
import { defer } from '../../util/deferred.ts'
import { onAbort } from '../../util/signal.ts'
import type { Timer } from '../../util/timer.ts'
import type { NoticeSubscriber } from '../delivery/notice-router.ts'
import type { OpenConnection } from '../node/connection-registry.ts'
import type { NodeContext } from '../node/node-context.ts'
import type { Claim, Envelope, Notice } from '../store/store.ts'
import type { Login } from './login.ts'

/** `cursor` is behind all that was shown. */
export type InboxPage = { messages: Envelope[]; cursor: number; queued: number; epoch: number }
export type InboxQuery = { limit?: number | undefined; wait?: number | undefined; after?: number | undefined }

const takenOver = () => new ProtocolError('conflict', 'the inbox is claimed by another')
const ownerOf = ({ tokenHash }: Login) => ({ kind: 'http', connection: tokenHash, ttlMs: limits.httpClaimMs }) as const
/** As much as one call answers with: the window of a socket. */
const maxPageBytes = limits.maxUnackedBytes

/** Something that waits for notices about one inbox or the end of its session, and remembers those that come before it looks. */
class InboxWatch implements NoticeSubscriber, OpenConnection {
  /** Who calls over HTTP was told no generation. */
  readonly isOutdated = false
  readonly connection: string
  readonly #expiry: Timer
  #wakeUps = 0
  #wake = defer<void>()
  #replacedBy = 0
  #sessionEnded = false

  constructor({ tokenHash, expiresAt }: Login, { clock, store }: NodeContext) {
    this.connection = tokenHash
    this.#expiry = clock.after(Math.max(0, expiresAt - store.now()), () => void this.close())
  }

  get sessionEnded(): boolean {
    return this.#sessionEnded
  }

  get wakeUps(): number {
    return this.#wakeUps
  }

  get replacedBy(): number {
    return this.#replacedBy
  }

  notice(notice: Notice): void {
    if (notice.kind === 'replaced') this.#replacedBy = Math.max(this.#replacedBy, notice.epoch)
    if (notice.kind !== 'keys-low') this.wake()
  }

  /** The session has ended. */
  async close(): Promise<void> {
    this.#sessionEnded = true
    this.wake()
  }

  end(): void {
    this.#expiry.cancel()
  }

  wake(): void {
    this.#wakeUps += 1
    this.#wake.resolve()
    this.#wake = defer<void>()
  }

  /** Resolves once something happened after `wakeUps` was read. */
  after(wakeUps: number): Promise<void> {
    return wakeUps === this.#wakeUps ? this.#wake.promise : Promise.resolve()
  }
}

/**
 * What is not acknowledged, oldest first, behind the cursor `after`. Claims a free inbox, or goes on with the caller's claim; waits until something is there, `wait`
 * seconds have passed or `abort` fires (the caller hung up, the node drains).
 * @throws {ProtocolError} `conflict` when another listens, `unauthorized` when the session ends, also while this waits
 */
export async function readInbox(
  node: NodeContext,
  session: Login,
  { limit = limits.defaultPage, wait = 0, after = 0 }: InboxQuery,
  abort: AbortSignal,
): Promise<InboxPage> {
  const watch = new InboxWatch(session, node)
  // Said by the timer, and not read from the clock: timers fire up to a millisecond early, and this one fires once.
  let isLate = wait === 0
  const timer = node.clock.after(wait * 1000, () => {
    isLate = true
    watch.wake()
  })
  const stopWatching = onAbort(abort, () => watch.wake())
  node.notices.add(session.username, watch)
  node.connections.bind(session.tokenHash, watch)
  try {
    const claim = await claimInbox(node, session)
    const isOver = () => abort.aborted || isLate
    const messages = await readOrWait(node, claim, watch, { after, maxItems: limit }, isOver)
    const queued = await node.store.countQueued(session.username)
    return { messages: chain(messages, after), cursor: messages.at(-1)?.seq ?? after, queued, epoch: claim.epoch }
  } finally {
    node.notices.remove(session.username, watch)
    node.connections.unbind(session.tokenHash, watch)
    watch.end()
    stopWatching()
    timer.cancel()
  }
}

async function claimInbox(node: NodeContext, session: Login): Promise<Claim> {
  const claimed = await node.store.claim(session.username, ownerOf(session))
  if (claimed === 'conflict') throw takenOver()
  return claimed.claim
}

/** Looks, and looks again after each wake-up; which ones there were is read before the inbox is. */
async function readOrWait(
  node: NodeContext,
  claim: Claim,
  watch: InboxWatch,
  { after, maxItems }: { after: number; maxItems: number },
  isOver: () => boolean,
): Promise<Envelope[]> {
  for (;;) {
    const { wakeUps } = watch
    if (watch.sessionEnded) throw new ProtocolError('unauthorized', 'the session has ended')
    if (watch.replacedBy > claim.epoch) throw takenOver()
    const envelopes = await node.store.read(claim, after, { maxItems, maxBytes: maxPageBytes })
    if (envelopes === 'stale') throw takenOver()
    if (envelopes.length > 0 || isOver()) return envelopes
    await watch.after(wakeUps)
  }
}

/** `prev` as on a socket: the one shown before it. */
const chain = (envelopes: readonly Envelope[], after: number): Envelope[] =>
  envelopes.map((envelope, index) => ({ ...envelope, prev: envelopes[index - 1]?.seq ?? after }))

/**
 * Everything up to `seq` is stored by the caller.
 * @throws {ProtocolError} `bad_ack` above what was returned, `conflict` when the claim is gone
 */
export async function ackInbox(
  node: NodeContext,
  session: Login,
  { seq, epoch }: { seq: number; epoch: number },
): Promise<void> {
  const outcome = await node.store.ack({ username: session.username, epoch, owner: ownerOf(session) }, seq)
  if (outcome === 'bad_ack') throw new ProtocolError('bad_ack', 'seq is above what was returned')
  if (outcome === 'stale') throw takenOver()
}
