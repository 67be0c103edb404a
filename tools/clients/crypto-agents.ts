import '../node-crypto.ts'
import type { Served } from '../../src/crypto/keys/bundle.ts'
import type { Self } from '../../src/crypto/keys/identity.ts'
import { generateIdentity } from '../../src/crypto/keys/identity.ts'
import {
  generatePrekeys,
  makeBundle,
  type Prekeys,
  publicKemKey,
  publicOneTimeKey,
} from '../../src/crypto/keys/prekeys.ts'
import { encodePrekeys } from '../../src/crypto/keys/prekeys-codec.ts'
import { type Content, type ContentKind, encodeReset, newContent } from '../../src/crypto/messages/content.ts'
import { type Random, sha256 } from '../../src/crypto/provider.ts'
import { type Decrypted, type DecryptOptions, decryptBody } from '../../src/crypto/session/decrypt-body.ts'
import { encryptContent } from '../../src/crypto/session/encrypt-content.ts'
import { newPeer, type Peer } from '../../src/crypto/session/peer.ts'
import { encodePeer } from '../../src/crypto/session/peer-codec.ts'
import { startSession } from '../../src/crypto/session/start-session.ts'
import { concatBytes, decodeUtf8, encodeUtf8, toHex } from '../../src/util/bytes.ts'

export const startMs = 1_800_000_000_000
export const minuteMs = 60_000
export const hourMs = 60 * minuteMs
export const dayMs = 24 * hourMs

export const fromHex = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'))

/** A random source that gives the same bytes in every run. */
export function seededRandom(seed: string): Random {
  let count = 0
  return length => {
    const blocks = Array.from({ length: Math.ceil(length / 32) }, () => sha256(encodeUtf8(`${seed} ${count++}`)))
    return concatBytes(...blocks).slice(0, length)
  }
}

/** One side of a conversation, with the records of its store. */
export type Agent = { self: Self; prekeys: Prekeys; peer: Peer; random: Random; nowMs: number }

export function makeAgent(name: string, peerName: string, seed = 'agents'): Agent {
  const random = seededRandom(`${seed} ${name}`)
  return {
    self: { identity: generateIdentity(random), address: `${name}@localhost` },
    prekeys: generatePrekeys({ nowMs: startMs, random }),
    peer: newPeer(`${peerName}@localhost`),
    random,
    nowMs: startMs,
  }
}

export const makePair = (seed?: string): [Agent, Agent] => [
  makeAgent('alice', 'bob', seed),
  makeAgent('bob', 'alice', seed),
]

/** The keys that a node would serve for `agent`, with the given number of one-time keys (0 or 1 of each kind). */
export function serve(agent: Agent, oneTime: 0 | 1 = 1): Served {
  const made = makeBundle(agent.prekeys, agent.self, agent.nowMs)
  agent.prekeys = made.prekeys
  if (oneTime === 0) return { bundle: made.bundle }
  const { nextId, oneTimeKeys, oneTimeKemKeys } = agent.prekeys
  const oneTime25519 = { id: nextId, privateKey: agent.random(32) }
  const oneTimeKem = { id: nextId + 1, seed: agent.random(64) }
  agent.prekeys = {
    ...agent.prekeys,
    nextId: nextId + 2,
    oneTimeKeys: [...oneTimeKeys, oneTime25519],
    oneTimeKemKeys: [...oneTimeKemKeys, oneTimeKem],
  }
  return {
    bundle: made.bundle,
    oneTimeKey: publicOneTimeKey(oneTime25519),
    oneTimeKemKey: publicKemKey(agent.self.identity, oneTimeKem),
  }
}

export function start(agent: Agent, served: Served): Uint8Array {
  const started = startSession(agent.peer, { ...agent, served })
  agent.peer = started.peer
  return started.sid
}

export const text = (body: string): Uint8Array => encodeUtf8(body)
export const textOf = ({ body }: Content): string => decodeUtf8(body)

export function send(agent: Agent, body: Uint8Array | string = '', kind: ContentKind = 'application'): Uint8Array {
  const content = newContent(kind, typeof body === 'string' ? text(body) : body, agent)
  const sent = encryptContent(agent.peer, content, { nowMs: agent.nowMs })
  agent.peer = sent.peer
  return sent.body
}

export const sendReset = (agent: Agent, reason: 'undecryptable' | 'renewal' = 'undecryptable'): Uint8Array =>
  send(agent, encodeReset({ reason, ids: [] }), 'reset')

/** Decrypts and discards the result. */
export const tryReceive = (agent: Agent, body: Uint8Array, options: Partial<DecryptOptions> = {}): Decrypted =>
  decryptBody(agent.peer, body, { ...agent, from: agent.peer.address, frameType: 'message', ...options })

export function receive(agent: Agent, body: Uint8Array, options: Partial<DecryptOptions> = {}): Decrypted {
  const result = tryReceive(agent, body, options)
  agent.peer = result.peer
  agent.prekeys = result.prekeys
  return result
}

/** Encodes the state that a failed operation must not change. */
export const stateOf = ({ peer, prekeys }: Agent): string => toHex(encodePeer(peer)) + toHex(encodePrekeys(prekeys))

export const activeOf = ({ peer }: Agent): string => toHex(peer.active ?? new Uint8Array())

/** Makes two agents with a session that both have used. */
export function makeAcquainted(seed?: string): [Agent, Agent] {
  const [alice, bob] = makePair(seed)
  start(alice, serve(bob))
  receive(bob, send(alice, 'hello'))
  receive(alice, send(bob, 'hello yourself'))
  return [alice, bob]
}

export function advance(byMs: number, ...agents: Agent[]): void {
  for (const agent of agents) agent.nowMs += byMs
}
