import t from 'tap'
import { startTestNode } from '../../../tools/servers/running-node.ts'
import { jsonLines } from '../../fixtures/cli/cli.ts'
import { openCliWorld } from '../../fixtures/cli/cli-world.ts'

const isListening = (line: string) => line.includes('listening')

t.test('listen shows messages as they arrive, and ends after --count messages', async t => {
  const { wsUrl } = await startTestNode(t)
  const { run, start, register } = await openCliWorld(t, wsUrl)
  await register('alice', 'bob')
  const listening = start('bob', ['listen', '--json', '--count', '2'])
  await listening.until(isListening)
  t.match(jsonLines((await run('alice', ['send', 'bob', 'one', '--json'])).stdout), [{ queued: false }])
  await listening.lines(1)
  await run('alice', ['send', 'bob', 'two'])
  t.equal(await listening.end(), 0)
  t.match(jsonLines(listening.stdout.join('\n')), [
    { body: 'one', from: 'alice' },
    { body: 'two', from: 'alice' },
  ])
  const events = jsonLines(listening.stderr.join('\n')).map(({ event }) => event)
  for (const event of ['connected', 'listening', 'session']) t.ok(events.includes(event), event)
})

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  // Evidence: P8
  t.test(`${signal} ends listen within a second, with exit code 0`, async t => {
    const { wsUrl } = await startTestNode(t)
    const { start, register } = await openCliWorld(t, wsUrl)
    await register('bob')
    const listening = start('bob', ['listen'])
    await listening.until(isListening)
    const since = performance.now()
    listening.child.kill(signal)
    t.equal(await listening.end(), 0)
    t.ok(performance.now() - since < 1_000, `${Math.round(performance.now() - since)} ms`)
    t.same(listening.stdout, [])
  })
}

// Evidence: P8
t.test('SIGINT ends listen while it reconnects to an absent server', async t => {
  const node = await startTestNode(t)
  const { start, register } = await openCliWorld(t, node.wsUrl)
  await register('bob')
  const listening = start('bob', ['listen', '--json'])
  await listening.until(isListening)
  await node.close()
  await listening.until(line => line.includes('"reconnecting"'))
  const since = performance.now()
  listening.child.kill('SIGINT')
  t.equal(await listening.end(), 0)
  t.ok(performance.now() - since < 1_000, `${Math.round(performance.now() - since)} ms`)
})

t.test('SIGINT ends a waiting recv with exit code 130', async t => {
  const { wsUrl } = await startTestNode(t)
  const { start, register } = await openCliWorld(t, wsUrl)
  await register('bob')
  const waiting = start('bob', ['recv', '--wait', '600', '--json'])
  await waiting.until(isListening)
  waiting.child.kill('SIGINT')
  t.equal(await waiting.end(), 130)
})

t.test('a replaced listen names the instance that replaced it, and ends with exit code 3', async t => {
  const { wsUrl } = await startTestNode(t)
  const { start, register } = await openCliWorld(t, wsUrl)
  await register('bob')
  const first = start('bob', ['listen', '--json'])
  await first.until(isListening)
  const second = start('bob', ['listen'])
  await second.until(isListening)
  t.equal(await first.end(), 3)
  const said = jsonLines(first.stderr.join('\n'))
  t.match(
    said.find(({ event }) => event === 'replaced'),
    { instance: /^[\w-]{22}$/ },
  )
  t.match(said.at(-1), { error: { code: 'replaced' } })
  second.child.kill('SIGINT')
  t.equal(await second.end(), 0)
})
