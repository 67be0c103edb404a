import { randomBytes } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { Client } from '../../src/client/client.ts'
import { dialNode } from '../../src/client/connection/dial-node.ts'
import { loadPeer } from '../../src/client/records/crypto-records.ts'
import { MemoryDisk, openMemoryStore } from '../../src/client/state/memory-store.ts'
import { parseUsername } from '../../src/protocol/names.ts'
import { receiveSome } from '../../tools/clients/agents.ts'
import { RawClient } from '../../tools/clients/raw-client.ts'
import { startCapture } from '../../tools/net/capture-proxy.ts'
import { startNodeProcess } from '../../tools/servers/node.ts'
import { startRedis } from '../../tools/servers/redis.ts'
import { findBytes } from '../fixtures/find-bytes.ts'
import { RecordedSecrets, ratchetSecrets } from '../fixtures/secrets.ts'

/** All commands that changed Redis since its start, uncompressed. */
async function everythingWritten(dir: string): Promise<Buffer> {
  const files = join(dir, 'appendonlydir')
  return Buffer.concat(await Promise.all((await readdir(files)).map(name => readFile(join(files, name)))))
}

// Evidence: K2, X2, X3, W15
t.test('neither a plaintext nor a private key is anywhere at a node', async t => {
  const redis = await startRedis(t, {
    config: { appendfsync: 'always', 'aof-use-rdb-preamble': 'no', rdbcompression: 'no' },
  })
  const env = { REDIS_URL: redis.url, LOG_LEVEL: 'trace' }
  const nodes = await Promise.all([startNodeProcess(t, env), startNodeProcess(t, env)])
  const captures = await Promise.all(nodes.map(({ url }) => startCapture(t, url)))
  const secrets = new RecordedSecrets()

  const open = async (name: string, server: string) => {
    const disk = new MemoryDisk()
    const client = await Client.open({
      server,
      domain: 'localhost',
      store: openMemoryStore(disk),
      dial: dialNode({}),
      random: secrets.random,
    })
    t.teardown(() => client.close())
    await client.register(name)
    return { client, disk }
  }
  const { client: alice, disk: atAlice } = await open('alice', captures[0]?.server ?? '')
  const { client: bob, disk: atBob } = await open('bob', captures[1]?.server ?? '')

  /** The current secrets in the ratchets of both agents. */
  const ratchets = async (): Promise<Uint8Array[]> => {
    const found = await Promise.all(
      [[atAlice, 'bob'] as const, [atBob, 'alice'] as const].map(([disk, peer]) =>
        openMemoryStore(disk).read(tx => loadPeer(tx, parseUsername(peer), 'localhost')),
      ),
    )
    return found.flatMap(({ sessions }) => sessions.flatMap(({ ratchet }) => ratchetSecrets(ratchet)))
  }
  const sessionSecrets: Uint8Array[] = []
  const canaries = Array.from({ length: 8 }, () => new Uint8Array(randomBytes(32)))
  const texts = canaries.map((bytes, at) => (at % 2 ? Buffer.from(bytes).toString('hex') : bytes))

  // One message waits in Redis while bob is away; then messages go in both directions.
  await alice.send('bob', texts[0] ?? '')
  sessionSecrets.push(...(await ratchets()))
  const received = receiveSome(bob, 4)
  const answers = receiveSome(alice, 4)
  for (const text of texts.slice(1, 4)) await alice.send('bob', text)
  for (const text of texts.slice(4)) await bob.send('alice', text)
  const shown = [...(await received), ...(await answers)]
  t.same(
    shown.map(({ body }) => Buffer.from(body)),
    texts.map(text => Buffer.from(text)),
    'they arrived',
  )
  sessionSecrets.push(...(await ratchets()))
  await alice.close()
  await bob.close()

  // A client that does not encrypt: the search must find its plaintext, or the search is worth nothing.
  const leaked = new Uint8Array(randomBytes(32))
  const careless = await RawClient.loggedIn(t, `${captures[0]?.server}/ws`)
  const body = Buffer.concat([Buffer.from('x'), leaked]).toString('base64url')
  t.match(await careless.request({ type: 'send', to: 'bob', body }), { type: 'accepted' })
  t.match(await careless.request({ type: 'send', to: body, body }), { type: 'error' })
  const refused = await fetch(`${nodes[0]?.url}/v1/${body}?body=${body}`, {
    headers: { authorization: `Bearer ${body}` },
  })
  t.equal(refused.status, 404)
  await redis.cli('SAVE')
  for (const node of nodes) await node.stop()

  const places = {
    'the writes to Redis': await everythingWritten(redis.dir),
    'a dump of Redis': await readFile(join(redis.dir, 'dump.rdb')),
    'the logs of the nodes': Buffer.from(nodes.flatMap(node => node.logs()).join('\n')),
    'the sockets of the nodes': Buffer.concat(captures.map(capture => capture.bytes())),
  }
  const privateKeys = [...secrets.pieces(), ...sessionSecrets]
  t.ok(privateKeys.length > 500, `the search is for ${privateKeys.length} parts of private keys`)
  t.ok(sessionSecrets.length >= 8, 'with those of sessions')
  for (const [name, haystack] of Object.entries(places)) {
    t.equal(canaries.filter(bytes => findBytes(haystack, bytes)).length, 0, `no body in ${name}`)
    t.equal(privateKeys.filter(bytes => findBytes(haystack, bytes)).length, 0, `no private key in ${name}`)
  }

  t.test('the same searches find data that is there', async t => {
    const { 'the logs of the nodes': logs, ...rest } = places
    const identity = Buffer.from(alice.account?.identity ?? '', 'base64url')
    for (const [name, haystack] of Object.entries(rest)) {
      t.ok(findBytes(haystack, identity), `a public key in ${name}`)
      t.ok(findBytes(haystack, leaked), `plaintext in ${name}`)
    }
    t.ok(logs.includes('listening') && logs.length > 500, 'something in the logs')
    t.notOk(findBytes(logs, leaked), 'no body in the logs, not even a refused one')

    const [canary = new Uint8Array()] = canaries
    for (const text of ['utf8', 'hex', 'base64', 'base64url'] as const) {
      const planted = Buffer.from(text === 'utf8' ? canary : Buffer.from(canary).toString(text))
      const around = Buffer.concat([Buffer.from('before'), planted, Buffer.from('after')])
      t.ok(findBytes(around, canary), `a planted one, ${text}`)
    }
    for (const shift of [1, 2]) {
      const text = Buffer.concat([Buffer.alloc(shift, 7), canary, Buffer.from('after')]).toString('base64')
      t.ok(findBytes(Buffer.from(text), canary), `inside a longer base64 text, at offset ${shift}`)
    }
  })
})
