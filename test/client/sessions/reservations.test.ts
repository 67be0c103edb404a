import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { Identity } from '../../../src/client/connection/identity.ts'
import { type Client, openMemoryStore, type StateStore } from '../../../src/client/node.ts'
import { lastOrder, setOrder } from '../../../src/client/records/crypto-records.ts'
import { signReservation } from '../../../src/crypto/keys/reservation.ts'
import { limits } from '../../../src/protocol/limits.ts'
import { encodeBase64Url } from '../../../src/util/bytes.ts'
import { openAgent, receiveSome, registerAgent, textsOf } from '../../../tools/clients/agents.ts'
import { RawClient } from '../../../tools/clients/raw-client.ts'
import { startNodeProcess } from '../../../tools/servers/node.ts'
import { startRedis } from '../../../tools/servers/redis.ts'
import { startTestNode } from '../../../tools/servers/running-node.ts'
import { startLyingNode } from '../../fixtures/servers/lying-node.ts'

/** A store in memory that stays open when its client closes, like a directory. */
const lastingStore = (): StateStore =>
  new Proxy(openMemoryStore(), {
    get(store, name) {
      if (name === 'close') return async () => {}
      const value: unknown = Reflect.get(store, name)
      return typeof value === 'function' ? value.bind(store) : value
    },
  })

const absurd = Number.MAX_SAFE_INTEGER

/** The agent's own key, as a thief of its state has it. */
async function selfOf(store: StateStore) {
  const { self } = await Identity.open(store)
  if (!self) throw new Error('the agent is not registered')
  return self
}

async function signed(store: StateStore, upTo: number): Promise<{ upTo: number; signature: string }> {
  const { identity, address } = await selfOf(store)
  return { upTo, signature: encodeBase64Url(signReservation(identity, { address, upTo })) }
}

const tokenOf = async (store: StateStore): Promise<string> => (await Identity.open(store)).token ?? ''

const neverRestored = (t: Test, client: Client) => client.on('restored', () => t.fail('taken for an older copy'))

async function writes(t: Test, from: Client, to: Client, text: string): Promise<void> {
  await from.send(to.account?.username ?? '', text)
  t.same(textsOf(await receiveSome(to, 1)), [text])
}

t.test('17.3 a finder of a token cannot end an agent with a reservation', async t => {
  const { wsUrl } = await startTestNode(t)
  const store = lastingStore()
  const bob = await registerAgent(t, wsUrl, 'bob')
  const alice = await registerAgent(t, wsUrl, 'alice', store)
  await writes(t, alice, bob, 'before')
  const token = await tokenOf(store)
  const thief = await RawClient.connect(t, wsUrl)
  await thief.next('challenge')
  t.match(await thief.request({ type: 'authenticate', token }), { type: 'authenticated' })
  for (const upTo of [absurd, absurd - 1, 2 ** 52, 2 ** 52 - 1_025]) {
    const answer = await thief.request({ type: 'reserve', upTo })
    t.match(answer, { type: 'reserved' })
    t.ok('upTo' in answer && Number(answer.upTo) <= 5 * limits.unsignedStep, JSON.stringify(answer))
  }
  const signature = 'A'.repeat(86)
  t.match(await thief.request({ type: 'reserve', upTo: 5_000, signature }), { type: 'error', code: 'bad_frame' })
  await alice.close()
  const again = await openAgent(t, wsUrl, store)
  neverRestored(t, again)
  await again.connect()
  await writes(t, again, bob, 'after')
})

t.test('17.3 an agent whose number an older release stored as 2^53-1 gets back', async t => {
  const redis = await startRedis(t)
  const { wsUrl } = await startNodeProcess(t, { REDIS_URL: redis.url })
  const store = lastingStore()
  const bob = await registerAgent(t, wsUrl, 'bob')
  const alice = await registerAgent(t, wsUrl, 'alice', store)
  await writes(t, alice, bob, 'before')
  await alice.close()
  await redis.cli('HDEL', 'aim:{alice}:meta', 'signed', 'sign1', 'sign2')
  await redis.cli('HSET', 'aim:{alice}:meta', 'reserved', String(absurd))

  const user = { username: 'alice', identity: (await selfOf(store)).identity }
  const older = await RawClient.connect(t, wsUrl)
  const answer = await older.authenticate(user)
  t.match(answer, { type: 'authenticated', reserved: 0 }, 'an older client is not told that number either')

  const again = await openAgent(t, wsUrl, store)
  neverRestored(t, again)
  await writes(t, again, bob, 'after')
})

t.test('17.3 a state that a lying node once set to 2^52 steps goes on', async t => {
  const { wsUrl } = await startTestNode(t)
  const store = lastingStore()
  const bob = await registerAgent(t, wsUrl, 'bob')
  const alice = await registerAgent(t, wsUrl, 'alice', store)
  await writes(t, alice, bob, 'before')
  await alice.close()
  await store.transaction(async tx => setOrder(tx, 2 ** 52 + 2))
  const again = await openAgent(t, wsUrl, store)
  neverRestored(t, again)
  await writes(t, again, bob, 'after')
  await bob.send('alice', 'an answer')
  t.same(textsOf(await receiveSome(again, 1)), ['an answer'])
})

