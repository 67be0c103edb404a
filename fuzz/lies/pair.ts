import { setTimeout as delay } from 'node:timers/promises'
import { UnreachableError } from '../../src/client/base/errors.ts'
import type { Account } from '../../src/client/connection/identity.ts'
import type { StateStore } from '../../src/client/state/state-store.ts'
import { type Random, seededRandom } from '../../tools/random.ts'
import { checkPace, type Findings, reportTo } from './findings.ts'
import { Ledger } from './ledger.ts'
import { LibraryAgent } from './library-agent.ts'
import { Operations } from './operations.ts'
import { hash, type Scene } from './scene.ts'
import type { LyingWorld } from './world.ts'

/** A client lingers for outgoing messages, ms. */
const closeBoundMs = 30_000
/** More than the interval between two resets, ms. */
const hourMs = 61 * 60_000
/** After the node has become honest: how often the clock moves on, and how long everything may take, ms. */
const healStepMs = 8_000
const healMs = 240_000
/** How often an agent tries to register, a second apart and after each time-out. */
const registrationTries = 20
const lastText = 'after all the lies'
/** How long a stored message may take to be shown, ms. */
const graceMs = 20_000

export type PairOptions = {
  world: LyingWorld
  findings: Findings
  /** What is lied to: the start of the agents' names. */
  victim: string
  seed: number
  /** Opens the state of an agent, again and again. */
  storeOf: (name: string) => () => Promise<StateStore>
  /** What the agents do while the node lies. */
  live: (pair: Pair) => Promise<void>
}

/**
 * Two agents that are lied to. Library clients make an honest beginning and an honest end; `live` uses their states
 * between the two.
 */
export class Pair {
  readonly scene: Scene
  readonly ledger: Ledger
  readonly operations: Operations
  readonly random: Random
  readonly agents: readonly [LibraryAgent, LibraryAgent]
  readonly #options: PairOptions
  /** Added to the clock of both agents, ms. */
  #offsetMs = 0
  #texts = 0

  constructor(options: PairOptions) {
    const { world, findings, victim, seed, storeOf } = options
    this.#options = options
    this.random = seededRandom(hash(`${victim} ${seed}`))
    this.scene = world.stage(seed, [`${victim}-${seed}-0`, `${victim}-${seed}-1`])
    this.ledger = new Ledger(this.scene, reportTo(findings, victim))
    const now = () => Date.now() + this.#offsetMs
    const agent = (name: string) => {
      const style = this.random.pick(['receive', 'mailbox'] as const)
      const { ledger } = this
      return new LibraryAgent({ name, server: world.serverOf(name), ledger, style, now, openStore: storeOf(name) })
    }
    const [one = '', other = ''] = this.scene.victims
    this.agents = [agent(one), agent(other)]
    this.operations = new Operations(this.ledger, (what, error) => this.agents[0].checkError(what, error))
  }

  async run(): Promise<void> {
    const { findings, live } = this.#options
    await this.#begin()
    this.scene.isHonest = false
    await live(this)
    this.scene.beHonest()
    await this.#heal()
    await this.#check()
    for (const agent of this.agents) await this.operations.within('close', () => agent.close(), closeBoundMs)
    for (const [what, count] of this.operations.counts) findings.count(what, count)
    this.scene.forget()
  }

  async closeAgents(): Promise<void> {
    await Promise.all(this.agents.map(agent => agent.close()))
  }

  async openAgents(): Promise<void> {
    for (const agent of this.agents) {
      await agent.open()
      agent.work()
    }
  }

  peerOf(agent: LibraryAgent): LibraryAgent {
    const [one, other] = this.agents
    return agent === one ? other : one
  }

  async send(agent: LibraryAgent, text = this.newText(agent.name)): Promise<void> {
    const to = this.peerOf(agent).name
    const sent = this.ledger.sending(agent.name, to, text)
    await this.operations.run('send', async () => {
      sent.id = (await agent.client.send(to, sent.text)).id
      sent.isAccepted = true
    })
  }

