import t, { type Test } from 'tap'
import type { Client } from '../../../src/client/node.ts'
import { openMemoryStore } from '../../../src/client/node.ts'
import { openAgent, receiveSome, registerAgent, textsOf } from '../../../tools/clients/agents.ts'
import { noticeKeyChange } from '../../fixtures/key-change.ts'
import { startForgetfulNode } from '../../fixtures/servers/forgetful-node.ts'

async function met(t: Test, server: string): Promise<{ alice: Client; bob: Client }> {
  const alice = await registerAgent(t, server, 'alice')
  const bob = await registerAgent(t, server, 'bob')
  await alice.send('bob', 'hello')
  await receiveSome(bob, 1)
  return { alice, bob }
}

t.test('both sides see the same safety number, and a compared key is verified', async t => {
  const { server } = await startForgetfulNode(t)
  const { alice, bob } = await met(t, server)
  const [atAlice, atBob] = [await alice.identityOf('bob'), await bob.identityOf('alice@localhost')]
  t.match(atAlice.safetyNumber, /^\d{60}$/)
  t.equal(atAlice.safetyNumber, atBob.safetyNumber)
  t.equal(atAlice.trust, 'first-use')
  t.equal(atAlice.identity, bob.account?.identity)

  await t.rejects(alice.verifyPeer('bob', '0'.repeat(60)), { code: 'not_verified' })
  await t.rejects(alice.verifyPeer('bob', alice.account?.identity ?? ''), { code: 'not_verified' })
  t.equal((await alice.identityOf('bob')).trust, 'first-use')
  await alice.verifyPeer('bob', atBob.safetyNumber.replaceAll(/(.{5})/g, '$1 '))
  t.equal((await alice.identityOf('bob')).trust, 'verified')
  await bob.verifyPeer('alice', alice.account?.identity ?? '')

  await bob.send('alice', 'it is me')
  t.match(await receiveSome(alice, 1), [{ text: 'it is me', verified: 'verified' }])
})

t.test('an unknown peer has no key to compare', async t => {
  const { server } = await startForgetfulNode(t)
  const alice = await registerAgent(t, server, 'alice')
  const asks: (() => Promise<unknown>)[] = [
    () => alice.identityOf('bob'),
    () => alice.trustPeer('bob', alice.account?.identity ?? ''),
    () => alice.verifyPeer('bob', '1'),
    () => alice.distrustChange('bob'),
  ]
  for (const ask of asks)
    await t.rejects(
      ask().then(() => {}),
      { code: 'unknown_peer', message: /bob/ },
    )
})

// Evidence: K4
t.test('a changed key stops both directions until the user decides', async t => {
  for (const decide of ['trust', 'verify'] as const) {
    const { server, forget } = await startForgetfulNode(t)
    const { alice, bob } = await met(t, server)
    const before = await alice.identityOf('bob')
    await bob.close()
    forget('bob')
    const other = await openAgent(t, server, openMemoryStore())
    await other.register('bob')
    const changed = new Promise(resolve => alice.on('key-changed', resolve))
    const shown = receiveSome(alice, 1)
    await other.send('alice', 'I lost my key')
    t.same(await changed, { peer: 'bob' })
    await t.rejects(alice.send('bob', 'who are you?'), { code: 'identity_changed' })
    const now = await alice.identityOf('bob')
    t.match(now, { trust: 'changed', identity: before.identity, seen: { identity: other.account?.identity } })

    const listening = receiveSome(other, 1)
    if (decide === 'trust') await alice.trustPeer('bob', other.account?.identity ?? '', { unconfirmed: 'send' })
    else await alice.verifyPeer('bob', (await other.identityOf('alice')).safetyNumber)
    t.equal((await alice.identityOf('bob')).trust, decide === 'trust' ? 'first-use' : 'verified')
    await alice.send('bob', 'welcome back')
    t.same(textsOf(await listening), ['welcome back'])
    t.same(textsOf(await shown), ['I lost my key'], 'the held message arrives after the decision')
  }
})

