import { createHmac } from 'node:crypto'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { signature, webhookDeliver } from '../../../src/cli/delivery/webhook.ts'
import { openAgentAt, registerAgent, temporaryDirectory } from '../../../tools/clients/agents.ts'
import { listenOnLoopback } from '../../../tools/net/listen.ts'
import { startTestNode } from '../../../tools/servers/running-node.ts'
import { jsonLines } from '../../fixtures/cli/cli.ts'
import { openCliWorld } from '../../fixtures/cli/cli-world.ts'

t.test('listen wakes an agent that is not running', async t => {
  const { wsUrl } = await startTestNode(t)
  const world = await openCliWorld(t, wsUrl)
  const alice = await registerAgent(t, wsUrl, 'alice')
  const directory = await temporaryDirectory(t)

  t.test(
    'a command that fails, is killed or hangs gets its message again; order is kept and nothing is lost',
    async t => {
      await world.register('bob')
      const script = `${directory}/worker.sh`
      // The first message fails in three ways, and is then accepted. The file has the accepted messages.
      await writeFile(
        script,
        `read -r line
n=$(cat ${directory}/tries 2>/dev/null || echo 0)
echo $((n + 1)) > ${directory}/tries
case $n in
  0) exit 7 ;;
  1) kill -9 $$ ;;
  2) sleep 1000 & wait ;;
esac
echo "$line" >> ${directory}/taken
`,
      )
      const texts = ['one', 'two; rm -rf $HOME `id` \u001b[2J', 'three']
      for (const text of texts) await alice.send('bob', text)
      const listening = world.start('bob', [
        'listen',
        '--json',
        '--count',
        '3',
        '--exec',
        `sh ${script}`,
        '--exec-timeout',
        '2',
      ])
      t.equal(await listening.end(), 0)
      const taken = jsonLines(await readFile(`${directory}/taken`, 'utf8'))
      t.same(
        taken.map(({ body }) => body),
        texts,
      )
      const notes = listening.stderr
        .filter(line => line.includes('"not-taken"'))
        .map(line => JSON.parse(line).error.message)
      t.same(notes, [
        'the command ended with 7',
        'the command ended with 137',
        'the command took too long and was killed',
      ])
      t.equal((await world.run('bob', ['recv', '--json'])).stdout, '', 'all three are acknowledged')
    },
  )

  t.test('18.6 a command gets no secret, and a child that it leaves behind holds up no reply', async t => {
    await world.register('keeper')
    const env = {
      AIMESSAGE_WEBHOOK_SECRET: 'canary-1',
      AIMESSAGE_MCP_TOKEN: 'canary-2',
      AIMESSAGE_ADMIN_TOKEN: 'canary-3',
      AIMESSAGE_INVITE: 'canary-4',
      ADMIN_TOKEN: 'canary-5',
      REDIS_URL: 'canary-6',
    }
    const command = 'cat >/dev/null; sleep 1000 & echo $!; env | grep -E "canary|AIMESSAGE_(FROM|HOME)"'
    const listening = world.start('keeper', ['listen', '--json', '--count', '1', '--exec', command], { env })
    await listening.until(line => line.includes('"listening"'))
    const { text = '' } = await alice.request('keeper', 'what do you see?', { timeoutMs: 600_000 })
    const [child = '', ...seen] = text.split('\n')
    process.kill(Number(child))
    t.same(seen.sort(), ['AIMESSAGE_FROM=alice', `AIMESSAGE_HOME=${world.home}`])
    t.equal(await listening.end(), 0)
  })

  t.test('18.6 a request whose sender has stopped to wait runs no command, and the next message is taken', async t => {
    await world.register('sleeper')
    const asker = await registerAgent(t, wsUrl, 'asker')
    const sleeper = await openAgentAt(t, wsUrl, world.directory('sleeper'))
    const asked = asker.request('sleeper', 'soon', { timeoutMs: 1_500 })
    asked.catch(() => {})
    const [request] = (await sleeper.mailbox.wait({ waitMs: 600_000 })).messages
    await sleeper.close()
    await asker.close()
    await delay(Math.max(0, (request?.deadline ?? 0) - Date.now()) + 10)
    await alice.send('sleeper', 'a message')
    const log = `${directory}/ran`
    const listening = world.start('sleeper', ['listen', '--json', '--count', '2', '--exec', `cat >> ${log}`])
    t.equal(await listening.end(), 0)
    t.same(
      jsonLines(await readFile(log, 'utf8')).map(({ body }) => body),
      ['a message'],
    )
  })

  t.test('the output of the command for a request is the reply', async t => {
    await world.register('clerk')
    const listening = world.start('clerk', [
      'listen',
      '--json',
      '--count',
      '1',
      '--exec',
      'cat >/dev/null; echo "four"',
    ])
    await listening.until(line => line.includes('"listening"'))
    const answer = await alice.request('clerk', 'two and two?', { timeoutMs: 60_000 })
    t.equal(answer.text, 'four')
    t.equal(await listening.end(), 0)
  })

  t.test('a webhook call is signed, and a message that it does not accept is sent again', async t => {
    await world.register('carol')
    const bodies: string[] = []
    const server = createServer(async (request, response) => {
      let body = ''
      for await (const chunk of request) body += chunk
      bodies.push(body)
      const [, seconds = '', hmac] =
        /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(request.headers['aimessage-signature'])) ?? []
      t.equal(hmac, createHmac('sha256', secret).update(`${seconds}.${body}`).digest('hex'))
      response.writeHead(bodies.length === 1 ? 503 : 204).end()
    })
    t.teardown(() => server.close())
    const port = await listenOnLoopback(server)
    const secret = 'a secret of some length'
    await alice.send('carol', 'first')
    await alice.send('carol', 'second')
    const options = { env: { AIMESSAGE_WEBHOOK_SECRET: secret } }
    const listening = world.start(
      'carol',
      ['listen', '--count', '2', '--webhook', `http://127.0.0.1:${port}/`],
      options,
    )
    t.equal(await listening.end(), 0)
    t.same(
      bodies.map(body => JSON.parse(body).body),
      ['first', 'first', 'second'],
    )
  })

  t.test('--touch sets the time of a file when a message arrives, and acknowledges nothing', async t => {
    await world.register('dora')
    const file = `${directory}/mail`
    const listening = world.start('dora', ['listen', '--json', '--touch', file])
    await listening.until(line => line.includes('"listening"'))
    await alice.send('dora', 'wake up')
    for (;;) if (await stat(file).catch(() => undefined)) break
    const { stdout } = await world.run('dora', ['recv', '--json'])
    t.match(jsonLines(stdout), [{ body: 'wake up' }])
    listening.child.kill('SIGTERM')
    t.equal(await listening.end(), 0, 'listen continues while another process of the agent receives')
  })

  t.test('invalid options are refused with a text that says how to correct them', async t => {
    await world.register('eve')
    for (const [args, message] of [
      [['--webhook', 'ftp://x'], /is not an http\(s\) URL/],
      [['--webhook', 'https://x'], /AIMESSAGE_WEBHOOK_SECRET/],
      [
        ['--webhook', 'http://hooks.example.com/in'],
        /unencrypted: write https:\/\/hooks\.example\.com, or add --plain/,
      ],
      [['--webhook', 'http://hooks.example.com/in', '--plain-webhook'], /AIMESSAGE_WEBHOOK_SECRET/],
      [['--exec', 'true', '--touch', 'x'], /one of --exec, --webhook and --touch/],
    ] as const) {
      const { code, stderr } = await world.run('eve', ['listen', ...args])
      t.equal(code, 2)
      t.match(stderr, message)
    }
  })

  t.test('request sends a request and shows the reply', async t => {
    await world.register('frank')
    alice.onRequest(({ text }) => ({ json: { heard: text } }))
    const { stdout, code } = await world.run('frank', ['request', 'alice', 'hello?', '--json', '--timeout', '60'])
    t.equal(code, 0)
    t.match(jsonLines(stdout), [
      { from: 'alice', body: '{"heard":"hello?"}', mediaType: 'application/json', kind: 'reply' },
    ])
  })
})

