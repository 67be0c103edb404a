import { join } from 'node:path'
import t from 'tap'
import { openDirectoryStore } from '../../../../src/client/state/directory/directory-store.ts'
import { openEncryptedStore } from '../../../../src/client/state/encryption/encrypted-store.ts'
import type { Secret } from '../../../../src/client/state/encryption/secret.ts'
import { MemoryDisk, openMemoryStore } from '../../../../src/client/state/memory-store.ts'
import { ownKeys } from '../../../../src/client/state/own-keys.ts'
import type { StateStore } from '../../../../src/client/state/state-store.ts'
import { toHex } from '../../../../src/util/bytes.ts'
import { bytes, contract, text } from '../store-contract.ts'

const key: Secret = { type: 'key', key: new Uint8Array(32).fill(7) }
const passphrase: Secret = { type: 'passphrase', passphrase: 'correct horse battery' }

for (const { name, run } of contract) {
  t.test(`in memory: ${name}`, t => {
    const disk = new MemoryDisk()
    return t.resolves(run(() => openEncryptedStore(openMemoryStore(disk), key)))
  })
  t.test(`in a directory: ${name}`, t => {
    const path = join(t.testdir(), 'agent')
    return t.resolves(run(async () => openEncryptedStore(await openDirectoryStore(path), key)))
  })
}

const put = (store: StateStore, ...entries: [string, string][]) =>
  store.transaction(tx => {
    for (const [name, value] of entries) tx.put(name, bytes(value))
  })

const peek = (store: StateStore, name: string) => store.read(async tx => text(await tx.get(name)))

t.test('no value is on disk unencrypted, and equal values have different ciphertexts', async t => {
  const disk = new MemoryDisk()
  const store = await openEncryptedStore(openMemoryStore(disk), passphrase)
  await put(store, ['account', 'a canary'], ['peer/bob', 'a canary'])
  const before = await openMemoryStore(disk).read(tx => tx.get('account'))
  await put(store, ['account', 'a canary'])
  const entries = await openMemoryStore(disk).read(tx => tx.list(''))
  t.same(
    entries.map(([name]) => name),
    [ownKeys.encryption, 'account', 'peer/bob'],
  )
  for (const [, value] of entries) t.notOk(toHex(value).includes(toHex(bytes('canary'))))
  t.not(toHex(entries[1]?.[1] ?? bytes('')), toHex(before ?? bytes('')))
  const [, account, peer] = entries.map(([, value]) => toHex(value))
  t.not(account, peer)
})

t.test('only the secret of the encryption opens the state', async t => {
  for (const [right, wrongs] of [
    [passphrase, [{ type: 'passphrase', passphrase: 'correct horse batterz' }, key]],
    [key, [{ type: 'key', key: new Uint8Array(32) }, passphrase]],
  ] satisfies [Secret, Secret[]][]) {
    const disk = new MemoryDisk()
    await put(await openEncryptedStore(openMemoryStore(disk), right), ['a', '1'])
    for (const wrong of wrongs)
      await t.rejects(openEncryptedStore(openMemoryStore(disk), wrong, { where: '/agent' }), {
        code: 'secret_wrong',
        message: /^\/agent /,
      })
    t.equal(await peek(await openEncryptedStore(openMemoryStore(disk), right), 'a'), '1')
  }
})

t.test('a passphrase is the same in every Unicode form', async t => {
  const disk = new MemoryDisk()
  const spelled = (passphrase: string) =>
    openEncryptedStore(openMemoryStore(disk), { type: 'passphrase', passphrase: `${passphrase} is long` })
  await spelled('caf\u00e9')
  await t.resolves(spelled('cafe\u0301'))
})

t.test('invalid secrets are refused, and nothing is encrypted', async t => {
  const disk = new MemoryDisk()
  for (const secret of [
    { type: 'passphrase', passphrase: 'short' },
    { type: 'key', key: new Uint8Array(31) },
  ] satisfies Secret[])
    await t.rejects(openEncryptedStore(openMemoryStore(disk), secret), { code: 'invalid' })
  t.same(await openMemoryStore(disk).read(tx => tx.list('')), [])
})

t.test('an unencrypted state is not accepted as an encrypted one', async t => {
  const disk = new MemoryDisk()
  await put(openMemoryStore(disk), ['account', 'plain'])
  await t.rejects(openEncryptedStore(openMemoryStore(disk), key), {
    code: 'not_encrypted',
    message: /aimessage encrypt/,
  })
  t.equal(await peek(openMemoryStore(disk), 'account'), 'plain')
})

t.test('two processes that begin the encryption at the same time share one key', async t => {
  const disk = new MemoryDisk()
  const [one, two] = await Promise.all([1, 2].map(() => openEncryptedStore(openMemoryStore(disk), key)))
  if (!one || !two) throw new Error('two stores were opened')
  await put(one, ['a', '1'])
  t.equal(await peek(two, 'a'), '1')
})

t.test('a changed bit, a renamed record and weakened parameters are detected', async t => {
  const disk = new MemoryDisk()
  const store = await openEncryptedStore(openMemoryStore(disk), passphrase)
  await put(store, ['a', 'to a'], ['b', 'to b'])
  const raw = openMemoryStore(disk)
  await raw.transaction(async tx => {
    const [a, b] = [await tx.get('a'), await tx.get('b')]
    if (!a || !b) throw new Error('both are there')
    tx.put('b', a)
    b[b.length - 1] = (b.at(-1) ?? 0) ^ 1
    tx.put('c', b)
    tx.put('d', Uint8Array.of(2, ...a.slice(1)))
  })
  await t.rejects(peek(store, 'b'), { code: 'unreadable', message: /"b"/ })
  await t.rejects(peek(store, 'c'), { code: 'unreadable' })
  await t.rejects(peek(store, 'd'), { code: 'version' })
  t.equal(await peek(store, 'a'), 'to a')

  await raw.transaction(async tx => {
    const header = text(await tx.get(ownKeys.encryption)) ?? ''
    tx.put(ownKeys.encryption, bytes(header.replace('"passes":3', '"passes":1')))
  })
  await t.rejects(openEncryptedStore(raw, passphrase), { code: 'secret_wrong' })
})

t.test('parameters that cost too much are refused before any computation', async t => {
  const disk = new MemoryDisk()
  await openEncryptedStore(openMemoryStore(disk), passphrase)
  const raw = openMemoryStore(disk)
  await raw.transaction(async tx => {
    const header = text(await tx.get(ownKeys.encryption)) ?? ''
    tx.put(ownKeys.encryption, bytes(header.replace('"memoryKib":12288', '"memoryKib":4194304')))
  })
  await t.rejects(openEncryptedStore(raw, passphrase), { code: 'unreadable' })
})

t.test("the state's own keys are neither shown nor given away", async t => {
  const store = await openEncryptedStore(openMemoryStore(), key)
  await put(store, ['a', '1'], ['b', '2'])
  const names = (limit?: number) =>
    store.read(async tx => (await tx.list('', limit === undefined ? {} : { limit })).map(([name]) => name))
  t.same(await names(), ['a', 'b'])
  t.same(await names(1), ['a'])
  await t.rejects(
    store.read(tx => tx.get(ownKeys.encryption)),
    { code: 'invalid' },
  )
  await t.rejects(put(store, [ownKeys.moved, 'x']), { code: 'invalid' })
  await t.rejects(
    store.transaction(tx => tx.delete(ownKeys.encryption)),
    { code: 'invalid' },
  )
})
