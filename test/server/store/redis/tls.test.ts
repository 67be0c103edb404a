import t from 'tap'
import { RawClient } from '../../../../tools/clients/raw-client.ts'
import { startCapture } from '../../../../tools/net/capture-proxy.ts'
import { openAuthority } from '../../../../tools/servers/certificates.ts'
import { runNodeProcess, startNodeProcess } from '../../../../tools/servers/node.ts'
import { freePort, startRedis } from '../../../../tools/servers/redis.ts'
import { nodeUser } from '../../../../tools/servers/redis-acl.ts'

const authority = await openAuthority(t)
const file = await authority.certify('localhost')
const tlsPort = await freePort()
const redis = await startRedis(t, {
  config: {
    'tls-port': String(tlsPort),
    'tls-cert-file': file,
    'tls-key-file': file,
    'tls-ca-cert-file': authority.caFile,
    'tls-auth-clients': 'no',
  },
})
await redis.cli('ACL', ...nodeUser('pass-canary'))

// Evidence: X3
t.test('nodes use Redis over TLS with their own user, and the traffic contains no plaintext', async t => {
  const capture = await startCapture(t, `http://127.0.0.1:${tlsPort}`)
  const { port } = new URL(capture.server)
  const env = {
    REDIS_URL: `rediss://aimessage:pass-canary@localhost:${port}`,
    NODE_EXTRA_CA_CERTS: authority.caFile,
    LOG_LEVEL: 'trace',
  }
  const [first, second] = await Promise.all([startNodeProcess(t, env), startNodeProcess(t, env)])
  const receiver = await RawClient.listening(t, first.wsUrl)
  const sender = await RawClient.loggedIn(t, second.wsUrl)
  const body = Buffer.from('body-canary').toString('base64url')
  t.match(await sender.request({ type: 'send', id: 'm1', to: receiver.user.username, body }), { type: 'accepted' })
  t.match(await receiver.pushes(1), [{ id: 'm1', body }])
  const line = capture.bytes()
  t.ok(line.length > 10_000, `${line.length} bytes were captured`)
  for (const word of ['aim:', 'pass-canary', body, receiver.user.username]) t.notOk(line.includes(word), word)
  for (const node of [first, second]) {
    t.equal(await node.stop(), 0)
    t.notMatch(node.logs().join('\n'), /pass-canary/)
  }
})

t.test('a node that does not trust the certificate does not start', async t => {
  const env = { PORT: '0', REDIS_URL: `rediss://aimessage:pass-canary@localhost:${tlsPort}` }
  const { code, stderr } = await runNodeProcess(env)
  t.equal(code, 1)
  t.match(stderr, /Redis is out of reach/)
  t.notMatch(stderr, /pass-canary/)
})

t.test('a node with a wrong password does not start', async t => {
  const env = { PORT: '0', REDIS_URL: `rediss://aimessage:word-canary@localhost:${tlsPort}` }
  const { code, stderr } = await runNodeProcess({ ...env, NODE_EXTRA_CA_CERTS: authority.caFile, LOG_LEVEL: 'silent' })
  t.equal(code, 2)
  t.match(stderr, /^REDIS_URL: .*WRONGPASS/m)
  t.notMatch(stderr, /canary/)
})
