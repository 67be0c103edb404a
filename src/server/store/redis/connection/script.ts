import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { RedisClient } from './redis-client.ts'
import { toStoreError } from './store-error.ts'

type ScriptOptions = {
  /** Runs when Redis is full: it frees memory, or is needed to free it. */
  whenFull?: boolean
  /** What it is joined to, besides `prelude.lua`. */
  with?: readonly ('inbox' | 'sweep' | 'access')[]
}

const load = (name: string): string => readFileSync(new URL(`./scripts/${name}.lua`, import.meta.url), 'utf8')

/** One Lua script: atomic, for the keys of one slot. */
export class Script {
  readonly #text: string
  readonly #sha: string

  constructor(name: string, { whenFull = true, with: joined = [] }: ScriptOptions = {}) {
    const shebang = whenFull ? '#!lua flags=allow-oom' : '#!lua'
    const parts = ['prelude', ...joined, name]
    this.#text = [shebang, ...parts.map(load)].join('\n')
    this.#sha = createHash('sha1').update(this.#text).digest('hex')
  }

  /** @throws {StoreUnavailableError} */
  async run(redis: RedisClient, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown> {
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
  append: new Script('append', { whenFull: false, with: ['access', 'inbox', 'sweep'] }),
  claim: new Script('claim'),
  read: new Script('read', { with: ['inbox'] }),
  peek: new Script('peek'),
  ack: new Script('ack', { with: ['inbox'] }),
  expire: new Script('expire', { with: ['inbox', 'sweep'] }),
  due: new Script('due'),
  markDue: new Script('mark-due'),
  noteDue: new Script('note-due'),
  settleDue: new Script('settle-due'),
  release: new Script('release'),
  abandon: new Script('abandon'),
  seenDead: new Script('seen-dead'),
  releaseDead: new Script('release-dead'),
  reserve: new Script('reserve'),
  register: new Script('register', { whenFull: false }),
  useInvite: new Script('use-invite'),
  deleteUser: new Script('delete-user', { with: ['access'] }),
  releaseName: new Script('release-name'),
  block: new Script('block', { with: ['access'] }),
  setWriters: new Script('set-writers', { with: ['access'] }),
  setRule: new Script('set-rule', { with: ['access'] }),
  noteContacts: new Script('note-contacts'),
  invites: new Script('invites'),
  put: new Script('put'),
  indexSession: new Script('index-session'),
  publishCard: new Script('publish-card', { whenFull: false }),
  publishKeys: new Script('publish-keys', { whenFull: false }),
  fetchKeys: new Script('fetch-keys', { whenFull: false, with: ['access'] }),
  leaseTokens: new Script('lease-tokens'),
  renew: new Script('renew'),
  forgetNode: new Script('forget-node'),
  mark: new Script('mark'),
  announce: new Script('announce'),
  nextFence: new Script('next-fence'),
  agreeOnSchema: new Script('agree-on-schema'),
} as const
