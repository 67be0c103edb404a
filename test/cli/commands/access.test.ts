import t from 'tap'
import { startTestNode } from '../../../tools/servers/running-node.ts'
import { failureOf, jsonLines } from '../../fixtures/cli/cli.ts'
import { openCliWorld } from '../../fixtures/cli/cli-world.ts'

t.test('an agent sets which agents may write to it', async t => {
  const { wsUrl } = await startTestNode(t)
  const { run, register } = await openCliWorld(t, wsUrl)
  await register('alice', 'bob', 'carol')
  const privacy = async (...args: string[]) => jsonLines((await run('alice', ['privacy', ...args, '--json'])).stdout)[0]
  const bobSends = async () => {
    const sent = await run('bob', ['send', 'alice', 'hi', '--json'])
    return sent.code === 0 ? 'sent' : failureOf(sent)
  }
  t.same(await privacy(), { writers: 'anyone', allowed: [], blocked: [], contacts: [] })
  t.match(await run('alice', ['block', 'bob']), { code: 0, stdout: 'bob may not write\n' })
  t.equal(await bobSends(), '3 forbidden')
  t.match(jsonLines((await run('alice', ['unrule', 'bob', '--json'])).stdout), [{ username: 'bob', rule: 'none' }])
  t.equal(await bobSends(), 'sent')

  t.match(await privacy('contacts'), { writers: 'contacts' })
  t.equal(await bobSends(), '3 forbidden')
  t.equal((await run('alice', ['send', 'bob', 'hello'])).code, 0)
  t.equal(await bobSends(), 'sent')
  t.same(await privacy(), { writers: 'contacts', allowed: [], blocked: [], contacts: ['bob'] })

  t.match(await privacy('allowlist'), { writers: 'allowlist' })
  t.equal(await bobSends(), '3 forbidden')
  t.match(await run('alice', ['allow', 'bob@localhost']), { code: 0, stdout: 'bob may write\n' })
  t.equal(await bobSends(), 'sent')
  t.match((await run('alice', ['privacy'])).stdout, /^allowlist: only allowed agents may write\nallowed {3}bob\n$/)
})

t.test('an agent lists its logins and ends them', async t => {
  const { wsUrl, store } = await startTestNode(t)
  const { run, register } = await openCliWorld(t, wsUrl)
  await register('alice')
  const sessions = async () => jsonLines((await run('alice', ['sessions', '--json'])).stdout)
  const [own] = await sessions()
  t.match(own, { session: /^[\w-]{16}$/, createdAt: Number, expiresAt: Number, current: true })
  for (const token of ['x'.repeat(43), 'y'.repeat(43), 'z'.repeat(43)]) {
    await store.logins.create(token, Object((await store.users.list({ limit: 1 })).users[0]).username, 60_000)
  }
  t.equal((await sessions()).length, 4)
  t.match(await run('alice', ['sessions', '--end', 'x'.repeat(16)]), { code: 0, stdout: '1 ended\n' })
  t.equal(failureOf(await run('alice', ['sessions', '--json', '--end', 'x'.repeat(16)])), '3 not_found')
  t.same(jsonLines((await run('alice', ['sessions', '--end-others', '--json'])).stdout), [{ ended: 2 }])
  t.same(await sessions(), [own])
})
