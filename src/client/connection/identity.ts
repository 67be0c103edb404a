import type { Static } from 'typebox'
import * as Type from 'typebox'
import { type IdentityKeyPair, identityFromSeed } from '../../crypto/keys/identity.ts'
import { type Address, formatAddress, parseUsername, type Username } from '../../protocol/names.ts'
import { decodeBase64Url, encodeBase64Url } from '../../util/bytes.ts'
import { AlreadyRegisteredError, NotRegisteredError } from '../base/errors.ts'
import { keys } from '../records/keys.ts'
import { recordCodec } from '../state/record-codec.ts'
import type { StateReader, StateStore, StateTransaction } from '../state/state-store.ts'

const IdentityRecord = recordCodec(
  'account',
  Type.Object({
    username: Type.String(),
    domain: Type.String(),
    seed: Type.String(),
    /** True once a server has confirmed the name. The key is on disk before a server sees it. */
    registered: Type.Boolean(),
    token: Type.Optional(Type.String()),
    generation: Type.Optional(Type.String()),
    /** True if a server reported that this user was deleted. Then only an explicit `register` claims the name again. */
    deleted: Type.Optional(Type.Boolean()),
  }),
)
type IdentityRecord = Static<typeof IdentityRecord.schema>

/** The public part of an agent's own identity. */
export type Account = {
  username: Username
  domain: string
  address: Address
  /** Ed25519 identity key, base64url. */
  identity: string
}

/**
 * An agent's identity with its secrets.
 * @internal
 */
export type Self = { username: Username; domain: string; address: Address; identity: IdentityKeyPair }

const toSelf = (record: IdentityRecord): Self => {
  const username = parseUsername(record.username)
  return {
    username,
    domain: record.domain,
    address: formatAddress(username, record.domain),
    identity: identityFromSeed(decodeBase64Url(record.seed)),
  }
}

/** @internal */
export const toAccount = ({ username, domain, address, identity }: Self): Account => ({
  username,
  domain,
  address,
  identity: encodeBase64Url(identity.publicKey),
})

async function load(tx: StateReader): Promise<IdentityRecord | undefined> {
  const bytes = await tx.get(keys.account())
  return bytes && IdentityRecord.decode(bytes)
}

/**
 * Returns the account of a registered agent, without its secrets.
 * @param publicKeyOf derives the Ed25519 public key from its 32-byte seed
 * @internal
 */
export async function readAccount(
  store: StateStore,
  publicKeyOf: (seed: Uint8Array) => Uint8Array,
): Promise<Account | undefined> {
  const record = await store.read(load)
  if (!record?.registered) return undefined
  const { domain, seed } = record
  const username = parseUsername(record.username)
  const identity = encodeBase64Url(publicKeyOf(decodeBase64Url(seed)))
  return { username, domain, address: formatAddress(username, domain), identity }
}

const save = (tx: StateTransaction, record: IdentityRecord) => tx.put(keys.account(), IdentityRecord.encode(record))

/**
 * The identity in a state, with the token, the generation and the deletion that a server reported for it.
 * @internal
 */
export class Identity {
  readonly #store: StateStore
  #self: Self | undefined
  #token: string | undefined
  #generation: string | undefined
  #isDeleted = false

  private constructor(store: StateStore) {
    this.#store = store
  }

  static async open(store: StateStore): Promise<Identity> {
    const identity = new Identity(store)
    await identity.reload()
    return identity
  }

  /** Reads the record again: another process may have changed it. */
  async reload(): Promise<void> {
    const record = await this.#store.read(load)
    this.#take(record)
  }

  get self(): Self | undefined {
    return this.#self
  }

  /** @throws {NotRegisteredError} */
  get required(): Self {
    if (!this.#self) throw new NotRegisteredError()
    return this.#self
  }

  get token(): string | undefined {
    return this.#token
  }

  /** True if an operator deleted the user. */
  get isDeleted(): boolean {
    return this.#isDeleted
  }

  /**
   * Returns the identity for a registration. Reuses the key of an earlier attempt whose answer never arrived; otherwise
   * stores a new key made from `seed`.
   * @throws {AlreadyRegisteredError} if this state is registered under another name.
   */
  async prepare(username: Username, domain: string, seed: Uint8Array): Promise<Self> {
    return this.#store.transaction(async tx => {
      const known = await load(tx)
      if (known && (known.username !== username || known.domain !== domain)) {
        if (known.registered) throw new AlreadyRegisteredError(`${known.username}@${known.domain}`)
      } else if (known) {
        return toSelf(known)
      }
      const record = { username, domain, seed: encodeBase64Url(seed), registered: false }
      save(tx, record)
      return toSelf(record)
    })
  }

  /** Returns the last confirmed generation if it differs from `generation`. */
  generationBefore(generation: string): string | undefined {
    return this.#generation === generation ? undefined : this.#generation
  }

  /** Stores a login that a server confirmed: the name is registered, and the next login uses the token. */
  async confirm({ token, generation }: { token: string; generation: string }): Promise<void> {
    if (this.#self === undefined || token !== this.#token || generation !== this.#generation) {
      await this.#update(({ deleted: _over, ...record }) => ({ ...record, registered: true, token, generation }))
    }
  }

  /** Removes the token, unless another process has replaced it. @returns true if there was one */
  async forgetToken(): Promise<boolean> {
    const ended = this.#token
    if (ended === undefined) return false
    await this.#update(({ token, ...record }) =>
      token === undefined || token === ended ? record : { ...record, token },
    )
    return true
  }

  /** Stores that an operator deleted the user. */
  async recordDeletion(): Promise<void> {
    await this.#update(record => ({ ...record, deleted: true }))
  }

  async #update(change: (record: IdentityRecord) => IdentityRecord): Promise<void> {
    const record = await this.#store.transaction(async tx => {
      const known = await load(tx)
      if (!known) throw new NotRegisteredError()
      const changed = change(known)
      save(tx, changed)
      return changed
    })
    this.#take(record)
  }

  #take(record: IdentityRecord | undefined): void {
    this.#self = record?.registered ? toSelf(record) : undefined
    this.#token = record?.token
    this.#generation = record?.generation
    this.#isDeleted = record?.deleted ?? false
  }
}
