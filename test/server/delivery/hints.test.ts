import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { limits } from '../../../src/protocol/limits.ts'
import { parseUsername } from '../../../src/protocol/names.ts'
import type { Envelope, Notice } from '../../../src/server/store/store.ts'
import { RawClient } from '../../../tools/clients/raw-client.ts'
import { openTestStore, startTestNode, withFaults } from '../../../tools/servers/running-node.ts'

/** A node whose hints a test passes on or drops. */
async function startDeafNode(t: Test) {
  const store = openTestStore()
  let hear: (notice: Notice) => void = () => {}
  const hints: Notice[] = []
  const deaf = withFaults(store, {
    onNotice: handler => {
      hear = handler
      store.onNotice(notice => void hints.push(notice))
    },
  })
  const { wsUrl, metricsUrl } = await startTestNode(t, { METRICS_PORT: '0' }, { store: deaf })
  const metric = async (line: string) => {
    const text = await (await fetch(metricsUrl ?? '')).text()
    const found = text.split('\n').find(each => each.startsWith(`${line} `))
    return Number(found?.split(' ').at(-1))
  }
  return { wsUrl, metric, hear: (notice: Notice) => hear(notice), hints }
}

t.test(
  'a hint with the next envelope saves the read; a gap, an empty hint and a new subscription cause one, and are counted',
  async t => {
    const { wsUrl, metric, hear, hints } = await startDeafNode(t)
    const bob = await RawClient.listening(t, wsUrl)
    const alice = await RawClient.loggedIn(t, wsUrl)
    const send = (id: string) => alice.request({ type: 'send', id, to: bob.user.username, body: 'AAAA' })
    const catchUps = (reason: string) => metric(`aimessage_catch_ups_total{reason="${reason}"}`)
    const appended = () => hints.filter(({ kind }) => kind === 'appended')

    await send('m1')
    const [first] = appended()
    if (first) hear(first)
    await bob.pushes(1)
    const reads = await metric('aimessage_inbox_reads_total')
    t.same(await Promise.all(['gap', 'bare', 'resumed'].map(catchUps)), [0, 0, 0])

    await send('m2')
    await send('m3')
    const last = appended().at(-1)
    if (last) hear(last)
    await bob.pushes(3)
    t.equal(await catchUps('gap'), 1)
    t.ok((await metric('aimessage_inbox_reads_total')) > reads)

    await send('m4')
    if (last?.kind === 'appended') hear({ kind: 'appended', username: last.username, epoch: last.epoch })
    await bob.pushes(4)
    t.equal(await catchUps('bare'), 1)

    await send('m5')
    hear({ kind: 'resumed' })
    await bob.pushes(5)
    t.equal(await catchUps('resumed'), 1)
  },
)

t.test(
  'the periodic check finds an envelope without a hint; an inbox without new envelopes is peeked at, and not read',
  async t => {
    const { wsUrl, metric } = await startDeafNode(t)
    const [bob] = [await RawClient.listening(t, wsUrl), await RawClient.listening(t, wsUrl)]
    const alice = await RawClient.loggedIn(t, wsUrl)
    const reads = await metric('aimessage_inbox_reads_total')
    await alice.request({ type: 'send', id: 'm1', to: bob.user.username, body: 'AAAA' })
    await bob.pushes(1)
    t.equal(await metric('aimessage_catch_ups_total{reason="timer"}'), 1)
    await delay(limits.deliveryCheckMs)
    t.equal(
      (await metric('aimessage_inbox_reads_total')) - reads,
      2,
      'one read for the envelope, and one that finds nothing',
    )
  },
)

// Evidence: C12
t.test('a hint for another claim, or of an envelope pushed before, changes nothing', async t => {
  const { wsUrl, metric, hear, hints } = await startDeafNode(t)
  const bob = await RawClient.listening(t, wsUrl)
  const alice = await RawClient.loggedIn(t, wsUrl)
  await alice.request({ type: 'send', id: 'm1', to: bob.user.username, body: 'AAAA' })
  const [hint] = hints
  if (hint?.kind !== 'appended') return t.fail('a hint')
  const username = parseUsername(bob.user.username)
  const forged: Envelope = { seq: 1, prev: 0, id: 'x', from: username, kind: 'message', body: 'BBBB', sentAt: 0 }
  hear({ kind: 'appended', username, epoch: hint.epoch - 1, envelope: forged })
  hear(hint)
  hear(hint)
  await bob.pushes(1)
  await bob.request({ type: 'heartbeat' })
  t.same(
    (await bob.pushes(1)).map(({ id }) => id),
    ['m1'],
  )
  t.equal(await metric('aimessage_catch_ups_total{reason="gap"}'), 0)
})

t.test('hints that reached no other node are counted', async t => {
  const { wsUrl, metric, hear } = await startDeafNode(t)
  await RawClient.connect(t, wsUrl)
  hear({ kind: 'unheard', why: 'no subscriber' })
  hear({ kind: 'unheard', why: 'queue full' })
  t.equal(await metric('aimessage_hints_unheard_total{why="no subscriber"}'), 1)
  t.equal(await metric('aimessage_hints_unheard_total{why="queue full"}'), 1)
})
