import t, { type Test } from 'tap'
import { type Client, openClient } from '../../src/client/node.ts'
import { loadPeer } from '../../src/client/records/crypto-records.ts'
import { MemoryDisk, openMemoryStore } from '../../src/client/state/memory-store.ts'
import type { Peer } from '../../src/crypto/session/peer.ts'
import { encodePeer } from '../../src/crypto/session/peer-codec.ts'
import { parseUsername } from '../../src/protocol/names.ts'
import { decodeBase64Url, encodeBase64Url, toHex } from '../../src/util/bytes.ts'
import { defer } from '../../src/util/deferred.ts'
import { receiveSome, registerAgent, textsOf } from '../../tools/clients/agents.ts'
import { newUser, RawClient } from '../../tools/clients/raw-client.ts'
import { startDeployment } from '../../tools/servers/deployment.ts'
import { type Frame, startLyingNode } from '../fixtures/servers/lying-node.ts'

const { servers } = await startDeployment(t, { nodes: 2 })
const [north = '', south = ''] = servers
let worlds = 0

/** The fields of an envelope that a lie may change. */
type ForgedFrame = { type: 'send' | 'key_exchange'; body: string }

/** Alice and bob write to each other; the node between them lies to alice; mallory sends nodes any frame. */
async function openWorld(t: Test) {
  worlds += 1
  const name = (agent: string) => `${agent}-${worlds}`
  const { server, lies } = await startLyingNode(t, north)
  const alice = await registerAgent(t, server, name('alice'))
  const disk = new MemoryDisk()
  const bob = await openClient({ server: south, store: openMemoryStore(disk) })
  t.teardown(() => bob.close())
  await bob.register(name('bob'))
  const { id } = await alice.send(name('bob'), 'first')
  const confirmed = alice.confirmed(id, 'read')
  const ears = alice.receive().next()
  t.same(textsOf(await receiveSome(bob, 1)), ['first'])
  // A receipt moves bob's session too. After it the session does not change.
  await confirmed
  await alice.stopListening()
  await ears
  const mallory = await RawClient.loggedIn(t, north, newUser(name('mallory')))
  /** Bob's record of a peer. */
  const known = (agent: string): Promise<Peer> =>
    openMemoryStore(disk).read(tx => loadPeer(tx, parseUsername(name(agent)), 'localhost'))
  return { alice, bob, mallory, lies, name, known }
}

/** Two messages of alice that are held back from bob: their frames, and a function that releases them. */
async function keepBack({ alice, lies, name }: Awaited<ReturnType<typeof openWorld>>) {
  const kept: Frame[] = []
  const both = defer<void>()
  lies.toNode = frame => {
    if (frame.type !== 'send') return frame
    if (kept.push(frame) === 2) both.resolve()
    return []
  }
  const sending = ['second', 'third'].map(text => alice.send(name('bob'), text))
  await both.promise
  const letGo = async () => {
    lies.toNode = frame => [...kept.splice(0), frame]
    await alice.access.writers()
    await Promise.all(sending)
  }
  return { bodies: kept.map(({ body }) => body), letGo }
}

const reports = (client: Client): { from: string }[] => {
  const found: { from: string }[] = []
  client.on('undecryptable', event => found.push(event))
  return found
}

const bytesOf = (body: unknown): Uint8Array => decodeBase64Url(String(body))
const changed = (body: unknown, change: (bytes: Uint8Array) => Uint8Array): string =>
  encodeBase64Url(change(bytesOf(body)))

