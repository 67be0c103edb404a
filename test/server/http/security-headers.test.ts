import t from 'tap'
import { HttpClient } from '../../../tools/clients/http-client.ts'
import { newUser } from '../../../tools/clients/raw-client.ts'
import { startTestNode } from '../../../tools/servers/running-node.ts'

// Evidence: X13, API8
t.test('every response forbids other sites to embed or read it, and browsers to guess its type', async t => {
  const { url } = await startTestNode(t, { TRUST_PROXY: '127.0.0.1' })
  const client = await HttpClient.loggedIn(url, newUser())
  const paths = ['/v1/users', '/v1/nothing', '/v1/users/A:b', '/health/ready', '/openapi.json', '/nothing', '/ws']
  for (const path of paths) {
    const { headers } = await client.call('GET', path)
    t.equal(headers.get('x-content-type-options'), 'nosniff', path)
    t.equal(headers.get('x-frame-options'), 'DENY', path)
    t.equal(headers.get('referrer-policy'), 'no-referrer', path)
    t.equal(headers.get('cross-origin-resource-policy'), 'same-origin', path)
    t.equal(headers.get('content-security-policy'), "default-src 'none'; frame-ancestors 'none'", path)
    t.equal(headers.get('cache-control'), path.startsWith('/v1/') ? 'no-store' : null, path)
    t.equal(headers.get('access-control-allow-origin'), null, path)
    t.equal(headers.get('strict-transport-security'), null, 'not over a line without TLS')
    t.equal(headers.get('server') ?? headers.get('x-powered-by'), null, path)
  }
  const overTls = await client.call('GET', '/v1/users', undefined, { 'x-forwarded-proto': 'https' })
  t.equal(overTls.headers.get('strict-transport-security'), 'max-age=31536000')
})

t.test('the documentation page loads only the resources that its policy allows', async t => {
  const { url } = await startTestNode(t)
  const policy = (await fetch(`${url}/docs/`)).headers.get('content-security-policy') ?? ''
  t.match(policy, /default-src 'self'/)
  t.notMatch(policy, /unsafe-eval|\*/)
})
