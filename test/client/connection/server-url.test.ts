import t from 'tap'
import { parseServerUrl, ServerUrlError } from '../../../src/client/connection/server-url.ts'

const refusal = (text: string): string => {
  try {
    return `dials ${parseServerUrl(text).url}`
  } catch (error) {
    return error instanceof ServerUrlError ? error.message : String(error)
  }
}

t.test('a server is a ws or http URL, with or without TLS, and is dialled at /ws', async t => {
  const dialled: [string, string, string][] = [
    ['ws://localhost:8080', 'ws://localhost:8080/ws', 'localhost'],
    ['http://127.0.0.1:1/', 'ws://127.0.0.1:1/ws', 'localhost'],
    ['ws://[::1]:8080/ws', 'ws://[::1]:8080/ws', 'localhost'],
    ['https://agents.example', 'wss://agents.example/ws', 'agents.example'],
    ['wss://agents.example:8443/relay/', 'wss://agents.example:8443/relay/ws', 'agents.example'],
  ]
  for (const [text, url, domain] of dialled) t.same(parseServerUrl(text), { url, domain }, text)
})

// Evidence: K13, X1, W1
t.test('a login goes over the internet only with TLS', async t => {
  const open = ['ws://agents.example', 'http://agents.example:8080', 'ws://203.0.113.5', 'ws://[2001:db8::1]:8080']
  const close = [
    'ws://10.evil.example',
    'ws://192.168.1.1.evil.example',
    'ws://localhost.evil.example',
    'ws://172.32.0.1',
    'ws://[fc::1]',
    'ws://[::ffff:203.0.113.5]',
  ]
  for (const text of [...open, ...close]) t.match(refusal(text), /unencrypted: write wss:\/\//, text)
})

t.test('on this machine and in private networks, a login may go without TLS', async t => {
  for (const host of [
    'localhost',
    '127.0.0.1',
    '[::1]',
    'node1',
    '10.1.2.3',
    '192.168.0.9',
    '172.20.0.2',
    '[fd00::1]',
  ]) {
    t.equal(refusal(`ws://${host}:8080`), `dials ws://${host}:8080/ws`)
  }
})

t.test('the error for an invalid server names it and says what to write', async t => {
  for (const text of ['', 'agents.example', 'ftp://agents.example', 'wss://user:secret@agents.example']) {
    t.match(refusal(text), /is not a server URL: write ws:\/\//, text)
  }
})

t.test('18.9 inside a cluster and in networks that are not public, a login may go without TLS', async t => {
  const inside = ['aimessage.messaging.svc', 'aimessage.messaging.svc.cluster.local', 'pod-0.aimessage.messaging.svc']
  for (const host of [...inside, 'host.docker.internal', '100.64.0.1', '100.101.102.103', '100.127.255.255'])
    t.equal(parseServerUrl(`ws://${host}:8080`).url, `ws://${host}:8080/ws`, host)
  const outside = ['svc.example', 'a.svc.evil.example', 'a.svc.cluster.local.evil.example', 'a.cluster.local', 'svc.a']
  const near = [
    '100.63.0.1',
    '100.128.0.1',
    '100.64.evil.example',
    'xhost.docker.internal',
    'docker.internal',
    'a.local',
  ]
  for (const host of [...outside, ...near]) t.match(refusal(`ws://${host}`), /unencrypted/, host)
})
