import { setTimeout as delay } from 'node:timers/promises'
import { MemoryDisk, openMemoryStore } from '../../src/client/state/memory-store.ts'
import { encodeBase64Url } from '../../src/util/bytes.ts'
import type { Random } from '../../tools/random.ts'
import type { Round } from './findings.ts'
import type { LibraryAgent } from './library-agent.ts'
import { Pair } from './pair.ts'

/** Pairs of a round are numbered from its seed times this. */
const maxPairs = 1_000
/** Calls of each agent while the node lies, and the pause between them, ms. */
const steps = 25
const minStepMs = 20
const maxStepMs = 400
/** How long one call may keep its agent from the next call, ms. */
const patienceMs = 3_000
const requestTimeoutMs = 3_000
/** One login may take 15 s, and is repeated with the key. */
const connectBoundMs = 60_000

/** Lies to many pairs of library clients at once, so that their time-outs overlap. Returns the number of lies. */
export const lieToLibrary: Round = async ({ world, findings, seed, pairs: count }) => {
  const pairs = Array.from({ length: count }, (_, at) => {
    const storeOf = () => {
      const disk = new MemoryDisk()
      return async () => openMemoryStore(disk)
    }
    return new Pair({ world, findings, victim: 'library', seed: seed * maxPairs + at, storeOf, live })
  })
  await Promise.all(pairs.map(pair => pair.run()))
  return pairs.reduce((sum, { scene }) => sum + scene.lies, 0)
}

async function live(pair: Pair): Promise<void> {
  await Promise.all(pair.agents.map(agent => liveAs(agent, pair)))
}

async function liveAs(agent: LibraryAgent, pair: Pair): Promise<void> {
  for (let step = 0; step < steps; step += 1) {
    await Promise.race([act(agent, pair), delay(patienceMs)])
    await delay(pair.random.between(minStepMs, maxStepMs))
  }
}

function act(agent: LibraryAgent, pair: Pair): Promise<void> {
  const { client, name } = agent
  const { ledger, operations, random } = pair
  const peer = pair.peerOf(agent).name
  const run = (what: string, call: () => Promise<unknown>, boundMs?: number) => operations.run(what, call, boundMs)
  const noteCard = async () => {
    const { verified, identity } = await client.cards.of(peer)
    ledger.trusted(name, peer, { identity, isVerified: verified === 'verified' })
  }
  const noteIdentity = async () => {
    const { trust, identity } = await client.identityOf(peer)
    ledger.trusted(name, peer, { identity, isVerified: trust === 'verified' })
  }
  const verifyAnother = async () => {
    await client.verifyPeer(peer, anotherKey(random)).then(
      () => ledger.fault('a wrong key was accepted as compared'),
      () => {},
    )
  }
  const actions: readonly [weight: number, act: () => Promise<void>][] = [
    [50, async () => void pair.send(agent)],
    [15, () => request(agent, pair)],
    [5, () => run('users', () => firstOf(client.users({ prefix: peer.slice(0, 6), cards: true }), 1_000))],
    [4, () => run('card', noteCard)],
    [3, () => run('publish card', () => client.cards.publish(card))],
    [6, () => run('identity', noteIdentity)],
    [6, () => pair.verify(agent)],
    [2, () => run('verify another key', verifyAnother)],
    [3, () => run('renew', () => client.renewSession(peer))],
    [2, () => run('session', () => client.getOrCreateSession(peer))],
    [2, () => run('exchange', () => client.initiateKeyExchange(peer, { timeoutMs: requestTimeoutMs }))],
    [2, () => run('rules', () => firstOf(client.access.rules(), 1_000))],
    [2, () => run('logins', () => client.access.logins())],
    [2, () => run('connect', () => client.connect(), connectBoundMs)],
    [3, () => run('reopen', () => agent.reopen(), connectBoundMs)],
  ]
  let left = random.next() * actions.reduce((sum, [weight]) => sum + weight, 0)
  const chosen = actions.find(([weight]) => {
    left -= weight
    return left < 0
  })
  return chosen ? chosen[1]() : Promise.resolve()
}

/** The right answer may also arrive late, as a message. */
async function request(agent: LibraryAgent, pair: Pair): Promise<void> {
  const { ledger, operations } = pair
  const to = pair.peerOf(agent).name
  const question = ledger.sending(agent.name, to, `${agent.name} asks ${performance.now()}`)
  ledger.sending(to, agent.name, `answer: ${question.text}`)
  const ask = async () => {
    const answer = await agent.client.request(to, question.text, { timeoutMs: requestTimeoutMs })
    agent.show(answer)
  }
  await operations.run('request', ask, requestTimeoutMs)
}

const card = { title: 'an honest card', capabilities: ['tests'], acceptsRequests: true }

const anotherKey = (random: Random): string =>
  encodeBase64Url(Uint8Array.from({ length: 32 }, () => Math.floor(random.next() * 256)))

/** Reads a listing to its end, or to a number of entries. */
async function firstOf(entries: AsyncIterable<unknown>, most: number): Promise<void> {
  let count = 0
  for await (const _entry of entries) {
    count += 1
    if (count >= most) return
  }
}
