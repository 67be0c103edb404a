import { request } from 'node:http'
import t from 'tap'
import { readConfig } from '../../../src/server/base/config.ts'
import { openLogger } from '../../../src/server/base/logger.ts'
import { isAllowedHost, isAllowedOrigin } from '../../../src/server/base/own-host.ts'
import { openTestStore, startTestNode, withFaults } from '../../../tools/servers/running-node.ts'

/** Sends a request with any `Host`, which `fetch` does not allow. Resolves with the status; 101 for an upgrade. */
function ask(url: string, path: string, headers: Record<string, string>, method = 'GET'): Promise<number> {
  return new Promise((resolve, reject) => {
    const asking = request(`${url}${path}`, {
      agent: false,
      method,
      headers: { 'content-type': 'application/json', ...headers },
    })
    asking.on('response', answer => {
      answer.resume()
      resolve(answer.statusCode ?? 0)
    })
    asking.on('upgrade', (_answer, socket) => {
      socket.destroy()
      resolve(101)
    })
    asking.on('error', reject)
    asking.end(method === 'POST' ? '{"username":"alice"}' : undefined)
  })
}

const upgrade = {
  connection: 'Upgrade',
  upgrade: 'websocket',
  'sec-websocket-version': '13',
  'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
  'sec-websocket-protocol': 'aimessage.v1',
}

t.test(
  '17.10 a page whose name was rebound to loopback reaches nothing of a node, its metrics and its operator',
  async t => {
    const env = { METRICS_PORT: '0', ADMIN_TOKEN: 'x'.repeat(40) }
    const { url, port, metricsUrl } = await startTestNode(t, env)
    const metrics = new URL(metricsUrl ?? '').origin
    for (const name of [
      'evil.example',
      'evil.example:80',
      '127.0.0.1.evil.example',
      'localhost.evil.example',
      '10.0.0.1',
    ]) {
      const host = name.includes(':') ? name : `${name}:${port}`
      const rebound = { host, origin: `http://${host}` }
      t.equal(await ask(url, '/ws', { ...upgrade, ...rebound }), 403, `${host}: upgrade`)
      t.equal(await ask(url, '/ws', { ...upgrade, host }), 403, `${host}: upgrade without an origin`)
      t.equal(await ask(url, '/v1/auth/challenge', rebound, 'POST'), 403, `${host}: challenge`)
      t.equal(await ask(url, '/v1/users', { host }), 403, `${host}: list`)
      t.equal(await ask(url, '/health/ready', { host }), 403, `${host}: health`)
      t.equal(await ask(url, '/openapi.json', { host }), 403, `${host}: description`)
      t.equal(
        await ask(url, '/v1/admin/nodes', { host, authorization: `Bearer ${'x'.repeat(40)}` }),
        403,
        `${host}: operator`,
      )
      t.equal(await ask(url, '/nothing', { host }), 403, `${host}: no route`)
      t.equal(await ask(metrics, '/metrics', { host }), 403, `${host}: metrics`)
    }
    t.equal(await ask(metrics, '/metrics', { origin: `http://127.0.0.1:${port}` }), 403, 'no page reads metrics')
  },
)

t.test('17.10 the own names of a node on loopback are served', async t => {
  const { url, port, metricsUrl } = await startTestNode(t, { METRICS_PORT: '0' })
  for (const name of ['127.0.0.1', 'localhost', 'LOCALHOST', '[::1]', '127.9.8.7', 'localhost.']) {
    const host = `${name}:${port}`
    t.equal(await ask(url, '/health/ready', { host }), 200, host)
    t.equal(await ask(url, '/ws', { ...upgrade, host }), 101, host)
    t.equal(await ask(new URL(metricsUrl ?? '').origin, '/metrics', { host }), 200, host)
  }
  const host = `localhost:${port}`
  t.equal(await ask(url, '/ws', { ...upgrade, host, origin: `http://${host}` }), 101, 'a page of the node')
  t.equal(await ask(url, '/v1/auth/challenge', { host, origin: `http://${host}` }, 'POST'), 200)
  t.equal(await ask(url, '/ws', { ...upgrade, host, origin: 'http://localhost:3000' }), 403, 'another local page')
  t.equal(await ask(url, '/v1/auth/challenge', { host, origin: 'http://localhost:3000' }, 'POST'), 403)
  t.equal(await ask(url, '/v1/auth/challenge', { host, origin: 'https://evil.example' }, 'POST'), 403)
  t.equal(await ask(url, '/v1/auth/challenge', { host, origin: 'null' }, 'POST'), 403)
})

