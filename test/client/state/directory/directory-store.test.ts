import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'libsql'
import t from 'tap'
import { openDirectoryStore } from '../../../../src/client/state/directory/directory-store.ts'
import { StateError } from '../../../../src/client/state/state-error.ts'
import type { StateFormat } from '../../../../src/client/state/state-format.ts'
import { compiledProgram, nodeEndingWithParent } from '../../../../tools/processes.ts'
import { bytes, contract, text } from '../store-contract.ts'

const program = compiledProgram('test/fixtures/state/state-process')

function start(...args: string[]): ChildProcess {
  return spawn(...nodeEndingWithParent(program, ...args), { stdio: ['ignore', 'pipe', 'inherit'] })
}

async function failure(call: Promise<unknown>): Promise<StateError> {
  const error: unknown = await call.then(
    () => undefined,
    reason => reason,
  )
  if (error instanceof StateError) return error
  throw new Error(`expected a StateError, got ${String(error)}`)
}

const peek = async (path: string, key: string) => {
  const store = await openDirectoryStore(path)
  const value = await store.read(reader => reader.get(key))
  await store.close()
  return text(value)
}

const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8)

for (const { name, run } of contract) {
  t.test(name, t => {
    const path = join(t.testdir(), 'agent')
    return t.resolves(run(() => openDirectoryStore(path)))
  })
}

t.test('four processes each add 500 to one counter and lose none', async t => {
  const path = join(t.testdir(), 'agent')
  const children = [1, 2, 3, 4].map(() => start('increment', path, '500'))
  const codes = await Promise.all(children.map(async child => (await once(child, 'exit'))[0]))
  t.same(codes, [0, 0, 0, 0])
  t.equal(await peek(path, 'counter'), '2000')
})

t.test('a process killed at any moment leaves only whole transactions, every confirmed one, and no lock', async t => {
  const path = join(t.testdir(), 'agent')
  for (let round = 0; round < 25; round++) {
    const child = start('pairs', path)
    let said = ''
    child.stdout?.on('data', chunk => {
      // The time starts when the process writes; a third of the rounds ends while it opens the state.
      if (!said) setTimeout(() => child.kill('SIGKILL'), Math.random() * 30)
      said += chunk
    })
    if (round % 3 === 0) setTimeout(() => child.kill('SIGKILL'), 150 + Math.random() * 250)
    await once(child, 'close')
    const [a, b] = [await peek(path, 'pair/a'), await peek(path, 'pair/b')]
    t.equal(a, b)
    const promised = Number(said.split('\n').at(-2) ?? 0)
    t.ok(Number(a ?? 0) >= promised, `${a} is at least the ${promised} that it was promised`)
  }
})

t.test('if the holder of the lock hangs, others get a clear error; after its end they continue', async t => {
  const path = join(t.testdir(), 'agent')
  const holder = start('hold', path)
  if (holder.stdout) await once(holder.stdout, 'data')
  const store = await openDirectoryStore(path, { lockTimeoutMs: 50 })
  const error = await failure(store.transaction(tx => tx.put('a', bytes('1'))))
  t.equal(error.code, 'locked')
  t.ok(error.retry)
  t.match(error.message, join(path, 'state.db'))
  t.equal(await store.read(reader => reader.get('counter')), undefined, 'a read goes on beside it')
  holder.kill('SIGKILL')
  await once(holder, 'exit')
  await store.transaction(tx => tx.put('a', bytes('2')))
  await store.close()
  t.equal(await peek(path, 'a'), '2')
  t.equal(await peek(path, 'counter'), undefined, 'what it had not committed is gone')
})

// Evidence: U5, X11
t.test('the directory has mode 0700 and its files 0600, also if they had other modes before', async t => {
  const path = join(t.testdir(), 'agent')
  const check = async () => {
    const store = await openDirectoryStore(path)
    await store.transaction(tx => tx.put('a', bytes('1')))
    t.equal(modeOf(path), '700')
    const files = readdirSync(path).sort()
    t.same(files, ['state.db', 'state.db-shm', 'state.db-wal', 'waiting'])
    for (const file of files) t.equal(modeOf(join(path, file)), '600', file)
    await store.close()
  }
  await check()
  chmodSync(path, 0o755)
  for (const file of readdirSync(path)) chmodSync(join(path, file), 0o644)
  await check()
})

