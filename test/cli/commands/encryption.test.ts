import { readFileSync, writeFileSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { startTestNode } from '../../../tools/servers/running-node.ts'
import { failureOf, jsonError, jsonLines } from '../../fixtures/cli/cli.ts'
import { openCliWorld } from '../../fixtures/cli/cli-world.ts'

const env = { AIMESSAGE_PASSPHRASE: 'correct horse battery' }

t.test('register with a passphrase creates an encrypted state', async t => {
  const { wsUrl } = await startTestNode(t)
  const { run, register, directory } = await openCliWorld(t, wsUrl)
  await register('bob')
  t.equal((await run('alice', ['register', 'alice'], { env })).code, 0)
  t.equal((await run('alice', ['send', 'bob', 'c4nary'], { env })).code, 0)
  t.match(jsonLines((await run('bob', ['recv', '--json'])).stdout), [{ body: 'c4nary' }])
  const disk = ['state.db', 'state.db-wal'].map(name => readFileSync(join(directory('alice'), name)))
  for (const part of disk) {
    t.notOk(part.includes('c4nary'))
    t.notOk(part.includes('"seed"'))
  }

  const missing = await run('alice', ['whoami', '--json'])
  t.equal(failureOf(missing), '5 state_secret_missing')
  t.match(jsonError(missing).message, /AIMESSAGE_PASSPHRASE.*--key-file/)
  const wrong = { AIMESSAGE_PASSPHRASE: 'incorrect horse' }
  for (const args of [['whoami'], ['send', 'bob', 'hi'], ['listen'], ['register', 'alice']])
    t.equal(failureOf(await run('alice', [...args, '--json'], { env: wrong })), '5 state_secret_wrong', args.join(' '))
  t.equal((await run('alice', ['whoami'], { env })).code, 0)
})

t.test('encrypt encrypts a plain state, and decrypt makes it plain again', async t => {
  const { wsUrl } = await startTestNode(t)
  const { run, directory } = await openCliWorld(t, wsUrl)
  const account = jsonLines((await run('alice', ['register', 'alice', '--json'])).stdout)
  const given = await run('alice', ['whoami', '--json'], { env })
  t.equal(failureOf(given), '5 state_not_encrypted')
  t.match(jsonError(given).message, /run "aimessage encrypt"/)

  const encrypted = await run('alice', ['encrypt', '--json'], { env })
  t.same(jsonLines(encrypted.stdout), [{ directory: directory('alice'), encrypted: true }])
  t.notOk(readFileSync(join(directory('alice'), 'state.db')).includes('"seed"'))
  t.same(jsonLines((await run('alice', ['whoami', '--json'], { env })).stdout), account)
  t.equal(failureOf(await run('alice', ['encrypt', '--json'], { env })), '5 state_encrypted')

  t.equal((await run('alice', ['decrypt'], { env })).code, 0)
  t.same(jsonLines((await run('alice', ['whoami', '--json'])).stdout), account)
  t.equal(failureOf(await run('alice', ['decrypt', '--json'], { env })), '5 state_not_encrypted')
  t.match(await run('alice', ['users']), { code: 0 })
})

t.test('a key file works like a passphrase', async t => {
  const { wsUrl } = await startTestNode(t)
  const { run, home } = await openCliWorld(t, wsUrl)
  const [key, short] = [join(home, 'key'), join(home, 'short')]
  writeFileSync(key, new Uint8Array(32).fill(1))
  writeFileSync(short, 'hunter2')
  t.equal((await run('alice', ['register', 'alice', '--key-file', key])).code, 0)
  t.match(await run('alice', ['whoami'], { env: { AIMESSAGE_KEY_FILE: key } }), { code: 0 })
  t.equal(failureOf(await run('alice', ['whoami', '--json'], { env })), '5 state_secret_wrong')

  for (const [file, says] of [
    [short, /has 7 bytes, and a key has 32; make one with/],
    [join(home, 'none'), /cannot be read.*make one with/],
  ] as const) {
    const result = await run('alice', ['whoami', '--json', '--key-file', file])
    t.equal(failureOf(result), '2 usage')
    t.match(jsonError(result).message, says)
  }
  const both = await run('alice', ['whoami', '--json', '--key-file', key], { env })
  t.match(jsonError(both).message, /both given: use one/)
})

t.test('a passphrase that is too short is refused, and no state is created', async t => {
  const { run, home } = await openCliWorld(t, 'ws://127.0.0.1:1')
  const result = await run('alice', ['register', 'alice', '--json'], { env: { AIMESSAGE_PASSPHRASE: 'short' } })
  t.equal(failureOf(result), '5 state_invalid')
  t.match(jsonError(result).message, /at least 8 characters/)
  t.same(await readdir(home), ['alice'])
})
