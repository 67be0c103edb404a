import t from 'tap'
import { encodeMedia } from '../../../src/client/messages/content.ts'
import { cutText, isWellFormed, isWellFormedJson } from '../../../src/util/well-formed.ts'
import { receiveSome, registerAgent } from '../../../tools/clients/agents.ts'
import { startTestNode } from '../../../tools/servers/running-node.ts'

const [high, low] = ['\ud83d', '\ude00']
const refused = ['x'.concat(high), low, `a${low}${high}b`, `${high}${high}${low}`]
const accepted = ['', 'x', `${high}${low}`, `a${high}${low}b`, '\u0000', '\ufffd', '\\ud83d', 'Ünïcödé', '\u200f']

t.test('17.21 a lone surrogate is refused wherever text is accepted, and nothing is sent', async t => {
  const node = await startTestNode(t)
  const [alice, bob] = [await registerAgent(t, node.wsUrl, 'alice'), await registerAgent(t, node.wsUrl, 'bob')]
  const code = 'ill_formed_text'
  for (const text of refused) {
    const ways: (() => Promise<unknown>)[] = [
      () => alice.send('bob', text),
      () => alice.send('bob', { mediaType: 'text/markdown', data: text }),
      () => alice.send('bob', { json: { deep: [{ text }] } }),
      () => alice.send('bob', { json: { [text]: 1 } }),
      () => alice.send('bob', { mediaType: 'application/json', data: JSON.stringify([text]) }),
      () => alice.request('bob', text),
      () => alice.request('bob', { json: text }),
      () => alice.cards.publish({ title: text, capabilities: [], acceptsRequests: false }),
      () => alice.cards.publish({ title: 'x', description: text, capabilities: [], acceptsRequests: false }),
    ]
    for (const way of ways) await t.rejects(way(), { code, message: /surrogate/ }, JSON.stringify(text))
  }
  for (const text of accepted) await alice.send('bob', { json: { text } })
  const shown = await receiveSome(bob, accepted.length)
  t.same(
    shown.map(({ json }) => json),
    accepted.map(text => ({ text })),
  )
})

t.test('17.21 a reply, a part and a refusal with a lone surrogate are refused, and the request stays open', async t => {
  const node = await startTestNode(t)
  const [alice, bob] = [await registerAgent(t, node.wsUrl, 'alice'), await registerAgent(t, node.wsUrl, 'bob')]
  const asked = alice.request('bob', 'a question')
  const { messages } = await bob.mailbox.wait({ waitMs: 30_000 })
  const [request] = messages
  if (!request) throw new Error('no request')
  const listening = new AbortController()
  const attending = bob.attend(listening.signal)
  for (const text of refused) {
    await t.rejects(bob.reply(request, text), { code: 'ill_formed_text' })
    await t.rejects(bob.part(request, { json: text }), { code: 'ill_formed_text' })
    await t.rejects(bob.refuse(request, { code: 'no', message: text }), { code: 'ill_formed_text' })
  }
  await bob.reply(request, 'an answer')
  t.equal((await asked).text, 'an answer')
  listening.abort()
  await attending
})

t.test('17.21 the check knows pairs, escapes and positions, and a text is cut between characters', t => {
  for (const text of accepted) t.ok(isWellFormed(text) && isWellFormedJson(JSON.stringify({ a: [text] })))
  for (const text of refused) t.notOk(isWellFormed(text) || isWellFormedJson(JSON.stringify({ a: [text] })))
  t.equal(cutText(`ab${high}${low}`, 3), 'ab')
  t.equal(cutText(`ab${high}${low}`, 4), `ab${high}${low}`)
  t.equal(cutText('abc', 2), 'ab')
  const long = `${'x'.repeat(999)}${high}${low}`
  t.doesNotThrow(() => encodeMedia('', { error: { code: 'a', message: cutText(long, 1_000) } }))
  t.end()
})
