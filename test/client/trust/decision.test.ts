import t, { type Test } from 'tap'
import type { Effect } from '../../../src/client/inbox/effects.ts'
import { otherKeys } from '../../../src/client/inbox/undecryptable.ts'
import { type Client, type ClientEvents, openMemoryStore } from '../../../src/client/node.ts'
import { loadPeer, savePeer } from '../../../src/client/records/crypto-records.ts'
import { keys } from '../../../src/client/records/keys.ts'
import type { StateStore, StateTransaction } from '../../../src/client/state/state-store.ts'
import { checkIdentityKey, generateIdentity } from '../../../src/crypto/keys/identity.ts'
import { encodePrekeyHeader, encodeRatchetMessage } from '../../../src/crypto/messages/message.ts'
import { randomBytes, x25519PublicKey } from '../../../src/crypto/provider.ts'
import { sessionId } from '../../../src/crypto/session/handshake.ts'
import { markChanged, trustPeer } from '../../../src/crypto/session/peer.ts'
import { parseUsername } from '../../../src/protocol/names.ts'
import { concatBytes, decodeBase64Url, encodeBase64Url } from '../../../src/util/bytes.ts'
import { Emitter } from '../../../src/util/emitter.ts'
import { openAgent, receiveAll, receiveSome, registerAgent, textsOf } from '../../../tools/clients/agents.ts'
import {
  type Agent as CryptoAgent,
  makeAcquainted,
  makeAgent,
  minuteMs,
  send,
  serve,
  start,
} from '../../../tools/clients/crypto-agents.ts'
import { noticeKeyChange } from '../../fixtures/key-change.ts'
import { startForgetfulNode } from '../../fixtures/servers/forgetful-node.ts'
import { TakingAgent } from '../../fixtures/worlds/taking-agent.ts'

const alice = parseUsername('alice')
const bob = parseUsername('bob')
const keyOf = (client: Client): string => client.account?.identity ?? ''
const newKey = () => generateIdentity(randomBytes).publicKey

/** The names of the events among effects. */
function eventsIn(effects: Effect[]): (keyof ClientEvents)[] {
  const seen: (keyof ClientEvents)[] = []
  const events = new Emitter<ClientEvents>()
  for (const name of ['key-changed', 'undecryptable', 'recovered'] as const) events.on(name, () => seen.push(name))
  for (const effect of effects) if (effect.kind === 'event') effect.emit(events)
  return seen
}

/** A first message that names `identity`. Making it needs no private key: its tag is random. */
function forgedFirst(to: CryptoAgent, identity: Uint8Array): Uint8Array {
  const [{ signedPrekey, lastResortKem }] = to.prekeys.generations
  const header = encodePrekeyHeader({
    suite: 2,
    identity,
    ephemeral: x25519PublicKey(randomBytes(32)),
    signedPrekeyId: signedPrekey.id,
    oneTimeKeyId: 0,
    kem: { id: lastResortKem.id, ciphertext: randomBytes(1088) },
  })
  const sid = sessionId(to.self.identity.publicKey, header)
  const head = concatBytes(x25519PublicKey(randomBytes(32)), new Uint8Array(8))
  return concatBytes(header, encodeRatchetMessage(sid, head, randomBytes(320)))
}

/** A real first message of an agent with the name `alice` and another key. */
function firstOf(other: CryptoAgent, to: CryptoAgent, text: string): Uint8Array {
  start(other, serve(to, 0))
  return send(other, text)
}

const peerOf = ({ store }: { store: StateStore }, name = alice) => store.read(tx => loadPeer(tx, name, 'localhost'))

t.test('17.2 a first message that does not authenticate reports no changed key, and changes nothing', async t => {
  const [, recipient] = makeAcquainted('unauthenticated')
  const taking = await TakingAgent.open(recipient, 'alice')
  const before = await peerOf(taking)
  const effects = await taking.take('alice', forgedFirst(recipient, newKey()), forgedFirst(recipient, newKey()))
  t.same(eventsIn(effects), ['undecryptable', 'undecryptable'])
  t.strictSame(await peerOf(taking), before)

  const other = makeAgent('alice', 'bob', 'another alice')
  const reported = eventsIn(await taking.take('alice', firstOf(other, recipient, 'I lost my key')))
  t.same(reported, ['undecryptable', 'key-changed'])
  t.match(await peerOf(taking), { trust: 'changed', seen: other.self.identity.publicKey })
  await taking.take('alice', forgedFirst(recipient, newKey()))
  t.match(await peerOf(taking), { trust: 'changed', seen: other.self.identity.publicKey }, 'seen stays')
})

