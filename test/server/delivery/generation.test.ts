import t from 'tap'
import type { Notice } from '../../../src/server/store/store.ts'
import { bodyOf, newName, RawClient } from '../../../tools/clients/raw-client.ts'
import { openTestStore, startTestNode, withFaults } from '../../../tools/servers/running-node.ts'

/** A node whose store can report that it may have lost writes. */
async function startLossyNode(t: Parameters<typeof startTestNode>[0]) {
  let generation = 'first'
  let hear: (notice: Notice) => void = () => {}
  const memory = openTestStore()
  const store = withFaults(memory, {
    generation: () => generation,
    onNotice: handler => {
      hear = handler
      memory.onNotice(handler)
    },
  })
  const { wsUrl } = await startTestNode(t, {}, { store })
  return {
    wsUrl,
    /** Changes the generation; the node gets the notice later. */
    lose: () => {
      generation = 'second'
    },
    tell: () => hear({ kind: 'lease-lost' }),
  }
}

t.test('a sender that does not know of a possible loss cannot send newer messages', async t => {
  const { wsUrl, lose } = await startLossyNode(t)
  const bob = await RawClient.loggedIn(t, wsUrl)
  const alice = await RawClient.listening(t, wsUrl)
  const send = (id: string) => ({ type: 'send', id, to: bob.user.username, body: bodyOf('text') })
  t.match(await alice.request(send('one')), { type: 'accepted' })
  lose()
  t.match(await alice.request(send('two')), { type: 'error', code: 'unavailable' })

  const again = await RawClient.connect(t, wsUrl)
  t.match(await again.authenticate(alice.user), { type: 'authenticated', generation: 'second' })
  t.match(await again.request(send('two')), { type: 'accepted' })
})

t.test('connections that only send must log in again too', async t => {
  const { wsUrl, lose, tell } = await startLossyNode(t)
  const sender = await RawClient.loggedIn(t, wsUrl)
  const listener = await RawClient.listening(t, wsUrl)
  lose()
  tell()
  t.match(await sender.closed, { code: 4503 })
  t.match(await listener.closed, { code: 4503 })
})

t.test('a lost lease alone closes no connection that only sends', async t => {
  const { wsUrl, tell } = await startLossyNode(t)
  const sender = await RawClient.loggedIn(t, wsUrl)
  tell()
  const answer = await sender.request({ type: 'send', id: newName(), to: sender.user.username, body: bodyOf('text') })
  t.match(answer, { type: 'accepted' })
})
