import t from 'tap'
import type { Effect } from '../../../src/client/inbox/effects.ts'
import { OutboxRecord } from '../../../src/client/outbox/outbox-record.ts'
import { keys } from '../../../src/client/records/keys.ts'
import { cryptoLimits } from '../../../src/crypto/limits.ts'
import { randomBytes } from '../../../src/crypto/provider.ts'
import { newPeer } from '../../../src/crypto/session/peer.ts'
import { parseUsername } from '../../../src/protocol/names.ts'
import {
  makeAcquainted,
  makePair,
  receive,
  send,
  sendReset,
  serve,
  start,
} from '../../../tools/clients/crypto-agents.ts'
import { seededRandom } from '../../fixtures/crash/crash-plan.ts'
import { TakingAgent } from '../../fixtures/worlds/taking-agent.ts'

const alice = parseUsername('alice')
const kindsOf = (effects: Effect[]): string[] => effects.map(({ kind }) => kind)

async function outboxKinds(bob: TakingAgent): Promise<string[]> {
  return (await bob.outboxOf(alice)).map(([, bytes]) => OutboxRecord.decode(bytes).kind)
}

t.test('five hundred messages in any order, each sent twice, arrive as five hundred messages', async t => {
  const [sender, recipient] = makeAcquainted('shuffled')
  const bob = await TakingAgent.open(recipient, 'alice')
  const bodies = Array.from({ length: 500 }, (_, at) => send(sender, `alice ${at}`))
  const random = seededRandom(500)
  const shuffled = [...bodies, ...bodies].map(body => ({ body, at: random() })).sort((a, b) => a.at - b.at)
  const effects = await bob.take('alice', ...shuffled.map(({ body }) => body))
  const texts = await bob.texts()
  t.equal(texts.length, 500)
  t.equal(new Set(texts).size, 500)
  t.equal(await bob.count(keys.undecryptables()), 0)
  t.notOk(kindsOf(effects).includes('repair'))
})

t.test('a first message is accepted once, however often it is replayed', async t => {
  const [sender, recipient] = makePair('replayed')
  start(sender, serve(recipient, 0))
  const body = send(sender, 'hello')
  const bob = await TakingAgent.open(recipient, 'alice')
  await bob.take('alice', ...Array.from({ length: 10 }, () => body))
  t.same(await bob.texts(), ['hello'])
  // The same if the records of the body and of the session are gone.
  await bob.store.transaction(async tx => {
    for (const [key] of await tx.list(keys.bodies())) tx.delete(key)
    tx.delete(keys.peer(alice))
  })
  await bob.take('alice', body)
  t.same(await bob.texts(), ['hello'])
  t.equal(await bob.count(keys.undecryptables()), 1)
})

t.test('fifty messages on one chain are answered once, so that the ratchet turns', async t => {
  const [sender, recipient] = makeAcquainted('chain')
  const bob = await TakingAgent.open(recipient, 'alice')
  const bodies = Array.from({ length: 60 }, (_, at) => send(sender, `alice ${at}`))
  await bob.take('alice', ...bodies.slice(0, 49))
  t.same(await outboxKinds(bob), [])
  await bob.take('alice', ...bodies.slice(49))
  t.same(await outboxKinds(bob), ['empty'])
})

t.test('a new session without a message is answered, so that the handshake need not be repeated', async t => {
  const [sender, recipient] = makeAcquainted('renewed')
  const served = serve(recipient)
  start(sender, served)
  const bob = await TakingAgent.open(recipient, 'alice')
  await bob.take('alice', sendReset(sender, 'renewal'))
  t.same(await outboxKinds(bob), ['empty'])
  await bob.take('alice', send(sender, 'after it'))
  t.same(await outboxKinds(bob), ['empty'], 'once')
})

t.test('a full replay list publishes new prekeys at once, and a refused message is requested again', async t => {
  const [sender, recipient] = makePair('full')
  const [current, ...old] = recipient.prekeys.generations
  const replays = Array.from({ length: cryptoLimits.maxReplaysPerPair - 1 }, () => randomBytes(16))
  recipient.prekeys = { ...recipient.prekeys, generations: [{ ...current, replays }, ...old] }
  start(sender, serve(recipient, 0))
  const first = send(sender, 'the last that fits')
  const bob = await TakingAgent.open(recipient, 'alice')
  t.ok(kindsOf(await bob.take('alice', first)).includes('rotate'))
  t.same(await bob.texts(), ['the last that fits'])

  sender.peer = newPeer('bob@localhost')
  start(sender, serve(recipient, 0))
  const effects = kindsOf(await bob.take('alice', send(sender, 'one too many')))
  t.ok(effects.includes('rotate'))
  t.ok(effects.includes('repair'))
  t.equal(await bob.count(keys.pendingResets()), 1)
})

t.test('bodies that no peer can have made cost bounded time and leave bounded state', async t => {
  const [sender, recipient] = makeAcquainted('flood')
  const bob = await TakingAgent.open(recipient, 'alice')
  const genuine = send(sender, 'genuine')
  const forged = Array.from({ length: 300 }, (_, at) => {
    const body = Uint8Array.from(genuine)
    new DataView(body.buffer).setUint32(54, at % 2 === 0 ? 2 ** 31 : 1_000 + at)
    body[body.length - 1] = at % 256
    return body
  })
  await bob.take('alice', ...forged)
  t.ok((await bob.count(keys.undecryptables())) <= 200)
  await bob.take('alice', genuine)
  t.same(await bob.texts(), ['genuine'], 'nothing has moved')
  t.equal(receive(recipient, genuine).arrival.kind, 'known')
})
