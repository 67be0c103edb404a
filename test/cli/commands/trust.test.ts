import t from 'tap'
import { openClient, openDirectoryStore } from '../../../src/client/node.ts'
import { openAgentAt, receiveAll } from '../../../tools/clients/agents.ts'
import { startTestNode } from '../../../tools/servers/running-node.ts'
import { failureOf, jsonLines } from '../../fixtures/cli/cli.ts'
import { openCliWorld } from '../../fixtures/cli/cli-world.ts'
import { startForgetfulNode } from '../../fixtures/servers/forgetful-node.ts'

/** A server address that refuses connections: the command must work without it. */
const offline = { env: { AIMESSAGE_SERVER: 'ws://127.0.0.1:1' } }

t.test('verify shows the same number on both sides, and accepts the number that the other side shows', async t => {
  const { wsUrl } = await startTestNode(t)
  const { run, register } = await openCliWorld(t, wsUrl)
  await register('alice', 'bob')
  t.equal(failureOf(await run('alice', ['verify', 'bob', '--json'])), '5 unknown_peer')
  t.equal((await run('alice', ['send', 'bob', 'hello'])).code, 0)
  t.equal((await run('bob', ['recv'])).code, 0)

  const show = async (agent: string, peer: string) =>
    jsonLines((await run(agent, ['verify', peer, '--json'], offline)).stdout)[0]
  const [atAlice, atBob] = [await show('alice', 'bob'), await show('bob', 'alice@localhost')]
  t.match(atAlice, { address: 'bob@localhost', trust: 'first-use', identity: /^[\w-]{43}$/, safetyNumber: /^\d{60}$/ })
  t.equal(atAlice?.safetyNumber, atBob?.safetyNumber)
  const groups = String(atBob?.safetyNumber).match(/.{5}/g) ?? []
  const human = await run('alice', ['verify', 'bob'], offline)
  t.ok(human.stdout.includes(groups.slice(0, 4).join(' ')))
  t.match(human.stdout, /aimessage verify bob NUMBER/)
  t.notMatch(human.stdout, /[█▀▄]/, 'no QR code without a terminal')

  t.equal(failureOf(await run('alice', ['verify', 'bob', '0'.repeat(60), '--json'], offline)), '3 not_verified')
  t.match(await show('alice', 'bob'), { trust: 'first-use' })
  const verified = await run('alice', ['verify', 'bob', groups.join(' '), '--json'], offline)
  t.match(jsonLines(verified.stdout), [{ trust: 'verified' }])
  t.match(await run('alice', ['trust', 'bob'], offline), { code: 0, stdout: /nothing to decide/ })

  t.equal((await run('bob', ['send', 'alice', 'it is me'])).code, 0)
  t.match(jsonLines((await run('alice', ['recv', '--json'])).stdout), [{ body: 'it is me', verified: 'verified' }])
})

/** Alice knows bob; then another key is registered under his name. */
async function changedKey(t: Parameters<typeof openCliWorld>[0]) {
  const { server, forget } = await startForgetfulNode(t)
  const world = await openCliWorld(t, server)
  await world.register('alice', 'bob')
  await world.run('alice', ['send', 'bob', 'hello'])
  await receiveAll(await openAgentAt(t, server, world.directory('bob')))
  forget('bob')
  const other = await openClient({ server, store: await openDirectoryStore(world.directory('other')) })
  t.teardown(() => other.close())
  await other.register('bob')
  await other.send('alice', 'I lost my key')
  const told = await world.run('alice', ['recv'])
  return { ...world, other, told }
}

t.test('a changed key is reported by recv, and trust accepts it', async t => {
  const { run, other, told } = await changedKey(t)
  t.match(told, { code: 0, stdout: '', stderr: /the identity key of bob has changed/ })
  t.equal(failureOf(await run('alice', ['send', 'bob', 'who are you?', '--json'])), '3 identity_changed')
  const [before] = jsonLines((await run('alice', ['verify', 'bob', '--json'], offline)).stdout)
  t.match(before, { trust: 'changed', seen: { identity: other.account?.identity } })
  const both = await run('alice', ['verify', 'bob'], offline)
  t.match(both.stdout, /of the known key[\s\S]*of the new key[\s\S]*aimessage trust bob --keep/)

  const accepted = await run('alice', ['trust', 'bob', '--resend', '--json'])
  t.match(jsonLines(accepted.stdout), [
    {
      decision: 'accepted',
      identity: other.account?.identity,
      before: { identity: before?.identity, safetyNumber: before?.safetyNumber },
    },
  ])
  t.match(await run('alice', ['send', 'bob', 'welcome back']), { code: 0 })
})

t.test('trust --keep keeps the old key, without a server', async t => {
  const { run, other } = await changedKey(t)
  const kept = await run('alice', ['trust', 'bob', '--keep'], offline)
  t.match(kept, { code: 0, stdout: /keeps its old key[\s\S]*old safety number[\s\S]*new safety number/, stderr: '' })
  const [now] = jsonLines((await run('alice', ['verify', 'bob', '--json'], offline)).stdout)
  t.equal(now?.trust, 'first-use')
  t.not(now?.identity, other.account?.identity)
})

