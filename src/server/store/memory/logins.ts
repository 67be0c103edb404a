import { limits } from '../../../protocol/limits.ts'
import type { Username } from '../../../protocol/names.ts'
import type { TokenHash } from '../ids.ts'
import type { Login, Logins } from '../store.ts'
import type { MemoryBacking } from './backing.ts'

export class MemoryLogins implements Logins {
  readonly #backing: MemoryBacking

  constructor(backing: MemoryBacking) {
    this.#backing = backing
  }

  async create(tokenHash: TokenHash, username: Username, ttlMs: number): Promise<{ expiresAt: number }> {
    const expiresAt = this.#backing.now() + ttlMs
    const user = this.#backing.liveUser(username)
    this.#backing.logins.delete(tokenHash)
    if (!user || this.#backing.access(username).closed) return { expiresAt }
    this.#backing.logins.set(tokenHash, { username, expiresAt })
    const tokens = user.tokens.filter(token => token.tokenHash !== tokenHash)
    tokens.push({ tokenHash, createdAt: this.#backing.now() })
    user.tokens = tokens
    for (const oldest of tokens.slice(0, -limits.maxSessionsPerUser)) await this.revoke(oldest.tokenHash)
    return { expiresAt }
  }

  async find(tokenHash: TokenHash): Promise<{ username: Username; expiresAt: number } | null> {
    const login = this.#backing.logins.get(tokenHash)
    return login && login.expiresAt > this.#backing.now() ? login : null
  }

  async list(username: Username): Promise<Login[]> {
    return (this.#backing.users.get(username)?.tokens ?? []).flatMap(({ tokenHash, createdAt }) => {
      const login = this.#backing.logins.get(tokenHash)
      const isOpen = login !== undefined && login.expiresAt > this.#backing.now()
      return isOpen ? [{ tokenHash, createdAt, expiresAt: login.expiresAt }] : []
    })
  }

  async revoke(tokenHash: TokenHash): Promise<void> {
    const login = this.#backing.logins.get(tokenHash)
    if (!login) return
    this.#backing.logins.delete(tokenHash)
    const user = this.#backing.users.get(login.username)
    if (user) user.tokens = user.tokens.filter(token => token.tokenHash !== tokenHash)
    for (const node of this.#backing.nodes.keys()) this.#backing.notify(node, { kind: 'revoked', tokenHash })
  }

  async putChallenge(nonce: string, username: Username, ttlMs: number): Promise<void> {
    const nowMs = this.#backing.now()
    for (const [old, { expiresAt }] of this.#backing.challenges) {
      if (expiresAt > nowMs) break
      this.#backing.challenges.delete(old)
    }
    this.#backing.challenges.set(nonce, { username, expiresAt: nowMs + ttlMs })
  }

  async takeChallenge(nonce: string, username: Username): Promise<boolean> {
    const challenge = this.#backing.challenges.get(nonce)
    this.#backing.challenges.delete(nonce)
    return challenge !== undefined && challenge.username === username && challenge.expiresAt > this.#backing.now()
  }
}
