import t from 'tap'
import { encodeMedia } from '../../../src/client/messages/content.ts'
import { InboxRecord } from '../../../src/client/messages/message.ts'
import type { Client, StateStore } from '../../../src/client/node.ts'
import { markContact } from '../../../src/client/records/contacts.ts'
import { setOrder } from '../../../src/client/records/crypto-records.ts'
import { keys } from '../../../src/client/records/keys.ts'
import { BackPressure } from '../../../src/client/shares/back-pressure.ts'
import { countRead, countUnreadWithin, loadUnread, unreadLimits } from '../../../src/client/shares/unread.ts'
import { MemoryDisk, openMemoryStore } from '../../../src/client/state/memory-store.ts'
import { parseUsername } from '../../../src/protocol/names.ts'
import { encodeBase64Url } from '../../../src/util/bytes.ts'
import { openAgent, receiveAll, receiveSome, registerAgent, textsOf } from '../../../tools/clients/agents.ts'
import { startTestNode } from '../../../tools/servers/running-node.ts'
import { seededRandom } from '../../fixtures/crash/crash-plan.ts'

const limit = unreadLimits.stranger.messages.count

const record = (from: string, kind: 'messages' | 'requests', size = 1) =>
  InboxRecord.encode({
    id: 'a',
    from,
    body: encodeBase64Url(
      encodeMedia('x'.repeat(size), kind === 'requests' ? { kind: 'request', timeoutMs: 1_000 } : {}),
    ),
    sentAt: 1,
  })

/** Counts the messages that an agent refuses, by sender. */
function refusalsOf(client: Client): Map<string, number> {
  const refused = new Map<string, number>()
  client.on('not-taken', ({ from }) => refused.set(from, (refused.get(from) ?? 0) + 1))
  return refused
}

const until = async (isTrue: () => Promise<boolean> | boolean) => {
  while (!(await isTrue())) await new Promise(resolve => setTimeout(resolve, 50))
}

const countOf = async (client: Client, from: string): Promise<number> => {
  let count = 0
  for (let after = 0; ; ) {
    const page = await client.mailbox.list({ after, from, limit: 500 })
    count += page.messages.length
    if (!page.more) return count
    after = page.cursor
  }
}

t.test('17.4 plain messages of a stranger do not stop a worker, also after a restart', async t => {
  const node = await startTestNode(t)
  const disk = new MemoryDisk()
  const [asker, mallory] = [await registerAgent(t, node.wsUrl, 'asker'), await registerAgent(t, node.wsUrl, 'mallory')]
  let worker = await registerAgent(t, node.wsUrl, 'worker', openMemoryStore(disk))
  const refused = refusalsOf(worker)
  worker.onRequest(({ text }) => `answer ${text}`)
  await worker.send('asker', 'I am here')
  t.equal((await asker.request('worker', 'before')).text, 'answer before')
  const sent = limit + 505
  for (let at = 0; at < sent; at += 1) await mallory.send('worker', 'x')
  t.equal((await asker.request('worker', 'after')).text, 'answer after')
  await asker.send('worker', 'a plain message of a contact')
  await until(async () => (await countOf(worker, 'mallory')) + (refused.get('mallory') ?? 0) === sent)
  t.equal(await countOf(worker, 'mallory'), limit)
  t.equal(refused.get('mallory'), sent - limit, 'each of the others is reported')
  await until(async () => (await countOf(worker, 'asker')) === 1)
  const notices = await receiveSome(mallory, 1)
  t.match(notices, [{ kind: 'reply', error: { code: 'inbox_full' } }], 'the sender learns it')
  t.equal((await receiveAll(mallory)).length, 0, 'once')
  await worker.close()

  worker = await openAgent(t, node.wsUrl, openMemoryStore(disk))
  worker.onRequest(({ text }) => `again ${text}`)
  t.equal((await asker.request('worker', 'restarted')).text, 'again restarted')
  // What was taken is still there, and room for the sender comes back.
  t.equal((await receiveAll(worker)).length, limit + 1)
  await mallory.send('worker', 'later')
  await until(async () => (await countOf(worker, 'mallory')) === 1)
})

/** A state as an earlier release leaves it, with `count` unread messages. */
async function wedge(store: StateStore, from: string, count: number): Promise<void> {
  await store.transaction(tx => {
    for (let order = 1_000; order < 1_000 + count; order += 1) tx.put(keys.inbox(order), record(from, 'messages'))
    setOrder(tx, 1_000 + count)
    tx.delete(keys.unread())
  })
}

