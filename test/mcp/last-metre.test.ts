import { Client as McpClient } from '@modelcontextprotocol/client'
import { InMemoryTransport } from '@modelcontextprotocol/server'
import t, { type Test } from 'tap'
import { McpSession } from '../../src/mcp/mcp-session.ts'
import { unescapeText } from '../../src/mcp/model-text.ts'
import { buildServer } from '../../src/mcp/server.ts'
import { registerAgent } from '../../tools/clients/agents.ts'
import { startTestNode } from '../../tools/servers/running-node.ts'
import { call } from '../fixtures/cli/mcp.ts'

type Values = Record<string, unknown>
type Shown = { id: string; content: string; preview: string; escaped?: boolean; re?: string } & Values
const messagesOf = ({ messages }: Values): Shown[] => (Array.isArray(messages) ? messages : [])
const textOf = ({ content, escaped }: Shown): string => (escaped ? unescapeText(content) : content)

/** A model with the tools of a new agent, in this process. */
async function startModel(t: Test, server: string, name: string): Promise<McpClient> {
  const client = await registerAgent(t, server, name)
  const session = new McpSession(client, error => t.error(error))
  session.listen()
  const [ours, theirs] = InMemoryTransport.createLinkedPair()
  await buildServer(session, '1').connect(ours)
  const mcp = new McpClient({ name: 'test', version: '1' })
  await mcp.connect(theirs)
  t.teardown(async () => {
    await mcp.close()
    await session.close()
  })
  return mcp
}

const { wsUrl } = await startTestNode(t)
const bob = await registerAgent(t, wsUrl, 'bob')

t.test('18.1 one call reads messages and acknowledges them, and loses no text', async t => {
  const mcp = await startModel(t, wsUrl, 'reader')
  const long = `${'please read this to its end. '.repeat(20)}do not deploy`
  await bob.send('reader', long)
  const [{ id } = { id: '' }] = messagesOf((await call(mcp, 'wait_for_messages', { timeout_s: 50 })).value)
  const early = (await call(mcp, 'read_messages', { done: [id] })).value
  t.match(early, { acknowledged: 0, not_acknowledged: [id], unread: 1 })
  const { value } = await call(mcp, 'read_messages', { ids: [id], done: [id] })
  t.equal(messagesOf(value)[0]?.content, long)
  t.match(value, { acknowledged: 1, unread: 0 })
  t.match((await call(mcp, 'read_messages', { ids: [id] })).value, { missing: [id] })

  await bob.send('reader', 'short')
  const [short] = messagesOf((await call(mcp, 'wait_for_messages', { timeout_s: 50 })).value)
  t.match((await call(mcp, 'read_messages', { done: [short?.id] })).value, { acknowledged: 1 }, 'a preview was all')
})

t.test('18.2 a message of 64 KiB can be read to its end, and one result is bounded', async t => {
  const mcp = await startModel(t, wsUrl, 'long-reader')
  const text = `${'a\tb\u001b\\ 😀'.repeat(6_500)}token 4711`
  for (let count = 0; count < 3; count += 1) await bob.send('long-reader', text)
  const ids: string[] = []
  for (let after: unknown = 0; ids.length < 3; ) {
    const { value } = await call(mcp, 'wait_for_messages', { timeout_s: 50, after })
    ids.push(...messagesOf(value).map(({ id }) => id))
    after = value.cursor
  }
  const [id = ''] = ids
  let whole = ''
  for (let offset: unknown = 0; offset !== undefined; ) {
    const { value, text: line } = await call(mcp, 'read_messages', { ids: [id], offset })
    t.ok(line.length < 90_000, `${line.length} characters`)
    const [part] = messagesOf(value)
    whole += part ? textOf(part) : ''
    offset = part?.next_offset
  }
  t.equal(whole, text)
  t.match((await call(mcp, 'read_messages', { done: [id] })).value, { acknowledged: 1 })

  const { value, text: line } = await call(mcp, 'read_messages', { ids: ids.slice(1), done: ids.slice(1) })
  t.ok(line.length < 120_000, `${line.length} characters`)
  t.match(value, { acknowledged: 0, not_acknowledged: ids.slice(1) }, 'neither was shown to its end')
})

t.test('18.1 a late reply reaches the asker with the id of the request', async t => {
  const mcp = await startModel(t, wsUrl, 'slow')
  const asker = await startModel(t, wsUrl, 'asker')
  const asked = await call(asker, 'request', { to: 'slow', text: 'how long?', timeout_s: 1 })
  t.match(asked, { isError: true, text: /^request_timeout: slow did not reply to [\w-]{22} within 1 s/ })
  const waiting = async () => messagesOf((await call(mcp, 'wait_for_messages', { timeout_s: 50 })).value)[0]
  let request = await waiting()
  while (!request?.expired) request = await waiting()
  t.match(request, { kind: 'request' })
  t.match((await call(mcp, 'reply', { id: request?.id, text: 'a day' })).value, { late: true, to: 'asker', unread: 0 })
  const { value } = await call(asker, 'wait_for_messages', { timeout_s: 50, thread: request?.id })
  t.match(messagesOf(value), [{ re: request?.id, preview: 'a day', from: 'slow' }])
  t.match(asked.text, request?.id)
})

t.test('18.1 the answer to a call that the host has given up stays readable', async t => {
  const mcp = await startModel(t, wsUrl, 'hurried')
  const stop = bob.onRequest(async () => {
    await new Promise(resolve => setTimeout(resolve, 3_500))
    return `here: ${'x'.repeat(300)}`
  })
  // A host that gives a call up without a word ignores its result.
  await call(mcp, 'request', { to: 'bob', text: 'slowly', timeout_s: 40 })
  const { value } = await call(mcp, 'wait_for_messages', { timeout_s: 0 })
  const [answer] = Array.isArray(value.answers) ? value.answers : []
  t.match(answer, { from: 'bob', kind: 'reply', preview: /^here: x/ })
  const read = (await call(mcp, 'read_messages', { ids: [answer.re] })).value
  t.equal(messagesOf(read)[0]?.content.length, 306)
  t.notOk((await call(mcp, 'wait_for_messages', { timeout_s: 0 })).value.answers, 'once')
  await stop()
})

t.test('18.4 list_agents has a cursor', async t => {
  const mcp = await startModel(t, wsUrl, 'lister')
  const names: string[] = []
  for (let after: unknown, pages = 0; pages < 20; pages += 1) {
    const { value } = await call(mcp, 'list_agents', { limit: 2, after })
    const { agents = [], cursor } = value as { agents?: { name: string }[]; cursor?: string }
    names.push(...agents.map(({ name }) => name))
    after = cursor
    if (cursor === undefined) break
  }
  t.same(names, [...new Set(names)].sort())
  t.ok(
    ['asker', 'bob', 'hurried', 'lister', 'reader', 'slow'].every(name => names.includes(name)),
    `${names}`,
  )
})
