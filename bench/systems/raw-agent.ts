import '../../tools/node-crypto.ts'
import { createPrivateKey, randomBytes, sign } from 'node:crypto'
import { once } from 'node:events'
import { WebSocket } from 'ws'
import { generateIdentity, type IdentityKeyPair } from '../../src/crypto/keys/identity.ts'
import { encodeRelayAuth, type RelayAuth } from '../../src/crypto/keys/relay-auth.ts'
import { decodeBase64Url, encodeBase64Url } from '../../src/util/bytes.ts'
import { type Deferred, defer } from '../../src/util/deferred.ts'

/** The credentials of an agent: its key, or the token of an earlier login. */
export type Credentials = { username: string; identity: IdentityKeyPair; token?: string }
export const newCredentials = (username: string): Credentials => ({
  username,
  identity: generateIdentity(length => randomBytes(length)),
})

/** PKCS #8 of an Ed25519 seed (RFC 8410). */
const seedPrefix = Buffer.from('302e020100300506032b657004220420', 'hex')

/** Uses Node's own Ed25519, so that the load does not cost more than the system under test. */
function prove({ username, identity }: Credentials, purpose: RelayAuth['purpose'], nonce: string): string {
  const key = createPrivateKey({ key: Buffer.concat([seedPrefix, identity.seed]), format: 'der', type: 'pkcs8' })
  const fields = { purpose, domain: 'localhost', username, identity: identity.publicKey, nonce: decodeBase64Url(nonce) }
  return encodeBase64Url(sign(null, encodeRelayAuth(fields), key))
}

/** Source addresses of connections, on loopback: enough that no limit per address applies. */
const addresses = 200
let dialled = 0
const nextAddress = (): string => `127.0.1.${1 + (dialled++ % addresses)}`

type Answer = { type: string; id?: string; seq: number; token: string; nonce: string; body: string; message: string }

/** An agent without encryption, for measuring a node. Acknowledges the messages of one event loop turn together. */
export class RawAgent {
  readonly #socket: WebSocket
  readonly #pending = new Map<string, Deferred<Answer>>()
  readonly #onMessage: (body: string) => void
  #sent = 0
  #toAck = 0

  private constructor(socket: WebSocket, onMessage: (body: string) => void) {
    this.#socket = socket
    this.#onMessage = onMessage
  }

  /** Connects and logs in: with the token if there is one, else by registration. */
  static async connect(url: string, who: Credentials, onMessage: (body: string) => void = () => {}): Promise<RawAgent> {
    const options = { perMessageDeflate: false, localAddress: nextAddress() }
    const socket = new WebSocket(url, ['aimessage.v1'], options)
    socket.on('error', () => {})
    const agent = new RawAgent(socket, onMessage)
    const first = once(socket, 'message')
    const challenge: Answer = JSON.parse(String((await first)[0]))
    socket.on('message', data => agent.#receive(JSON.parse(String(data))))
    const { token } = await agent.request(loginFrame(who, challenge.nonce))
    who.token = token
    return agent
  }

  async listen(): Promise<this> {
    await this.request({ type: 'listen' })
    return this
  }

  request(frame: Record<string, unknown>): Promise<Answer> {
    const id = `r${this.#sent++}`
    const answer = defer<Answer>()
    this.#pending.set(id, answer)
    this.#socket.send(JSON.stringify({ id, ...frame }))
    return answer.promise
  }

  send(to: string, body: string): Promise<Answer> {
    return this.request({ type: 'send', to, body })
  }

  close(): void {
    this.#socket.terminate()
  }

  #receive(frame: Answer): void {
    if (frame.type === 'message') return this.#take(frame)
    const pending = frame.id === undefined ? undefined : this.#pending.get(frame.id)
    if (!pending || frame.id === undefined) return
    this.#pending.delete(frame.id)
    if (frame.type === 'error') pending.reject(new Error(frame.message))
    else pending.resolve(frame)
  }

  #take({ seq, body }: Answer): void {
    if (this.#toAck === 0) setImmediate(() => this.#ack())
    this.#toAck = seq
    this.#onMessage(body)
  }

  #ack(): void {
    this.#socket.send(`{"type":"ack","seq":${this.#toAck}}`)
    this.#toAck = 0
  }
}

function loginFrame(who: Credentials, nonce: string): Record<string, unknown> {
  const { username, identity, token } = who
  if (token === 'known') return { type: 'authenticate', username, signature: prove(who, 'authenticate', nonce) }
  if (token !== undefined) return { type: 'authenticate', token }
  const signature = prove(who, 'register', nonce)
  return { type: 'register', username, identity: encodeBase64Url(identity.publicKey), signature }
}
