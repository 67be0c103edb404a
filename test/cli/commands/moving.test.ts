import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { openClient, openDirectoryStore } from '../../../src/client/node.ts'
import { openAgentAt, receiveAll, receiveSome, registerAgent, textsOf } from '../../../tools/clients/agents.ts'
import { startTestNode } from '../../../tools/servers/running-node.ts'
import { failureOf, jsonError, jsonLines } from '../../fixtures/cli/cli.ts'
import { openCliWorld } from '../../fixtures/cli/cli-world.ts'

/** Registers alice and bob, with one message from bob to alice. Alice's processes have ended, so her state is free. */
async function aliceAndBob(t: Test) {
  const { wsUrl: server } = await startTestNode(t)
  const world = await openCliWorld(t, server)
  const keyFile = join(world.home, 'key')
  writeFileSync(keyFile, new Uint8Array(32).fill(5))
  const bob = await registerAgent(t, server, 'bob')
  await world.run('alice', ['register', 'alice'])
  await bob.send('alice', 'hello')
  t.equal((await world.run('alice', ['recv'])).code, 0)
  const withKey = (agent: string, ...args: string[]) =>
    world.run(agent, [...args, '--json'], { env: { AIMESSAGE_KEY_FILE: keyFile } })
  return { ...world, server, bob, withKey, keyFile, file: join(world.home, 'alice.aim') }
}

t.test(
  'an exported identity continues in another place with its whole state, and stops working in the old one',
  async t => {
    const { server, home, bob, run, withKey, directory, file } = await aliceAndBob(t)
    const [exported] = jsonLines((await withKey('alice', 'export', file)).stdout)
    t.match(exported, { file, address: 'alice@localhost', identity: /^[\w-]{43}$/ })
    t.equal(statSync(file).mode & 0o777, 0o600)
    t.same(readdirSync(home).sort(), ['alice', 'alice.aim', 'key'], 'nothing is left beside the file')
    for (const args of [
      ['whoami'],
      ['send', 'bob', 'hi'],
      ['listen'],
      ['register', 'alice'],
      ['export', `${file}.2`],
    ]) {
      const result = await withKey('alice', ...args)
      t.equal(failureOf(result), '5 state_moved', args.join(' '))
      t.ok(jsonError(result).message.includes(directory('alice')))
    }

    await bob.send('alice', 'while she moves')
    const imported = await run('moved', ['import', file, '--json', '--key-file', join(home, 'key')])
    t.same(jsonLines(imported.stdout), [exported])
    t.equal(
      failureOf(await run('moved', ['whoami', '--json'])),
      '5 state_secret_missing',
      'the imported state is encrypted',
    )
    t.equal((await withKey('moved', 'decrypt')).code, 0)
    const alice = await openAgentAt(t, server, directory('moved'))
    alice.on('restored', () => t.fail('the state was treated as an older copy'))
    t.same(textsOf(await receiveSome(alice, 1)), ['while she moves'])
    t.equal((await alice.identityOf('bob')).trust, 'first-use')
    await alice.send('bob', 'I live here now')
    t.same(textsOf(await receiveAll(bob)), ['I live here now'])
  },
)

t.test('two imports of one export are detected and repaired', async t => {
  const { server, bob, withKey, directory, file } = await aliceAndBob(t)
  t.equal((await withKey('alice', 'export', file)).code, 0)
  for (const place of ['one', 'two']) {
    t.equal((await withKey(place, 'import', file)).code, 0)
    t.equal((await withKey(place, 'decrypt')).code, 0)
  }
  const first = await openAgentAt(t, server, directory('one'))
  for (const text of ['1', '2', '3']) await first.send('bob', text)
  t.same(textsOf(await receiveSome(bob, 3)), ['1', '2', '3'])
  await first.close()
  const second = await openAgentAt(t, server, directory('two'))
  const restored = new Promise(resolve => second.on('restored', resolve))
  await second.send('bob', '4')
  await restored
  t.same(textsOf(await receiveSome(bob, 1)), ['4'])
})

t.test('a state in use by another process is neither exported nor encrypted', async t => {
  const { start, withKey, file } = await aliceAndBob(t)
  const listening = start('alice', ['listen'])
  await listening.until(line => line.includes('listening'))
  for (const args of [['export', file], ['encrypt'], ['decrypt']]) {
    const result = await withKey('alice', ...args)
    t.equal(failureOf(result), '5 state_in_use', args.join(' '))
    t.match(jsonError(result).message, /state\.db is used by another process: end it/)
  }
  t.notOk(existsSync(file))
  t.equal(listening.child.exitCode, null, 'the listening process continues')
  listening.child.kill('SIGKILL')
  await listening.end()
  t.equal((await withKey('alice', 'export', file)).code, 0)
})

t.test('export never overwrites a file, and import never overwrites an identity', async t => {
  const { server, home, run, withKey, directory, file } = await aliceAndBob(t)
  writeFileSync(file, 'precious')
  t.equal(failureOf(await withKey('alice', 'export', file)), '5 state_file_exists')
  t.equal(readFileSync(file, 'utf8'), 'precious')
  t.equal(failureOf(await withKey('alice', 'export', join(home, 'no', 'such', 'place'))), '5 state_disk')
  t.match(await run('alice', ['whoami']), { code: 0 }, 'the agent still works')
  t.equal((await withKey('alice', 'export', `${file}.2`)).code, 0)

  const client = await openClient({ server, store: await openDirectoryStore(directory('carol')) })
  const { address } = await client.register('carol')
  await client.close()
  t.equal(failureOf(await withKey('carol', 'import', `${file}.2`)), '5 state_occupied')
  t.match(await run('carol', ['whoami']), { code: 0, stdout: new RegExp(`^${address}\n`) })
})

t.test('a file that cannot be opened is not imported, and no directory is created', async t => {
  const { withKey, run, directory, file } = await aliceAndBob(t)
  t.equal((await withKey('alice', 'export', file)).code, 0)
  const env = { AIMESSAGE_PASSPHRASE: 'some other secret' }
  t.equal(failureOf(await run('new', ['import', file, '--json'], { env })), '5 state_secret_wrong')
  t.equal(failureOf(await withKey('new', 'import', `${file}.missing`)), '5 state_unreadable')
  t.equal(failureOf(await run('new', ['import', file, '--json'])), '2 usage', 'there is no terminal to ask on')
  t.notOk(existsSync(directory('new')))
})

t.test('an agent that is not registered cannot be exported', async t => {
  const { withKey, directory, file } = await aliceAndBob(t)
  t.equal(failureOf(await withKey('nobody', 'export', file)), '5 not_registered')
  t.notOk(existsSync(directory('nobody')))
  t.notOk(existsSync(file))
})
