import { createHash, randomBytes } from 'node:crypto'
import { StoreUnavailableError } from '../../store.ts'
import { makeOnce, readInfo } from './check-server.ts'
import { generationKey } from './keys.ts'
import { isCluster, onEnd, primariesOf, type RedisClient } from './redis-client.ts'
import { settled } from './store-error.ts'

/** How soon a Cluster is asked again, ms. */
const retryMs = 200

/** Which processes hold what was accepted: another one, or one that was emptied, may not have it. */
export class RedisGeneration {
  readonly #client: RedisClient
  readonly #onChange: () => void
  #current = ''
  #made: string | null = null
  #isKnown = false
  #isClosed = false
  /** Raised with each end of a connection: an answer from before it does not count. */
  #ends = 0
  #timer: NodeJS.Timeout | undefined

  constructor(client: RedisClient, onChange: () => void) {
    this.#client = client
    this.#onChange = onChange
  }

  async start(): Promise<void> {
    const client = this.#client
    await this.#read()
    onEnd(client, () => {
      this.#ends += 1
      this.#isKnown = false
      if (isCluster(client)) this.#retry()
    })
    // A server is asked when its connection is back; a Cluster until all its primaries answer, and whenever slots may have moved.
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

  /** @throws {StoreUnavailableError} while a new connection has not told: an answer with the last one would hide a loss. */
  current(): string {
    if (!this.#isKnown) throw new StoreUnavailableError('Redis is out of reach')
    return this.#current
  }

  /** Asks again though no connection ended. @throws {StoreUnavailableError} */
  refresh(): Promise<void> {
    return this.#read()
  }

  /**
   * Before somebody is told that a user is unknown: a Redis that was emptied a moment ago knows nobody, and must not say so.
   * @throws {StoreUnavailableError} when it was
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
      throw new StoreUnavailableError('Redis changes its primaries')
    }
    const runs = infos.map(info => info.get('run_id')).sort()
    const generation = createHash('sha256').update(`${runs} ${made}`).digest('base64url').slice(0, 22)
    const isChanged = this.#current !== '' && this.#current !== generation
    this.#current = generation
    this.#made = made
    this.#isKnown = !this.#isClosed
    if (isChanged) this.#onChange()
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
