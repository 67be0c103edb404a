import { setTimeout as delay } from 'node:timers/promises'
import { encodeBase64Url } from '../../src/util/bytes.ts'
import { type Random, seededRandom } from '../../tools/random.ts'
import { checkPace, type Findings, reportTo, stageScene } from './findings.ts'
import { Ledger } from './ledger.ts'
import { LibraryAgent } from './library-agent.ts'
import { Operations } from './operations.ts'
import { hash, type Scene } from './scene.ts'
import type { LyingWorld } from './world.ts'

/** Names and choices of the pairs of a round are numbered from `seed` times this. */
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
/** A client lingers for outgoing messages. */
const closeBoundMs = 30_000
/** More than the interval between two resets. */
const hourMs = 61 * 60_000
/** After the node has become honest: how often the clock moves on, and how long everything may take, ms. */
const healStepMs = 8_000
const healMs = Number(process.env.HEAL ?? 240_000)
const lastText = 'after all the lies'
/** How long a stored message may take to be shown, ms. */
const graceMs = 20_000

/** Runs many pairs of library clients at once, so that their time-outs overlap. Returns the number of lies. */
export async function lieToLibrary(
  world: LyingWorld,
  findings: Findings,
  seed: number,
  count: number,
): Promise<number> {
  const pairs = Array.from({ length: count }, (_, at) => new Pair(world, findings, seed * maxPairs + at))
  await Promise.all(pairs.map(pair => pair.run()))
  return pairs.reduce((sum, { scene }) => sum + scene.lies, 0)
}

/** Two agents that are lied to. */
class Pair {
  readonly scene: Scene
  readonly #findings: Findings
  readonly #ledger: Ledger
  readonly #operations: Operations
  readonly #random: Random
  readonly #agents: readonly [LibraryAgent, LibraryAgent]
  /** Added to the clock of both agents, ms. */
  #offsetMs = 0
  #texts = 0

