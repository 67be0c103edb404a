import { ProtocolError } from '../../protocol/errors.ts'
import { limits } from '../../protocol/limits.ts'
import { defer } from '../../util/deferred.ts'
import type { Listener } from '../listeners.ts'
import type { RelayNode } from '../relay-node.ts'
import type { Claim, Envelope, Notice } from '../store/store.ts'
import type { AuthSession } from './session.ts'

export type InboxPage = { messages: (Envelope & { prev: number })[]; queued: number; epoch: number }
export type InboxQuery = { limit?: number | undefined; wait?: number | undefined }

const takenOver = () => new ProtocolError('conflict', 'the inbox is claimed by another')
const ownerOf = ({ tokenHash }: AuthSession) =>
  ({ kind: 'http', connection: tokenHash, ttlMs: limits.httpClaimMs }) as const
/** As much as one call answers with: the window of a socket. */
const maxPageBytes = limits.maxUnackedBytes

/** Something that waits for notices about one inbox, and remembers those that come before it looks. */
class InboxWatch implements Listener {
  readonly connection: string
  #wakeUps = 0
  #wake = defer<void>()
  #replacedBy = 0

  constructor(connection: string) {
    this.connection = connection
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
 * What is not acknowledged, oldest first. Claims a free inbox, or goes on with the caller's claim; waits until something is there, `wait`
 * seconds have passed or `abort` fires (the caller hung up, the node drains).
 * @throws {ProtocolError} `conflict` when another listens, also while this waits
 */
export async function readInbox(
  node: RelayNode,
  session: AuthSession,
  { limit = limits.defaultPage, wait = 0 }: InboxQuery,
  abort: AbortSignal,
): Promise<InboxPage> {
  const watch = new InboxWatch(session.tokenHash)
  const deadline = node.clock.elapsed() + wait * 1000
  const timer = node.clock.after(wait * 1000, () => watch.wake())
  const onAbort = () => watch.wake()
  abort.addEventListener('abort', onAbort, { once: true })
  node.listeners.add(session.username, watch)
  try {
    const claim = await claimInbox(node, session)
    const isOver = () => abort.aborted || node.clock.elapsed() >= deadline
    const messages = await readOrWait(node, claim, watch, limit, isOver)
    return { messages: chain(messages), queued: await node.store.countQueued(session.username), epoch: claim.epoch }
  } finally {
    node.listeners.remove(session.username, watch)
    abort.removeEventListener('abort', onAbort)
    timer.cancel()
  }
}

async function claimInbox(node: RelayNode, session: AuthSession): Promise<Claim> {
  const claimed = await node.store.claim(session.username, ownerOf(session))
  if (claimed === 'conflict') throw takenOver()
  return claimed.claim
}

/** Looks, and looks again after each wake-up; which ones there were is read before the inbox is. */
async function readOrWait(
  node: RelayNode,
  claim: Claim,
  watch: InboxWatch,
  maxItems: number,
  isOver: () => boolean,
): Promise<Envelope[]> {
  for (;;) {
    const { wakeUps } = watch
    if (watch.replacedBy > claim.epoch) throw takenOver()
    const envelopes = await node.store.read(claim, 0, { maxItems, maxBytes: maxPageBytes })
    if (envelopes === 'stale') throw takenOver()
    if (envelopes.length > 0 || isOver()) return envelopes
    await watch.after(wakeUps)
  }
}

/** `prev` as on a socket: the one before it in this answer. */
const chain = (envelopes: readonly Envelope[]): Envelope[] =>
  envelopes.map((envelope, index) => ({ ...envelope, prev: envelopes[index - 1]?.seq ?? 0 }))

/**
 * Everything up to `seq` is stored by the caller.
 * @throws {ProtocolError} `bad_ack` above what was returned, `conflict` when the claim is gone
 */
export async function ackInbox(
  node: RelayNode,
  session: AuthSession,
  { seq, epoch }: { seq: number; epoch: number },
): Promise<void> {
  const outcome = await node.store.ack({ username: session.username, epoch, owner: ownerOf(session) }, seq)
  if (outcome === 'bad_ack') throw new ProtocolError('bad_ack', 'seq is above what was returned')
  if (outcome === 'stale') throw takenOver()
}
