import t from 'tap'
import { HttpClient } from '../../../tools/clients/http-client.ts'
import { newUser } from '../../../tools/clients/raw-client.ts'
import { startTestNode } from '../../../tools/servers/running-node.ts'

t.test('with the cursor of an answer nothing is shown twice, and without it everything is', async t => {
  const { url } = await startTestNode(t)
  const user = newUser()
  const [reader, writer] = [await HttpClient.loggedIn(url, user), await HttpClient.loggedIn(url, newUser())]
  const send = (id: string) => writer.call('POST', '/v1/messages', { id, to: user.username, body: 'AAAA' })
  const read = async (query: string) => (await reader.call('GET', `/v1/inbox?${query}`)).body
  for (const id of ['1', '2', '3']) await send(id)
  const first = await read('limit=2')
  t.match(first, { messages: [{ id: '1', prev: 0 }, { id: '2' }] })
  const second = await read(`limit=2&after=${first.cursor}`)
  t.match(second, { messages: [{ id: '3', prev: first.cursor }], queued: 3 })
  const waiting = read(`wait=30&after=${second.cursor}`)
  await send('4')
  const third = await waiting
  t.match(third, { messages: [{ id: '4', prev: second.cursor }] })
  t.same(await read(`after=${third.cursor}`), { ...third, messages: [] }, 'it stays where it was')
  t.match(await read('limit=9'), { messages: { length: 4 } })
  t.match(await reader.call('POST', '/v1/inbox/ack', { seq: third.cursor, epoch: third.epoch }), { status: 204 })
  t.match(await read('limit=9'), { messages: [], cursor: 0, queued: 0 })
})
