import '../../tools/node-crypto.ts'
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { dialNode } from '../../src/client/connection/dial-node.ts'
import type { Self } from '../../src/client/connection/identity.ts'
import { Link } from '../../src/client/connection/link.ts'
import { register } from '../../src/client/connection/login.ts'
import { generateIdentity } from '../../src/crypto/keys/identity.ts'
import { signRelayAuth } from '../../src/crypto/keys/relay-auth.ts'
import { formatAddress, parseUsername } from '../../src/protocol/names.ts'
import { decodeBase64Url, encodeBase64Url } from '../../src/util/bytes.ts'
import { recordDial } from './recorded-dial.ts'
import type { Recorder } from './recorder.ts'

const domain = 'localhost'
const roundMs = 3_000
const requestMs = 5_000
/** Sends after the end of the token: 30 times, every 100 ms. */
const lateSends = 30
const lateEveryMs = 100

/** Returns the recorder for a name. */
type RecorderOf = (client: string) => Recorder

/**
 * Tries two forbidden operations: the second use of a challenge, and sends with an ended token. The histories contain
 * the outcomes.
 */
export async function probe(server: string, recorderOf: RecorderOf, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    // Under faults any step may fail; the next round tries again.
    await probeOnce(server, recorderOf).catch(() => {})
    await sleep(roundMs, undefined, { signal }).catch(() => {})
  }
}

async function probeOnce(server: string, recorderOf: RecorderOf): Promise<void> {
  const self = newSelf()
  const recorder = recorderOf(self.username)
  const dial = recordDial(dialNode(), recorder)
  const link = new Link({ dial, url: server, random: randomBytes })
  try {
    const { token } = await register({ link, self })
    const http = server.replace('ws', 'http').replace('/ws', '')
    await useChallengeTwice(http, self)
    await sendToSelf(link, self)
    await endToken(http, token)
    recorder.note({ ev: 'revoked', conn: recorder.lastConnection })
    for (let times = 0; times < lateSends && link.isOpen; times += 1) {
      await sendToSelf(link, self).catch(() => {})
      await sleep(lateEveryMs)
    }
  } finally {
    link.terminate()
  }
}

function newSelf(): Self {
  const username = parseUsername(`prober-${randomBytes(6).toString('hex')}`)
  const identity = generateIdentity(length => randomBytes(length))
  return { username, domain, address: formatAddress(username, domain), identity }
}

/** Sends a random body with a short ttl, which no client reads. */
const sendToSelf = (link: Link, { username }: Self) =>
  link.request({ type: 'send', to: username, body: encodeBase64Url(randomBytes(64)), ttl: 1 })

async function useChallengeTwice(http: string, { username, identity }: Self): Promise<void> {
  const answer: { nonce: string } = await (await post(`${http}/v1/auth/challenge`, { username })).json()
  const nonce = decodeBase64Url(answer.nonce)
  const signature = encodeBase64Url(signRelayAuth(identity, { purpose: 'authenticate', domain, username, nonce }))
  const login = () => post(`${http}/v1/auth/token`, { username, nonce: answer.nonce, signature })
  await Promise.all([login(), login()])
}

async function endToken(http: string, token: string): Promise<void> {
  const { status } = await fetch(`${http}/v1/auth/token`, {
    method: 'DELETE',
    headers: { authorization: `Bearer ${token}` },
    signal: AbortSignal.timeout(requestMs),
  })
  if (status !== 204) throw new Error(`the token may still be valid: ${status}`)
}

const post = (url: string, body: object): Promise<Response> =>
  fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(requestMs),
  })
