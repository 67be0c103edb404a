import { randomBytes } from 'node:crypto'
import { WebSocket } from 'ws'
import { generateIdentity, type IdentityKeyPair } from '../../src/crypto/keys/identity.ts'
import { type RelayAuth, signRelayAuth } from '../../src/crypto/keys/relay-auth.ts'
import { decodeServerFrame } from '../../src/protocol/codec.ts'
import type { ClientFrame, ServerFrame, ServerFrameOf, ServerFrameType } from '../../src/protocol/frames.ts'
import { decodeBase64Url, encodeBase64Url } from '../../src/util/bytes.ts'

type Owner = { teardown(end: () => Promise<unknown> | unknown): unknown }
export type Closed = { code: number; reason: string }

export const newIdentity = (): IdentityKeyPair => generateIdentity(length => randomBytes(length))
export const identityText = ({ publicKey }: IdentityKeyPair): string => encodeBase64Url(publicKey)
/** A name that no other test has. */
export const newName = (prefix = 'agent'): string => `${prefix}-${randomBytes(6).toString('hex')}`
/** A body of so many bytes before base64url. */
export const bodyOf = (text: string): string => encodeBase64Url(new TextEncoder().encode(text))

/** The signature that `register`, `authenticate` and deleting a user take. */
export const prove = (
  identity: IdentityKeyPair,
  auth: { purpose: RelayAuth['purpose']; username: string; nonce: string; domain?: string },
): string =>
  encodeBase64Url(signRelayAuth(identity, { domain: 'localhost', ...auth, nonce: decodeBase64Url(auth.nonce) }))

/** A socket that speaks frames and knows nothing of sessions, retries or keys: what a node is tested with. */
export class RawClient {
  readonly socket: WebSocket
  /** Resolves with code and reason when the socket is closed. */
  readonly closed: Promise<Closed>
  /** Every frame that came, in order. */
  readonly received: ServerFrame[] = []
  #taken = 0
  #ids = 0
  #waiters: (() => void)[] = []
  #isClosed: Closed | undefined

  constructor(url: string, options: { headers?: Record<string, string>; protocols?: string[] } = {}) {
    this.socket = new WebSocket(url, options.protocols ?? ['aimessage.v1'], { headers: options.headers ?? {} })
    this.socket.on('message', data => {
      this.received.push(decodeServerFrame(String(data)))
      this.#wake()
    })
    this.closed = new Promise(resolve => {
      this.socket.on('close', (code, reason) => {
        this.#isClosed = { code, reason: String(reason) }
        resolve(this.#isClosed)
        this.#wake()
      })
    })
    this.socket.on('error', () => {})
  }

  /** Connects and waits for the challenge. */
  static async connect(t: Owner, url: string, options?: { headers?: Record<string, string> }): Promise<RawClient> {
    const client = new RawClient(url, options)
    t.teardown(() => client.socket.terminate())
    await client.find(frame => frame.type === 'challenge')
    return client
  }

  /** Connects and registers a new user, or logs in as one that exists. */
  static async loggedIn(t: Owner, url: string, user: User = newUser()): Promise<RawClient & { user: User }> {
    const client = await RawClient.connect(t, url)
    await client.register(user)
    return Object.assign(client, { user })
  }

  static async listening(t: Owner, url: string, user: User = newUser()): Promise<RawClient & { user: User }> {
    const client = await RawClient.loggedIn(t, url, user)
    await client.request({ type: 'listen' })
    return client
  }

  send(frame: ClientFrame | Record<string, unknown>): void {
    this.socket.send(JSON.stringify(frame))
  }

  /** The next frame that was not looked at; of this type, if one is named, and those before it are skipped. */
  async next<Type extends ServerFrameType>(type: Type): Promise<ServerFrameOf<Type>>
  async next(): Promise<ServerFrame>
  async next(type?: ServerFrameType): Promise<ServerFrame> {
    for (;;) {
      while (this.#taken < this.received.length) {
        const frame = this.received[this.#taken]
        this.#taken += 1
        if (frame && (type === undefined || frame.type === type)) return frame
      }
      await this.#more(`no ${type ?? 'frame'} came`)
    }
  }

  /** Sends a frame with an id of its own, and resolves with what answers it. */
  async request(frame: Record<string, unknown>): Promise<ServerFrame> {
    const id = typeof frame.id === 'string' ? frame.id : this.#nextId()
    const from = this.received.length
    this.send({ id, ...frame })
    return this.find(answer => 'id' in answer && answer.id === id && !isPush(answer), from)
  }

  /** The first frame, from a place on, that fits; waits for it. */
  async find(fits: (frame: ServerFrame) => boolean, from = 0): Promise<ServerFrame> {
    for (;;) {
      const found = this.received.slice(from).find(fits)
      if (found) return found
      await this.#more('the answer did not come')
    }
  }

  /** Waits until so many envelopes were pushed, and answers all of them. */
  async pushes(count: number): Promise<Push[]> {
    for (;;) {
      const pushed = this.received.filter(isPush)
      if (pushed.length >= count) return pushed
      await this.#more(`${pushed.length} of ${count} pushes came`)
    }
  }

  async register({ username, identity }: User): Promise<ServerFrame> {
    const { nonce } = await this.next('challenge')
    const signature = prove(identity, { purpose: 'register', username, nonce })
    return this.request({ type: 'register', username, identity: identityText(identity), signature })
  }

  async authenticate({ username, identity }: User): Promise<ServerFrame> {
    const { nonce } = await this.next('challenge')
    return this.request({
      type: 'authenticate',
      username,
      signature: prove(identity, { purpose: 'authenticate', username, nonce }),
    })
  }

  #nextId(): string {
    this.#ids += 1
    return `r${this.#ids}`
  }

  #more(what: string): Promise<void> {
    if (this.#isClosed) throw new Error(`closed with ${this.#isClosed.code} ${this.#isClosed.reason}: ${what}`)
    return new Promise(resolve => this.#waiters.push(resolve))
  }

  #wake(): void {
    for (const wake of this.#waiters.splice(0)) wake()
  }
}

export type Push = ServerFrameOf<'message'> | ServerFrameOf<'key_exchange'>
export type User = { username: string; identity: IdentityKeyPair }
export const newUser = (username: string = newName()): User => ({ username, identity: newIdentity() })
export const isPush = (frame: ServerFrame): frame is Push => frame.type === 'message' || frame.type === 'key_exchange'
