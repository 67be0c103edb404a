import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { openDirectoryStore } from '../../../src/client/node.ts'
import { keys } from '../../../src/client/records/keys.ts'
import { encodePeer } from '../../../src/crypto/session/peer-codec.ts'
import { parseUsername } from '../../../src/protocol/names.ts'
import { openAgentAt, temporaryDirectory } from '../../../tools/clients/agents.ts'
import { makeAcquainted } from '../../../tools/clients/crypto-agents.ts'
import { startTestNode } from '../../../tools/servers/running-node.ts'

/** The full measurement uses `MESSAGES=100000`. */
const messages = Number(process.env.MESSAGES ?? 500)
const peers = Number(process.env.PEERS ?? 1_000)

/** The limits of docs/STATE.md, bytes: for an empty state, for each message of the last 14 days, and for each peer. */
const emptyBytes = 1024 * 1024
const perMessageBytes = 250
const perPeerBytes = 2 * 1024

async function sizeOf(directory: string): Promise<number> {
  // SQLite's other files are removed late, when its handles are garbage-collected.
  const sizeOfFile = (name: string) =>
    stat(join(directory, name)).then(
      ({ size }) => size,
      () => 0,
    )
  const sizes = (await readdir(directory)).map(sizeOfFile)
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0)
}

t.setTimeout(60_000 + messages * 100)

t.test('a state grows with each message by no more than the documented bytes', async t => {
  const node = await startTestNode(t)
  const directory = await temporaryDirectory(t)
  const [ofAlice, ofBob] = [join(directory, 'alice'), join(directory, 'bob')]
  const alice = await openAgentAt(t, node.wsUrl, ofAlice)
  await alice.register('alice')
  const bob = await openAgentAt(t, node.wsUrl, ofBob)
  await bob.register('bob')
  const receiving = (async () => {
    for await (const message of bob.receive({ count: messages })) await message.ack()
  })()
  const listening = new AbortController()
  const receipts = (async () => {
    for await (const _none of alice.receive({ signal: listening.signal }));
  })()
  let last = ''
  for (let at = 0; at < messages; at += 32) {
    const window = Array.from({ length: Math.min(32, messages - at) }, (_, index) => alice.send('bob', `${at + index}`))
    last = (await Promise.all(window)).at(-1)?.id ?? ''
  }
  await receiving
  await alice.confirmed(last, 'delivered')
  listening.abort()
  await receipts
  await Promise.all([alice.close(), bob.close()])
  const sizes = { alice: await sizeOf(ofAlice), bob: await sizeOf(ofBob) }
  t.comment(`${messages} messages: sender ${sizes.alice} bytes, recipient ${sizes.bob} bytes`)
  t.ok(sizes.alice <= emptyBytes + messages * perMessageBytes)
  t.ok(sizes.bob <= emptyBytes + messages * perMessageBytes)
})

t.test('a state grows with each peer by no more than the documented bytes', async t => {
  const directory = await temporaryDirectory(t)
  const store = await openDirectoryStore(directory)
  const record = encodePeer(makeAcquainted()[0].peer)
  await store.transaction(tx => {
    for (let at = 0; at < peers; at += 1) tx.put(keys.peer(parseUsername(`peer-${at}`)), record)
  })
  await store.close()
  const size = await sizeOf(directory)
  t.comment(`${peers} peers: ${size} bytes`)
  t.ok(size <= emptyBytes + peers * perPeerBytes)
})
