import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { type Client, openEncryptedStore, type StateStore } from '../../src/client/node.ts'
import { keys } from '../../src/client/records/keys.ts'
import { MemoryDisk, openMemoryStore as openOn } from '../../src/client/state/memory-store.ts'
import { StateError } from '../../src/client/state/state-error.ts'
import { parseUsername } from '../../src/protocol/names.ts'
import { openAgent, receiveSome, registerAgent, textsOf } from '../../tools/clients/agents.ts'
import { startTestNode } from '../../tools/servers/running-node.ts'
import { seededRandom } from '../fixtures/crash/crash-plan.ts'

type Random = () => number
const seed = Number(process.env.SEED ?? Date.now() % 1_000_000)

/** Changes 1 to 4 bytes, cuts the value, empties it or replaces it by noise. */
function damage(value: Uint8Array, random: Random): Uint8Array {
  const kind = random()
  if (kind < 0.15) return value.slice(0, Math.floor(random() * value.length))
  if (kind < 0.2) return new Uint8Array()
  if (kind < 0.3) return Uint8Array.from({ length: value.length }, () => Math.floor(random() * 256))
  const changed = Uint8Array.from(value)
  for (let flips = 1 + Math.floor(random() * 4); flips > 0; flips -= 1) {
    const at = Math.floor(random() * changed.length)
    changed[at] = (changed[at] ?? 0) ^ (1 << Math.floor(random() * 8))
  }
  return changed
}

const counted = (client: Client) => {
  const counts = { connected: 0, failed: 0 }
  const reports: { record: string; reason: string }[] = []
  client.on('connected', () => {
    counts.connected += 1
  })
  client.on('failed', () => {
    counts.failed += 1
  })
  client.on('unreadable', event => reports.push(event))
  return { counts, reports }
}

/** Damages every record of every kind that belongs to carol, and one of each kind that names no peer. */
async function damageCarol(disk: MemoryDisk, random: Random): Promise<string[]> {
  const raw = openOn(disk)
  const damaged = await raw.transaction(async tx => {
    const entries = await tx.list('')
    const ofCarol = entries.filter(([key]) => key.split('/')[1] === 'carol')
    const others = ['inbox/', 'outcome/', 'confirmed/', 'body/', 'strangers'].flatMap(prefix =>
      entries.filter(([key]) => key.startsWith(prefix)).slice(0, 1),
    )
    for (const [key, value] of [...ofCarol, ...others]) tx.put(key, damage(value, random))
    return [...ofCarol, ...others].map(([key]) => key)
  })
  await raw.close()
  return damaged
}

for (const [name, wrap] of [
  ['plain', async (store: StateStore) => store],
  ['encrypted', (store: StateStore) => openEncryptedStore(store, { type: 'key', key: new Uint8Array(32).fill(7) })],
] as const) {
  t.test(`17.19 damaged records of every kind of one peer do not stop the other peers (${name} state)`, async t => {
    t.comment(`SEED=${seed}`)
    const random = seededRandom(seed)
    const node = await startTestNode(t)
    const [alice, carol, dave] = await Promise.all(
      ['alice', 'carol', 'dave'].map(who => registerAgent(t, node.wsUrl, who)),
    )
    if (!alice || !carol || !dave) throw new Error('three agents')
    for (let round = 0; round < 3; round += 1) {
      const disk = new MemoryDisk()
      const bob = `bob${round}`
      const before = await registerAgent(t, node.wsUrl, bob, await wrap(openOn(disk)))
      for (const peer of [alice, carol, dave]) await peer.send(bob, 'hello')
      for (const message of await receiveSome(before, 3)) await before.send(message.from, 'welcome')
      // Leaves records of as many kinds as possible: unread messages, an open request, one that waits for its reply.
      await carol.send(bob, 'unread')
      carol.request(bob, 'a question', { timeoutMs: 60_000 }).catch(() => {})
      const asking = new AbortController()
      const asked = before.request('carol', 'your turn?', { timeoutMs: 60_000, signal: asking.signal })
      asked.catch(() => {})
      await before.mailbox.wait({ waitMs: 2_000, from: 'carol' })
      await before.close()
      const raw = openOn(disk)
      await raw.transaction(async tx => {
        const username = parseUsername('carol')
        for (const key of [keys.pendingReset(username), keys.suiteChecked(username), keys.card(username)]) {
          tx.put(key, await someValue(tx.list('')))
        }
        tx.put(keys.undecryptable(username, 'ab'.repeat(16)), await someValue(tx.list('')))
        tx.put(keys.outbox(username, 1), await someValue(tx.list('')))
        tx.put(keys.outboxLease(username), await someValue(tx.list('')))
      })
      await raw.close()
      const damaged = await damageCarol(disk, random)
      t.comment([...new Set(damaged.map(key => key.split('/')[0]))].join(' '))

      const after = await openAgent(t, node.wsUrl, await wrap(openOn(disk)))
      const { counts, reports } = counted(after)
      await carol.send(bob, 'carol after it')
      await alice.send(bob, 'alice after it')
      await dave.send(bob, 'dave after it')
      const shown = new Set<string | undefined>()
      for await (const { text } of after.receive()) {
        shown.add(text)
        if (shown.has('alice after it') && shown.has('dave after it')) break
      }
      await after.send('alice', 'and back')
      await after.send('dave', 'and back')
      t.ok(counts.connected <= 2, `${counts.connected} logins`)
      t.same(
        reports.map(({ record }) => record).filter((record, at, all) => all.indexOf(record) !== at),
        [],
        'each record is reported once',
      )
      await after.close()
    }
  })
}

