import t from 'tap'
import { Client } from '../../../src/client/client.ts'
import { dialNode } from '../../../src/client/connection/dial-node.ts'
import type { Dial, Socket } from '../../../src/client/connection/socket.ts'
import { openMemoryStore, type StateStore } from '../../../src/client/node.ts'
import { startTestNodes } from '../../../tools/servers/running-node.ts'

/** The full size is `AIMESSAGE_REQUESTS=10000`. */
const count = Number(process.env.AIMESSAGE_REQUESTS ?? 600)
const atOnce = 100
const timeoutMs = 120_000
/** A client that is cut off more often than every 10 s waits longer before each reconnect. */
const cutEvery = Math.max(100, Math.ceil(count / 12))

/** A dial function whose connections can all be cut at once. */
function breakableDial(): { dial: Dial; cut(): void } {
  const dial = dialNode({})
  const sockets = new Set<Socket>()
  return {
    dial: (...args) => {
      const socket = dial(...args)
      sockets.add(socket)
      return socket
    },
    cut: () => {
      for (const socket of sockets) socket.terminate()
      sockets.clear()
    },
  }
}

/** A store that outlives its clients. */
const lasting = (store: StateStore): StateStore => ({
  transaction: work => store.transaction(work),
  read: work => store.read(work),
  onChange: listener => store.onChange(listener),
  close: async () => {},
})

t.test(`${count} requests over breaking connections and restarting agents get one reply each, or time out`, async t => {
  const [north, south] = await startTestNodes(t, 2)
  const askerDial = breakableDial()
  const answererDial = breakableDial()
  const answererStore = lasting(openMemoryStore())
  const asker = await Client.open({ server: north?.wsUrl ?? '', store: openMemoryStore(), dial: askerDial.dial })
  t.teardown(() => asker.close())
  await asker.register('asker')

  const worked = new Map<string, number>()
  const open = async (): Promise<Client> => {
    const client = await Client.open({ server: south?.wsUrl ?? '', store: answererStore, dial: answererDial.dial })
    if (!client.account) await client.register('answerer')
    client.onRequest(
      ({ text = '' }) => {
        worked.set(text, (worked.get(text) ?? 0) + 1)
        return `${text}!`
      },
      { concurrency: 32 },
    )
    return client
  }
  let answerer = await open()
  t.teardown(() => answerer.close())

  const outcomes = { answered: 0, timedOut: 0, wrong: 0 }
  const shown: string[] = []
  const listening = new AbortController()
  const receiving = (async () => {
    for await (const { kind } of asker.receive({ signal: listening.signal })) shown.push(kind)
  })()

  let next = 0
  const askOn = async (): Promise<void> => {
    for (let number = next++; number < count; number = next++) {
      try {
        const { text } = await asker.request('answerer', `${number}`, { timeoutMs })
        if (text === `${number}!`) outcomes.answered += 1
        else outcomes.wrong += 1
      } catch (error) {
        if (error instanceof Error && error.name === 'RequestTimeoutError') outcomes.timedOut += 1
        else throw error
      }
      if (number % cutEvery === 30) askerDial.cut()
      if (number % cutEvery === 60) answererDial.cut()
    }
  }
  const restart = async (): Promise<void> => {
    for (let at = count / 4; at < count; at += count / 4) {
      while (next < at) await new Promise(resolve => setTimeout(resolve, 20))
      await answerer.close()
      answerer = await open()
    }
  }
  await Promise.all([...Array.from({ length: atOnce }, askOn), restart()])
  listening.abort()
  await receiving

  const twice = [...worked.values()].filter(times => times > 1).length
  t.comment(JSON.stringify({ ...outcomes, handled: worked.size, handledTwice: twice, shown: shown.length }))
  t.equal(outcomes.answered + outcomes.timedOut, count, 'each request gets one reply or times out')
  t.equal(outcomes.wrong, 0)
  t.same(shown, [], 'no reply is shown again as a message')
  t.ok(outcomes.answered > count * 0.9, 'a cut connection loses no reply')
})
