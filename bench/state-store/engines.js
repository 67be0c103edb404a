import { randomBytes } from 'node:crypto'
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** Each engine as the state store would use it: async work between reads and one durable, atomic commit. */
export const engines = { libsql: openLibsql, lmdb: openLmdb, files: openFiles, store: openStore }

/** What we made of the first. */
async function openStore(dir) {
  const { openDirectoryStore } = await import('../../src/client/state/directory/directory-store.ts')
  return openDirectoryStore(join(dir, 'agent'))
}

function serial() {
  let last = Promise.resolve()
  return work => {
    const result = last.then(work)
    last = result.catch(() => {})
    return result
  }
}

async function openLibsql(dir) {
  const { default: Database } = await import('libsql')
  const db = new Database(join(dir, 'state.db'))
  const retry = async run => {
    for (;;) {
      try {
        return run()
      } catch (error) {
        if (!String(error.code).startsWith('SQLITE_BUSY')) throw error
        await sleep(1 + Math.random() * 3)
      }
    }
  }
  await retry(() => db.exec('PRAGMA journal_mode = WAL'))
  await retry(() => db.exec('PRAGMA synchronous = FULL'))
  await retry(() =>
    db.exec('CREATE TABLE IF NOT EXISTS entry (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID'),
  )
  const get = db.prepare('SELECT value FROM entry WHERE key = ?').raw()
  const put = db.prepare('INSERT INTO entry VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value')
  const [begin, commit, rollback] = ['BEGIN IMMEDIATE', 'COMMIT', 'ROLLBACK'].map(sql => db.prepare(sql))
  const tx = { get: async key => get.get(key)?.[0], put: (key, value) => void put.run(key, value) }
  const queue = serial()
  return {
    transaction: work =>
      queue(async () => {
        await retry(() => begin.run())
        try {
          const result = await work(tx)
          commit.run()
          return result
        } catch (error) {
          rollback.run()
          throw error
        }
      }),
    close: () => queue(async () => db.close()),
  }
}

async function openLmdb(dir) {
  const { open } = await import('lmdb')
  // overlappingSync would resolve before the flush.
  const db = open({
    path: join(dir, 'state.mdb'),
    encoding: 'binary',
    keyEncoding: 'ordered-binary',
    overlappingSync: false,
  })
  const tx = { get: async key => db.get(key), put: (key, value) => void db.put(key, value) }
  const queue = serial()
  return {
    // Callbacks of one event-loop turn share a native transaction, so each runs as a child that can be rolled back.
    transaction: work => queue(() => db.childTransaction(() => work(tx))),
    close: () => queue(() => db.close()),
  }
}

/** A lock library over files: one file per key, and an intent file that makes several keys one step. */
async function openFiles(dir) {
  const { default: lockfile } = await import('proper-lockfile')
  mkdirSync(join(dir, 'keys'), { recursive: true })
  const path = key => join(dir, 'keys', encodeURIComponent(key))
  const intent = join(dir, 'intent')
  const apply = changes => {
    for (const [key, value] of Object.entries(changes)) replaceFile(path(key), Buffer.from(value, 'base64'))
    syncDirectory(join(dir, 'keys'))
    rmSync(intent)
    syncDirectory(dir)
  }
  const queue = serial()
  return {
    transaction: work =>
      queue(async () => {
        const release = await lockfile.lock(dir, {
          stale: 5000,
          retries: { forever: true, minTimeout: 1, maxTimeout: 5, factor: 1, randomize: true },
        })
        try {
          if (existsSync(intent)) apply(JSON.parse(readFileSync(intent, 'utf8')))
          const changes = {}
          const result = await work({
            get: async key => (existsSync(path(key)) ? readFileSync(path(key)) : undefined),
            put: (key, value) => {
              changes[key] = value.toString('base64')
            },
          })
          replaceFile(intent, JSON.stringify(changes))
          syncDirectory(dir)
          apply(changes)
          return result
        } finally {
          await release()
        }
      }),
    close: () => queue(async () => {}),
  }
}

function replaceFile(path, content) {
  const temporary = `${path}.${randomBytes(6).toString('hex')}`
  const fd = openSync(temporary, 'wx', 0o600)
  writeSync(fd, content)
  fsyncSync(fd)
  closeSync(fd)
  renameSync(temporary, path)
}

function syncDirectory(path) {
  const fd = openSync(path, 'r')
  fsyncSync(fd)
  closeSync(fd)
}
