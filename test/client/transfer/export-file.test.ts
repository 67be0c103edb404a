import t from 'tap'
import { deriveKey } from '../../../src/client/state/encryption/derivation.ts'
import type { Secret } from '../../../src/client/state/encryption/secret.ts'
import type { StateEntry } from '../../../src/client/state/state-store.ts'
import { decodeExport, encodeExport } from '../../../src/client/transfer/export-file.ts'
import { randomBytes } from '../../../src/crypto/provider.ts'
import { encodeUtf8, toHex } from '../../../src/util/bytes.ts'

const passphrase: Secret = { type: 'passphrase', passphrase: 'correct horse battery' }
const key: Secret = { type: 'key', key: new Uint8Array(32).fill(9) }
/** The lowest accepted cost: these tests are not about the cost of guessing. */
const cost = { memoryKib: 1_024, passes: 1, lanes: 1 }
const options = { random: randomBytes, cost }
const entries: StateEntry[] = [
  ['account', encodeUtf8('a canary')],
  ['peer/bob', new Uint8Array()],
  ['sent/bob/x', new Uint8Array(70_000).fill(3)],
]

t.test('an export decodes to the same records, with both kinds of secret', async t => {
  for (const secret of [passphrase, key]) {
    const file = encodeExport(entries, secret, options)
    t.same(decodeExport(file, secret, 'FILE'), entries)
    t.notOk(toHex(file).includes(toHex(encodeUtf8('canary'))))
  }
})

t.test('an export can hold many records', async t => {
  const many: StateEntry[] = Array.from({ length: 200_000 }, (_, at) => [`seen/bob/${at}`, Uint8Array.of(1)])
  t.equal(decodeExport(encodeExport(many, key, options), key, 'FILE').length, many.length)
})

t.test('a wrong secret, the other kind of secret and a file of another format are distinct errors', async t => {
  const file = encodeExport(entries, passphrase, options)
  const open = (secret: Secret, bytes = file) => decodeExport(bytes, secret, '/tmp/FILE')
  t.throws(() => open({ type: 'passphrase', passphrase: 'correct horse batterz' }), {
    code: 'secret_wrong',
    message: /^\/tmp\/FILE cannot be decrypted/,
  })
  t.throws(() => open(key), { code: 'secret_wrong', message: /exported with a passphrase/ })
  t.throws(() => open(passphrase, encodeUtf8('{"not":"one"}')), { code: 'unreadable', message: /not an export/ })
  t.throws(() => open(passphrase, file.subarray(0, 25)), { code: 'unreadable' })
})

t.test('every changed bit is detected, in the parameters and in the records', async t => {
  const file = encodeExport([['account', encodeUtf8('a canary')]], key, options)
  for (let bit = 0; bit < file.length * 8; bit += 1) {
    const changed = Uint8Array.from(file)
    changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    t.throws(() => decodeExport(changed, key, 'FILE'), { name: 'StateError' }, `bit ${bit}`)
  }
  t.throws(() => decodeExport(file.subarray(0, file.length - 1), key, 'FILE'), { code: 'secret_wrong' }, 'cut off')
})

t.test('a forged file cannot demand unlimited memory or time', async t => {
  const head = Buffer.from(encodeExport(entries, passphrase, options)).toString('latin1')
  for (const [from, to] of [
    ['"memoryKib":1024', '"memoryKib":9999'],
    ['"passes":1', '"passes":0'],
    ['"lanes":1', '"lanes":0'],
  ] as const) {
    t.ok(head.includes(from))
    const forged = Buffer.from(head.replace(from, to), 'latin1')
    t.throws(() => decodeExport(new Uint8Array(forged), passphrase, 'FILE'), { name: 'StateError' }, to)
  }
  for (const wrong of [{ memoryKib: 2 ** 21 }, { passes: 17 }, { lanes: 17 }])
    t.throws(
      () => {
        const file = encodeExport(entries, passphrase, { random: randomBytes, cost: { ...cost } })
        const text = Buffer.from(file).toString('latin1')
        const [name = '', value = 0] = Object.entries(wrong)[0] ?? []
        const grown = text.replace(new RegExp(`"${name}":\\d+`), `"${name}":${value}`)
        const bytes = Buffer.from(grown, 'latin1')
        // The head is longer now, so its length field changes.
        bytes.writeUInt32BE(bytes.readUInt32BE(17) + (grown.length - text.length), 17)
        decodeExport(new Uint8Array(bytes), passphrase, 'FILE')
      },
      { code: 'unreadable' },
    )
})

t.test('the key of a passphrase is Argon2id of RFC 9106', async t => {
  // Computed with the reference program: argon2 of 0.0~20190702, `-id -m 10 -t 1 -p 1 -l 32`.
  const derived = deriveKey(
    { type: 'passphrase', passphrase: 'password' },
    { type: 'argon2id', salt: Buffer.from('somesaltsomesalt').toString('base64url'), ...cost },
  )
  t.equal(toHex(derived ?? new Uint8Array()), '16253e23a29b20d7c7a0c05f9150e74baaa6cf1832edc838d484fc250a02bef9')
})