const someValue = async (entries: Promise<[string, Uint8Array][]>): Promise<Uint8Array> =>
  Uint8Array.from((await entries)[0]?.[1] ?? [1, 2, 3])

t.test('17.19 a damaged peer record is reported with the way out, and the repair brings the messages', async t => {
  const node = await startTestNode(t)
  const [alice, carol] = [await registerAgent(t, node.wsUrl, 'alice'), await registerAgent(t, node.wsUrl, 'carol')]
  const disk = new MemoryDisk()
  const before = await registerAgent(t, node.wsUrl, 'bob', openOn(disk))
  for (const peer of [alice, carol]) await peer.send('bob', 'hello')
  for (const message of await receiveSome(before, 2)) await before.send(message.from, 'welcome')
  await receiveSome(carol, 1)
  await before.close()
  const raw = openOn(disk)
  await raw.transaction(async tx => {
    const value = (await tx.get('peer/carol')) ?? new Uint8Array()
    tx.put('peer/carol', value.slice(0, -1))
  })

  const bob = await openAgent(t, node.wsUrl, openOn(disk))
  const { counts, reports } = counted(bob)
  const undecryptable: string[] = []
  bob.on('undecryptable', ({ from, remedy }) => void undecryptable.push(`${from} ${remedy}`))
  await carol.send('bob', 'from carol')
  await alice.send('bob', 'from alice')
  t.same(textsOf(await receiveSome(bob, 1)), ['from alice'])
  t.match(reports, [{ record: 'peer/carol', peer: 'carol', reason: /aimessage repair carol/ }])
  // A receipt of hers may follow her message.
  t.same([...new Set(undecryptable)], ['carol retry'], 'her message is kept')
  t.equal(counts.failed, 0)
  await t.rejects(bob.send('carol', 'x'), { code: 'peer_unreadable', message: /repair carol/ })
  await t.rejects(bob.identityOf('carol'), { code: 'peer_unreadable' })

  t.equal(await bob.repairPeer('alice'), false, 'nothing to repair')
  t.equal(await bob.repairPeer('carol'), true)
  const both = receiveSome(bob, 1)
  carol.attend(new AbortController().signal).catch(() => {})
  t.same(textsOf(await both), ['from carol'])
  await bob.send('carol', 'again')
})

t.test('17.19 a disk that stays full costs a few logins, and mail arrives once there is room', async t => {
  const node = await startTestNode(t)
  const alice = await registerAgent(t, node.wsUrl, 'alice')
  const disk = new MemoryDisk()
  await (await registerAgent(t, node.wsUrl, 'bob', openOn(disk))).close()
  const inner = openOn(disk)
  let isFull = false
  const store: StateStore = {
    read: work => inner.read(work),
    onChange: handler => inner.onChange(handler),
    close: () => inner.close(),
    transaction: work =>
      isFull ? Promise.reject(new StateError('disk', 'no space left on the device')) : inner.transaction(work),
  }
  const bob = await openAgent(t, node.wsUrl, store)
  const { counts } = counted(bob)
  isFull = true
  await alice.send('bob', 'hello')
  const received = receiveSome(bob, 1)
  const sent = bob.send('alice', 'x')
  sent.catch(() => {})
  await sleep(6_000)
  t.ok(counts.connected <= 15, `${counts.connected} logins in 6 s`)
  isFull = false
  t.same(textsOf(await received), ['hello'])
})