t.test('17.13 a webhook gets decrypted messages over TLS, in private networks, or where the user says so', async t => {
  const secret = 'a secret of some length'
  const refusal = (url: string, isPlainAllowed = false): string => {
    try {
      webhookDeliver(url, { secret, isPlainAllowed })
      return ''
    } catch (error) {
      return String(error)
    }
  }
  for (const url of [
    'http://hooks.example.com/in',
    'http://203.0.113.5',
    'http://[2001:db8::1]',
    'http://10.evil.example',
  ])
    t.match(refusal(url), /would send decrypted messages unencrypted: write https:/, url)
  for (const host of ['localhost', '127.0.0.1:9', '[::1]', 'worker', '10.1.2.3', '192.168.0.9', '[fd00::1]'])
    t.equal(refusal(`http://${host}/in`), '', host)
  t.equal(refusal('https://hooks.example.com/in'), '')
  t.equal(refusal('http://hooks.example.com/in', true), '')
  t.match(refusal('https://me:secret@hooks.example.com/in'), /must not contain a user name or a password/)
})

t.test('the webhook signature is the HMAC-SHA-256 of time and body', async t => {
  t.equal(
    signature('a secret of some length', 1, '{}'),
    `t=1,v1=${createHmac('sha256', 'a secret of some length').update('1.{}').digest('hex')}`,
  )
})