  /** The user compares the key with the peer itself, over another channel. */
  verify(agent: LibraryAgent): Promise<void> {
    const peer = this.peerOf(agent).name
    return this.operations.run('verify', async () => {
      this.ledger.comparing(agent.name, peer)
      await agent.client.verifyPeer(peer, this.ledger.keys.get(peer) ?? '')
      const { identity, trust } = await agent.client.identityOf(peer)
      this.ledger.trusted(agent.name, peer, { identity, isVerified: trust === 'verified' })
    })
  }

  /** Returns a short text that no other message has. */
  newPlainText(name: string): string {
    this.#texts += 1
    return `${name} ${this.#texts}`
  }

  /** Returns a text of any length that no other message has. */
  newText(name: string): string {
    return `${this.newPlainText(name)} ${'é😀\u0007\n'.repeat(Math.floor(this.random.next() ** 6 * 2_000))}`
  }

  /** An honest beginning: the agents are strangers, acquainted, or one or both have compared their keys. */
  async #begin(): Promise<void> {
    for (const agent of this.agents) {
      await agent.open()
      const { identity } = await this.#register(agent)
      this.ledger.keys.set(agent.name, identity)
      agent.work()
    }
    this.ledger.mayBeFooled = this.random.next() < 0.35
    if (this.ledger.mayBeFooled) return
    for (const agent of this.agents) {
      const text = this.newText(agent.name)
      await this.send(agent, text)
      while (!this.ledger.isShown(this.peerOf(agent).name, text)) await delay(20)
    }
    for (const agent of this.agents) if (this.random.next() < 0.6) await this.verify(agent)
  }

  /** On a machine that is too busy for the handshake, it tries again. */
  async #register({ client, name }: LibraryAgent): Promise<Account> {
    for (let left = registrationTries; ; left -= 1) {
      try {
        return await client.register(name)
      } catch (error) {
        if (left === 1 || !(error instanceof UnreachableError)) throw error
        await delay(1_000)
      }
    }
  }

  /**
   * The node is honest again: every call must end, and new messages must arrive in both directions. The clock moves on,
   * because a client asks a peer only once an hour for what it could not read.
   */
  async #heal(): Promise<void> {
    const deadline = performance.now() + healMs
    for (const agent of this.agents)
      if (this.random.next() < 0.5) await this.operations.within('reopen', () => agent.reopen(), closeBoundMs)
    const isHealed = () => this.operations.open.length === 0 && this.#silent().length === 0
    for (let attempt = 0, next = 0; performance.now() < deadline && !isHealed(); ) {
      if (performance.now() >= next) {
        next = performance.now() + healStepMs
        attempt += 1
        this.#offsetMs += hourMs
        this.scene.endConnections()
        for (const agent of this.agents) await this.verify(agent)
        for (const agent of this.#silent()) void this.send(agent, `${agent.name} ${lastText} ${attempt}`)
      }
      await delay(100)
    }
    if (isHealed()) return
    const silent = this.#silent().map(({ name }) => name)
    this.ledger.fault('does not recover', { open: this.operations.open, silent })
  }

  /** The agents of which the peer has shown nothing since the node is honest. */
  #silent(): LibraryAgent[] {
    return this.agents.filter(agent => !this.ledger.isShownFrom(agent.name, lastText))
  }

  /** A message without a receipt may be on its way: waits until those that are gone for good are left. */
  async #check(): Promise<void> {
    const deadline = performance.now() + graceMs
    let lost = this.ledger.lost(await this.#kept())
    for (; lost.length > 0 && performance.now() < deadline; lost = this.ledger.lost(await this.#kept()))
      await delay(100)
    for (const { from, to, text, id } of lost)
      this.ledger.fault('accepted, and lost in silence', { from, to, id, text: text.slice(0, 60) })
    this.#options.findings.count('message kept without a receipt', this.ledger.lost(new Map()).length)
    checkPace(this.scene, this.ledger)
  }

  async #kept(): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
    const kept = new Map<string, ReadonlySet<string>>()
    for (const agent of this.agents) kept.set(agent.name, await agent.keptIds())
    return kept
  }
}
