import t from 'tap'
import { CryptoError } from '../../../src/crypto/errors.ts'
import { type Card, checkCardContent, decodeCard, encodeCard } from '../../../src/crypto/keys/card.ts'
import { sign } from '../../../src/crypto/keys/identity.ts'
import { limits } from '../../../src/protocol/limits.ts'
import { concatBytes } from '../../../src/util/bytes.ts'
import { makeAgent } from '../../../tools/clients/crypto-agents.ts'
import { verifyNative } from '../../fixtures/native-ed25519.ts'

const { self } = makeAgent('alice', 'bob')
const content = {
  title: 'Translator',
  description: 'German and English, both ways',
  version: '1.2.0',
  capabilities: ['translate', 'de', 'en'],
  acceptsRequests: true,
}
const card: Card = { address: self.address, identity: self.identity.publicKey, seq: 7, content }
const malformed = new CryptoError('malformed')

t.test('a card is decoded unchanged with either signature engine', async t => {
  const bytes = encodeCard(self.identity, card)
  t.same(decodeCard(bytes), card)
  t.same(decodeCard(bytes, verifyNative), card)
  const small = { title: 'x', capabilities: [], acceptsRequests: false }
  t.same(decodeCard(encodeCard(self.identity, { ...card, content: small })).content, small)
})

t.test('a card with any flipped bit is refused', async t => {
  const bytes = encodeCard(self.identity, card)
  for (let at = 0; at < bytes.length; at += 1) {
    const changed = Uint8Array.from(bytes)
    changed[at] = (bytes[at] ?? 0) ^ 1
    t.throws(() => decodeCard(changed, verifyNative), CryptoError)
  }
  t.throws(() => decodeCard(bytes.subarray(0, -1), verifyNative), CryptoError)
  t.throws(() => decodeCard(concatBytes(bytes, Uint8Array.of(0)), verifyNative), CryptoError)
})

// Evidence: K15
t.test('a signature under another label or by another key is refused', async t => {
  const signed = encodeCard(self.identity, card).subarray(0, -64)
  const other = makeAgent('mallory', 'bob').self.identity
  for (const signature of [sign(self.identity, 'AIMessage1 bundle', signed), sign(other, 'AIMessage1 card', signed)]) {
    t.throws(() => decodeCard(concatBytes(signed, signature)), new CryptoError('bad_card'))
  }
})

t.test('the members of a card are bounded, and others are left out', async t => {
  const wrong: unknown[] = [
    null,
    [],
    { ...content, title: '' },
    { ...content, title: 'x'.repeat(81) },
    { ...content, description: 'x'.repeat(501) },
    { ...content, version: '' },
    { ...content, acceptsRequests: 'yes' },
    { title: 'x', acceptsRequests: true },
    ...['', 'Upper', 'with space', '-first', 'x'.repeat(33), 'a:b', 'ü'].map(tag => ({
      ...content,
      capabilities: [tag],
    })),
    { ...content, capabilities: ['twice', 'twice'] },
    { ...content, capabilities: Array.from({ length: limits.maxCapabilities + 1 }, (_, at) => `tag-${at}`) },
  ]
  for (const value of wrong) t.throws(() => checkCardContent(value), malformed, JSON.stringify(value))
  t.same(checkCardContent({ ...content, owner: 'somebody' }), content)
})

t.test('the largest allowed card fits the limit', async t => {
  const capabilities = Array.from({ length: limits.maxCapabilities }, (_, at) => `${'x'.repeat(29)}-${at + 10}`)
  const largest = {
    title: '€'.repeat(80),
    description: '€'.repeat(500),
    version: '€'.repeat(32),
    capabilities,
    acceptsRequests: true,
  }
  t.ok(
    encodeCard(self.identity, { ...card, address: `${'a'.repeat(32)}@${'b'.repeat(222)}`, content: largest }).length <=
      limits.maxCardBytes,
  )
  const escaped = { ...largest, description: '\u0001'.repeat(500), title: '\u0001'.repeat(80) }
  t.throws(() => encodeCard(self.identity, { ...card, content: escaped }), new CryptoError('too_large'))
})