t.test('17.2 first messages under other keys cost at most three handshakes a minute and ten an hour', async t => {
  const [, recipient] = makeAcquainted('bounded')
  const taking = await TakingAgent.open(recipient, 'alice')
  const reasons: string[] = []
  const events = new Emitter<ClientEvents>()
  events.on('undecryptable', ({ reason }) => reasons.push(reason))
  for (let minute = 0; minute < 8; minute += 1) {
    for (let count = 0; count < 20; count += 1) {
      for (const effect of await taking.take('alice', forgedFirst(recipient, newKey()))) {
        if (effect.kind === 'event') effect.emit(events)
      }
    }
    recipient.nowMs += minuteMs
  }
  t.equal(reasons.length, 160)
  t.equal(reasons.filter(reason => reason === 'the message cannot be decrypted').length, 10)
})

t.test('17.2 messages under a new key that wait for the limit keep their order', async t => {
  const [, recipient] = makeAcquainted('order')
  const other = makeAgent('alice', 'bob', 'another alice')
  start(other, serve(recipient, 0))
  const texts = Array.from({ length: 8 }, (_, at) => `message ${at}`)
  const bodies = texts.map(text => send(other, text))
  const taking = await TakingAgent.open(recipient, 'alice')
  await taking.take('alice', ...bodies)
  recipient.nowMs += minuteMs
  await taking.retry('alice')
  const identity = encodeBase64Url(other.self.identity.publicKey)
  t.equal((await taking.store.read(tx => otherKeys(tx, alice)))[0], identity)
  await taking.store.transaction(async tx => {
    savePeer(tx, alice, trustPeer(await loadPeer(tx, alice, 'localhost'), other.self.identity.publicKey))
  })
  await taking.retry('alice')
  t.same(await taking.texts(), texts)
})

/** A store in which `between` runs before the next transaction, as another process would. */
function interrupted(inner: StateStore) {
  let between: ((tx: StateTransaction) => Promise<void>) | undefined
  const store: StateStore = {
    read: work => inner.read(work),
    onChange: handler => inner.onChange(handler),
    close: () => inner.close(),
    transaction: async work => {
      const step = between
      between = undefined
      if (step) await inner.transaction(step)
      return inner.transaction(work)
    },
  }
  return {
    store,
    next: (step: (tx: StateTransaction) => Promise<void>) => {
      between = step
    },
  }
}

const showKey = (identity: string) => async (tx: StateTransaction) =>
  savePeer(tx, bob, markChanged(await loadPeer(tx, bob, 'localhost'), checkIdentityKey(decodeBase64Url(identity))))

/** Alice knows bob, and has then seen another key of bob. */
async function changed(t: Test) {
  const { server, forget } = await startForgetfulNode(t)
  const { store, next } = interrupted(openMemoryStore())
  const agent = await registerAgent(t, server, 'alice', store)
  const old = await registerAgent(t, server, 'bob')
  const { id } = await agent.send('bob', 'hello')
  const receipts = new AbortController()
  const receiving = agent.attend(receipts.signal)
  await receiveSome(old, 1)
  await agent.confirmed(id, 'delivered')
  receipts.abort()
  await receiving
  await old.send('alice', 'hello yourself')
  await receiveSome(agent, 1)
  await old.close()
  const first = await agent.identityOf('bob')
  forget('bob')
  const other = await openAgent(t, server, openMemoryStore())
  await other.register('bob')
  await noticeKeyChange(agent, other, 'I lost my key')
  return { alice: agent, first, other, next, server, forget }
}

t.test('17.2 verify and trust pin the key that was compared, also if another one is seen meanwhile', async t => {
  for (const decide of ['verify', 'trust'] as const) {
    const { alice, other, next } = await changed(t)
    const third = encodeBase64Url(newKey())
    next(showKey(third))
    if (decide === 'verify') await alice.verifyPeer('bob', (await other.identityOf('alice')).safetyNumber)
    else await alice.trustPeer('bob', keyOf(other), { unconfirmed: 'drop' })
    const trust = decide === 'verify' ? 'verified' : 'first-use'
    t.match(await alice.identityOf('bob'), { trust, identity: keyOf(other) }, decide)
  }
})

t.test(
  '17.2 a key that is gone when it would be pinned is not pinned, and neither is the one in its place',
  async t => {
    for (const decide of ['verify', 'trust'] as const) {
      const { alice, first, other, next } = await changed(t)
      const third = encodeBase64Url(newKey())
      next(async tx => {
        for (const [key] of await tx.list(keys.undecryptables())) tx.delete(key)
        await showKey(third)(tx)
      })
      const deciding =
        decide === 'verify'
          ? alice.verifyPeer('bob', keyOf(other))
          : alice.trustPeer('bob', keyOf(other), { unconfirmed: 'drop' })
      await t.rejects(deciding, { code: decide === 'verify' ? 'not_verified' : 'unknown_key' })
      t.match(await alice.identityOf('bob'), { trust: 'changed', identity: first.identity }, decide)
    }
  },
)

