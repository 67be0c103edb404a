import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { temporaryDirectory } from '../../../tools/clients/agents.ts'
import { startTestNode } from '../../../tools/servers/running-node.ts'
import { failureOf, jsonError, jsonLines, startCli } from '../../fixtures/cli/cli.ts'
import { openCliWorld } from '../../fixtures/cli/cli-world.ts'

const token = 'the-token-of-the-operator-0123456789'
const env = { AIMESSAGE_ADMIN_TOKEN: token }

t.test('every command of admin works, from an invite to a drained node', async t => {
  const node = await startTestNode(t, { ADMIN_TOKEN: token, REGISTRATION: 'invite' })
  const { run } = await openCliWorld(t, node.wsUrl)
  const admin = async (...args: string[]) => {
    const { code, stdout, stderr } = await run('operator', ['admin', ...args, '--json'], { env })
    t.match({ code, stderr }, { code: 0, stderr: '' }, args.join(' '))
    return jsonLines(stdout)
  }
  const [invite] = await admin('invite', '--hours', '2')
  t.match(invite, { invite: /^[\w-]{43}$/, id: /^[\w-]{43}$/, expiresAt: Number })
  t.match(await run('alice', ['register', 'alice', '--invite', String(invite?.invite)]), { code: 0 })
  const [spare] = await admin('invite')
  t.match(await admin('invites'), [{ usedBy: 'alice' }, { id: spare?.id, usedBy: null }])
  t.same(await admin('uninvite', String(spare?.id)), [{ id: spare?.id, revoked: true }])
  t.equal((await admin('invites')).length, 1)

  t.match(await admin('users'), [{ username: 'alice', online: false }])
  t.same(await admin('users', '--prefix', 'b'), [])
  t.match(await admin('user', 'alice'), [
    { blocked: false, sessions: 1, queue: { messages: 0, bytes: 0, oldestAt: null } },
  ])
  t.match(await admin('end-sessions', 'alice'), [{ username: 'alice', ended: 1 }])
  t.match(await run('alice', ['users']), { code: 0 }, 'it logs in again')
  t.match(await admin('block', 'alice'), [{ blocked: true, sessionsEnded: 1 }])
  t.equal(failureOf(await run('alice', ['users', '--json'])), '3 forbidden')
  t.match(await admin('unblock', 'alice'), [{ blocked: false }])
  t.match(await run('alice', ['users']), { code: 0 })

  t.same(await admin('release', 'alice'), [{ username: 'alice', released: true }])
  t.same(await admin('users'), [])
  const again = await admin('invite')
  t.match(
    await run('other', ['register', 'alice', '--invite', String(again[0]?.invite)]),
    { code: 0 },
    'with another key',
  )
  t.same(await admin('delete', 'alice'), [{ username: 'alice', deleted: true }])
  const human = await run('operator', ['admin', 'user', 'alice'], { env })
  t.match(human.stdout, /^alice {2}deleted, offline\n.*\n.*\nanyone may write\n0 messages wait, 0 bytes\n$/)

  const [own] = await admin('nodes')
  t.match(own, { node: node.store.nodeId, self: true, listening: 0 })
  t.same(await admin('drain', node.store.nodeId), [{ node: node.store.nodeId, draining: true }])
  t.equal(failureOf(await run('operator', ['admin', 'nodes', '--json'], { env })), '3 unavailable')
})

t.test('a refused command and an unreachable server have the usual exit codes', async t => {
  const [open, closed] = [await startTestNode(t, { ADMIN_TOKEN: token }), await startTestNode(t)]
  const { run } = await openCliWorld(t, open.wsUrl)
  const failed = async (args: string[], options: Parameters<typeof run>[2] = { env }) =>
    failureOf(await run('operator', ['admin', ...args, '--json'], options))
  t.equal(await failed(['user', 'nobody']), '3 unknown_user')
  t.equal(await failed(['user', 'A:b']), '3 invalid_username')
  t.equal(await failed(['uninvite', 'x'.repeat(43)]), '3 not_found')
  t.equal(await failed(['nodes'], { env: { ADMIN_TOKEN: `${token}-not` } }), '3 unauthorized')
  t.equal(await failed(['nodes', '--server', 'ws://127.0.0.1:1']), '4 unreachable')
  t.equal(await failed(['nodes'], {}), '2 usage')
  const off = await run('operator', ['admin', 'nodes', '--json', '--server', closed.wsUrl], { env })
  t.equal(failureOf(off), '3 not_found')
  t.match(jsonError(off).message, /no administration: set ADMIN_TOKEN/)
})

t.test('the token is read from a file, and appears on no command line and in no output', async t => {
  const { wsUrl } = await startTestNode(t, { ADMIN_TOKEN: token })
  const file = join(await temporaryDirectory(t), 'token')
  await writeFile(file, `${token}\n`)
  const { run } = await openCliWorld(t, wsUrl)
  const listed = await run('operator', ['admin', 'nodes', '--token-file', file])
  t.match(listed, { code: 0, stderr: '' })
  t.notMatch(listed.stdout, token)
  t.match(await run('operator', ['admin', '--token-file', file, 'nodes']), { code: 0 })
  const wrong = await run('operator', ['admin', 'nodes'], { env: { ADMIN_TOKEN: 'wrong-canary with a space' } })
  t.match(wrong, { code: 2 })
  t.notMatch(wrong.stderr, /canary/)

  const running = startCli(t, ['admin', 'nodes', '--server', wsUrl], { env })
  const commandLine = await readFile(`/proc/${running.child.pid}/cmdline`, 'utf8').catch(() => '')
  t.notMatch(commandLine, token)
  t.equal(await running.end(), 0)
})
