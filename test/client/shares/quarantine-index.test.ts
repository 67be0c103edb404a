import t from 'tap'
import type { ClientEvents } from '../../../src/client/base/events.ts'
import type { Effect } from '../../../src/client/inbox/effects.ts'
import { markContact } from '../../../src/client/records/contacts.ts'
import { keys, nameIn } from '../../../src/client/records/keys.ts'
import { UndecryptableRecord } from '../../../src/client/records/undecryptable-record.ts'
import {
  enterQuarantine,
  leaveQuarantine,
  maxKept,
  maxKeptOfSender,
} from '../../../src/client/shares/quarantine-index.ts'
import { openMemoryStore } from '../../../src/client/state/memory-store.ts'
import type { StateTransaction } from '../../../src/client/state/state-store.ts'
import { randomBytes } from '../../../src/crypto/provider.ts'
import { parseUsername, type Username } from '../../../src/protocol/names.ts'
import { toHex } from '../../../src/util/bytes.ts'
import { Emitter } from '../../../src/util/emitter.ts'
import { makeAcquainted } from '../../../tools/clients/crypto-agents.ts'
import { seededRandom } from '../../fixtures/crash/crash-plan.ts'
import { TakingAgent } from '../../fixtures/worlds/taking-agent.ts'

type Remedy = 'none' | 'reset' | 'retry'
const body = (code: string, order: number) =>
  UndecryptableRecord.encode({ frameType: 'message', body: 'AAAA', code, at: 1, order })
const codes = { none: 'bad_key', reset: 'undecryptable', retry: 'rate_limited' }

let order = 0
async function enter(tx: StateTransaction, from: Username, remedy: Remedy): Promise<string[]> {
  order += 1
  const key = keys.undecryptable(from, toHex(randomBytes(16)))
  tx.put(key, body(codes[remedy], order))
  const evicted = await enterQuarantine(tx, { nowMs: 1, list: async () => [] }, { key, remedy, order })
  return evicted.map(({ key, remedy }) => `${nameIn(key)} ${remedy}`)
}

t.test('17.9 bodies of one name, or of many strangers, never evict what waits of a contact', async t => {
  const seed = Number(process.env.SEED ?? Date.now() % 1_000_000)
  t.comment(`SEED=${seed}`)
  const random = seededRandom(seed)
  const store = openMemoryStore()
  const alice = parseUsername('alice')
  await store.transaction(async tx => {
    await markContact(tx, alice)
    for (let at = 0; at < 4; at += 1) t.same(await enter(tx, alice, 'retry'), [])
    const lost = new Map<string, number>()
    for (let at = 0; at < 600; at += 1) {
      // Names before and after hers in key order.
      const from = parseUsername(`${random() < 0.5 ? 'aa' : 'zz'}-mallory-${Math.floor(random() ** 2 * 40)}`)
      const remedy = random() < 0.5 ? 'none' : random() < 0.5 ? 'reset' : 'retry'
      for (const victim of await enter(tx, from, remedy)) lost.set(victim, (lost.get(victim) ?? 0) + 1)
    }
    t.notOk([...lost.keys()].some(victim => victim.startsWith('alice')))
    const kept = await tx.list(keys.undecryptables())
    t.ok(kept.length <= maxKept)
    t.equal((await tx.list(keys.undecryptableOf(alice))).length, 4)
    const bySender = new Map<string, number>()
    for (const [key] of kept) bySender.set(nameIn(key), (bySender.get(nameIn(key)) ?? 0) + 1)
    t.ok([...bySender.values()].every(count => count <= maxKeptOfSender))
    t.equal(
      [...lost.values()].reduce((sum, count) => sum + count, 0),
      604 - kept.length,
      'each eviction is named',
    )
  })
})

t.test('17.9 within one sender a body without a remedy goes first, and the oldest of equals', async t => {
  const store = openMemoryStore()
  const alice = parseUsername('alice')
  await store.transaction(async tx => {
    for (let at = 0; at < maxKeptOfSender - 1; at += 1) await enter(tx, alice, 'retry')
    await enter(tx, alice, 'reset')
    t.same(await enter(tx, alice, 'none'), ['alice none'], 'the new one itself')
    t.same(await enter(tx, alice, 'retry'), ['alice reset'])
    const [first] = (await tx.list(keys.undecryptableOf(alice)))
      .map(([key, bytes]) => ({
        key,
        order: UndecryptableRecord.decode(bytes).order ?? 0,
      }))
      .sort((a, b) => a.order - b.order)
    t.same(await enter(tx, alice, 'retry'), ['alice retry'])
    t.equal(await tx.get(first?.key ?? ''), undefined, 'the oldest')
    const [left] = await tx.list(keys.undecryptableOf(alice), { limit: 1 })
    await leaveQuarantine(tx, left?.[0] ?? '')
    t.same(await enter(tx, alice, 'none'), [], 'there is room again')
  })
})

t.test('17.9 what is evicted is reported, and asked for again if it could have been decrypted', async t => {
  const [, recipient] = makeAcquainted('evicted')
  const bob = await TakingAgent.open(recipient, 'alice')
  const alice = parseUsername('alice')
  // As an earlier release leaves it: full, and without an index.
  await bob.store.transaction(tx => {
    for (let at = 0; at < maxKeptOfSender; at += 1) tx.put(keys.undecryptable(alice, `${at}`), body('rate_limited', at))
  })
  const events = new Emitter<ClientEvents>()
  const reports: string[] = []
  events.on('evicted', ({ from, remedy }) => reports.push(`${from} ${remedy}`))
  const emit = (effects: Effect[]) => {
    for (const effect of effects) if (effect.kind === 'event') effect.emit(events)
  }
  emit(await bob.take('alice', ...Array.from({ length: 30 }, () => randomBytes(60))))
  t.equal(await bob.count(keys.undecryptableOf(alice)), maxKeptOfSender)
  t.equal(reports.length, 30, 'the garbage, which is worth less than what waits')
  const waiting = await bob.store.read(tx => tx.list(keys.undecryptableOf(alice)))
  t.ok(waiting.every(([, bytes]) => UndecryptableRecord.decode(bytes).code === 'rate_limited'))
  t.equal(await bob.count(keys.pendingResets()), 1)
})
