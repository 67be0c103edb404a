import { randomBytes } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { Client } from '../../src/client/client.ts'
import { dialWs } from '../../src/client/dial-ws.ts'
import { openMemoryStore } from '../../src/client/node.ts'
import { receiveSome } from '../fixtures/agents.ts'
import { startLyingNode } from '../fixtures/lying-node.ts'
import { startNodeProcess } from '../fixtures/node.ts'
import { startRedis } from '../fixtures/redis.ts'

/** Ways in which bytes may stand in a text: as they are, in hex, and in base64 at each of the three places they can begin. */
function formsOf(bytes: Uint8Array): Buffer[] {
  const hex = Buffer.from(bytes).toString('hex')
  const base64 = [0, 1, 2].map(offset => {
    const text = Buffer.concat([Buffer.alloc(offset), bytes])
      .toString('base64')
      .replace(/=+$/, '')
    // The first and last characters depend on what stands beside them.
    return text.slice(offset === 0 ? 0 : offset + 1, -1)
  })
  const texts = [
    hex,
    hex.toUpperCase(),
    ...base64,
    ...base64.map(text => text.replaceAll('+', '-').replaceAll('/', '_')),
  ]
  return [Buffer.from(bytes), ...texts.map(text => Buffer.from(text))]
}

const contains = (haystack: Buffer, bytes: Uint8Array): boolean => formsOf(bytes).some(form => haystack.includes(form))

/** Every command that Redis was sent since it started, uncompressed. */
async function everythingWritten(dir: string): Promise<Buffer> {
  const files = join(dir, 'appendonlydir')
  return Buffer.concat(await Promise.all((await readdir(files)).map(name => readFile(join(files, name)))))
}

t.test('a node is blind: neither what is written nor a private key is anywhere near it', async t => {
  const redis = await startRedis(t, {
    config: { appendfsync: 'always', 'aof-use-rdb-preamble': 'no', rdbcompression: 'no' },
  })
  const env = { REDIS_URL: redis.url, LOG_LEVEL: 'trace' }
  const nodes = await Promise.all([startNodeProcess(t, env), startNodeProcess(t, env)])
  const socket: string[] = []
  const secrets: Uint8Array[] = []

  /** An agent whose frames are written down as the node sees them, and whose every random secret is known. */
  const open = async (name: string, realUrl: string) => {
    const { server, lies } = await startLyingNode(t, realUrl)
    const note = (frame: { type: string }) => {
      socket.push(JSON.stringify(frame))
      return frame
    }
    lies.toNode = note
    lies.toClient = note
    const random = (length: number) => {
      const bytes = new Uint8Array(randomBytes(length))
      if (length >= 32) secrets.push(bytes)
      return bytes
    }
    const client = await Client.open({
      server,
      domain: 'localhost',
      store: openMemoryStore(),
      dial: dialWs({}),
      random,
    })
    t.teardown(() => client.close())
    await client.register(name)
    return client
  }
  const alice = await open('alice', nodes[0]?.wsUrl ?? '')
  const bob = await open('bob', nodes[1]?.wsUrl ?? '')
  const canaries = Array.from({ length: 8 }, () => new Uint8Array(randomBytes(32)))
  const texts = canaries.map((bytes, at) => (at % 2 ? Buffer.from(bytes).toString('hex') : bytes))

  // One while bob is away, which waits in Redis; then in both directions.
  await alice.send('bob', texts[0] ?? '')
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
  await alice.close()
  await bob.close()
  for (const node of nodes) await node.stop()

  const places = {
    Redis: Buffer.concat([await everythingWritten(redis.dir), Buffer.from(String(await redis.cli('DBSIZE')))]),
    logs: Buffer.from(nodes.flatMap(node => node.logs()).join('\n')),
    socket: Buffer.from(socket.join('\n')),
  }
  await redis.cli('SAVE')
  const dump = await readFile(join(redis.dir, 'dump.rdb'))
  t.ok(secrets.length > 100, `${secrets.length} random secrets are looked for`)
  for (const [name, haystack] of Object.entries({ ...places, dump })) {
    t.equal(canaries.filter(bytes => contains(haystack, bytes)).length, 0, `no body in ${name}`)
    t.equal(secrets.filter(bytes => contains(haystack, bytes)).length, 0, `no private key in ${name}`)
  }

  t.test('and these searches find what is there', async t => {
    const identity = Buffer.from(alice.account?.identity ?? '', 'base64url')
    t.ok(contains(places.Redis, identity), 'a public key in Redis')
    t.ok(contains(places.socket, identity), 'a public key on the socket')
    t.ok(contains(dump, identity), 'a public key in the dump')
    t.ok(places.logs.includes('listening') && places.logs.length > 500, 'something in the logs')
    const [canary = new Uint8Array()] = canaries
    for (const text of ['utf8', 'hex', 'base64', 'base64url'] as const) {
      const planted = Buffer.from(text === 'utf8' ? canary : Buffer.from(canary).toString(text))
      t.ok(
        contains(Buffer.concat([Buffer.from('before'), planted, Buffer.from('after')]), canary),
        `a planted one, ${text}`,
      )
    }
    for (const shift of [1, 2]) {
      const text = Buffer.concat([Buffer.alloc(shift, 7), canary, Buffer.from('after')]).toString('base64')
      t.ok(contains(Buffer.from(text), canary), `one inside a longer base64, ${shift} bytes on`)
    }
  })
})
