import { equalBytes } from '../../util/bytes.ts'
import { CryptoError, IdentityChangedError } from '../errors.ts'
import { type Bundle, decodeBundle, type Served, verifyKemKey } from '../keys/bundle.ts'
import type { Self } from '../keys/identity.ts'
import { cryptoLimits } from '../limits.ts'
import { defaultPolicy, type Policy } from '../policy.ts'
import type { Random, Verify } from '../provider.ts'
import { commonSuite, type Suite } from '../suites.ts'
import { initiate } from './handshake.ts'
import { identityOf, type Peer, pinIdentity } from './peer.ts'
import { initiatorRatchet } from './ratchet.ts'
import type { Session } from './session.ts'
import { addSession } from './session-selection.ts'

export type StartOptions = {
  readonly self: Self
  readonly served: Served
  readonly policy?: Policy
  readonly nowMs: number
  readonly random: Random
  readonly verify?: Verify
}

/** The checks of docs/E2E.md section 4: all signatures, the requested address, the pinned key, and `seq`. */
function checkBundle(peer: Peer, { self, served, nowMs, verify }: StartOptions): Bundle {
  if (peer.trust === 'changed') throw new CryptoError('identity_changed')
  const bundle = decodeBundle(served.bundle, verify)
  if (bundle.address !== peer.address) throw new CryptoError('bad_bundle')
  // With our own key both directions would derive the same keys.
  if (equalBytes(bundle.identity, self.identity.publicKey)) throw new CryptoError('bad_bundle')
  const pinned = identityOf(peer)
  if (pinned && !equalBytes(pinned, bundle.identity)) throw new IdentityChangedError(bundle.identity)
  if (bundle.seq < peer.maxSeq) throw new CryptoError('bad_bundle')
  if (!pinned && nowMs - bundle.issuedAtS * 1_000 > cryptoLimits.maxBundleAgeMs) throw new CryptoError('old_bundle')
  return bundle
}

function chooseSuite(peer: Peer, bundle: Bundle, { minSuite, maxSuite }: Policy): Suite {
  const lowest = peer.minSuite > minSuite ? peer.minSuite : minSuite
  const suite = commonSuite(bundle.suites, { minSuite: lowest, maxSuite })
  if (!suite) throw new CryptoError('suite_refused')
  return suite
}

/** Returns the one-time KEM key if one was served, else the last resort; undefined in suite 1. */
function chooseKem(bundle: Bundle, suite: Suite, { served, verify }: StartOptions) {
  if (suite === 1) return undefined
  const oneTime = served.oneTimeKemKey
  if (!oneTime) return bundle.lastResortKem
  if (!verifyKemKey(bundle.identity, oneTime.key, oneTime.signature, verify)) throw new CryptoError('bad_bundle')
  return oneTime
}

function openSession(bundle: Bundle, suite: Suite, options: StartOptions): Session {
  const { self, served, nowMs, random } = options
  const { signedPrekey } = bundle
  const kem = chooseKem(bundle, suite, options)
  const responder = { ...bundle, oneTimeKey: served.oneTimeKey, kem }
  const { sid, sharedSecret, associatedData, prekeyHeader } = initiate(self, responder, random(32), random(32))
  return {
    sid,
    suite,
    associatedData,
    ratchet: initiatorRatchet(sharedSecret, signedPrekey.key, random),
    role: { kind: 'unanswered', prekeyHeader },
    status: { kind: 'current' },
    opening: 'none',
    createdAtMs: nowMs,
    sent: 0,
    received: 0,
  }
}

/**
 * Starts a session with the keys that a node served, and makes it the active session. A `reset` as its first content
 * retires all other sessions.
 * @throws {IdentityChangedError} if the peer's key is not the pinned one.
 * @throws {CryptoError} `bad_bundle`, `old_bundle`, `bad_key`, `malformed`, `suite_refused`, or `identity_changed`
 * until the user decides.
 */
export function startSession(peer: Peer, options: StartOptions): { peer: Peer; sid: Uint8Array } {
  const { policy = defaultPolicy, nowMs } = options
  const bundle = checkBundle(peer, options)
  const suite = chooseSuite(peer, bundle, policy)
  const session = openSession(bundle, suite, options)
  const pinned = pinIdentity(peer, bundle.identity)
  const remembered = { ...pinned, minSuite: suite, maxSeq: bundle.seq }
  const added = addSession(remembered, session, nowMs, policy.mailboxLifetimeMs)
  return { peer: { ...added, active: session.sid }, sid: session.sid }
}
