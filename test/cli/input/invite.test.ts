import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { hashSecret } from '../../../src/server/base/secrets.ts'
import { temporaryDirectory } from '../../../tools/clients/agents.ts'
import { startTestNode } from '../../../tools/servers/running-node.ts'
import { failureOf } from '../../fixtures/cli/cli.ts'
import { openCliWorld } from '../../fixtures/cli/cli-world.ts'

/** Starts a server that requires one of these invites, and writes the first invite to a file. */
async function openInvited(t: Test, ...invites: readonly string[]) {
  const { wsUrl, store } = await startTestNode(t, { REGISTRATION: 'invite' })
  for (const invite of invites) await store.users.addInvite(hashSecret(invite), 600_000)
  const file = join(await temporaryDirectory(t), 'invite')
  await writeFile(file, `${invites[0]}\n`)
  return { ...(await openCliWorld(t, wsUrl)), file }
}

t.test('an invite is read from a variable, a file or standard input', async t => {
  const { run, file } = await openInvited(t, 'in-a-file', 'in-a-variable', 'on-standard-input')
  const ways = {
    alice: [['--invite-file', file], {}],
    bob: [[], { env: { AIMESSAGE_INVITE: 'in-a-variable' } }],
    carol: [['--invite-file', '-'], { input: 'on-standard-input\n' }],
  } as const
  for (const [name, [options, given]] of Object.entries(ways)) {
    t.match(await run(name, ['register', name, ...options], given), { code: 0, stderr: '' }, name)
  }
})

t.test('an MCP server reads an invite from a variable or a file, only when it registers', async t => {
  const { run, file } = await openInvited(t, 'in-a-file', 'in-a-variable')
  const mcp = (name: string, ...options: string[]) => ['mcp', '--name', name, ...options]
  t.match(await run('alice', mcp('alice', '--invite-file', file), { input: '' }), { code: 0 })
  const env = { AIMESSAGE_INVITE: 'in-a-variable' }
  t.match(await run('bob', mcp('bob'), { input: '', env }), { code: 0 })
  t.match(await run('alice', mcp('alice', '--invite-file', '/gone'), { input: '' }), { code: 0 })
  const taken = await run('carol', mcp('carol', '--invite-file', '-'), { input: 'in-a-file' })
  t.match(taken, { code: 2, stderr: /standard input is in use: give a file/ })
})

t.test('exit code 2: an invite that is given twice, malformed or unreadable; the error never repeats it', async t => {
  const { run, file } = await openInvited(t, 'canary')
  const env = { AIMESSAGE_INVITE: 'canary' }
  for (const [options, given, says] of [
    [['--invite-file', file], { env }, /both given: use one of them/],
    [['--invite-file', file, '--invite', 'canary'], {}, /both given: use one of them/],
    [['--invite-file', '/nonexistent'], {}, /--invite-file cannot be read/],
    [['--invite-file', '-'], { input: '' }, /this one is not, or is empty/],
    [['--invite-file', '-'], { input: 'canary of two words' }, /this one is not, or is empty/],
  ] as const) {
    const result = await run('alice', ['register', 'alice', ...options], given)
    t.match(result, { code: 2, stderr: says })
    t.notMatch(result.stderr, /canary/)
  }
  const empty = await run('alice', ['register', 'alice', '--json'], { env: { AIMESSAGE_INVITE: '' } })
  t.equal(failureOf(empty), '3 forbidden', 'an empty variable counts as not set')
})
