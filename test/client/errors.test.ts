import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import * as library from '../../src/client/node.ts'
import { retryable } from '../../src/client/state/state-error.ts'
import { errors, isErrorCode } from '../../src/protocol/errors.ts'
import { asError } from '../../src/util/as-error.ts'
import { openAgent, registerAgent, temporaryDirectory } from '../../tools/clients/agents.ts'
import { startTestNode } from '../../tools/servers/running-node.ts'

const { wsUrl } = await startTestNode(t)

/** What a program without types passes instead of the right value. */
const wrong: readonly unknown[] = [
  undefined,
  null,
  true,
  5,
  -1,
  1.5,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  12n,
  '',
  'x\0y',
  '\ud800',
  'a'.repeat(100_000),
  Symbol('s'),
  {},
  [],
  ['x'],
  () => {},
  new Date(0),
  new Uint8Array(3),
  Object.create(null),
  { type: 'passphrase' },
  { type: 'key', key: 'text' },
  { json: 5n },
  { json: undefined },
  { mediaType: 5, data: 'x' },
  { mediaType: 'text/plain', data: 5 },
]

const never = new AbortController().signal
const request = { id: 'none', from: 'bob', hops: 0 }

type Call = { good: unknown[]; options?: Record<string, unknown> }
/** Right arguments of every method that takes some; `options` are the members of the last one. */
const calls: Record<'client' | 'mailbox' | 'access' | 'cards', Record<string, Call>> = {
  client: {
    on: { good: ['failed', () => {}] },
    register: { good: ['alice'], options: { invite: 'x' } },
    send: { good: ['bob', 'hi'], options: { ttlS: 60, signal: never, inReplyTo: { id: 'a', hops: 1 } } },
    request: {
      good: ['bob', 'hi'],
      options: { timeoutMs: 1, signal: never, onPart: () => {}, inReplyTo: { ...request, deadline: 1 } },
    },
    onRequest: { good: [() => ''], options: { concurrency: 1 } },
    reply: { good: [request, 'hi'] },
    part: { good: [request, 'hi'] },
    refuse: { good: [request, { code: 'no', message: 'no' }] },
    attend: { good: [never] },
    confirmed: { good: ['id', 'read'], options: { signal: never } },
    receive: { good: [], options: { signal: never, waitMs: 0, count: 1 } },
    users: { good: [], options: { online: true, prefix: 'a', capability: 'a', cards: true } },
    getOrCreateSession: { good: ['bob'] },
    initiateKeyExchange: { good: ['bob'], options: { timeoutMs: 1 } },
    renewSession: { good: ['bob'] },
    identityOf: { good: ['bob'] },
    verifyPeer: { good: ['bob', '1'], options: { unconfirmed: 'send' } },
    trustPeer: { good: ['bob', '1'], options: { unconfirmed: 'send' } },
    distrustChange: { good: ['bob'] },
    repairPeer: { good: ['bob'] },
  },
  mailbox: {
    list: { good: [], options: { after: 0, limit: 1, from: 'bob' } },
    get: { good: ['id'] },
    ack: { good: [['id']] },
    wait: { good: [], options: { waitMs: 0, after: 0, limit: 1, from: 'bob', signal: never } },
  },
  access: {
    setWriters: { good: ['anyone'] },
    setRule: { good: ['bob', 'none'] },
    endLogins: { good: ['a'.repeat(16)] },
  },
  cards: {
    publish: { good: [{ title: 'a', capabilities: [], acceptsRequests: true }] },
    of: { good: ['bob'] },
    read: { good: ['bob', 'AAAA'] },
  },
}

/** Every list of arguments in which one value is wrong. */
function* wrongLists({ good, options }: Call): Generator<unknown[]> {
  for (const at of good.keys()) for (const value of wrong) yield good.with(at, value)
  for (const value of wrong) if (options) yield [...good, value]
  for (const name of Object.keys(options ?? {}))
    for (const value of wrong) yield [...good, { ...options, [name]: value }]
}

/** Calls, and takes one step of an iterator. */
async function attempt(run: () => unknown): Promise<unknown> {
  const result = run()
  return Symbol.asyncIterator in Object(result) ? Object(result).next() : result
}

function checkError(t: Test, error: unknown, call: string): void {
  const { code, retry, message } = Object(error)
  const isRight = typeof code === 'string' && code !== '' && typeof retry === 'boolean' && error instanceof Error
  if (!isRight) t.fail(`${call}: ${String(error)}`, { code, retry })
  else t.ok(message.length < 500, `${call}: a short text`)
}

t.test('18.12 every method of the library rejects wrong arguments with a code and a boolean retry', async t => {
  const client = await registerAgent(t, wsUrl, 'alice')
  const mallory = await registerAgent(t, wsUrl, 'bob')
  t.teardown(() => mallory.close())
  const pending: Promise<void>[] = []
  let refused = 0
  for (const [part, methods] of Object.entries(calls)) {
    const target: object = part === 'client' ? client : Reflect.get(client, part)
    for (const [name, call] of Object.entries(methods)) {
      for (const args of wrongLists(call)) {
        const done = attempt(() => Reflect.apply(Reflect.get(target, name), target, args)).then(
          () => {},
          error => {
            refused += 1
            if (!('message' in Object(error) && error === never.reason)) checkError(t, error, `${part}.${name}`)
          },
        )
        pending.push(done)
      }
    }
  }
  // What was accepted waits for something that never comes.
  await client.close()
  await Promise.all(pending)
  t.ok(refused > 1_500, `${refused} of ${pending.length} calls were refused`)
})

