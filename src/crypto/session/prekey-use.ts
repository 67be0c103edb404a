import { equalBytes } from '../../util/bytes.ts'
import { CryptoError } from '../errors.ts'
import type { PendingOffer, PrekeyGeneration, Prekeys } from '../keys/prekeys.ts'
import { cryptoLimits } from '../limits.ts'
import type { PrekeyHeader } from '../messages/message.ts'
import type { ResponderSecrets } from './handshake.ts'

/** The private prekeys that a header names. */
export type PrekeyUse = {
  readonly generation: PrekeyGeneration
  readonly secrets: ResponderSecrets
  /** Our own offer that the header answers. */
  readonly offer: PendingOffer | undefined
  /** The ids of the one-time keys that the header uses up; 0 for none. */
  readonly oneTimeKeyId: number
  readonly oneTimeKemId: number
}

/** Finds the named KEM seed: a one-time key, or the last resort of the signed prekey's own generation. */
function findKem(prekeys: Prekeys, generation: PrekeyGeneration, id: number) {
  const pool = [...prekeys.oneTimeKemKeys, ...prekeys.offers.map(offer => offer.oneTimeKemKey)]
  const { lastResortKem } = generation
  if (id === lastResortKem.id) return { seed: lastResortKem.seed, oneTimeId: 0 }
  const seed = pool.find(key => key.id === id)?.seed
  return seed && { seed, oneTimeId: id }
}

function findOneTimeKey(prekeys: Prekeys, id: number): Uint8Array | undefined {
  const pool = [...prekeys.oneTimeKeys, ...prekeys.offers.map(offer => offer.oneTimeKey)]
  return pool.find(key => key.id === id)?.privateKey
}

/** An answer must use all one-use keys of one offer. @throws {CryptoError} `undecryptable` if it mixes keys. */
function findOffer({ offers }: Prekeys, oneTimeKeyId: number, oneTimeKemId: number, suite: number) {
  const offer = offers.find(({ oneTimeKey, oneTimeKemKey }) => {
    return oneTimeKey.id === oneTimeKeyId || oneTimeKemKey.id === oneTimeKemId
  })
  const whole = offer?.oneTimeKey.id === oneTimeKeyId && (suite === 1 || offer.oneTimeKemKey.id === oneTimeKemId)
  if (offer && !whole) throw new CryptoError('undecryptable')
  return offer
}

/** @throws {CryptoError} `undecryptable` if an id is unknown or its key is used up. */
export function findPrekeys(prekeys: Prekeys, header: PrekeyHeader): PrekeyUse {
  const generation = prekeys.generations.find(({ signedPrekey }) => signedPrekey.id === header.signedPrekeyId)
  if (!generation) throw new CryptoError('undecryptable')
  const kem = header.kem ? findKem(prekeys, generation, header.kem.id) : undefined
  const oneTimeKey = findOneTimeKey(prekeys, header.oneTimeKeyId)
  if ((header.kem && !kem) || (header.oneTimeKeyId !== 0 && !oneTimeKey)) throw new CryptoError('undecryptable')
  const oneTimeKemId = kem?.oneTimeId ?? 0
  return {
    generation,
    secrets: { signedPrekey: generation.signedPrekey.privateKey, oneTimeKey, kemSeed: kem?.seed },
    offer: findOffer(prekeys, header.oneTimeKeyId, oneTimeKemId, header.suite),
    oneTimeKeyId: header.oneTimeKeyId,
    oneTimeKemId,
  }
}

const isReplayable = ({ oneTimeKeyId, oneTimeKemId }: PrekeyUse): boolean => oneTimeKeyId === 0 && oneTimeKemId === 0

/**
 * A first message that uses up no key could be replayed, so its session is accepted once (docs/E2E.md section 8).
 * @throws {CryptoError} `undecryptable` for a replay, `prekeys_exhausted` if the replay list is full.
 */
export function checkReplay(use: PrekeyUse, sid: Uint8Array): void {
  if (!isReplayable(use)) return
  const { replays } = use.generation
  if (replays.some(seen => equalBytes(seen, sid))) throw new CryptoError('undecryptable')
  if (replays.length >= cryptoLimits.maxReplaysPerPair) throw new CryptoError('prekeys_exhausted')
}

/** Deletes the used one-time keys. If none was used, adds the session to the replay list. */
export function usePrekeys(prekeys: Prekeys, use: PrekeyUse, sid: Uint8Array): Prekeys {
  if (!isReplayable(use)) {
    return {
      ...prekeys,
      oneTimeKeys: prekeys.oneTimeKeys.filter(({ id }) => id !== use.oneTimeKeyId),
      oneTimeKemKeys: prekeys.oneTimeKemKeys.filter(({ id }) => id !== use.oneTimeKemId),
      offers: prekeys.offers.filter(offer => offer !== use.offer),
    }
  }
  const remember = (generation: PrekeyGeneration): PrekeyGeneration =>
    generation === use.generation ? { ...generation, replays: [...generation.replays, sid] } : generation
  const [current, ...old] = prekeys.generations
  return { ...prekeys, generations: [remember(current), ...old.map(remember)] }
}
