import { connect } from 'node:net'
import type { Dial, SocketEnd } from '../../src/client/connection/socket.ts'
import { headerOf, statusOf, upgradeRequest } from '../../tools/clients/raw-http.ts'

const opcodes = { text: 1, close: 8, ping: 9, pong: 10 }

type Frame = { opcode: number; payload: Buffer }

/**
 * A WebSocket without a library, for unfragmented frames of up to 64 KiB, as a node writes them. Thousands of clients
 * share the machine with the node here, so each one costs as little as possible.
 */
export const dialRaw: Dial = (url, handlers) => {
  const { hostname, port, host } = new URL(url)
  const transport = connect({ host: hostname, port: Number(port), noDelay: true })
  const write = (opcode: number, payload: Buffer) => void transport.write(toFrame(opcode, payload))
  let end: SocketEnd = { code: 1006, reason: '' }
  let isOpen = false
  let bytes: Buffer = Buffer.alloc(0)
  const readHead = () => {
    const headEnd = bytes.indexOf('\r\n\r\n')
    if (headEnd < 0) return
    const head = bytes.toString('latin1', 0, headEnd + 2)
    bytes = bytes.subarray(headEnd + 4)
    isOpen = statusOf(head) === 101
    if (isOpen) return handlers.opened()
    end = refusalOf(head)
    transport.destroy()
  }
  const take = ({ opcode, payload }: Frame) => {
    if (opcode === opcodes.text) handlers.frame(payload)
    else if (opcode === opcodes.ping) write(opcodes.pong, payload)
    else if (opcode === opcodes.close) {
      end = { code: payload.readUInt16BE(0), reason: payload.toString('utf8', 2) }
      transport.end(toFrame(opcodes.close, payload.subarray(0, 2)))
    }
  }
  transport.on('data', data => {
    bytes = bytes.length === 0 ? data : Buffer.concat([bytes, data])
    if (!isOpen) readHead()
    for (let frame = isOpen && takeFrame(bytes); frame; frame = takeFrame(bytes)) {
      bytes = frame.rest
      take(frame)
    }
  })
  transport.on('error', error => {
    end = { ...end, reason: error.message }
  })
  transport.on('close', () => handlers.closed(end))
  transport.write(upgradeRequest(host))
  return {
    send: text => write(opcodes.text, Buffer.from(text)),
    close: () => transport.end(),
    terminate: () => transport.destroy(),
  }
}

function refusalOf(head: string): SocketEnd {
  const status = statusOf(head)
  const retryAfter = Number(headerOf(head, 'retry-after'))
  return { code: 1006, reason: `the server answered ${status}`, status, ...(retryAfter > 0 && { retryAfter }) }
}

/** Masks with zeros. A real client uses a random mask to protect proxies. */
function toFrame(opcode: number, payload: Buffer): Buffer {
  const isShort = payload.length < 126
  const head = Buffer.alloc(isShort ? 6 : 8)
  head[0] = 0x80 | opcode
  head[1] = 0x80 | (isShort ? payload.length : 126)
  if (!isShort) head.writeUInt16BE(payload.length, 2)
  return Buffer.concat([head, payload])
}

/** Returns the first frame if it is complete, and the bytes after it. */
function takeFrame(bytes: Buffer): (Frame & { rest: Buffer }) | undefined {
  const [first = 0, length = 0] = bytes
  const headBytes = length === 126 ? 4 : 2
  if (bytes.length < headBytes) return undefined
  const end = headBytes + (length === 126 ? bytes.readUInt16BE(2) : length)
  if (bytes.length < end) return undefined
  return { opcode: first & 0x0f, payload: bytes.subarray(headBytes, end), rest: bytes.subarray(end) }
}