t.test('18.12 every method that takes arguments is in this test', async t => {
  const client = await openAgent(t, wsUrl)
  for (const [part, methods] of Object.entries(calls)) {
    const target: object = part === 'client' ? client : Reflect.get(client, part)
    const names = Object.getOwnPropertyNames(Object.getPrototypeOf(target))
    const known = [
      'constructor',
      'account',
      ...['connect', 'recover', 'stopListening', 'logout', 'close', 'withheld', 'unread', 'writers', 'rules', 'logins'],
      'remove',
      ...Object.keys(methods),
    ]
    t.same(
      names.filter(name => !known.includes(name)),
      [],
      part,
    )
  }
})

t.test('18.12 every function of the library rejects wrong arguments with a code and a boolean retry', async t => {
  const directory = await temporaryDirectory(t)
  const at = (name: string) => join(directory, name)
  const secret = { type: 'passphrase', passphrase: 'correct horse' }
  const options = { server: wsUrl, store: library.openMemoryStore(), domain: 'localhost', policy: {}, caFile: at('no') }
  await writeFile(at('no-certificate'), 'nothing')
  const functions: Record<string, Call> = {
    openClient: { good: [], options },
    openDirectoryStore: { good: [], options: {} },
    openEncryptedStore: { good: [library.openMemoryStore(), secret] },
    openMemoryStore: { good: [undefined] },
    encryptState: { good: [at('a'), secret] },
    decryptState: { good: [at('b'), secret] },
    exportAgent: { good: [at('c'), at('c.export'), secret] },
    importAgent: { good: [at('d'), at('d.export')], options: { secret, stateSecret: secret } },
  }
  const opened: { close(): unknown }[] = []
  for (const [name, call] of Object.entries(functions)) {
    for (const args of wrongLists(call)) {
      // A state with a long name of one letter would only be made in the working directory.
      if (typeof args[0] === 'string' && !args[0].startsWith(directory) && args[0].length > 3) continue
      const result = await attempt(() => Reflect.apply(Reflect.get(library, name), undefined, args)).catch(error => {
        checkError(t, error, name)
      })
      if (typeof Object(result).close === 'function') opened.push(Object(result))
    }
  }
  const caFile = at('no-certificate')
  const open = (more: object) => library.openClient({ server: wsUrl, store: library.openMemoryStore(), ...more })
  await t.rejects(open({ caFile }), {
    code: 'invalid_argument',
    argument: 'caFile',
    message: /no-certificate has none/,
  })
  await t.rejects(open({ policy: { minSuite: 2, maxSuite: 1 } }), { code: 'invalid_argument' })
  for (const one of opened) await one.close()
  const names = Object.entries(library).filter(([name, value]) => typeof value === 'function' && /^[a-z]/.test(name))
  t.same(names.map(([name]) => name).sort(), Object.keys(functions).sort(), 'every function')
})

t.test('18.12 retry is a boolean for every code, as the documents say', async t => {
  for (const [code, { retry }] of Object.entries(errors)) {
    if (!isErrorCode(code)) throw new Error(code)
    const error = new library.ProtocolError(code, 'text')
    t.same([error.retry, error.retryAdvice], [retry === 'yes', retry], code)
  }
  for (const [code, retry] of Object.entries(retryable))
    t.equal(Reflect.construct(library.StateError, [code, 'text']).retry, retry, code)
  t.equal(new library.CryptoError('rate_limited').retry, true)
  t.equal(new library.CryptoError('bad_bundle').retry, false)
  const alice = await registerAgent(t, wsUrl, 'loop')
  let attempts = 0
  for (;;) {
    attempts += 1
    const error = await alice.send('nobody', 'x').catch(asError)
    if (!('retry' in error && error.retry)) break
  }
  t.equal(attempts, 1, 'a loop that repeats while `retry` is true ends')
})

t.test('18.14 the stack of an error shows the caller, and its text names the user', async t => {
  const alice = await registerAgent(t, wsUrl, 'anna')
  const other = await openAgent(t, wsUrl)
  async function theApplication(call: () => Promise<unknown>): Promise<Error> {
    return call().then(() => new Error('nothing was refused'), asError)
  }
  const calls: [RegExp, string, () => Promise<unknown>][] = [
    [/^ProtocolError: the name anna belongs to another key/, 'username_taken', () => other.register('anna')],
    [/^ProtocolError: the server knows no user nobody$/m, 'unknown_user', () => alice.send('nobody', 'x')],
    [/^ProtocolError: "Not A Name" is not a username/, 'invalid_username', () => alice.send('Not A Name', 'x')],
    [/^ProtocolError: the server knows no user nobody$/m, 'unknown_user', () => alice.getOrCreateSession('nobody')],
    [/^ProtocolError: the server does not have/, 'not_found', () => alice.access.endLogins('a'.repeat(16))],
    [/^InvalidArgumentError: limit must be/, 'invalid_argument', () => alice.mailbox.list({ limit: -1 })],
    [/^InvalidArgumentError: online must be/, 'invalid_argument', () => alice.users(Object({ online: 1 })).next()],
  ]
  for (const [text, code, call] of calls) {
    const error = await theApplication(call)
    t.match(error, { code })
    t.match(error.stack, text)
    t.match(error.stack, /theApplication/, `${code}: the caller`)
    t.equal(error.stack?.match(/theApplication/g)?.length, 1, 'once')
  }
})
