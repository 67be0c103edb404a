import type { Client } from '../../src/client/node.ts'
import { openDirectoryStore, openMemoryStore, type StateStore } from '../../src/client/node.ts'
import { kemKeyPair, randomBytes, x25519PublicKey } from '../../src/crypto/provider.ts'
import { initiate, respond } from '../../src/crypto/session/handshake.ts'
import { receiveSome, registerAgent, temporaryDirectory } from '../../tools/clients/agents.ts'
import { makeAcquainted, makeAgent, receive, send } from '../../tools/clients/crypto-agents.ts'
import { median } from '../statistics.ts'
import { startAimessage } from '../systems/aimessage.ts'
import type { Owner } from '../systems/system.ts'
import type { Context, Result, Row, Workload } from './workload.ts'

/** Returns the CPU time of this process during `work`, in µs per repetition. */
async function cpuUsOf(times: number, work: () => Promise<unknown> | unknown): Promise<number> {
  const before = process.cpuUsage()
  await work()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / times
}

/** Returns the median cost of one step over several runs, after a warm-up. */
async function costOf(runs: number, times: number, step: () => unknown): Promise<number> {
  const all = () => {
    for (let at = 0; at < times; at += 1) step()
  }
  all()
  const costs: number[] = []
  for (let run = 0; run < runs; run += 1) costs.push(await cpuUsOf(times, all))
  return median(costs)
}

const text = 'x'.repeat(256)

/** A handshake with both sides; suite 2 if there is a KEM key. */
function handshakeSteps(suite: 1 | 2) {
  const [alice, bob] = [makeAgent('alice', 'bob').self, makeAgent('bob', 'alice').self]
  const [signedPrekey, oneTimeKey] = [randomBytes(32), randomBytes(32)]
  const kemSeed = suite === 2 ? randomBytes(64) : undefined
  const keys = {
    identity: bob.identity.publicKey,
    address: bob.address,
    signedPrekey: { id: 1, key: x25519PublicKey(signedPrekey) },
    oneTimeKey: { id: 2, key: x25519PublicKey(oneTimeKey) },
    kem: kemSeed && { id: 3, key: kemKeyPair(kemSeed).publicKey },
  }
  const start = () => initiate(alice, keys, randomBytes(32), randomBytes(32))
  const { sid, prekeyHeader } = start()
  // docs/E2E.md section 5: version, type, suite, IK_A, EK_A, ids, and the KEM ciphertext at the end.
  const header = {
    suite,
    identity: alice.identity.publicKey,
    ephemeral: prekeyHeader.slice(36, 68),
    signedPrekeyId: 1,
    oneTimeKeyId: 2,
    kem: kemSeed ? { id: 3, ciphertext: prekeyHeader.slice(-1088) } : null,
  }
  const answer = () => respond(bob, alice.address, header, sid, { signedPrekey, oneTimeKey, kemSeed })
  return { start, answer }
}

/** The cost of the cryptography alone. */
async function cryptoRows(runs: number): Promise<Row[]> {
  const rows: Row[] = []
  const add = async (system: string, times: number, step: () => unknown) => {
    rows.push({ system, values: { 'CPU µs': await costOf(runs, times, step) } })
  }
  for (const suite of [1, 2] as const) {
    const { start, answer } = handshakeSteps(suite)
    await add(`start a session, suite ${suite}`, 30, start)
    await add(`answer a first message, suite ${suite}`, 30, answer)
  }
  const [alice] = makeAcquainted()
  await add('encrypt, one chain', 300, () => send(alice, text))
  const [sender, receiver] = makeAcquainted('one chain')
  await add('encrypt and decrypt, one chain', 300, () => receive(receiver, send(sender, text)))
  const [one, other] = makeAcquainted('turns')
  await add('encrypt and decrypt, a turn each', 50, () => {
    receive(other, send(one, text))
    receive(one, send(other, text))
  })
  return rows
}

type Fixture = { sender: Client; receivers: Client[] }
type OpenStore = (owner: Owner) => Promise<StateStore>
const stores: Record<string, OpenStore> = {
  'in memory': async () => openMemoryStore(),
  'in a directory': async owner => openDirectoryStore(await temporaryDirectory(owner)),
}

async function openAgents(owner: Owner, url: string, openStore: OpenStore, peers: number): Promise<Fixture> {
  const server = url.replace(/\/ws$/, '')
  const prefix = `bench-${randomBytes(4).join('')}`
  const sender = await registerAgent(owner, server, `${prefix}-sender`, await openStore(owner))
  const receivers: Client[] = []
  for (let at = 0; at < peers; at += 1) {
    receivers.push(await registerAgent(owner, server, `${prefix}-${at}`, await openStore(owner)))
  }
  return { sender, receivers }
}

/** Whole clients, both sides in this process: encrypt, save, send, receive, save, acknowledge. */
async function exchange({ sender, receivers }: Fixture, perPeer: number): Promise<void> {
  const names = receivers.map(({ account }) => account?.username ?? '')
  const sends = names.flatMap(name => Array.from({ length: perPeer }, () => sender.send(name, text)))
  await Promise.all([...sends, ...receivers.map(receiver => receiveSome(receiver, perPeer))])
}

async function clientRows({ owner, scale, progress }: Context): Promise<Row[]> {
  const node = await startAimessage(owner)
  const rows: Row[] = []
  for (const [where, openStore] of Object.entries(stores)) {
    for (const [peers, perPeer] of [
      [1, 500],
      [20, 25],
    ] as const) {
      progress(`${peers} peers, state ${where}`)
      const agents = await openAgents(owner, node.urls[0] ?? '', openStore, peers)
      await exchange(agents, 5)
      const costs: number[] = []
      for (let run = 0; run < scale.runs; run += 1) {
        costs.push(await cpuUsOf(peers * perPeer, () => exchange(agents, perPeer)))
      }
      rows.push({ system: `send and receive, ${peers} peers, state ${where}`, values: { 'CPU µs': median(costs) } })
    }
  }
  return rows
}

async function run(context: Context): Promise<Result> {
  context.progress('cryptography')
  const rows = [...(await cryptoRows(context.scale.runs)), ...(await clientRows(context))]
  return { workload: 'clients', rows, bars: [] }
}

export const clients: Workload = {
  name: 'clients',
  what: 'CPU of one process per step: the cryptography alone, then whole clients of both sides, receipts included',
  run,
}
