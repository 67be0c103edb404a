import { createHash, randomBytes } from 'node:crypto'
import { StoreUnavailableError } from '../../store.ts'
import { makeOnce, readInfo } from './check-server.ts'
import { generationKey } from './keys.ts'
import { isCluster, onEnd, primariesOf, type RedisClient } from './redis-client.ts'
import { settled } from './store-error.ts'

/** Delay before the next attempt to read the generation of a Cluster, ms. */
const retryMs = 200

/**
 * Identifies the Redis processes that hold the accepted messages: a new process, or an emptied one, may have lost
 * them.
 */
export class RedisGeneration {
  readonly #client: RedisClient
  readonly #onChange: () => void
  readonly #onKnown: () => void
  #current = ''
  #made: string | null = null
  #isKnown = false
  #isClosed = false
  /** Counts closed connections: an answer requested before the latest close is ignored. */
  #ends = 0
  #timer: NodeJS.Timeout | undefined

  /** `onKnown` is called after each reading: Redis can be used. */
  constructor(client: RedisClient, onChange: () => void, onKnown: () => void = () => {}) {
    this.#client = client
    this.#onChange = onChange
    this.#onKnown = onKnown
  }

  async start(): Promise<void> {
    const client = this.#client
    await this.#read()
    onEnd(client, () => {
      this.#ends += 1
      this.#isKnown = false
      if (isCluster(client)) this.#retry()
    })
    // A single server is read when its connection is back. A Cluster is read until all primaries answer, and whenever
    // slots may have moved.
    if (isCluster(client)) client.on('refresh', () => this.#retry())
    else client.on('ready', () => this.#read().catch(() => client.disconnect(true)))
  }

  close(): void {
    this.#isClosed = true
    this.#isKnown = false
    clearTimeout(this.#timer)
  }

  isKnown(): boolean {
    return this.#isKnown
  }

  /**
   * @throws {StoreUnavailableError} until a new connection has read the generation: the previous value could hide a
   * loss.
   */
  current(): string {
    if (!this.#isKnown) throw new StoreUnavailableError('Redis is out of reach')
    return this.#current
  }

  /** Reads the generation again although no connection ended. @throws {StoreUnavailableError} */
  refresh(): Promise<void> {
    return this.#read()
  }

  /**
   * Checks that Redis was not emptied. Callers check before they report a user as unknown, because an emptied Redis
   * knows no users.
   * @throws {StoreUnavailableError} if Redis was emptied
   */
  async check(): Promise<void> {
    if ((await settled(this.#client.get(generationKey))) === this.#made) return
    await this.#read()
    throw new StoreUnavailableError('Redis was emptied')
  }

  async #read(): Promise<void> {
    const ends = this.#ends
    const infos = await Promise.all(primariesOf(this.#client).map(readInfo))
    const made = await settled(makeOnce(this.#client, generationKey, randomBytes(16).toString('base64url')))
    if (infos.length === 0 || this.#ends !== ends || infos.some(info => info.get('role') !== 'master')) {
      throw new StoreUnavailableError('the primaries of Redis are changing')
    }
    const runs = infos.map(info => info.get('run_id')).sort()
    const generation = createHash('sha256').update(`${runs} ${made}`).digest('base64url').slice(0, 22)
    const isChanged = this.#current !== '' && this.#current !== generation
    this.#current = generation
    this.#made = made
    this.#isKnown = !this.#isClosed
    if (isChanged) this.#onChange()
    this.#onKnown()
  }

  #retry(): void {
    clearTimeout(this.#timer)
    if (this.#isClosed) return
    this.#timer = setTimeout(() => {
      this.#read().catch(() => this.#retry())
    }, retryMs)
    this.#timer.unref()
  }
}
