import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { engines } from './engines.js'

const [role, engine, dir, count = '0', startAt = '0', inFlight = '1'] = process.argv.slice(2)
const n = Number(count)
const started = process.hrtime.bigint()
const store = await engines[engine](dir)
const peer = i => `peer/${String(i).padStart(4, '0')}`
/** Engines answer with a Buffer or a bare Uint8Array, whose text is not its content. */
const number = value => Number(Buffer.from(value ?? []).toString())
const report = values => process.stdout.write(`${JSON.stringify(values)}\n`)
const elapsedMs = since => Number(process.hrtime.bigint() - since) / 1e6

const roles = {
  /** Reads a 2 KB peer record, writes it and a 1 KB outbox entry, one after the other. */
  async typical() {
    // Fresh bytes every time: SQLite does not write, and so does not sync, an update that changes nothing.
    const [record, mail] = [randomBytes(2048), randomBytes(1024)]
    let written = 0
    const send = i =>
      store.transaction(async tx => {
        await tx.get(peer(i % 50))
        record.writeUInt32BE(++written)
        mail.writeUInt32BE(written)
        tx.put(peer(i % 50), record)
        tx.put(`outbox/${process.pid}/${i % 100}`, mail)
      })
    for (let i = 0; i < 20; i++) await send(i)
    // Several processes begin together, or the first would be done before the last has started.
    await sleep(Math.max(0, Number(startAt) - Date.now()))
    const waits = []
    let next = 0
    const lane = async () => {
      while (next < n) {
        const one = process.hrtime.bigint()
        await send(next++)
        waits.push(elapsedMs(one))
      }
    }
    const late = Date.now() - Number(startAt)
    const cpu = process.cpuUsage()
    const start = process.hrtime.bigint()
    await Promise.all(Array.from({ length: Number(inFlight) }, lane))
    const used = process.cpuUsage(cpu)
    waits.sort((a, b) => a - b)
    report({
      cpuUs: (used.user + used.system) / n,
      wallMs: elapsedMs(start) / n,
      p99Ms: waits[Math.floor(n * 0.99)],
      longestMs: waits.at(-1),
      lateMs: Number(startAt) > 0 ? late : 0,
      totalMs: elapsedMs(start),
    })
  },
  async fill() {
    for (let i = 0; i < n; i += 100) {
      await store.transaction(tx => {
        for (let j = i; j < i + 100; j++) tx.put(peer(j), randomBytes(2048))
      })
    }
  },
  /** n rewrites of 50 records, 100 to a transaction. */
  async rewrite() {
    for (let i = 0; i < n; i += 100) {
      await store.transaction(tx => {
        for (let j = 0; j < 100; j++) tx.put(peer(j % 50), randomBytes(2048))
      })
    }
  },
  async startup() {
    await store.transaction(tx => tx.get(peer(7)))
    report({ openMs: elapsedMs(started), rssMb: process.memoryUsage.rss() / 2 ** 20 })
  },
  /** Pairs that must stay equal; says what it was promised. */
  async pairs() {
    for (let i = 1; ; i++) {
      await store.transaction(tx => {
        tx.put('pair/a', Buffer.from(String(i)))
        tx.put('pair/b', Buffer.from(String(i)))
      })
      report(i)
    }
  },
  async check() {
    const [a, b] = await store.transaction(async tx => [await tx.get('pair/a'), await tx.get('pair/b')])
    report({ a: number(a), b: number(b), openMs: elapsedMs(started) })
  },
  async count() {
    for (let i = 0; i < n; i++) {
      await store.transaction(async tx => {
        const value = Number(Buffer.from((await tx.get('counter')) ?? []).toString() || 0)
        await null
        tx.put('counter', Buffer.from(String(value + 1)))
      })
    }
    report({ pid: readFileSync('/proc/self/stat', 'utf8').split(' ')[0] })
  },
  async counter() {
    report({ counter: Number(Buffer.from((await store.transaction(tx => tx.get('counter'))) ?? []).toString()) })
  },
}
await roles[role]()
await store.close()