t.test('17.2 trust accepts only the key that the caller names', async t => {
  const { alice, first, other } = await changed(t)
  const { seen } = await alice.identityOf('bob')
  const unnamed = Reflect.apply(alice.trustPeer, alice, ['bob'])
  await t.rejects(unnamed, { code: 'invalid_argument' })
  await t.rejects(alice.trustPeer('bob', encodeBase64Url(newKey())), { code: 'unknown_key', message: /bob/ })
  t.match(await alice.identityOf('bob'), { trust: 'changed', identity: first.identity })
  await alice.trustPeer('bob', seen?.safetyNumber ?? '', { unconfirmed: 'drop' })
  t.match(await alice.identityOf('bob'), { trust: 'first-use', identity: keyOf(other) })
})

t.test('17.2 of two keys that were seen, the user can choose the one that is not the last', async t => {
  const { alice, other, server, forget } = await changed(t)
  const shown = (await other.identityOf('alice')).safetyNumber
  await other.close()
  forget('bob')
  const third = await openAgent(t, server, openMemoryStore())
  await third.register('bob')
  await noticeKeyChange(alice, third, 'no, I am bob')
  t.match(await alice.identityOf('bob'), { seen: { identity: keyOf(third) } })
  await alice.verifyPeer('bob', shown)
  t.match(await alice.identityOf('bob'), { trust: 'verified', identity: keyOf(other) })
  t.match(await alice.mailbox.withheld(), [{ identity: keyOf(third), reason: 'rejected', messages: 1 }])
})

t.test('17.23 trust says how many messages wait for the old key, and needs to know what becomes of them', async t => {
  for (const unconfirmed of ['send', 'drop'] as const) {
    const { server, forget } = await startForgetfulNode(t)
    const agent = await registerAgent(t, server, 'alice')
    const old = await registerAgent(t, server, 'bob')
    await agent.send('bob', 'hello')
    await receiveSome(old, 1)
    await old.send('alice', 'hello yourself')
    await receiveSome(agent, 1)
    await old.close()
    const secrets = ['for the old key: one', 'for the old key: two']
    const sent = [await agent.send('bob', secrets[0] ?? ''), await agent.send('bob', secrets[1] ?? '')]
    forget('bob')
    const other = await openAgent(t, server, openMemoryStore())
    await other.register('bob')
    const reported = new Promise(resolve => agent.on('key-changed', resolve))
    const stop = new AbortController()
    const attending = agent.attend(stop.signal)
    await other.send('alice', 'I lost my key')
    await reported

    const refused: string[] = []
    agent.on('refused', ({ id, error }) => {
      t.match(error, { code: 'dropped' })
      refused.push(id)
    })
    const { unconfirmed: count = 0 } = await agent.identityOf('bob')
    t.ok(count >= 2, `${count} wait`)
    await t.rejects(agent.trustPeer('bob', keyOf(other)), {
      code: 'unconfirmed_messages',
      count,
      message: new RegExp(`${count} messages to bob`),
    })
    t.match(await agent.identityOf('bob'), { trust: 'changed' }, 'nothing was decided')

    const decision = await agent.trustPeer('bob', keyOf(other), { unconfirmed })
    const isSent = unconfirmed === 'send'
    t.match(decision, { resent: isSent ? count : 0, dropped: isSent ? 0 : count })
    await agent.send('bob', 'for the new key')
    const received: (string | undefined)[] = []
    for await (const { text } of other.receive()) {
      received.push(text)
      if (text === 'for the new key') break
    }
    t.same(
      secrets.filter(text => received.includes(text)),
      isSent ? secrets : [],
      unconfirmed,
    )
    if (!isSent) {
      t.equal(refused.length, count)
      for (const { id } of sent) await t.rejects(agent.confirmed(id, 'delivered'), { code: 'dropped' })
    }
    stop.abort()
    await attending
  }
})

t.test('17.23 without messages that wait, trust needs no option', async t => {
  const { alice, other } = await changed(t)
  t.equal((await alice.identityOf('bob')).unconfirmed, 0)
  t.match(await alice.trustPeer('bob', keyOf(other)), { resent: 0, dropped: 0 })
  t.same(textsOf(await receiveAll(alice)).slice(0, 1), ['I lost my key'])
})
