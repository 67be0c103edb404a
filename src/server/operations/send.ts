import { ProtocolError } from '../../protocol/errors.ts'
import { parseRecipient, type Username } from '../../protocol/names.ts'
import { unavailable } from '../base/to-protocol-error.ts'
import type { Send, SendStream } from '../delivery/send-batch.ts'
import type { NodeContext } from '../node/node-context.ts'
import type { StorageRefusal } from '../store/storage.ts'
import type { AppendResult, EnvelopeKind } from '../store/store.ts'

export type SendRequest = { id: string; to: string; body: string; ttl?: number | undefined; kind: EnvelopeKind }
type Accepted = { seq: number; queued: boolean }

/**
 * Stores an envelope. Resolves once it is stored.
 * @throws {ProtocolError} `invalid_username`, `unknown_user`, `forbidden`, `id_reused`, `inbox_full`, `unavailable`
 */
export async function send(
  node: NodeContext,
  stream: SendStream,
  from: Username,
  request: SendRequest,
): Promise<Accepted> {
  const accepted = toAccepted(await node.sends.append(stream, toSend(node, from, request)))
  node.metrics.accepted.inc()
  return accepted
}

/** Refuses a send untried. Later sends to its recipient wait for its repetition, as after any other refusal. */
export function refuseSend(node: NodeContext, stream: SendStream, from: Username, request: SendRequest): void {
  try {
    void node.sends.refuse(stream, toSend(node, from, request))
  } catch {
    // The recipient is invalid: there are no later sends to block.
  }
}

const toSend = ({ config }: NodeContext, from: Username, { id, to, body, ttl, kind }: SendRequest): Send => ({
  from,
  to: parseRecipient(to, config.domain),
  id,
  kind,
  body,
  ttlMs: Math.min((ttl ?? Number.POSITIVE_INFINITY) * 1000, config.messageTtlMs),
})

const noRoom: Readonly<Record<StorageRefusal, string>> = {
  sender: 'too much of your mail waits until its recipients read it: send again later',
  address: 'too much mail from the users of your address waits until its recipients read it: send again later',
  share: 'memory is short, and the users of your address hold a large part of it: send again later',
  stranger: 'memory is scarce: mail to users that never wrote to you has to wait: send again later',
}

function toAccepted(result: AppendResult): Accepted {
  switch (result.status) {
    case 'stored':
      return { seq: result.seq, queued: result.queued }
    case 'unknown_user':
      throw new ProtocolError('unknown_user', 'no such user')
    case 'forbidden':
      throw new ProtocolError('forbidden', 'this user does not accept messages from you')
    case 'id_reused':
      throw new ProtocolError('id_reused', 'this id was used for another message')
    case 'inbox_full':
      throw new ProtocolError('inbox_full', 'the inbox is full', { retryAfter: result.retryAfter })
    case 'no_room':
      throw new ProtocolError('rate_limited', noRoom[result.why], { retryAfter: result.retryAfter })
    case 'unavailable':
      throw unavailable('the outcome is unknown: repeat the same send')
  }
}
