import { Client } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import { openDirectoryStore } from '../../src/client/node.ts'
import { temporaryDirectory } from '../../tools/clients/agents.ts'
import { builtFile, nodeEndingWithParent } from '../../tools/processes.ts'
import { outputFaults } from './child-output.ts'
import type { Round } from './findings.ts'
import { hostileMarker } from './hostile.ts'
import type { LibraryAgent } from './library-agent.ts'
import { Pair } from './pair.ts'
import type { LyingWorld } from './world.ts'

const pairsAtOnce = 2
/** Pairs of a round are numbered from its seed times this. */
const maxPairs = 1_000
const callsOfEach = 14
/** The bounds of the calls, s. */
const waitS = 1
const requestS = 3
/** After this time the host gives a call up, ms. The message stays in the state. */
const patienceMs = 8_000
/** How long the last call may take once the node is honest, ms. */
const lastCallMs = 120_000

type Values = Record<string, unknown>

/** Lies to `aimessage mcp`. */
export const lieToMcp: Round = async ({ owner, world, findings, seed }) => {
  const home = await temporaryDirectory(owner)
  const storeOf = (name: string) => () => openDirectoryStore(`${home}/${name}`)
  const live = (pair: Pair) => liveByTools(pair, world, home)
  const pairs = Array.from({ length: pairsAtOnce }, (_, at) => {
    return new Pair({ world, findings, victim: 'mcp', seed: seed * maxPairs + at, storeOf, live })
  })
  await Promise.all(pairs.map(pair => pair.run()))
  return pairs.reduce((sum, { scene }) => sum + scene.lies, 0)
}

async function liveByTools(pair: Pair, world: LyingWorld, home: string): Promise<void> {
  await pair.closeAgents()
  const hosts = await Promise.all(pair.agents.map(agent => Host.start(agent, pair, world, home)))
  await Promise.all(hosts.map(host => host.live()))
  pair.scene.beHonest()
  await Promise.all(hosts.map(host => host.end()))
  await pair.openAgents()
}

/** A host with one MCP server. */
class Host {
  readonly #agent: LibraryAgent
  readonly #pair: Pair
  readonly #client: Client
  #stderr = ''

  private constructor(agent: LibraryAgent, pair: Pair, client: Client) {
    this.#agent = agent
    this.#pair = pair
    this.#client = client
  }

  static async start(agent: LibraryAgent, pair: Pair, world: LyingWorld, home: string): Promise<Host> {
    const { name } = agent
    const [command, args] = nodeEndingWithParent(builtFile('cli/run'), 'mcp', '--agent', name)
    const env = {
      PATH: process.env.PATH ?? '',
      HOME: '/nonexistent',
      AIMESSAGE_HOME: home,
      AIMESSAGE_SERVER: world.serverOf(name),
    }
    const transport = new StdioClientTransport({ command, args, env, stderr: 'pipe' })
    const client = new Client({ name: 'fuzz', version: '1' })
    const host = new Host(agent, pair, client)
    transport.stderr?.on('data', data => {
      host.#stderr += data
    })
    await client.connect(transport)
    return host
  }

  async live(): Promise<void> {
    for (let count = 0; count < callsOfEach; count += 1) await this.#act()
  }

  /** A server that has ended or hangs does not answer any more. */
  async end(): Promise<void> {
    const { ledger } = this.#pair
    const answer = await this.#call('whoami', {}, lastCallMs)
    if (answer === undefined) ledger.fault('the MCP server no longer answers', this.#stderr.slice(-2_000))
    await this.#client.close()
    for (const fault of outputFaults({ stdout: '', stderr: this.#stderr })) ledger.fault(`mcp: ${fault}`)
  }

  async #act(): Promise<void> {
    const { random, ledger } = this.#pair
    const { name } = this.#agent
    const peer = this.#pair.peerOf(this.#agent).name
    const choice = random.next()
    if (choice < 0.35) return this.#send(peer)
    if (choice < 0.6) return this.#read()
    if (choice < 0.7) return this.#request(peer)
    if (choice < 0.78) return void (await this.#call('list_agents', { limit: 5 }))
    if (choice < 0.86) return void (await this.#call('whoami', {}))
    ledger.comparing(name, peer)
    const seen = await this.#call('verify_agent', { name: peer, shown: ledger.keys.get(peer) ?? '' })
    if (seen) ledger.trusted(name, peer, { identity: String(seen.identity), isVerified: seen.trust === 'verified' })
  }

  async #send(peer: string): Promise<void> {
    const sent = this.#pair.ledger.sending(this.#agent.name, peer, this.#pair.newPlainText(this.#agent.name))
    const answer = await this.#call('send_message', { to: peer, text: sent.text })
    if (answer) Object.assign(sent, { id: String(answer.id), isAccepted: true })
  }

  async #read(): Promise<void> {
    const previews = messagesIn(await this.#call('wait_for_messages', { timeout_s: waitS }))
    for (const { id, kind, from, preview } of previews) {
      if (kind === 'request') {
        const text = `answer: ${preview}`
        this.#pair.ledger.sending(this.#agent.name, String(from), text)
        this.#show(previews.filter(each => each.id === id))
        await this.#call('reply', { id, text })
        continue
      }
      this.#show(messagesIn(await this.#call('read_messages', { ids: [id] })))
      const done = await this.#call('read_messages', { done: [id] })
      if (done?.acknowledged === 1) this.#pair.ledger.acked(this.#agent.name, { from: String(from), id: String(id) })
    }
  }

  async #request(peer: string): Promise<void> {
    const { ledger } = this.#pair
    const question = ledger.sending(this.#agent.name, peer, this.#pair.newPlainText(this.#agent.name))
    ledger.sending(peer, this.#agent.name, `answer: ${question.text}`)
    const answer = await this.#call('request', { to: peer, text: question.text, timeout_s: requestS })
    if (answer?.answer) this.#show([Object(answer.answer)])
  }

  #show(messages: readonly Values[]): void {
    for (const { id, from, verified, key, content, preview, error } of messages) {
      const text = String(content ?? preview)
      const identity = String(key)
      if (error === undefined)
        this.#pair.ledger.shown(this.#agent.name, {
          id: String(id),
          from: String(from),
          text,
          isVerified: verified === true,
          identity,
        })
    }
  }

  /** Returns the values of a tool; undefined after an error, which may be an answer too, or after the time. */
  async #call(name: string, input: Values, timeout = patienceMs): Promise<Values | undefined> {
    const { ledger, operations } = this.#pair
    let values: Values | undefined
    const call = async () => {
      const { content, structuredContent, isError } = await this.#client.callTool(
        { name, arguments: input },
        { timeout },
      )
      const [first] = content
      const text = first?.type === 'text' ? first.text : ''
      if (isError && text.includes(hostileMarker)) ledger.fault(`${name}: the words of the node`, text)
      if (!isError) values = Object(structuredContent ?? {})
      operations.count(`${name}: ${isError ? text.split(':')[0] : 'done'}`)
    }
    await call().catch(error => {
      const code = error instanceof Error && 'code' in error ? String(error.code) : String(error)
      operations.count(`${name}: ${code}`)
      if (!/timeout/i.test(code)) ledger.fault(`${name}: the host got ${error}`, this.#stderr.slice(-2_000))
    })
    return values
  }
}

const messagesIn = (values: Values | undefined): Values[] => (Array.isArray(values?.messages) ? values.messages : [])
