import { readFileSync } from 'node:fs'
import t from 'tap'
import { CryptoError } from '../../../src/crypto/errors.ts'
import { checkIdentityKey, generateIdentity, sign, verifySigned } from '../../../src/crypto/keys/identity.ts'
import { encodeRelayAuth, signRelayAuth, verifyRelayAuth } from '../../../src/crypto/keys/relay-auth.ts'
import { labels } from '../../../src/crypto/labels.ts'
import { concatBytes, encodeUtf8, toHex } from '../../../src/util/bytes.ts'
import { fromHex, seededRandom } from '../../../tools/clients/crypto-agents.ts'
import { verifyNative } from '../../fixtures/native-ed25519.ts'

const identity = generateIdentity(seededRandom('identity'))
const message = encodeUtf8('message')
const edgeCases: { publicKey: string; identity: boolean }[] = JSON.parse(
  readFileSync(new URL('../ed25519-edge.json', import.meta.url), 'utf8'),
)

t.test(
  'an identity key passes the check, and keys that are not canonical, have torsion or small order do not',
  async t => {
    t.equal(checkIdentityKey(identity.publicKey), identity.publicKey)
    const refused = edgeCases.filter(({ identity }) => !identity)
    t.ok(refused.length > 20)
    for (const { publicKey: key } of [...refused, { publicKey: '00' }]) {
      t.throws(() => checkIdentityKey(fromHex(key)), new CryptoError('bad_key'), key)
    }
  },
)

t.test('a signature is valid for its label, message and key only, with either engine', async t => {
  const signature = sign(identity, labels.card, message)
  const other = generateIdentity(seededRandom('other'))
  for (const verify of [undefined, verifyNative]) {
    t.ok(verifySigned(identity.publicKey, labels.card, message, signature, verify))
    t.notOk(verifySigned(identity.publicKey, labels.bundle, message, signature, verify))
    t.notOk(verifySigned(identity.publicKey, labels.card, encodeUtf8('massage'), signature, verify))
    t.notOk(verifySigned(other.publicKey, labels.card, message, signature, verify))
    t.notOk(verifySigned(identity.publicKey, labels.card, message, signature.subarray(1), verify))
  }
})

const auth = {
  purpose: 'authenticate',
  domain: 'relay.example',
  username: 'alice',
  identity: identity.publicKey,
  nonce: seededRandom('nonce')(32),
} as const

t.test('the signed bytes of a login are those of PROTOCOL.md section 5', async t => {
  const expected = concatBytes(
    encodeUtf8('AIMessage1 relay auth\0'),
    Uint8Array.of(2, 13),
    encodeUtf8('relay.example'),
    Uint8Array.of(5),
    encodeUtf8('alice'),
    identity.publicKey,
    auth.nonce,
  )
  t.equal(toHex(encodeRelayAuth(auth)), toHex(expected))
  t.equal(encodeRelayAuth({ ...auth, purpose: 'register' })[22], 1)
  t.equal(encodeRelayAuth({ ...auth, purpose: 'delete' })[22], 3)
})

// Evidence: K12, A2
t.test('a login signature is valid for its purpose, domain, name, key and nonce only', async t => {
  const signature = signRelayAuth(identity, auth)
  for (const verify of [undefined, verifyNative]) {
    t.ok(verifyRelayAuth(auth, signature, verify))
    t.notOk(verifyRelayAuth({ ...auth, purpose: 'delete' }, signature, verify))
    t.notOk(verifyRelayAuth({ ...auth, domain: 'evil.example' }, signature, verify))
    t.notOk(verifyRelayAuth({ ...auth, username: 'malice' }, signature, verify))
    t.notOk(verifyRelayAuth({ ...auth, nonce: new Uint8Array(32) }, signature, verify))
    const other = generateIdentity(seededRandom('other')).publicKey
    t.notOk(verifyRelayAuth({ ...auth, identity: other }, signature, verify))
  }
})

t.test('a nonce of a wrong length, or a name over 255 bytes, is not signed', async t => {
  t.throws(() => encodeRelayAuth({ ...auth, nonce: new Uint8Array(31) }), new CryptoError('malformed'))
  t.throws(() => encodeRelayAuth({ ...auth, username: 'a'.repeat(256) }), new CryptoError('too_large'))
})
