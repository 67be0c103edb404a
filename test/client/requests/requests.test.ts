import t from 'tap'
import { Client } from '../../../src/client/client.ts'
import { dialNode } from '../../../src/client/connection/dial-node.ts'
import { type MessageView, openMemoryStore, RequestRefusedError } from '../../../src/client/node.ts'
import { defer } from '../../../src/util/deferred.ts'
import { openAgent, receiveAll, registerAgent } from '../../../tools/clients/agents.ts'
import { startTestNodes } from '../../../tools/servers/running-node.ts'

const eventOf = (client: Client, name: 'delivered' | 'withdrawn'): Promise<void> =>
  new Promise(resolve => {
    const stop = client.on(name, () => {
      stop()
      resolve()
    })
  })

t.test('over two nodes', async t => {
  const [north, south] = await startTestNodes(t, 2)
  let count = 0
  const pair = async (t: Parameters<typeof registerAgent>[0]): Promise<[Client, Client]> => {
    count += 1
    return [
      await registerAgent(t, north?.wsUrl ?? '', `alice-${count}`),
      await registerAgent(t, south?.wsUrl ?? '', `bob-${count}`),
    ]
  }
  const nameOf = ({ account }: Client): string => account?.username ?? ''

  t.test('a request gets its reply, and neither side receives a message', async t => {
    const [alice, bob] = await pair(t)
    const stop = bob.onRequest(({ from, text, deadline }) => ({ json: { from, text, inTime: (deadline ?? 0) > 0 } }))
    const answer = await alice.request(nameOf(bob), 'what is it?')
    t.match(answer, { from: nameOf(bob), json: { from: nameOf(alice), text: 'what is it?', inTime: true }, hops: 1 })
    await stop()
    t.same(await receiveAll(alice), [])
    t.same(await receiveAll(bob), [])
  })

  t.test('parts arrive before the reply, in order', async t => {
    const [alice, bob] = await pair(t)
    bob.onRequest(async request => {
      for (const part of ['one', 'two', 'three']) await request.part(part)
      return 'done'
    })
    const parts: (string | undefined)[] = []
    const { text } = await alice.request(nameOf(bob), 'count', { onPart: part => parts.push(part.text) })
    t.same([...parts, text], ['one', 'two', 'three', 'done'])
  })

  t.test('a refusal carries its code, and an error of the handler reveals no details', async t => {
    const [alice, bob] = await pair(t)
    bob.onRequest(({ text }) => {
      if (text === 'refuse') throw new RequestRefusedError('busy', 'ask me tomorrow')
      throw new Error('the password is 1234')
    })
    await t.rejects(alice.request(nameOf(bob), 'refuse'), { code: 'busy', message: 'ask me tomorrow' })
    await t.rejects(alice.request(nameOf(bob), 'fail'), {
      code: 'failed',
      message: 'the request could not be answered',
    })
  })

  t.test('a request without a reply times out, and a late reply is a message', async t => {
    const alice = await registerAgent(t, north?.wsUrl ?? '', 'alice-late')
    // Bob's clock does not advance, so his reply is never late on his side.
    const began = Date.now()
    const server = south?.wsUrl ?? ''
    const bob = await Client.open({ server, store: openMemoryStore(), dial: dialNode({}), now: () => began })
    t.teardown(() => bob.close())
    await bob.register('bob-late')
    const late = alice.request('bob-late', 'hello?', { timeoutMs: 2_000 })
    late.catch(() => {})
    const [request] = await next(bob)
    t.equal(request?.text, 'hello?')
    await t.rejects(late, { code: 'request_timeout' })
    if (request) await bob.reply(request, 'here I am')
    t.match(await next(alice), [{ kind: 'reply', text: 'here I am', re: request?.id }])
  })

  t.test('only one reply counts: the second reply fails at its sender', async t => {
    const [alice, bob] = await pair(t)
    const asked = alice.request(nameOf(bob), '?')
    const [request] = await next(bob)
    if (request) await bob.reply(request, 'first')
    if (request) await t.rejects(bob.reply(request, 'second'), { code: 'not_open' })
    t.equal((await asked).text, 'first')
  })

  t.test('a withdrawn request is not shown any more, and its handler gets an abort', async t => {
    const [alice, bob] = await pair(t)
    const giveUp = new AbortController()
    const started = new Promise<AbortSignal>(resolve => {
      bob.onRequest(async ({ signal }) => {
        resolve(signal)
        await new Promise(done => signal.addEventListener('abort', done))
        return 'too late'
      })
    })
    const asked = alice.request(nameOf(bob), 'think', { signal: giveUp.signal })
    const signal = await started
    const withdrawn = eventOf(bob, 'withdrawn')
    giveUp.abort(new Error('never mind'))
    await t.rejects(asked, { message: 'never mind' })
    await withdrawn
    t.equal(signal.aborted, true)
    t.match(signal.reason, { code: 'withdrawn' })
  })

  t.test('if A waits for a reply from B, a request from B to A is refused', async t => {
    const [alice, bob] = await pair(t)
    let refused: unknown
    bob.onRequest(async ({ from }) => {
      refused = await bob.request(from, 'first tell me').catch((error: unknown) => error)
      return 'so be it'
    })
    t.equal((await alice.request(nameOf(bob), 'tell me')).text, 'so be it')
    t.match(refused, { code: 'would_deadlock' })
  })

  t.test('of two crossing requests exactly one is refused, at once', async t => {
    const [alice, bob] = await pair(t)
    let answers: Promise<unknown> = Promise.resolve()
    alice.onRequest(() => answers.then(() => 'from alice'))
    bob.onRequest(() => answers.then(() => 'from bob'))
    const took: { trip: number; refusal: number }[] = []
    for (let round = 0; round < 15; round += 1) {
      answers = Promise.resolve()
      const began = performance.now()
      await alice.request(nameOf(bob), 'warm')
      await bob.request(nameOf(alice), 'warm')
      const asked = performance.now()
      // No request gets a reply before one is refused: the refused agent does not wait for a reply.
      const refused = defer<unknown>()
      answers = refused.promise
      const both = [alice.request(nameOf(bob), 'you?'), bob.request(nameOf(alice), 'you?')]
      for (const one of both) one.catch(refused.resolve)
      t.match(await refused.promise, { code: 'would_deadlock' })
      took.push({ trip: (asked - began) / 2, refusal: performance.now() - asked })
      const results = await Promise.allSettled(both)
      t.same(results.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
    }
    const [trip, refusal] = [median(took.map(one => one.trip)), median(took.map(one => one.refusal))]
    t.comment(`refused after ${refusal.toFixed(1)} ms, a request and its reply take ${trip.toFixed(1)} ms`)
    // 100 ms on an idle machine; more in proportion on a busy one.
    t.ok(refusal < Math.max(100, 5 * trip))
  })

  t.test('a chain of answers ends at the hop limit', async t => {
    const [alice, bob] = await pair(t)
    await t.rejects(alice.send(nameOf(bob), 'again', { inReplyTo: { id: 'x', hops: 32 } }), { code: 'hop_limit' })
    await t.rejects(
      alice.request(nameOf(bob), 'again', { inReplyTo: { id: 'x', from: 'x', hops: 32 } as MessageView }),
      {
        code: 'hop_limit',
      },
    )
  })

  t.test('an agent that ends while handling a request replies after its restart', async t => {
    const store = openMemoryStore()
    const lasting = {
      ...store,
      transaction: store.transaction.bind(store),
      read: store.read.bind(store),
      onChange: store.onChange.bind(store),
      close: async () => {},
    }
    const alice = await registerAgent(t, north?.wsUrl ?? '', 'alice-back')
    const before = await registerAgent(t, south?.wsUrl ?? '', 'bob-back', lasting)
    const asked = alice.request('bob-back', 'still there?', { timeoutMs: 60_000 })
    await new Promise<void>(resolve => {
      before.onRequest(() => new Promise(() => resolve()))
    })
    await before.close()
    const bob = await openAgent(t, south?.wsUrl ?? '', lasting)
    bob.onRequest(({ repeated }) => ({ json: { repeated } }))
    t.match((await asked).json, { repeated: true })
  })

  async function next(client: Client): Promise<MessageView[]> {
    const { messages } = await client.mailbox.wait({ waitMs: 30_000 })
    return messages
  }
})

function median(values: readonly number[]): number {
  const sorted = [...values].sort((one, other) => one - other)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}