t.test('trust accepts the new key without a server, and reports that the server is unreachable', async t => {
  const { run, other } = await changedKey(t)
  const accepted = await run('alice', ['trust', 'bob', '--resend'], offline)
  t.match(accepted, {
    code: 0,
    stdout: /has its new key from now on/,
    stderr: /unreachable.*the decision is stored here/,
  })
  t.match(jsonLines((await run('alice', ['verify', 'bob', '--json'], offline)).stdout), [
    { trust: 'first-use', identity: other.account?.identity },
  ])
})

t.test('17.1 recv, verify and trust report what came under a rejected key, and never show it as verified', async t => {
  const { server, forget } = await startForgetfulNode(t)
  const { run, register, directory } = await openCliWorld(t, server)
  await register('alice', 'bob')
  const impostor = await openAgentAt(t, server, directory('bob'))
  await impostor.send('alice', 'Please wire 5000 to account 666.')
  // Alice's client stores the message, and nobody reads it.
  const store = await openDirectoryStore(directory('alice'))
  const reading = await openClient({ server, store })
  await reading.mailbox.wait({ waitMs: 60_000 })
  await reading.close()
  await impostor.close()
  forget('bob')
  const bob = await openClient({ server, store: await openDirectoryStore(directory('other')) })
  t.teardown(() => bob.close())
  await bob.register('bob')
  await bob.send('alice', 'Hi, this is Bob.')
  const noticing = await openClient({ server, store: await openDirectoryStore(directory('alice')) })
  const changed = new Promise(resolve => noticing.on('key-changed', resolve))
  const attending = noticing.attend(new AbortController().signal)
  await changed
  await noticing.close()
  await attending.catch(() => {})

  const undecided = await run('alice', ['recv'])
  t.match(undecided, { code: 0, stdout: '', stderr: /1 messages of bob are not shown: its key has changed/ })
  const verified = await run('alice', ['verify', 'bob', (await bob.identityOf('alice')).safetyNumber, '--json'])
  t.match(jsonLines(verified.stdout), [{ trust: 'verified', identity: bob.account?.identity, withheld: 1 }])
  const shown = await run('alice', ['recv', '--json'])
  t.match(jsonLines(shown.stdout), [
    { body: 'Hi, this is Bob.', verified: 'verified', identity: bob.account?.identity },
  ])
  t.equal(jsonLines(shown.stdout).length, 1)
  const reported = jsonLines(shown.stderr).filter(({ event }) => event === 'withheld')
  t.match(reported, [{ from: 'bob', reason: 'rejected', messages: 1 }])
  t.notMatch(shown.stdout + shown.stderr + verified.stdout, /wire 5000/)
})

t.test('17.2 trust accepts no other key than the one that the command line names', async t => {
  const { run, other } = await changedKey(t)
  const [before] = jsonLines((await run('alice', ['verify', 'bob', '--json'], offline)).stdout)
  const wrong = await run('alice', ['trust', 'bob', 'A'.repeat(43), '--drop', '--json'], offline)
  t.equal(failureOf(wrong), '3 unknown_key')
  const numbers = Object(before?.seen)
  const accepted = await run('alice', ['trust', 'bob', String(numbers.safetyNumber), '--drop', '--json'], offline)
  t.match(jsonLines(accepted.stdout), [{ decision: 'accepted', identity: other.account?.identity }])
})

t.test('17.23 without a terminal, trust needs an option for messages that wait for the old key', async t => {
  for (const option of ['--resend', '--drop']) {
    const { server, forget } = await startForgetfulNode(t)
    const { run, register, directory } = await openCliWorld(t, server)
    await register('alice', 'bob')
    await run('alice', ['send', 'bob', 'one'])
    await run('alice', ['send', 'bob', 'two'])
    forget('bob')
    const other = await openClient({ server, store: await openDirectoryStore(directory('other')) })
    t.teardown(() => other.close())
    await other.register('bob')
    await other.send('alice', 'I lost my key')
    await run('alice', ['recv'])
    t.match(jsonLines((await run('alice', ['verify', 'bob', '--json'], offline)).stdout), [{ unconfirmed: 2 }])
    const unasked = await run('alice', ['trust', 'bob'], offline)
    t.match(unasked, { code: 3, stderr: /2 messages to bob have no receipt yet: add --resend.*--drop/ })
    t.match(jsonLines((await run('alice', ['verify', 'bob', '--json'], offline)).stdout), [{ trust: 'changed' }])
    const decided = await run('alice', ['trust', 'bob', option, '--json'], offline)
    const counts = option === '--resend' ? { resent: 2, dropped: 0 } : { resent: 0, dropped: 2 }
    t.match(jsonLines(decided.stdout), [{ decision: 'accepted', ...counts }])
    await run('alice', ['send', 'bob', 'for the new key'])
    const texts = (await receiveAll(other)).map(({ text }) => text)
    t.same(texts, option === '--resend' ? ['one', 'two', 'for the new key'] : ['for the new key'])
  }
})
