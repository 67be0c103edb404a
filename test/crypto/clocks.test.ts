import t from 'tap'
import { generatePrekeys, needsRotation, rotatePrekeys } from '../../src/crypto/keys/prekeys.ts'
import { randomBytes } from '../../src/crypto/provider.ts'
import { hasSession, needsRenewal } from '../../src/crypto/session/peer.ts'
import { advance, makeAcquainted, makePair, serve, start } from '../../tools/clients/crypto-agents.ts'

const dayMs = 86_400_000

t.test('17.20 keys and sessions that were made in the future are due', t => {
  const nowMs = 10 ** 12
  for (const ahead of [dayMs, 8 * dayMs, 3_650 * dayMs]) {
    const future = generatePrekeys({ nowMs: nowMs + ahead, random: randomBytes })
    t.ok(needsRotation(future, nowMs), `prekeys, ${ahead / dayMs} days ahead`)
    const rotated = rotatePrekeys(future, { nowMs, random: randomBytes })
    t.notOk(needsRotation(rotated, nowMs), 'once')
    const later = rotatePrekeys(rotated, { nowMs: nowMs + 60 * dayMs, random: randomBytes })
    t.equal(later.generations.length, 2, 'a generation from the future is not kept for years')
    const [alice, bob] = makeAcquainted(`future-${ahead}`)
    t.notOk(needsRenewal(alice.peer, alice.nowMs))
    advance(-ahead, alice, bob)
    t.ok(needsRenewal(alice.peer, alice.nowMs), 'a session')
    const [carol, dave] = makePair(`unanswered-${ahead}`)
    start(carol, serve(dave))
    t.notOk(hasSession(carol.peer, carol.nowMs - ahead), 'an unanswered session')
  }
  t.end()
})