t.test('17.4 an agent that an earlier release has stopped works again: worker, asker and stuck reader', async t => {
  const node = await startTestNode(t)
  const peer = await registerAgent(t, node.wsUrl, 'peer')
  peer.onRequest(({ text }) => `peer ${text}`)
  const disk = new MemoryDisk()
  await (await registerAgent(t, node.wsUrl, 'worker', openMemoryStore(disk))).close()
  const raw = openMemoryStore(disk)
  await wedge(raw, 'mallory', 1_000)
  const worker = await openAgent(t, node.wsUrl, openMemoryStore(disk))
  t.equal((await worker.request('peer', 'asks')).text, 'peer asks', 'an answer gets through')
  const stop = worker.onRequest(({ text }) => `worker ${text}`)
  t.equal((await peer.request('worker', 'hi')).text, 'worker hi', 'a request gets through')
  // A loop that takes one message and never comes back for the next.
  const stuck = worker.receive()
  await stuck.next()
  t.equal((await peer.request('worker', 'still', { timeoutMs: 120_000 })).text, 'worker still')
  await stuck.return()
  await stop()
})

t.test('17.4 a reader that keeps up gets everything, however much a stranger sends', async t => {
  const node = await startTestNode(t)
  const mallory = await registerAgent(t, node.wsUrl, 'mallory')
  const bob = await registerAgent(t, node.wsUrl, 'bob')
  const refused = refusalsOf(bob)
  const texts = Array.from({ length: 3 * limit }, (_, at) => `message ${at}`)
  // The node takes only a part for an agent that does not listen, and the rest while the agent takes it.
  const sent = texts.map(text => mallory.send('bob', text))
  t.same(textsOf(await receiveSome(bob, texts.length)), texts)
  await Promise.all(sent)
  t.equal(refused.size, 0)
})

t.test('17.4 no mix of strangers takes the share of contacts, and no one sender that of the others', async t => {
  const seed = Number(process.env.SEED ?? Date.now() % 1_000_000)
  t.comment(`SEED=${seed}`)
  const random = seededRandom(seed)
  const store = openMemoryStore()
  const [friend, other] = [parseUsername('friend'), parseUsername('other-friend')]
  await store.transaction(async tx => {
    await markContact(tx, friend)
    await markContact(tx, other)
    for (let at = 0; at < 6_000; at += 1) {
      const from = parseUsername(`stranger-${Math.floor(random() ** 3 * 300)}`)
      const kind = random() < 0.5 ? 'messages' : 'requests'
      await countUnreadWithin(tx, 0, { from, kind, bytes: Math.floor(random() * 20_000) })
    }
    const { senders } = await loadUnread(tx, 0)
    for (const kind of ['messages', 'requests'] as const) {
      const shares = Object.values(senders).map(sender => sender[kind])
      const count = shares.reduce((sum, share) => sum + share.count, 0)
      const bytes = shares.reduce((sum, share) => sum + share.bytes, 0)
      t.ok(count <= unreadLimits.strangers[kind].count && bytes <= unreadLimits.strangers[kind].bytes)
      t.ok(shares.every(share => share.count <= unreadLimits.stranger[kind].count))
      t.ok(shares.every(share => share.bytes <= unreadLimits.stranger[kind].bytes))
    }
    const all = unreadLimits.contact.messages.count
    for (let at = 0; at < all; at += 1) {
      if (!(await countUnreadWithin(tx, 0, { from: friend, kind: 'messages', bytes: 100 }))) t.fail(`refused ${at}`)
    }
    t.notOk(
      await countUnreadWithin(tx, 0, { from: friend, kind: 'messages', bytes: 100 }),
      'a contact has a bound, too',
    )
    t.ok(await countUnreadWithin(tx, 0, { from: friend, kind: 'requests', bytes: 100 }), 'requests are apart')
    t.ok(await countUnreadWithin(tx, 0, { from: other, kind: 'messages', bytes: 100 }))
  })
})

t.test('17.4 the count follows the inbox, and a wrong count is corrected before a refusal', async t => {
  const store = openMemoryStore()
  const from = parseUsername('stranger')
  await store.transaction(async tx => {
    for (let at = 0; at < limit; at += 1) await countUnreadWithin(tx, 0, { from, kind: 'messages', bytes: 10 })
    t.notOk(await countUnreadWithin(tx, 1_000, { from, kind: 'messages', bytes: 10 }))
    // The inbox is empty: an earlier release, which knows no count, has shown all of them.
    t.ok(await countUnreadWithin(tx, 3_600_000, { from, kind: 'messages', bytes: 10 }))
    await countRead(tx, 0, record('stranger', 'messages'))
    t.same((await loadUnread(tx, 0)).senders, {})
    await countRead(tx, 0, record('stranger', 'messages'))
    t.same((await loadUnread(tx, 0)).senders, {}, 'never below nothing')
  })
})

t.test('17.4 the client waits for an application that keeps up, and not for one that is stuck or slow', async t => {
  const quick = new BackPressure(0)
  for (let at = 0; at <= 120_000; at += 50) quick.acknowledged(at)
  t.equal(quick.isTooSlow(120_000), false)
  t.equal(quick.isTooSlow(130_000), true, 'it has stopped')
  const slow = new BackPressure(0)
  for (let at = 0; at <= 50_000; at += 5_000) slow.acknowledged(at)
  t.equal(slow.isTooSlow(50_000), false)
  slow.acknowledged(60_000)
  t.equal(slow.isTooSlow(60_000), true)
})
