import '../node-crypto.ts'
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
/** Makes a name that no other test uses. */
export const newName = (prefix = 'agent'): string => `${prefix}-${randomBytes(6).toString('hex')}`
/** Makes a body of the given number of bytes before base64url. */
export const bodyOf = (text: string): string => encodeBase64Url(new TextEncoder().encode(text))

/** Makes the signature for `register`, `authenticate` and the deletion of a user. */
export const prove = (
  identity: IdentityKeyPair,
  auth: { purpose: RelayAuth['purpose']; username: string; nonce: string; domain?: string },
): string =>
  encodeBase64Url(signRelayAuth(identity, { domain: 'localhost', ...auth, nonce: decodeBase64Url(auth.nonce) }))

/** A connection that sends and receives frames, without sessions, retries or keys, for tests of a node. */
export class RawClient {
  readonly socket: WebSocket
  /** Resolves with the code and the reason of the close. */
  readonly closed: Promise<Closed>
  /** All received frames, in order. */
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

  /** Connects and registers a new user, or logs in as an existing one. */
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

  /** Returns the next unread frame. With `type`, skips frames of other types. */
  async next<Type extends ServerFrameType>(type: Type): Promise<ServerFrameOf<Type>>
  async next(): Promise<ServerFrame>
  async next(type?: ServerFrameType): Promise<ServerFrame> {
    for (;;) {
      while (this.#taken < this.received.length) {
        const frame = this.received[this.#taken]
        this.#taken += 1
        if (frame && (type === undefined || frame.type === type)) return frame
      }
      await this.#more(`no ${type ?? 'frame'} arrived`)
    }
  }

  /** Sends a frame with a new id and resolves with its answer. */
  async request(frame: Record<string, unknown>): Promise<ServerFrame> {
    const id = typeof frame.id === 'string' ? frame.id : this.#nextId()
    const from = this.received.length
    this.send({ id, ...frame })
    return this.find(answer => 'id' in answer && answer.id === id && !isPush(answer), from)
  }

  /** Waits for the first frame from a position on that matches. */
  async find(fits: (frame: ServerFrame) => boolean, from = 0): Promise<ServerFrame> {
    for (;;) {
      const found = this.received.slice(from).find(fits)
      if (found) return found
      await this.#more('the answer did not arrive')
    }
  }

  /** Waits until `count` envelopes were pushed, and returns all of them. */
  async pushes(count: number): Promise<Push[]> {
    for (;;) {
      const pushed = this.received.filter(isPush)
      if (pushed.length >= count) return pushed
      await this.#more(`${pushed.length} of ${count} pushes arrived`)
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
