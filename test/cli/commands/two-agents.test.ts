import t from 'tap'
import { startNodeProcess } from '../../../tools/servers/node.ts'
import { jsonError, jsonLines, runCli } from '../../fixtures/cli/cli.ts'
import { openCliWorld } from '../../fixtures/cli/cli-world.ts'
import { startLyingNode } from '../../fixtures/servers/lying-node.ts'

t.test('two agents use the commands on one node', async t => {
  const { wsUrl } = await startNodeProcess(t)
  const { run, register } = await openCliWorld(t, wsUrl)

  t.test('register shows the account, and whoami shows it again without a server', async t => {
    const registered = await run('anna', ['register', 'anna', '--json'])
    t.match(registered, { code: 0, stderr: '' })
    const [account] = jsonLines(registered.stdout)
    t.match(account, { username: 'anna', domain: 'localhost', address: 'anna@localhost', identity: /^[\w-]{43}$/ })
    const env = { AIMESSAGE_SERVER: 'ws://127.0.0.1:1' }
    t.same(jsonLines((await run('anna', ['whoami', '--json'], { env })).stdout), [account])
    const human = await run('anna', ['whoami'], { env })
    t.match(human.stdout, /^anna@localhost\nidentity key [\w-]{43}\n/)
    t.notMatch(human.stdout, '\x1b', 'no colours in a pipe')
  })

  // Evidence: U5
  t.test('registering the own name again succeeds', async t => {
    t.match(await run('anna', ['register', 'anna']), { code: 0, stdout: /^registered anna@localhost\n/ })
  })

  await register('alice', 'bob')

  t.test('a message given as an argument arrives', async t => {
    const sent = await run('alice', ['send', 'bob', 'hello, bob'])
    t.match(sent, { code: 0, stdout: /^sent [\w-]{22} to bob, who is away: it waits\n$/, stderr: '' })
    t.match(await run('bob', ['recv']), { code: 0, stdout: /^alice {2}\S+ \S+Z {2}first-use\n {4}hello, bob\n$/ })
  })

  t.test('standard input is sent byte for byte', async t => {
    const text = 'two\nlines \x1b[31m\u202e\u{1f680}\n'
    t.equal((await run('alice', ['send', 'bob'], { input: text })).code, 0)
    const bytes = Uint8Array.of(0x00, 0xff, 0xfe)
    const sent = await run('alice', ['send', 'bob@localhost', '--json', '--ttl', '60'], { input: bytes })
    const [accepted] = jsonLines(sent.stdout)
    t.match(accepted, { id: /^[\w-]{22}$/, to: 'bob@localhost', seq: Number, queued: true })

    const received = await run('bob', ['recv', '--json'])
    t.equal(received.code, 0)
    for (const line of jsonLines(received.stderr)) t.match(line, { event: String })
    t.notMatch(received.stdout.replaceAll('\n', ''), /[\p{Cc}\p{Cf}]/u)
    const [first, second] = jsonLines(received.stdout)
    t.same(Object.keys(first ?? {}), ['id', 'from', 'body', 'sentAt', 'verified', 'identity'])
    t.match(first, { from: 'alice', body: text, verified: 'first-use' })
    t.match(second, { id: accepted?.id, from: 'alice', bodyBase64: 'AP/+' })
  })

  t.test('recv shows each message once, at most --count, and waits no longer than needed', async t => {
    for (const text of ['one', 'two', 'three']) await run('alice', ['send', 'bob', '--', text])
    const bodies = async (...args: string[]) =>
      jsonLines((await run('bob', ['recv', '--json', ...args])).stdout).map(({ body }) => body)
    t.same(await bodies('--count', '1'), ['one'])
    t.same(await bodies('--wait', '600'), ['two', 'three'], 'waiting messages end the wait')
    t.same(await bodies('--wait', '0.2'), [], 'no message arrives')
  })

  t.test('recv --wait shows messages that arrive later', async t => {
    const [received] = await Promise.all([
      run('bob', ['recv', '--wait', '600', '--count', '2', '--json']),
      run('alice', ['send', 'bob', 'late']).then(() => run('alice', ['send', 'bob', 'later'])),
    ])
    t.same(
      jsonLines(received.stdout).map(({ body }) => body),
      ['late', 'later'],
    )
  })

  t.test('18.5 inbox looks and takes nothing; reply, send --re and ack answer by id', async t => {
    const asked = run('alice', ['request', 'bob', 'which port?', '--timeout', '600', '--json'])
    for (const text of ['long '.repeat(100), 'three'] as const) await run('alice', ['send', 'bob', text])
    const look = async (...args: string[]) => jsonLines((await run('bob', ['inbox', '--json', ...args])).stdout)
    let seen = await look('--wait', '60')
    while (seen.length < 3) seen = await look('--wait', '60')
    t.same(await look('--wait', '0'), seen, 'a look changes nothing')
    t.match(await look('--count'), [{ unread: 3 }])
    const byText = (text: string) => seen.find(({ preview }) => String(preview).startsWith(text))
    t.match(byText('long'), { from: 'alice', id: /^[\w-]{22}$/, preview: 'long '.repeat(40), more: 300 })
    t.match(byText('which'), { kind: 'request', deadline: Number })
    const idOf = (text: string) => String(byText(text)?.id)

    t.match(await run('bob', ['reply', idOf('which'), '4711', '--json']), { code: 0 })
    t.match(jsonLines((await asked).stdout), [{ body: '4711', re: idOf('which') }])
    t.match(await run('bob', ['send', 'alice', 'read it', '--re', idOf('long')]), { code: 0 })
    t.match(jsonLines((await run('alice', ['recv', '--json', '--wait', '600'])).stdout), [
      { re: idOf('long'), hops: 1 },
    ])
    t.match(await run('bob', ['ack', idOf('long')]), { code: 0, stdout: 'acknowledged 1\n' })
    t.match(await run('bob', ['reply', idOf('three')], { input: 'four' }), { code: 0 })
    t.match(await look('--count', '--wait', '0'), [{ unread: 0 }])
    const human = await run('bob', ['inbox', '--wait', '0'])
    t.match(human, { code: 0, stdout: '', stderr: /no unread messages/ })
    for (const args of [
      ['ack', idOf('three')],
      ['reply', idOf('three'), 'again'],
      ['send', 'alice', 'x', '--re', 'no'],
    ])
      t.match(await run('bob', args), { code: 3, stderr: /not_open|inbox/ })
    t.match(jsonLines((await run('alice', ['recv', '--json', '--wait', '600'])).stdout), [{ body: 'four' }])
  })

  t.test('users lists users by name, and filters by prefix and presence', async t => {
    const names = async (...args: string[]) =>
      jsonLines((await run('alice', ['users', '--json', ...args])).stdout).map(({ username }) => username)
    t.same(await names(), ['alice', 'anna', 'bob'])
    t.same(await names('--prefix', 'a'), ['alice', 'anna'])
    t.same(await names('--online'), [])
    t.match((await run('alice', ['users'])).stdout, /^alice +last seen 2\S+ \S+Z\n/)
  })

  t.test('options are accepted before the command and after it', async t => {
    const result = await runCli(t, ['--server', wsUrl, '--home', '/nonexistent/aimessage', '--json', 'whoami'])
    t.equal(result.code, 5)
    t.equal(jsonError(result).code, 'not_registered')
  })

  t.test('the help of serve describes a node', async t => {
    t.match(await runCli(t, ['serve', '--help']), { code: 0, stdout: /run a node/ })
  })
})

t.test('the login is stored and used again, until logout', async t => {
  const { wsUrl } = await startNodeProcess(t)
  const { server, lies } = await startLyingNode(t, wsUrl)
  const logins: string[] = []
  lies.toNode = frame => {
    if (frame.type === 'register') logins.push('register')
    if (frame.type === 'authenticate') logins.push('signature' in frame ? 'signature' : 'token')
    return frame
  }
  const { run } = await openCliWorld(t, server)
  for (const args of [['register', 'alice'], ['users'], ['recv'], ['logout'], ['users'], ['users']]) {
    t.match(await run('alice', args), { code: 0, stderr: '' }, args.join(' '))
  }
  t.same(logins, ['register', 'token', 'token', 'token', 'signature', 'token'])
})
