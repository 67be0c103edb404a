import type { Dial, Socket } from '../../src/client/connection/socket.ts'
import { decodeMessage, type Message } from '../../src/crypto/messages/message.ts'
import { decodeServerFrame } from '../../src/protocol/codec.ts'
import type { ClientFrame, ServerFrame } from '../../src/protocol/frames.ts'
import { decodeBase64Url, toHex } from '../../src/util/bytes.ts'
import { hashOf } from '../hash.ts'
import type { Witness } from './recorder.ts'

/** Sockets of which everything that matters is noted: what leaves before it leaves, what comes before it is looked at. */
export const witnessDial =
  (dial: Dial, witness: Witness): Dial =>
  (url, handlers) => {
    const wire = new WireWitness(witness)
    const socket = dial(url, {
      opened: () => handlers.opened(),
      frame: raw => {
        wire.came(decodeServerFrame(raw))
        handlers.frame(raw)
      },
      closed: end => {
        witness.note({ ev: 'close', conn: wire.conn, code: end.code, reason: end.reason })
        handlers.closed(end)
      },
    })
    return watchSends(socket, wire)
  }

const watchSends = (socket: Socket, wire: WireWitness): Socket => ({
  send: text => {
    const frame: ClientFrame = JSON.parse(text)
    wire.leaves(frame)
    socket.send(text)
  },
  close: () => socket.close(),
  terminate: () => socket.terminate(),
})

/** One connection. */
class WireWitness {
  readonly conn: string
  readonly #witness: Witness
  readonly #sent = new Map<string, { rcpt: string; frame: string; h: string }>()
  #connEpoch = 0

  constructor(witness: Witness) {
    this.#witness = witness
    this.conn = witness.nextConnection()
    witness.note({ ev: 'open', conn: this.conn })
  }

  leaves(frame: ClientFrame): void {
    const { conn } = this
    if (frame.type === 'ack') this.#witness.note({ ev: 'trim', conn, connEpoch: this.#connEpoch, seq: frame.seq })
    if (frame.type !== 'send' && frame.type !== 'key_exchange') return
    const sent = { rcpt: frame.to, frame: frame.id, h: hashOf(frame.body) }
    this.#sent.set(frame.id, sent)
    this.#witness.note({ ev: 'sent', conn, ...sent, ...cipherOf(frame.body) })
  }

  came(frame: ServerFrame): void {
    const { conn } = this
    const connEpoch = this.#connEpoch
    switch (frame.type) {
      case 'authenticated':
        return this.#witness.note({ ev: 'login', conn, epoch: frame.generation })
      case 'listening':
        this.#connEpoch = frame.epoch
        return this.#witness.note({ ev: 'listening', conn, connEpoch: frame.epoch, queued: frame.queued })
      case 'message':
      case 'key_exchange': {
        const { from: sender, id, seq, prev, body } = frame
        return this.#witness.note({ ev: 'push', conn, connEpoch, sender, frame: id, seq, prev, h: hashOf(body) })
      }
      case 'accepted':
        return this.#answered(frame.id, sent => ({ ev: 'accepted', conn, ...sent, seq: frame.seq }))
      case 'error':
        return this.#answered(frame.id, sent => ({ ev: 'refused', conn, ...sent, code: frame.code }))
    }
  }

  #answered(
    id: string | undefined,
    event: (sent: { rcpt: string; frame: string; h: string }) => Parameters<Witness['note']>[0],
  ): void {
    const sent = id === undefined ? undefined : this.#sent.get(id)
    if (!sent) return
    this.#sent.delete(sent.frame)
    this.#witness.note(event(sent))
  }
}

/** A message key is named by session, ratchet key and number, which stand in the clear: docs/E2E.md section 6. Probes are no messages. */
function cipherOf(body: string): { place?: string; digest?: string } {
  const message = decodeOrNull(body)
  if (!message) return {}
  const inner = message.type === 'prekey' ? message.inner : message
  if (inner.type !== 'ratchet') return {}
  const place = `${toHex(inner.sid)} ${toHex(inner.header.dh)} ${inner.header.n}`
  return { place, digest: hashOf(toHex(inner.sealed)) }
}

function decodeOrNull(body: string): Message | null {
  try {
    return decodeMessage(decodeBase64Url(body))
  } catch {
    return null
  }
}