t.test('17.10 behind a proxy on the same machine, the domain and listed origins are served', async t => {
  const { url } = await startTestNode(t, { DOMAIN: 'agents.example', TRUST_PROXY: '127.0.0.1' })
  t.equal(await ask(url, '/ws', { ...upgrade, host: 'agents.example', origin: 'https://agents.example' }), 101)
  t.equal(await ask(url, '/ws', { ...upgrade, host: 'evil.example', 'x-forwarded-host': 'agents.example' }), 403)
  const evil = { host: 'agents.example', origin: 'https://evil.example', 'x-forwarded-host': 'evil.example' }
  t.equal(await ask(url, '/ws', { ...upgrade, ...evil }), 403, 'a forwarded host is the word of the request, too')
  const listed = await startTestNode(t, { DOMAIN: 'agents.example', ALLOWED_ORIGINS: 'https://app.example' })
  t.equal(await ask(listed.url, '/ws', { ...upgrade, host: 'app.example', origin: 'https://app.example' }), 101)
})

t.test('17.10 on every interface, "the same host" means the domain, and never what the request says', async t => {
  const config = readConfig({ HOST: '0.0.0.0', DOMAIN: 'agents.example' })
  const evil = { host: 'evil.example', origin: 'http://evil.example' }
  t.equal(isAllowedOrigin(config, evil), false)
  t.equal(isAllowedOrigin(config, { host: '192.168.0.5:8080', origin: 'http://192.168.0.5:8080' }), false)
  t.equal(isAllowedOrigin(config, { host: 'node1:8080', origin: 'https://agents.example' }), true, 'a proxy set Host')
  t.equal(isAllowedOrigin(config, { host: 'agents.example:8443', origin: 'https://agents.example:8443' }), true)
  t.equal(isAllowedOrigin(config, { host: 'agents.example', origin: 'https://agents.example:8443' }), false)
  t.equal(isAllowedHost(config, '10.1.2.3:8080'), true, 'probes by address go on')
})

t.test('18.9 HEAD and OPTIONS of the health routes are answered as GET, HEAD without a body', async t => {
  const node = await startTestNode(t)
  for (const path of ['/health/live', '/health/ready', '/health/ready?full=ok']) {
    for (const method of ['GET', 'HEAD', 'OPTIONS']) {
      const answer = await fetch(`${node.url}${path}`, { method })
      t.equal(answer.status, 200, `${method} ${path}`)
      t.equal((await answer.text()).length > 0, method !== 'HEAD', `${method} ${path}`)
    }
  }
  t.equal((await fetch(`${node.url}/health/ready`, { method: 'POST' })).status, 405)
  const withoutStore = withFaults(openTestStore(), { isReady: () => false })
  const { url } = await startTestNode(t, {}, { store: withoutStore })
  for (const method of ['GET', 'HEAD', 'OPTIONS']) {
    t.equal((await fetch(`${url}/health/ready`, { method })).status, 503, method)
    t.equal((await fetch(`${url}/health/live`, { method })).status, 200, method)
  }
})

t.test('18.9 X-Forwarded-For with ports and brackets gives each client its own address', async t => {
  const lines: string[] = []
  const log = openLogger('warn', { write: line => lines.push(line) })
  const env = { TRUST_PROXY: '127.0.0.1', MAX_CONNECTIONS_PER_ADDRESS: '1' }
  const { url } = await startTestNode(t, env, { log })
  /** Keeps the socket open until the test ends. */
  const dial = async (from: string): Promise<number | undefined> => {
    const call = request(`${url}/ws`, {
      agent: false,
      headers: { ...upgrade, host: 'localhost', 'x-forwarded-for': from },
    })
    t.teardown(() => call.destroy())
    call.on('error', () => {}).end()
    return new Promise(resolve => {
      call.on('upgrade', ({ statusCode }, socket) => {
        t.teardown(() => socket.destroy())
        socket.on('error', () => {})
        resolve(statusCode)
      })
      call.on('response', response => {
        resolve(response.statusCode)
        call.destroy()
      })
    })
  }
  const different = ['203.0.113.1:50001', '203.0.113.2:50002', '203.0.113.3', '[2001:db8:1::1]:5000', '[2001:db8:2::1]']
  for (const from of [...different, '198.51.100.9, 203.0.113.4:1', '2001:db8:3::1'])
    t.equal(await dial(from), 101, from)
  t.equal(await dial('203.0.113.1:50009'), 429, 'another port of the same client')
  t.equal(await dial('[2001:db8:1::2]'), 429, 'the same network')
  t.same(lines.length, 0)
  t.equal(await dial('_hidden'), 101)
  t.equal(await dial('unknown:80'), 429, 'text that is no address shares one limit')
  t.equal(lines.filter(line => line.includes('X-Forwarded-For without an address')).length, 1, 'said once')
})
