import t from 'tap'
import type { Effect } from '../../../src/client/inbox/effects.ts'
import type { ClientEvents } from '../../../src/client/node.ts'
import { OutboxRecord } from '../../../src/client/outbox/outbox-record.ts'
import { keys } from '../../../src/client/records/keys.ts'
import { encodeReset, type Reset } from '../../../src/crypto/messages/content.ts'
import { parseUsername } from '../../../src/protocol/names.ts'
import { decodeBase64Url, encodeBase64Url } from '../../../src/util/bytes.ts'
import { Emitter } from '../../../src/util/emitter.ts'
import {
  type Agent,
  activeOf,
  makeAcquainted,
  receive,
  send,
  serve,
  start,
} from '../../../tools/clients/crypto-agents.ts'
import { TakingAgent } from '../../fixtures/worlds/taking-agent.ts'

const minuteMs = 60_000
const alice = parseUsername('alice')
type Report = ClientEvents['peer-reset']

const messageId = (at: number): string => encodeBase64Url(Uint8Array.from([at >> 8, at & 255, ...new Uint8Array(14)]))
const sendNaming = (agent: Agent, reset: Reset): Uint8Array => send(agent, encodeReset(reset), 'reset')

function reportsIn(effects: Effect[]): Report[] {
  const events = new Emitter<ClientEvents>()
  const reports: Report[] = []
  events.on('peer-reset', report => reports.push(report))
  for (const effect of effects) if (effect.kind === 'event') effect.emit(events)
  return reports
}

/** Bob has sent alice `count` messages that a node accepted and alice did not confirm. */
async function openWorld(seed: string, count: number) {
  const [attacker, victim] = makeAcquainted(seed)
  const served = Array.from({ length: 12 }, () => serve(victim))
  const bodies = Array.from({ length: count }, (_, at) => send(victim, `bob ${at}`))
  const bob = await TakingAgent.open(victim, 'alice')
  const order = (at: number) => at + 1
  await bob.store.transaction(tx => {
    for (const [at, body] of bodies.entries()) {
      const sealed = { frameId: `frame-${at}`, body: encodeBase64Url(body) }
      const record = { id: messageId(at), order: order(at), kind: 'application' as const, body: '', sentAt: 1 }
      tx.put(keys.sent(alice, messageId(at)), OutboxRecord.encode({ ...record, expiresAt: 10 ** 14, sealed }))
    }
  })
  /** The node accepts what waits in the outbox. */
  const accept = () =>
    bob.store.transaction(async tx => {
      let accepted = 0
      for (const [key, bytes] of await tx.list(keys.outboxOf(alice))) {
        const record = OutboxRecord.decode(bytes)
        tx.delete(key)
        if (record.kind !== 'application') continue
        accepted += 1
        tx.put(keys.sent(alice, record.id), bytes)
      }
      return accepted
    })
  const openSession = () => start(attacker, served.shift() ?? serve(victim))
  return { attacker, victim, bob, accept, openSession }
}

t.test('17.8 forty resets on a known session send nothing again, and are reported', async t => {
  const { attacker, bob, accept } = await openWorld('known', 20)
  for (let at = 0; at < 40; at += 1) {
    const effects = await bob.take('alice', sendNaming(attacker, { reason: 'undecryptable', ids: [] }))
    t.match(reportsIn(effects), [{ resent: 0, ignored: true }])
  }
  t.equal(await accept(), 0)
})

t.test('17.8 resets that open sessions send each message again at most once an hour', async t => {
  const { attacker, victim, bob, accept, openSession } = await openWorld('opening', 20)
  let again = 0
  for (let minute = 0; minute < 8; minute += 1) {
    openSession()
    const reason = minute % 2 === 0 ? 'undecryptable' : 'rollback'
    const effects = await bob.take('alice', sendNaming(attacker, { reason, ids: [] }))
    t.match(reportsIn(effects), [minute === 0 ? { resent: 20, withheld: 0 } : { resent: 0, withheld: 20 }])
    again += await accept()
    for (const agent of [attacker, victim]) agent.nowMs += minuteMs
  }
  t.equal(again, 20)
  for (const agent of [attacker, victim]) agent.nowMs += 60 * minuteMs
  openSession()
  t.match(reportsIn(await bob.take('alice', sendNaming(attacker, { reason: 'undecryptable', ids: [] }))), [
    { resent: 20, withheld: 0 },
  ])
})

t.test('17.8 only the messages that a reset names are sent again', async t => {
  const { attacker, bob, accept, openSession } = await openWorld('named', 20)
  openSession()
  const ids = [3, 11].map(at => decodeBase64Url(messageId(at)))
  const effects = await bob.take('alice', sendNaming(attacker, { reason: 'undecryptable', ids }))
  t.match(reportsIn(effects), [{ resent: 2, withheld: 0 }])
  t.equal(await accept(), 2)
})

t.test('17.8 one reset sends no more than nine hundred messages again, the oldest first', async t => {
  const { attacker, bob, openSession } = await openWorld('many', 950)
  openSession()
  const effects = await bob.take('alice', sendNaming(attacker, { reason: 'rollback', ids: [] }))
  t.match(reportsIn(effects), [{ resent: 900, withheld: 50 }])
})

t.test('17.16 a session that the reset of the peer names as unreadable never wins against the new one', async t => {
  for (let at = 0; at < 8; at += 1) {
    const [one, other] = makeAcquainted(`unreadable-${at}`)
    const [ofOne, ofOther] = [serve(one), serve(other)]
    const lost = start(one, ofOther)
    sendNaming(one, { reason: 'rollback', ids: [] })
    start(other, ofOne)
    receive(one, sendNaming(other, { reason: 'rollback', ids: [lost] }))
    t.equal(activeOf(one), activeOf(other), 'whichever sid is smaller')
  }
})
