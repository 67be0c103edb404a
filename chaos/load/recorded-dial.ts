import type { Dial, Socket } from '../../src/client/connection/socket.ts'
import { decodeMessage, type Message } from '../../src/crypto/messages/message.ts'
import { decodeServerFrame } from '../../src/protocol/codec.ts'
import type { ClientFrame, ServerFrame } from '../../src/protocol/frames.ts'
import { decodeBase64Url, toHex } from '../../src/util/bytes.ts'
import { hashOf } from '../history/hash.ts'
import type { Recorder } from './recorder.ts'

/** Returns a dial whose sockets record their frames: outgoing ones before sending, incoming ones before handling. */
export const recordDial =
  (dial: Dial, recorder: Recorder): Dial =>
  (url, handlers) => {
    const wire = new WireRecorder(recorder)
    const socket = dial(url, {
      opened: () => handlers.opened(),
      frame: raw => {
        wire.came(decodeServerFrame(raw))
        handlers.frame(raw)
      },
      closed: end => {
        recorder.note({ ev: 'close', conn: wire.conn, code: end.code, reason: end.reason })
        handlers.closed(end)
      },
    })
    return watchSends(socket, wire)
  }

const watchSends = (socket: Socket, wire: WireRecorder): Socket => ({
  send: text => {
    const frame: ClientFrame = JSON.parse(text)
    wire.leaves(frame)
    socket.send(text)
  },
  close: () => socket.close(),
  terminate: () => socket.terminate(),
})

/** One connection. */
class WireRecorder {
  readonly conn: string
  readonly #recorder: Recorder
  readonly #sent = new Map<string, { rcpt: string; frame: string; h: string }>()
  #connEpoch = 0

  constructor(recorder: Recorder) {
    this.#recorder = recorder
    this.conn = recorder.nextConnection()
    recorder.note({ ev: 'open', conn: this.conn })
  }

  leaves(frame: ClientFrame): void {
    const { conn } = this
    if (frame.type === 'ack') this.#recorder.note({ ev: 'trim', conn, connEpoch: this.#connEpoch, seq: frame.seq })
    if (frame.type !== 'send' && frame.type !== 'key_exchange') return
    const sent = { rcpt: frame.to, frame: frame.id, h: hashOf(frame.body) }
    this.#sent.set(frame.id, sent)
    this.#recorder.note({ ev: 'sent', conn, ...sent, ...cipherOf(frame.body) })
  }

  came(frame: ServerFrame): void {
    const { conn } = this
    const connEpoch = this.#connEpoch
    switch (frame.type) {
      case 'authenticated':
        return this.#recorder.note({ ev: 'login', conn, epoch: frame.generation })
      case 'listening':
        this.#connEpoch = frame.epoch
        return this.#recorder.note({ ev: 'listening', conn, connEpoch: frame.epoch, queued: frame.queued })
      case 'message':
      case 'key_exchange': {
        const { from: sender, id, seq, prev, body } = frame
        return this.#recorder.note({ ev: 'push', conn, connEpoch, sender, frame: id, seq, prev, h: hashOf(body) })
      }
      case 'accepted':
        return this.#answered(frame.id, sent => ({ ev: 'accepted', conn, ...sent, seq: frame.seq }))
      case 'error':
        return this.#answered(frame.id, sent => ({ ev: 'refused', conn, ...sent, code: frame.code }))
    }
  }

  #answered(
    id: string | undefined,
    event: (sent: { rcpt: string; frame: string; h: string }) => Parameters<Recorder['note']>[0],
  ): void {
    const sent = id === undefined ? undefined : this.#sent.get(id)
    if (!sent) return
    this.#sent.delete(sent.frame)
    this.#recorder.note(event(sent))
  }
}

/**
 * A message key is named by session, ratchet key and number, which are not encrypted: docs/E2E.md section 6. The frames
 * of the prober contain no message.
 */
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
