import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import t, { type Test } from 'tap'
import { limits } from '../../../src/protocol/limits.ts'
import { RawClient } from '../../../tools/clients/raw-client.ts'
import { askRaw, statusOf } from '../../../tools/clients/raw-http.ts'
import { startTestNode } from '../../../tools/servers/running-node.ts'

/** A mask of zeros does not change the payload. */
const mask = [0, 0, 0, 0]
const masked = (first: number, payload: readonly number[]): number[] => [
  first,
  0x80 | payload.length,
  ...mask,
  ...payload,
]
/** A header that announces a payload length, without the payload. */
const promised = (length: bigint): number[] => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(length)
  return [0x81, 0xff, ...bytes, ...mask]
}

/** RFC 6455 sections 5 and 7: invalid data, and the code that the connection is closed with. */
const abuses: Record<string, [bytes: number[], code: number]> = {
  'text without a mask': [[0x81, 0x02, 0x7b, 0x7d], 1002],
  'a reserved opcode': [masked(0x83, []), 1002],
  'a reserved control opcode': [masked(0x8b, []), 1002],
  'a reserved bit': [masked(0xc1, [0x7b, 0x7d]), 1002],
  'a continuation of nothing': [masked(0x80, [0x7b]), 1002],
  'a second beginning': [[...masked(0x01, [0x7b]), ...masked(0x81, [0x7d])], 1002],
  'a ping in parts': [masked(0x09, []), 1002],
  'a ping over 125 bytes': [[0x89, 0xfe, 0x00, 0x7e, ...mask], 1002],
  'a close with half a code': [masked(0x88, [0x03]), 1002],
  'a close with a code that is none': [masked(0x88, [0x00, 0x01]), 1002],
  'text that is not UTF-8': [masked(0x81, [0xff]), 1007],
  'a reason that is not UTF-8': [masked(0x88, [0x03, 0xe8, 0xff]), 1007],
  'one byte too many': [promised(BigInt(limits.maxFrameBytes + 1)), 1009],
  'a promise of 1 GiB': [promised(2n ** 30n), 1009],
  'a promise of 1 TiB': [promised(2n ** 40n), 1009],
  'a promise of more than there are numbers': [promised(2n ** 63n), 1009],
}

async function connect(t: Test, wsUrl: string): Promise<{ client: RawClient; transport: Duplex }> {
  const client = new RawClient(wsUrl)
  t.teardown(() => client.socket.terminate())
  const [{ socket: transport }] = await once(client.socket, 'upgrade')
  await client.next('challenge')
  return { client, transport }
}

for (const [name, [bytes, code]] of Object.entries(abuses)) {
  t.test(`${name} closes with ${code}`, async t => {
    const { wsUrl } = await startTestNode(t)
    const { client, transport } = await connect(t, wsUrl)
    transport.write(Uint8Array.from(bytes))
    t.equal((await client.closed).code, code)
  })
}

// Evidence: L12
t.test('a hundred thousand empty fragments close with 1008', async t => {
  const { wsUrl } = await startTestNode(t)
  const { client, transport } = await connect(t, wsUrl)
  transport.on('error', () => {})
  const fragments = Buffer.concat([
    Buffer.from(masked(0x01, [])),
    ...Array.from({ length: 100_000 }, () => Buffer.from(masked(0x00, []))),
  ])
  transport.write(fragments)
  t.equal((await client.closed).code, 1008)
})

const upgrade = {
  connection: 'Upgrade',
  upgrade: 'websocket',
  'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
  'sec-websocket-version': '13',
}

t.test('an upgrade with too many headers is refused, and the node continues', async t => {
  const { url } = await startTestNode(t)
  const many = Object.fromEntries(Array.from({ length: 2_100 }, (_, index) => [`h${index}`, '']))
  const status = statusOf(
    await askRaw(url, 'GET', '/ws', { ...many, ...upgrade, 'sec-websocket-protocol': 'aimessage.v1' }),
  )
  t.ok(status >= 400 && status < 500, `${status}`)
  t.equal((await fetch(`${url}/health/live`)).status, 200)
})

t.test('a subprotocol of spaces costs nothing', async t => {
  const { url } = await startTestNode(t)
  const odd = [`b${' '.repeat(10_000)}x`, `aimessage.v1${' ,'.repeat(5_000)}`, ','.repeat(10_000)]
  const before = process.cpuUsage()
  for (const protocol of odd) {
    const status = statusOf(await askRaw(url, 'GET', '/ws', { ...upgrade, 'sec-websocket-protocol': protocol }))
    t.ok(status >= 400 && status < 500, `${status}`)
  }
  t.ok(process.cpuUsage(before).user < 2_000_000)
})
