import t from 'tap'
import { Client } from '../../../src/client/client.ts'
import { dialNode } from '../../../src/client/connection/dial-node.ts'
import { Mailbox } from '../../../src/client/inbox/mailbox.ts'
import { InboxRecord } from '../../../src/client/messages/message.ts'
import { openMemoryStore, type StateStore } from '../../../src/client/node.ts'
import { loadPeer } from '../../../src/client/records/crypto-records.ts'
import { keys } from '../../../src/client/records/keys.ts'
import { defer } from '../../../src/util/deferred.ts'
import { Signal } from '../../../src/util/signal.ts'
import { registerAgent } from '../../../tools/clients/agents.ts'
import { startTestNodes } from '../../../tools/servers/running-node.ts'

type Point = 'before' | 'after'

/** A store that calls hooks around its reads and counts its change handlers. */
function watchedStore() {
  const inner = openMemoryStore()
  let act = async (_at: Point) => {}
  let listeners = 0
  const store: StateStore = {
    transaction: work => inner.transaction(work),
    read: async work => {
      await act('before')
      const result = await inner.read(work)
      await act('after')
      return result
    },
    onChange: listener => {
      const stop = inner.onChange(listener)
      listeners += 1
      return () => {
        listeners -= 1
        stop()
      }
    },
    close: () => inner.close(),
  }
  return {
    store,
    /** Called before each read, and after it before the result is used. */
    inReads: (next: typeof act) => {
      act = next
    },
    listeners: () => listeners,
    /** Resolves when the inbox is not empty. Bypasses the hooks. */
    arrived: async () => {
      for (;;) {
        const changed = defer<void>()
        const stop = inner.onChange(changed.resolve)
        const entries = await inner.read(tx => tx.list('inbox/'))
        if (entries.length === 0) await changed.promise
        stop()
        if (entries.length > 0) return
      }
    },
  }
}

t.test('waiting', async t => {
  const [north, south] = await startTestNodes(t, 2)
  const alice = await registerAgent(t, north?.wsUrl ?? '', 'alice')
  const { store, inReads, listeners, arrived } = watchedStore()
  const bob = await Client.open({ server: south?.wsUrl ?? '', store, dial: dialNode({}) })
  t.teardown(() => bob.close())
  await bob.register('bob')
  await alice.send('bob', 'warm')
  await bob.mailbox.wait({ waitMs: 30_000 })
  const clear = async () => {
    const { messages } = await bob.mailbox.list()
    await bob.mailbox.ack(messages.map(({ id }) => id))
  }
  await clear()
  const listening = new AbortController()
  const attending = bob.attend(listening.signal)
  const atRest = listeners()

  t.test('a message that arrives between the check and the wait wakes the waiter', async t => {
    for (const point of ['before', 'after'] as const) {
      for (const check of [1, 2, 3]) {
        let checks = 0
        const checked = new Signal()
        const woken = defer<void>()
        inReads(async at => {
          if (at === 'before') checks += 1
          if (at === 'after') checked.notify()
          if (at !== point || checks !== check) return
          inReads(async () => {})
          await alice.send('bob', `${point} check ${check}`)
          // The read that was held up may belong to another caller than the waiter.
          await Promise.race([arrived(), woken.promise])
        })
        const waiting = bob.mailbox.wait({ waitMs: 60_000 })
        for (let seen = 1; seen < check; seen += 1) {
          const { version } = checked
          if (checks < seen) await checked.after(version)
          // A change without a message: the waiter checks again and goes on waiting.
          await store.transaction(tx => tx.put('swept', Uint8Array.of(seen)))
        }
        const { messages } = await waiting
        woken.resolve()
        t.match(messages, [{ text: `${point} check ${check}` }])
        t.equal(messages.length, 1)
        await clear()
      }
    }
  })

  t.test('one message wakes all of 200 waiters, no other change does, and all resources are freed', async t => {
    const waits = Array.from({ length: 200 }, () => bob.mailbox.wait({ waitMs: 60_000 }))
    const live = performance.now()
    await alice.send('bob', 'for everybody')
    const woken = await Promise.all(waits)
    t.comment(`all awake after ${Math.round(performance.now() - live)} ms`)
    t.ok(woken.every(({ messages }) => messages.length === 1))
    await clear()
    t.equal(listeners(), atRest)
  })

  t.test('an acknowledged message wakes no waiter, and a wait with a cursor returns only newer messages', async t => {
    await alice.send('bob', 'old')
    const { cursor, messages } = await bob.mailbox.wait({ waitMs: 60_000 })
    t.equal(messages.length, 1)
    t.same((await bob.mailbox.wait({ waitMs: 0, after: cursor })).messages, [])
    await clear()
    const short = await bob.mailbox.wait({ waitMs: 200 })
    t.same(short.messages, [])
  })

  t.test('200 aborted waits free all resources', async t => {
    const giveUp = new AbortController()
    const waits = Array.from({ length: 200 }, () => bob.mailbox.wait({ waitMs: 60_000, signal: giveUp.signal }))
    t.ok(listeners() >= atRest + 200, 'they do hold something')
    giveUp.abort(new Error('enough'))
    for (const { reason } of (await Promise.allSettled(waits)).filter(w => w.status === 'rejected')) {
      t.equal(reason.message, 'enough')
    }
    t.equal(listeners(), atRest)
  })

  t.test('waking costs less than three live deliveries', async t => {
    const live: number[] = []
    const wakes: number[] = []
    for (let round = 0; round < 20; round += 1) {
      live.push(await timeOf(alice, bob, () => receiveOne(bob)))
      wakes.push(await timeOf(alice, bob, () => bob.mailbox.wait({ waitMs: 60_000 })))
      await clear()
    }
    const [delivery, wake] = [median(live), median(wakes)]
    t.comment(`live delivery ${delivery.toFixed(1)} ms, wake ${wake.toFixed(1)} ms, medians of 20`)
    t.ok(wake < 3 * delivery, `${wake} ms against ${delivery} ms`)
  })

  t.teardown(async () => {
    listening.abort()
    await attending
  })
})

