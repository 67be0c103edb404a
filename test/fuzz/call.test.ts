import { createServer } from 'node:net'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { HttpCaller } from '../../fuzz/call.ts'
import { Findings } from '../../fuzz/findings.ts'
import { type FuzzRequest, request } from '../../fuzz/requests.ts'
import { adminRoutes } from '../../src/protocol/admin-http.ts'
import { httpRoutes } from '../../src/protocol/http.ts'
import { listenOnLoopback } from '../../tools/net/listen.ts'

/** Returns the findings for a server that answers every request with `answer` and closes. */
async function findAt(t: Test, answer: string, input: FuzzRequest): Promise<Findings> {
  const server = createServer(socket => {
    socket.on('error', () => {})
    socket.once('data', () => socket.end(answer))
    socket.once('end', () => socket.end())
  })
  t.teardown(() => server.close())
  const findings = new Findings()
  const target = {
    node: { url: `http://127.0.0.1:${await listenOnLoopback(server)}` },
    adminToken: 'x',
    nextAddress: () => '127.0.0.1',
  }
  const caller = new HttpCaller(target, findings)
  await caller.call(input, 'token')
  caller.close()
  return findings
}

const call: FuzzRequest = {
  kind: 'call',
  method: 'GET',
  path: '/v1/users',
  as: 'user',
  contentType: undefined,
  body: undefined,
}

t.test('a call or bytes without an answer are a violation, however the connection ended', async t => {
  const cut = 'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{'
  for (const [answer, input] of [
    ['', call],
    [cut, call],
    ['', { kind: 'bytes', text: 'GET ' }],
    ['', { kind: 'bytes', text: '\u0000' }],
  ] as const) {
    const { faults, answers } = await findAt(t, answer, input)
    t.match(faults, [/^no answer: /])
    t.equal(answers.size, 0)
  }
})

t.test('empty input and line ends alone are no request, and are counted separately', async t => {
  for (const text of ['', '\r\n\r\n']) {
    const { faults, answers } = await findAt(t, '', { kind: 'bytes', text })
    t.same(faults, [])
    t.same([...answers], [['no answer, no request', 1]])
  }
})

t.test('every route of both tables is called with a correct token, a wrong one and none', async t => {
  const known = { username: ['alice'], session: ['s'], id: ['i'], node: ['n'] }
  const inputs = fc.sample(request(known, known), { seed: 1, numRuns: 3_000 })
  const calls = inputs.flatMap(input => (input.kind === 'call' ? [input] : []))
  const callersOf = (method: string, pattern: RegExp) =>
    new Set(calls.filter(each => each.method === method && pattern.test(each.path)).map(({ as }) => as))
  for (const [owner, table] of [
    ['user', httpRoutes],
    ['operator', adminRoutes],
  ] as const) {
    const all = new Set<string>()
    for (const { method, path } of Object.values(table)) {
      const callers = callersOf(method, new RegExp(`^${path.replace(/:\w+/, '[^/]*')}(\\?|$)`))
      t.ok(callers.has(owner), `${method} ${path}`)
      for (const caller of callers) all.add(caller)
    }
    t.same([...all].sort(), ['liar', 'operator', 'stranger', 'user'])
  }
})