/** The frames that mallory makes from alice's messages to bob. */
const lies: Record<string, (body: unknown, other: unknown) => ForgedFrame> = {
  'unchanged, as his own': body => ({ type: 'send', body: String(body) }),
  'without its end': body => ({ type: 'send', body: changed(body, bytes => bytes.slice(0, -1)) }),
  'without its second half': body => ({ type: 'send', body: changed(body, bytes => bytes.slice(0, bytes.length / 2)) }),
  'with one bit changed': body => ({
    type: 'send',
    body: changed(body, bytes => bytes.map((byte, at) => (at === bytes.length - 1 ? byte ^ 1 : byte))),
  }),
  'with more behind it': body => ({ type: 'send', body: changed(body, bytes => Uint8Array.from([...bytes, 0])) }),
  'in a frame of the other type': (_body, other) => ({ type: 'key_exchange', body: String(other) }),
  'of another version': body => ({ type: 'send', body: changed(body, ([, ...rest]) => Uint8Array.from([2, ...rest])) }),
  'with an unknown suite': body => ({
    type: 'send',
    body: changed(body, bytes => bytes.map((byte, at) => (at === 3 ? 9 : byte))),
  }),
  'as plaintext': () => ({ type: 'send', body: encodeBase64Url(Buffer.from('trust me')) }),
  'as an empty offer': () => ({ type: 'key_exchange', body: encodeBase64Url(Uint8Array.of(1, 3)) }),
  'as the refusal of an offer that was never made': () => ({
    type: 'key_exchange',
    body: encodeBase64Url(Uint8Array.of(1, 4, ...new Uint8Array(16), 1)),
  }),
}

t.test('frames that a peer makes from messages of another are reported, not shown, and change no session', async t => {
  const world = await openWorld(t)
  const { bob, mallory, name, known } = world
  const { bodies, letGo } = await keepBack(world)
  const before = toHex(encodePeer(await known('alice')))
  const found = reports(bob)
  const shown = receiveSome(bob, 2)
  for (const [what, lie] of Object.entries(lies)) {
    const reported = new Promise<{ from: string }>(resolve => bob.on('undecryptable', resolve))
    t.match(await mallory.request({ ...lie(bodies[0], bodies[1]), to: name('bob') }), { type: 'accepted' }, what)
    t.equal((await reported).from, name('mallory'), `${what}: reported`)
    t.equal(toHex(encodePeer(await known('alice'))), before, `${what}: the session with alice is unchanged`)
  }
  const { sessions, trust } = await known('mallory')
  t.same({ sessions, trust }, { sessions: [], trust: 'unknown' }, 'no session with mallory')

  await letGo()
  t.same(textsOf(await shown), ['second', 'third'], 'the messages of alice arrive nevertheless')
  t.equal(found.length, Object.keys(lies).length, 'each lie was reported once')
})

t.test('a body that its own sender repeats under new ids is shown once, without an event', async t => {
  const { alice, bob, lies, name } = await openWorld(t)
  const found = reports(bob)
  let copies = 0
  lies.toNode = frame => {
    if (frame.type !== 'send') return frame
    copies += 1
    return [frame, { ...frame, id: `copy-${copies}` }, { ...frame, id: `again-${copies}` }]
  }
  const shown = receiveSome(bob, 2)
  await alice.send(name('bob'), 'once')
  lies.toNode = frame => frame
  await alice.send(name('bob'), 'after it')
  t.same(textsOf(await shown), ['once', 'after it'])
  t.same(found, [])
})

t.test('an offer to one peer cannot be answered by another', async t => {
  const { mallory, alice, name } = await openWorld(t)
  const { server, lies: dorasLies } = await startLyingNode(t, south)
  const dora = await registerAgent(t, server, name('dora'))
  // Her answer is intercepted, and mallory sends it as his.
  const stolen = defer<string>()
  dorasLies.toNode = frame => {
    if (frame.type !== 'key_exchange') return frame
    stolen.resolve(String(frame.body))
    return []
  }
  const [ears, doras] = [alice.receive(), dora.receive()]
  const [first, second] = [ears.next(), doras.next()]
  const exchange = alice.initiateKeyExchange(name('dora'), { timeoutMs: 3_000 })
  const refused = t.rejects(exchange, { code: 'key_exchange_timeout' })
  const body = await stolen.promise
  const reported = new Promise<{ from: string }>(resolve => alice.on('undecryptable', resolve))
  await mallory.request({ type: 'key_exchange', to: name('alice'), body })
  t.equal((await reported).from, name('mallory'))
  await refused
  await Promise.all([alice.stopListening(), dora.stopListening()])
  t.match(await Promise.all([first, second]), [{ done: true }, { done: true }])
})