async function receiveOne(client: Client): Promise<void> {
  for await (const _message of client.receive({ count: 1 })) return
}

async function timeOf(from: Client, to: Client, wait: () => Promise<unknown>): Promise<number> {
  const waiting = wait()
  const began = performance.now()
  await from.send(to.account?.username ?? '', 'now')
  await waiting
  const took = performance.now() - began
  for await (const message of to.receive({ waitMs: 0 })) await message.ack()
  return took
}

const median = (values: number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0

/** A mailbox over a store that reports no changes, as in a process that does nothing else. */
function quietMailbox(
  inner: StateStore,
  { arrived = new Signal(), read = inner.read.bind(inner) }: Partial<Quiet> = {},
) {
  const store: StateStore = { ...inner, read, onChange: () => () => {} }
  return new Mailbox({
    context: {
      store,
      closing: new AbortController().signal,
      loadPeer: (tx, name) => loadPeer(tx, name, 'localhost'),
      now: Date.now,
    },
    inbox: { arrived, ack: async () => {} },
    listenerLease: { keepListening: async () => {} },
  })
}

type Quiet = { arrived: Signal; read: StateStore['read'] }

t.test('a wait ends in time, also if the timer fires early and nothing else wakes it', async t => {
  const mailbox = quietMailbox(openMemoryStore())
  // Node truncates the fraction, so this timer fires early.
  t.same((await mailbox.wait({ waitMs: 20.9 })).messages, [])
  t.same((await mailbox.wait({ waitMs: 0 })).messages, [])
})

t.test('a wait beyond the longest timer of Node does not end at once', async t => {
  const arrived = new Signal()
  const inner = openMemoryStore()
  const waiting = quietMailbox(inner, { arrived }).wait({ waitMs: 2 ** 31 })
  const soon = new Promise(resolve => setTimeout(resolve, 50, 'goes on'))
  t.equal(await Promise.race([waiting, soon]), 'goes on')
  await inner.transaction(tx => tx.put(keys.inbox(1), oneMessage))
  arrived.notify()
  t.match((await waiting).messages, [{ text: 'hi' }])
})

const oneMessage = InboxRecord.encode({ id: 'a', from: 'alice', body: 'aGk', sentAt: 1 })

t.test('a notification between the check and the wait is not missed', async t => {
  const inner = openMemoryStore()
  const arrived = new Signal()
  let reads = 0
  const mailbox = quietMailbox(inner, {
    arrived,
    read: async work => {
      const result = await inner.read(work)
      reads += 1
      if (reads === 1) {
        await inner.transaction(tx => tx.put(keys.inbox(1), oneMessage))
        arrived.notify()
      }
      return result
    },
  })
  const began = performance.now()
  const { messages } = await mailbox.wait({ waitMs: 10_000 })
  t.match(messages, [{ text: 'hi' }])
  t.ok(performance.now() - began < 8_000, 'the wait ended early')
})