for (const [what, lie] of Object.entries({
  'a number without a signature': async () => ({ reserved: 2 ** 40, upTo: 2 ** 40 }),
  'an absurd number': async () => ({ reserved: absurd, upTo: absurd }),
  'a number with an invented signature': async () => ({
    reservation: { upTo: 2 ** 40, signature: 'A'.repeat(86) },
  }),
  'a number with the signature of another number': async (store: StateStore) => ({
    reservation: { ...(await signed(store, 1_024)), upTo: 2 ** 40 },
  }),
  "a number with another agent's signature": async (_store: StateStore, other: StateStore) => ({
    reservation: await signed(other, 2 ** 40),
  }),
})) {
  t.test(`17.3 an agent does not believe ${what}`, async t => {
    const { wsUrl } = await startTestNode(t)
    const { server, lies } = await startLyingNode(t, wsUrl)
    const [store, other] = [lastingStore(), lastingStore()]
    const bob = await registerAgent(t, wsUrl, 'bob', other)
    const alice = await registerAgent(t, server, 'alice', store)
    await writes(t, alice, bob, 'before')
    const steps = await store.read(lastOrder)
    await alice.close()
    const told = await lie(store, other)
    lies.toClient = frame =>
      frame.type === 'authenticated' || frame.type === 'reserved' ? { ...frame, ...told } : frame
    const deceived = await openAgent(t, server, store)
    neverRestored(t, deceived)
    await deceived.connect()
    await deceived.send('bob', 'from the lying node').catch(() => {})
    await delay(200)
    t.ok((await store.read(lastOrder)) < steps + 100, 'the number of the node is not adopted')
    await deceived.close()
    const honest = await openAgent(t, wsUrl, store)
    neverRestored(t, honest)
    await honest.send('bob', 'from an honest node')
    const texts = textsOf(await receiveSome(bob, 2))
    t.same(texts, ['from the lying node', 'from an honest node'])
  })
}

for (const [what, lie] of Object.entries({
  'an old number with its signature': async (store: StateStore) => ({ reservation: await signed(store, 1) }),
  'no number': async () => ({ upTo: 0, reservation: undefined }),
})) {
  t.test(`17.3 a node that answers ${what} to every reservation is not asked in a tight loop`, async t => {
    const { wsUrl } = await startTestNode(t)
    const { server, lies } = await startLyingNode(t, wsUrl)
    const store = lastingStore()
    const bob = await registerAgent(t, wsUrl, 'bob')
    const alice = await registerAgent(t, server, 'alice', store)
    await writes(t, alice, bob, 'before')
    await alice.close()
    const told = await lie(store)
    let asked = 0
    lies.toClient = frame => {
      if (frame.type === 'reserved') asked += 1
      if (frame.type === 'authenticated') return { ...frame, reserved: 0, reservation: undefined }
      return frame.type === 'reserved' ? { ...frame, ...told } : frame
    }
    const deceived = await openAgent(t, server, store)
    const delays: unknown[] = []
    deceived.on('delayed', ({ error }) => delays.push(error))
    const sent = deceived.send('bob', 'after the lies')
    await delay(1_500)
    t.ok(asked > 0 && asked < 20, `${asked} reservations`)
    t.match(delays[0], { code: 'server_fault' })
    delete lies.toClient
    await sent
    t.same(textsOf(await receiveSome(bob, 1)), ['after the lies'])
  })
}

t.test('17.3 if its own key signed far more steps, the agent asks its user, and recover continues', async t => {
  const { wsUrl } = await startTestNode(t)
  const store = lastingStore()
  const bob = await registerAgent(t, wsUrl, 'bob')
  const alice = await registerAgent(t, wsUrl, 'alice', store)
  await writes(t, alice, bob, 'before')
  await alice.close()
  const thief = await RawClient.connect(t, wsUrl)
  await thief.authenticate({ username: 'alice', identity: (await selfOf(store)).identity })
  const far = await signed(store, 2 ** 50)
  t.match(await thief.request({ type: 'reserve', ...far }), { type: 'reserved', reservation: far })
  const tooFar = await signed(store, limits.maxSignedSteps + 1)
  t.match(await thief.request({ type: 'reserve', ...tooFar }), { type: 'error', code: 'bad_frame' })

  const again = await openAgent(t, wsUrl, store)
  await t.rejects(again.connect(), { code: 'recovery_needed', message: /aimessage recover/ })
  t.same(await again.recover(), { peers: 1 })
  await writes(t, again, bob, 'after')
  await bob.send('alice', 'an answer')
  t.same(textsOf(await receiveSome(again, 1)), ['an answer'])
  await again.close()
  const later = await openAgent(t, wsUrl, store)
  neverRestored(t, later)
  await writes(t, later, bob, 'without another recovery')
})

t.test('17.3 recover also starts the sessions of a healthy, connected agent again', async t => {
  const { wsUrl } = await startTestNode(t)
  const bob = await registerAgent(t, wsUrl, 'bob')
  const alice = await registerAgent(t, wsUrl, 'alice')
  await writes(t, alice, bob, 'before')
  t.same(await alice.recover(), { peers: 1 })
  await writes(t, alice, bob, 'after')
})