t.test('a damaged file is named in the error and not changed', async t => {
  const healthy = join(t.testdir(), 'healthy')
  const store = await openDirectoryStore(healthy)
  await store.transaction(tx => {
    for (let i = 0; i < 100; i++) tx.put(`k/${i}`, new Uint8Array(2000).fill(i))
  })
  await store.close()
  t.equal(statSync(join(healthy, 'state.db-wal')).size, 0, 'closing has emptied the log')
  const good = readFileSync(join(healthy, 'state.db'))
  const torn = Buffer.from(good)
  torn.fill(0xaa, 4096 * 3, 4096 * 5)
  const kinds: Record<string, Buffer> = {
    text: Buffer.from('not a database, but long enough to look at '.repeat(100)),
    'an empty file': Buffer.alloc(0),
    'half of a database': good.subarray(0, Math.floor(good.length / 2)),
    'the first bytes of a database': good.subarray(0, 50),
    'damaged pages': torn,
  }
  for (const [kind, content] of Object.entries(kinds)) {
    const path = join(healthy, kind)
    mkdirSync(path)
    const file = join(path, 'state.db')
    writeFileSync(file, content)
    const error = await failure(openDirectoryStore(path))
    t.equal(error.code, 'unreadable', kind)
    t.match(error.message, file)
    t.match(error.message, /restore a copy/)
    t.ok(readFileSync(file).equals(content), `${kind} is untouched`)
  }
})

t.test(
  'a file instead of the directory, a file of another program and a missing database are named in the error',
  async t => {
    const place = t.testdir({ file: 'hello', other: {}, lost: {} })
    const isFile = await failure(openDirectoryStore(join(place, 'file')))
    t.equal(isFile.code, 'unreadable')
    t.equal(readFileSync(join(place, 'file'), 'utf8'), 'hello')

    const other = new Database(join(place, 'other', 'state.db'))
    other.exec('CREATE TABLE theirs (x)')
    other.close()
    t.match((await failure(openDirectoryStore(join(place, 'other')))).message, /another program/)

    writeFileSync(join(place, 'lost', 'state.db-wal'), 'what is left')
    const lost = await failure(openDirectoryStore(join(place, 'lost')))
    t.equal(lost.code, 'unreadable')
    t.match(lost.message, 'state.db-wal')
    t.equal(readFileSync(join(place, 'lost', 'state.db-wal'), 'utf8'), 'what is left')
  },
)

t.test('an old format is migrated once, in one transaction, or refused', async t => {
  const path = join(t.testdir(), 'agent')
  const old = await openDirectoryStore(path)
  await old.transaction(tx => tx.put('name', bytes('a')))
  t.equal((await failure(openDirectoryStore(path, { format: { version: 3 } }))).code, 'version')

  const steps: number[] = []
  const format: StateFormat = {
    version: 3,
    migrate: async (tx, from) => {
      steps.push(from)
      tx.put('name', bytes(`${text(await tx.get('name'))}${from}`))
    },
  }
  const broken = {
    version: 3,
    migrate: (tx, from) => {
      tx.put('name', bytes('broken'))
      if (from === 2) throw new Error('no way')
    },
  } satisfies StateFormat
  await t.rejects(openDirectoryStore(path, { format: broken }), { message: 'no way' })
  t.equal(await peek(path, 'name'), 'a', 'nothing of a failed migration stays')

  const both = await Promise.all([openDirectoryStore(path, { format }), openDirectoryStore(path, { format })])
  t.same(steps, [1, 2])
  t.equal(await both[0].read(async reader => text(await reader.get('name'))), 'a12')
  for (const store of both) await store.close()

  const refused = await failure(old.transaction(tx => tx.put('name', bytes('b'))))
  t.equal(refused.code, 'version', 'older software that still runs may write no more')
  await old.close()
  const newer = await failure(openDirectoryStore(path))
  t.equal(newer.code, 'version')
  t.match(newer.message, /update/)
})

t.test('a database truncated while it is open is an error, and no write is confirmed', async t => {
  const path = join(t.testdir(), 'agent')
  const store = await openDirectoryStore(path)
  await store.transaction(tx => {
    for (let i = 0; i < 100; i++) tx.put(`k/${i}`, new Uint8Array(2000).fill(i))
  })
  await store.close()
  truncateSync(join(path, 'state.db'), 4096 * 3)
  t.equal((await failure(openDirectoryStore(path))).code, 'unreadable')
})

t.test('a copy made while the agent runs can be opened, and its reads do not wait for transactions', async t => {
  const place = t.testdir({ copy: {} })
  const store = await openDirectoryStore(join(place, 'agent'))
  await store.transaction(tx => tx.put('a', bytes('1')))
  const tool = new Database(join(place, 'agent', 'state.db'))
  tool.exec(`VACUUM INTO '${join(place, 'copy', 'state.db')}'`)
  tool.close()
  await store.close()

  const copy = await openDirectoryStore(join(place, 'copy'))
  const reader = await openDirectoryStore(join(place, 'copy'), { lockTimeoutMs: 0 })
  await copy.transaction(async tx => {
    tx.put('a', bytes('2'))
    t.equal(text(await reader.read(one => one.get('a'))), '1')
  })
  const tables = new Database(join(place, 'copy', 'state.db'))
  t.match(tables.prepare('PRAGMA journal_mode').all(), [{ journal_mode: 'wal' }])
  tables.close()
  await reader.close()
  await copy.close()
})