  constructor(world: LyingWorld, findings: Findings, seed: number) {
    this.#findings = findings
    this.#random = seededRandom(hash(`pair ${seed}`))
    this.scene = stageScene(world, 'lib', seed, 2)
    this.#ledger = new Ledger(this.scene, reportTo(findings, 'library'))
    const now = () => Date.now() + this.#offsetMs
    const agent = (name: string) => {
      const style = this.#random.pick(['receive', 'mailbox'] as const)
      return new LibraryAgent({ name, server: world.serverOf(name), ledger: this.#ledger, style, now })
    }
    const [one = '', other = ''] = this.scene.victims
    this.#agents = [agent(one), agent(other)]
    this.#operations = new Operations(this.#ledger, (what, error) => this.#agents[0].checkError(what, error))
  }

  async run(): Promise<void> {
    await this.#begin()
    this.scene.isHonest = false
    await Promise.all(this.#agents.map(agent => this.#live(agent)))
    this.scene.beHonest()
    await this.#heal()
    await this.#check()
    for (const agent of this.#agents) await this.#operations.within('close', () => agent.close(), closeBoundMs)
    for (const [what, count] of this.#operations.counts) this.#findings.count(what, count)
  }

  /** An honest beginning: the agents are strangers, acquainted, or one or both have compared their keys. */
  async #begin(): Promise<void> {
    for (const agent of this.#agents) {
      await agent.open()
      const { identity } = await agent.client.register(agent.name)
      this.#ledger.keys.set(agent.name, identity)
      agent.work()
    }
    this.#ledger.mayBeFooled = this.#random.next() < 0.35
    if (this.#ledger.mayBeFooled) return
    const [one, other] = this.#agents
    for (const agent of [one, other]) {
      const text = this.#newText(agent.name)
      await this.#send(agent, text)
      while (!this.#ledger.isShown(this.#peerOf(agent).name, text)) await delay(20)
    }
    for (const agent of this.#agents) if (this.#random.next() < 0.6) await this.#verify(agent)
  }

  async #live(agent: LibraryAgent): Promise<void> {
    for (let step = 0; step < steps; step += 1) {
      const acting = this.#act(agent)
      await Promise.race([acting, delay(patienceMs)])
      await delay(this.#random.between(minStepMs, maxStepMs))
    }
  }

  #act(agent: LibraryAgent): Promise<void> {
    const { client, name } = agent
    const peer = this.#peerOf(agent).name
    const run = (what: string, call: () => Promise<unknown>, boundMs?: number) =>
      this.#operations.run(what, call, boundMs)
    const actions: readonly [weight: number, act: () => Promise<void>][] = [
      [50, async () => void this.#send(agent)],
      [15, () => this.#request(agent)],
      [5, () => run('users', () => firstOf(client.users({ prefix: peer.slice(0, 6), cards: true }), 1_000))],
      [4, () => run('card', async () => this.#noteTrust(name, peer, await client.cards.of(peer)))],
      [3, () => run('publish card', () => client.cards.publish(card))],
      [6, () => run('identity', async () => this.#noteIdentity(name, peer, await client.identityOf(peer)))],
      [6, () => this.#verify(agent)],
      [2, () => run('verify another key', () => this.#mustFail(client.verifyPeer(peer, wrongKey(this.#random))))],
      [3, () => run('renew', () => client.renewSession(peer))],
      [2, () => run('session', () => client.getOrCreateSession(peer))],
      [2, () => run('exchange', () => client.initiateKeyExchange(peer, { timeoutMs: requestTimeoutMs }))],
      [2, () => run('rules', () => firstOf(client.access.rules(), 1_000))],
      [2, () => run('logins', () => client.access.logins())],
      [2, () => run('connect', () => client.connect(), connectBoundMs)],
      [3, () => run('reopen', () => agent.reopen(), connectBoundMs)],
    ]
    let left = this.#random.next() * actions.reduce((sum, [weight]) => sum + weight, 0)
    for (const [weight, act] of actions) {
      left -= weight
      if (left < 0) return act()
    }
    return Promise.resolve()
  }

  async #send(agent: LibraryAgent, text = this.#newText(agent.name)): Promise<void> {
    const to = this.#peerOf(agent).name
    const sent = this.#ledger.sending(agent.name, to, text)
    const call = async () => {
      sent.id = (await agent.client.send(to, sent.text)).id
      sent.isAccepted = true
    }
    await this.#operations.run('send', call)
    sent.isOver = true
  }

  /** The right answer may arrive late, as a message. */
  async #request(agent: LibraryAgent): Promise<void> {
    const to = this.#peerOf(agent).name
    const question = this.#ledger.sending(agent.name, to, this.#newText(agent.name))
    const answer = this.#ledger.sending(to, agent.name, `answer: ${question.text}`)
    question.isOver = true
    answer.isOver = true
    const call = async () => {
      const { text, from, id, verified, ...rest } = await agent.client.request(to, question.text, {
        timeoutMs: requestTimeoutMs,
      })
      const identity = 'identity' in rest ? String(rest.identity) : undefined
      this.#ledger.shown(agent.name, { id, from, text: text ?? '', isVerified: verified === 'verified', identity })
    }
    await this.#operations.run('request', call, requestTimeoutMs)
  }

  /** The user compares the key with the peer itself, over another channel. */
  #verify(agent: LibraryAgent): Promise<void> {
    const peer = this.#peerOf(agent).name
    return this.#operations.run('verify', async () => {
      this.#ledger.comparing(agent.name, peer)
      await agent.client.verifyPeer(peer, this.#ledger.keys.get(peer) ?? '')
      this.#noteIdentity(agent.name, peer, await agent.client.identityOf(peer))
    })
  }

  async #mustFail(call: Promise<unknown>): Promise<void> {
    const isDone = await call.then(
      () => true,
      () => false,
    )
    if (isDone) this.#ledger.fault('a wrong key was accepted as compared')
  }

  #noteIdentity(by: string, peer: string, { trust, identity }: { trust: string; identity: string }): void {
    this.#ledger.trusted(by, peer, { identity, isVerified: trust === 'verified' })
  }

  #noteTrust(by: string, peer: string, { verified, identity }: { verified: string; identity: string }): void {
    this.#ledger.trusted(by, peer, { identity, isVerified: verified === 'verified' })
  }

  #newText(name: string): string {
    this.#texts += 1
    return `${name} ${this.#texts} ${'é😀\u0007\n'.repeat(Math.floor(this.#random.next() ** 6 * 2_000))}`
  }

  #peerOf(agent: LibraryAgent): LibraryAgent {
    const [one, other] = this.#agents
    return agent === one ? other : one
  }

  /**
   * The node is honest again: every call must end, and new messages must arrive in both directions. The clock moves on,
   * because a client asks a peer only once an hour for what it could not read.
   */
  async #heal(): Promise<void> {
    const deadline = performance.now() + healMs
    for (const agent of this.#agents)
      if (this.#random.next() < 0.5) await this.#operations.within('reopen', () => agent.reopen(), closeBoundMs)
    const isHealed = () => this.#operations.open.length === 0 && this.#silent().length === 0
    for (let attempt = 0, next = 0; performance.now() < deadline && !isHealed(); ) {
      if (performance.now() >= next) {
        next = performance.now() + healStepMs
        attempt += 1
        this.#offsetMs += hourMs
        this.scene.endConnections()
        for (const agent of this.#agents) await this.#verify(agent)
        for (const agent of this.#silent()) void this.#send(agent, `${agent.name} ${lastText} ${attempt}`)
      }
      await delay(100)
    }
    if (!isHealed())
      this.#ledger.fault('does not recover', {
        open: this.#operations.open,
        silent: this.#silent().map(({ name }) => name),
      })
  }

  /** The agents of which the peer has shown nothing since the node is honest. */
  #silent(): LibraryAgent[] {
    return this.#agents.filter(agent => !this.#ledger.isShownFrom(agent.name, lastText))
  }

  /** A message without a receipt may be on its way: waits until those that are gone for good are left. */
  async #check(): Promise<void> {
    const deadline = performance.now() + graceMs
    for (;;) {
      const lost = this.#ledger.lost(await this.#kept())
      if (lost.length > 0 && performance.now() < deadline) {
        await delay(100)
        continue
      }
      for (const { from, to, text, id } of lost)
        this.#ledger.fault('accepted, and lost in silence', { from, to, id, text: text.slice(0, 60) })
      break
    }
    this.#findings.count('message kept without a receipt', this.#ledger.lost(new Map()).length)
    checkPace(this.scene, this.#ledger)
  }

  async #kept(): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
    const kept = new Map<string, ReadonlySet<string>>()
    for (const agent of this.#agents) kept.set(agent.name, await agent.keptIds())
    return kept
  }
}

const card = { title: 'an honest card', capabilities: ['tests'], acceptsRequests: true }

const wrongKey = (random: Random): string =>
  encodeBase64Url(Uint8Array.from({ length: 32 }, () => Math.floor(random.next() * 256)))

/** Reads a listing to its end, or to a number of entries. */
async function firstOf(entries: AsyncIterable<unknown>, most: number): Promise<void> {
  let count = 0
  for await (const _entry of entries) {
    count += 1
    if (count >= most) return
  }
}