t.test('an agent that keeps the old key still refuses the new one', async t => {
  const { server, forget } = await startForgetfulNode(t)
  const { alice, bob } = await met(t, server)
  await bob.close()
  forget('bob')
  const other = await openAgent(t, server, openMemoryStore())
  await other.register('bob')
  let changes = 0
  const changed = new Promise(resolve => alice.on('key-changed', resolve))
  alice.on('key-changed', () => {
    changes += 1
  })
  const listening = receiveSome(alice, 1).catch(() => [])
  await other.send('alice', 'trust me')
  await changed
  const before = await alice.identityOf('bob')
  await alice.distrustChange('bob')
  t.match(await alice.identityOf('bob'), { trust: 'first-use', identity: before.identity, seen: undefined })
  const again = new Promise(resolve => alice.on('key-changed', resolve))
  await other.send('alice', 'trust me now')
  await again
  t.equal(changes, 2)
  await alice.stopListening()
  t.same(await listening, [])
})

async function waitFor({ mailbox }: Client, unread: number): Promise<void> {
  for (let { messages, cursor } = await mailbox.list(); messages.length < unread; ) {
    const next = await mailbox.wait({ waitMs: 60_000, after: cursor })
    messages = [...messages, ...next.messages]
    cursor = next.cursor
  }
}

t.test('17.1 what a changed key hid is shown after the decision, also behind the cursor of a reader', async t => {
  for (const decide of ['keep', 'verify'] as const) {
    const { server, forget } = await startForgetfulNode(t)
    const { alice, bob } = await met(t, server)
    const own = alice.identityOf('bob')
    await bob.send('alice', 'taken')
    await bob.send('alice', 'not taken')
    await waitFor(alice, 2)
    const reader = alice.receive()
    const { value: taken } = await reader.next()
    t.equal(taken?.text, 'taken')
    const asked = bob.request('alice', 'which port?', { timeoutMs: 60_000 })
    asked.catch(() => {})
    await waitFor(alice, 3)
    await bob.close()
    forget('bob')
    const other = await openAgent(t, server, openMemoryStore())
    await other.register('bob')
    await noticeKeyChange(alice, other, 'trust me')
    const { messages, cursor } = await alice.mailbox.list()
    t.same(messages, [], 'nothing is shown before the decision')

    if (decide === 'keep') await alice.distrustChange('bob')
    else await alice.verifyPeer('bob', (await own).identity)
    const again = await alice.mailbox.list({ after: cursor })
    t.same(
      again.messages.map(({ text }) => text),
      ['taken', 'not taken', 'which port?'],
    )
    await taken?.ack()
    const [, request] = (await alice.mailbox.list()).messages
    t.equal(request?.kind, 'request')
    if (request) await alice.reply(request, '4711')
    t.same(
      (await alice.mailbox.list()).messages.map(({ text }) => text),
      ['not taken'],
    )
    const { value: next } = await reader.next()
    t.equal(next?.text, 'not taken', 'what was outstanding is not shown twice')
    await reader.return()
  }
})

// Evidence: D14
t.test('a message can be tracked until it is read', async t => {
  const { server } = await startForgetfulNode(t)
  const { alice, bob } = await met(t, server)
  const { id } = await alice.send('bob', 'are you there?')
  const listening = new AbortController()
  const delivered = alice.confirmed(id, 'delivered')
  const read = alice.confirmed(id, 'read')
  // Receipts are encrypted contents, so alice gets them only while it receives.
  const taking = (async () => {
    for await (const _none of alice.receive({ signal: listening.signal }));
  })()
  const [message] = await receiveSome(bob, 1)
  t.equal(message?.text, 'are you there?')
  await delivered
  await read
  await alice.confirmed(id, 'delivered')
  await t.rejects(alice.confirmed('unknown', 'read', { signal: AbortSignal.timeout(20) }), { name: 'TimeoutError' })
  listening.abort()
  await taking
})
