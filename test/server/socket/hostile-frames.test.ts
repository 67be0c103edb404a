import fc from 'fast-check'
import t from 'tap'
import { clientFrames } from '../../../src/protocol/frames.ts'
import { openLogger } from '../../../src/server/base/logger.ts'
import { isPush, newName, newUser, prove, RawClient } from '../../../tools/clients/raw-client.ts'
import { startTestNode } from '../../../tools/servers/running-node.ts'

const names = ['bob', 'al:ice', '../../x', 'bo*', 'BOB', 'b\u00f6b', 'bob\u0000', '__proto__', 'bob@localhost', '']
const numbers = [0, -0, -1, 1.5, 2 ** 53, 2 ** 53 - 1, 1e308, Number.NaN]
const texts = ['AAAA', 'A', '====', '\ud800', ' ', 'A'.repeat(200), '{"a":1}']
const others = [null, true, [], {}, [[]], { id: 1, key: 'A' }]
const value = fc.constantFrom<unknown>(...names, ...numbers, ...texts, ...others)
const fields = ['to', 'body', 'ttl', 'seq', 'username', 'signature', 'identity', 'limit', 'cursor', 'upTo', 'bundle']
const types = Object.keys(clientFrames).filter(type => type !== 'logout')
const frame = fc.record({
  type: fc.constantFrom(...types, 'nonsense', 'constructor'),
  rest: fc.dictionary(fc.constantFrom(...fields, 'instance', 'prefix', 'online', 'oneTimeKeys', 'token'), value),
})

/** A node, and the internal errors that it logged. */
async function startWatched(t: { teardown(end: () => Promise<unknown> | unknown): unknown }) {
  const faults: string[] = []
  const node = await startTestNode(
    t,
    { METRICS_PORT: '0' },
    { log: openLogger('error', { write: line => faults.push(line) }) },
  )
  return { ...node, faults }
}

// Evidence: D10, W13
t.test(
  'any sequence of frames is answered once each, without internal errors, and the connection stays open',
  async t => {
    const { wsUrl, faults } = await startWatched(t)
    let run = 0
    await fc.assert(
      fc.asyncProperty(fc.array(frame, { minLength: 1, maxLength: 20 }), async frames => {
        run += 1
        const client = await RawClient.loggedIn({ teardown: () => {} }, wsUrl)
        const from = client.received.length
        for (const [index, { type, rest }] of frames.entries()) client.send({ ...rest, type, id: `${run}-${index}` })
        await client.request({ type: 'heartbeat', id: 'last' })
        const answers = client.received.slice(from).filter(answer => !isPush(answer) && 'id' in answer)
        const answered = answers.map(answer => ('id' in answer ? answer.id : '')).filter(id => id !== 'last')
        // A valid acknowledgement has no answer.
        const expected = frames.flatMap(({ type }, index) => (type === 'ack' ? [] : [`${run}-${index}`]))
        client.socket.terminate()
        const unanswered = expected.filter(id => answered.filter(each => each === id).length !== 1)
        if (unanswered.length > 0) throw new Error(`not answered once: ${unanswered}`)
      }),
      { numRuns: 150 },
    )
    t.same(faults, [])
  },
)

// Evidence: P10
t.test('clients that disconnect at any point leave nothing behind', async t => {
  const { wsUrl, metricsUrl, faults } = await startWatched(t)
  const user = newUser()
  const cutOff = async (frames: { type: string; rest: object }[]) => {
    const client = await RawClient.loggedIn({ teardown: () => {} }, wsUrl, user)
    client.send({ type: 'listen', id: 'l' })
    for (const [index, { type, rest }] of frames.entries())
      client.send({ to: user.username, body: 'AAAA', ...rest, type, id: `${index}` })
    client.socket.terminate()
    await client.closed
  }
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(frame, { maxLength: 10 }), { maxLength: 4 }), async crowd => {
      await Promise.all(crowd.map(cutOff))
    }),
    { numRuns: 50 },
  )
  const isQuiet = async () => {
    const metrics = await (await fetch(metricsUrl ?? '')).text()
    return metrics.includes('aimessage_connections 0') && metrics.includes('aimessage_listening 0')
  }
  while (!(await isQuiet())) {
    await new Promise(resolve => setImmediate(resolve))
  }
  const other = await RawClient.loggedIn(t, wsUrl)
  const sent = await other.request({ type: 'send', to: user.username, body: 'AAAA' })
  t.match(sent, { type: 'accepted', queued: true }, 'the inbox is not claimed')
  t.same(faults, [])
})

// Evidence: L12
t.test('nothing behind a frame that ends the connection takes effect', async t => {
  const { wsUrl } = await startTestNode(t)
  const bob = newUser()
  await RawClient.loggedIn(t, wsUrl, bob)
  for (const ending of ['[]', '{"type":"heartbeat"', '{"__proto__":{}}', '{"type":"logout","id":"o"}']) {
    const alice = await RawClient.loggedIn(t, wsUrl)
    const name = newName()
    const mail = (id: string) => JSON.stringify({ type: 'send', id: `${name}-${id}`, to: bob.username, body: 'AAAA' })
    for (const text of [mail('before'), ending, mail('after')]) alice.socket.send(text)
    await alice.closed
    t.ok(
      alice.received.some(answer => answer.type === 'accepted' && answer.id === `${name}-before`),
      ending,
    )
    t.notOk(
      alice.received.some(answer => 'id' in answer && answer.id === `${name}-after`),
      ending,
    )
  }
  const reader = await RawClient.loggedIn(t, wsUrl, bob)
  t.match(await reader.request({ type: 'listen' }), { queued: 4 })
})

// Evidence: P5
t.test('frames pipelined behind a failed login are refused, and the next login is not', async t => {
  const { wsUrl } = await startTestNode(t)
  const user = newUser()
  await RawClient.loggedIn(t, wsUrl, user)
  const client = await RawClient.connect(t, wsUrl)
  const { nonce } = await client.next('challenge')
  const { username } = user
  const wrong = prove(newUser().identity, { purpose: 'authenticate', username, nonce })
  client.send({ type: 'authenticate', id: 'a', username, signature: wrong })
  client.send({ type: 'listen', id: 'b' })
  client.send({ type: 'send', id: 'c', to: username, body: 'AAAA' })
  client.send({ type: 'ack', seq: 0 })
  await client.find(answer => answer.type === 'error' && answer.id === undefined)
  t.same(
    client.received.flatMap(answer => (answer.type === 'error' ? [[answer.id, answer.code]] : [])),
    ['a', 'b', 'c', undefined].map(id => [id, 'unauthorized']),
  )
  t.match(await client.authenticate(user), { type: 'authenticated' })
  t.match(await client.request({ type: 'listen' }), { queued: 0 })
})
