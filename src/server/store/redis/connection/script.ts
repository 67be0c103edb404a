import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { RedisClient } from './redis-client.ts'
import { toStoreError } from './store-error.ts'

type ScriptOptions = {
  /** The script also runs when Redis is full: it frees memory, or other work that frees memory needs it. */
  whenFull?: boolean
  /** Shared files that are prepended after `prelude.lua`. */
  with?: readonly ('inbox' | 'sweep' | 'access')[]
}

const load = (name: string): string => readFileSync(new URL(`../scripts/${name}.lua`, import.meta.url), 'utf8')

/** A Lua script. It is atomic; in a Cluster all its keys must be in one slot. */
export class Script {
  readonly #text: string
  readonly #sha: string

  constructor(name: string, { whenFull = true, with: joined = [] }: ScriptOptions = {}) {
    const shebang = whenFull ? '#!lua flags=allow-oom' : '#!lua'
    const parts = ['prelude', ...joined].map(part => `shared/${part}`).concat(name)
    this.#text = [shebang, ...parts.map(load)].join('\n')
    this.#sha = createHash('sha1').update(this.#text).digest('hex')
  }

  /** @throws {StoreUnavailableError} */
  async run(redis: RedisClient, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown> {
    try {
      return await redis.evalsha(this.#sha, keys.length, ...keys, ...args)
    } catch (error) {
      if (!isMissing(error)) throw refusedBy(redis, error)
    }
    try {
      return await redis.eval(this.#text, keys.length, ...keys, ...args)
    } catch (error) {
      throw refusedBy(redis, error)
    }
  }
}

/** Tells the listeners of the client (`refusal`) about an error of Redis, and maps it. */
function refusedBy(redis: RedisClient, error: unknown): Error {
  redis.emit('refusal', error)
  return toStoreError(error)
}

/** Returns true if Redis does not have the script, as after a restart. Nothing ran. */
const isMissing = (error: unknown): boolean => error instanceof Error && error.message.startsWith('NOSCRIPT')

export const scripts = {
  append: new Script('inbox/append', { whenFull: false, with: ['access', 'inbox', 'sweep'] }),
  claim: new Script('inbox/claim'),
  read: new Script('inbox/read', { with: ['inbox'] }),
  peek: new Script('inbox/peek'),
  ack: new Script('inbox/ack', { with: ['inbox'] }),
  expire: new Script('inbox/expire', { with: ['inbox', 'sweep'] }),
  due: new Script('inbox/due'),
  markDue: new Script('inbox/mark-due'),
  noteDue: new Script('inbox/note-due'),
  settleDue: new Script('inbox/settle-due'),
  release: new Script('inbox/release'),
  abandon: new Script('inbox/abandon'),
  seenDead: new Script('nodes/seen-dead'),
  releaseDead: new Script('nodes/release-dead'),
  reserve: new Script('inbox/reserve', { whenFull: false }),
  register: new Script('users/register', { whenFull: false }),
  useInvite: new Script('users/use-invite', { whenFull: false }),
  deleteUser: new Script('users/delete-user', { with: ['access', 'inbox'] }),
  releaseName: new Script('users/release-name'),
  block: new Script('users/block', { with: ['access'] }),
  setWriters: new Script('users/set-writers', { whenFull: false, with: ['access'] }),
  setRule: new Script('users/set-rule', { whenFull: false, with: ['access'] }),
  removeRule: new Script('users/set-rule', { with: ['access'] }),
  noteContacts: new Script('users/note-contacts', { whenFull: false }),
  noteKnown: new Script('users/note-known', { whenFull: false }),
  invites: new Script('users/invites'),
  put: new Script('users/put', { whenFull: false }),
  putWhenFull: new Script('users/put'),
  findUsers: new Script('users/find-users'),
  noteSeen: new Script('users/note-seen', { whenFull: false }),
  indexLogin: new Script('users/index-login'),
  publishCard: new Script('users/publish-card', { whenFull: false }),
  publishKeys: new Script('users/publish-keys', { whenFull: false }),
  fetchKeys: new Script('users/fetch-keys', { whenFull: false, with: ['access'] }),
  leaseTokens: new Script('users/lease-tokens', { whenFull: false }),
  settle: new Script('stored/settle', { whenFull: false }),
  renew: new Script('nodes/renew'),
  forgetNode: new Script('nodes/forget-node'),
  mark: new Script('inbox/mark'),
  announce: new Script('nodes/announce'),
  nextFence: new Script('nodes/next-fence'),
  claimDomain: new Script('nodes/claim-domain'),
  agreeOnSchema: new Script('nodes/agree-on-schema'),
} as const
