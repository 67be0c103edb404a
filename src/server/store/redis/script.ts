import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { Redis } from 'ioredis'
import { toStoreError } from './store-error.ts'

type ScriptOptions = {
  /** Runs when Redis is full: it frees memory, or is needed to free it. */
  whenFull?: boolean
  /** Removes envelopes: joins `inbox.lua`. */
  trims?: boolean
}

const load = (name: string): string => readFileSync(new URL(`./scripts/${name}.lua`, import.meta.url), 'utf8')

/** One Lua script: atomic, for the keys of one slot. */
export class Script {
  readonly #text: string
  readonly #sha: string

  constructor(name: string, { whenFull = true, trims = false }: ScriptOptions = {}) {
    const shebang = whenFull ? '#!lua flags=allow-oom' : '#!lua'
    const parts = ['prelude', ...(trims ? ['inbox'] : []), name]
    this.#text = [shebang, ...parts.map(load)].join('\n')
    this.#sha = createHash('sha1').update(this.#text).digest('hex')
  }

  /** @throws {StoreUnavailableError} */
  async run(redis: Redis, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown> {
    try {
      return await redis.evalsha(this.#sha, keys.length, ...keys, ...args)
    } catch (error) {
      if (!isMissing(error)) throw toStoreError(error)
    }
    try {
      return await redis.eval(this.#text, keys.length, ...keys, ...args)
    } catch (error) {
      throw toStoreError(error)
    }
  }
}

/** Redis restarted or was told to forget its scripts; nothing ran. */
const isMissing = (error: unknown): boolean => error instanceof Error && error.message.startsWith('NOSCRIPT')

export const scripts = {
  append: new Script('append', { whenFull: false }),
  claim: new Script('claim'),
  read: new Script('read', { trims: true }),
  ack: new Script('ack', { trims: true }),
  release: new Script('release'),
  releaseDead: new Script('release-dead'),
  reserve: new Script('reserve'),
  register: new Script('register', { whenFull: false }),
  useInvite: new Script('use-invite'),
  deleteUser: new Script('delete-user'),
  put: new Script('put'),
  indexSession: new Script('index-session'),
  publishKeys: new Script('publish-keys', { whenFull: false }),
  fetchKeys: new Script('fetch-keys', { whenFull: false }),
  countWindow: new Script('count-window'),
  renew: new Script('renew'),
  forgetNode: new Script('forget-node'),
  mark: new Script('mark'),
  revoke: new Script('revoke'),
  nextFence: new Script('next-fence'),
} as const
