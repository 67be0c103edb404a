import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import { Turnstile } from '../../src/server/turnstile.ts'
import { RawClient } from '../fixtures/raw-client.ts'
import { startTestNode } from '../fixtures/running-node.ts'

t.test('so many pass in each turn of the event loop, in the order they came', async t => {
  const turnstile = new Turnstile(2)
  const passed: number[] = []
  const pass = (number: number) => turnstile.pass().then(() => passed.push(number))
  for (let number = 0; number < 5; number += 1) void pass(number)
  await Promise.resolve()
  await Promise.resolve()
  t.same(passed, [0, 1])
  await setImmediate()
  t.same(passed, [0, 1, 2, 3])
  void pass(5)
  await setImmediate()
  t.same(passed, [0, 1, 2, 3, 4, 5])
  await setImmediate()
  for (let number = 6; number < 9; number += 1) void pass(number)
  await Promise.resolve()
  await Promise.resolve()
  t.same(passed, [0, 1, 2, 3, 4, 5, 6, 7], 'nobody waits for a turn that has nobody else')
  await setImmediate()
  t.equal(passed.length, 9)
})

t.test('all of many that come at once are let in, up to the room there is', async t => {
  const { wsUrl } = await startTestNode(t, { MAX_CONNECTIONS: '50' })
  const clients = Array.from({ length: 60 }, () => new RawClient(wsUrl))
  t.teardown(() => {
    for (const { socket } of clients) socket.terminate()
  })
  const outcomes = await Promise.all(
    clients.map(client =>
      Promise.race([
        client.find(frame => frame.type === 'challenge').then(() => 'in'),
        client.closed.then(() => 'refused'),
      ]),
    ),
  )
  t.equal(outcomes.filter(outcome => outcome === 'in').length, 50)
})
