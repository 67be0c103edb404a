// One run of all engines, after `npm ci` in the root: npm ci --ignore-scripts && npm start
import { spawn, spawnSync } from 'node:child_process'
import {
  closeSync,
  existsSync,
  fdatasyncSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { engines } from './engines.js'

const child = fileURLToPath(new URL('./child.js', import.meta.url))
const root = fileURLToPath(new URL('../..', import.meta.url))
const names = process.argv[2] ? [process.argv[2]] : Object.keys(engines)

/** Runs one child; resolves with the JSON lines that it wrote. */
function run(args, { killAfterMs, prefix = [] } = {}) {
  const [command, ...rest] = [
    ...prefix,
    process.execPath,
    ...(args[1] === 'store' ? ['--import=tsx'] : []),
    child,
    ...args.map(String),
  ]
  const running = spawn(command, rest, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] })
  let out = ''
  let err = ''
  running.stdout.on('data', chunk => {
    // The clock of the kill starts with the first promise, not with the start of Node.
    if (!out && killAfterMs !== undefined) setTimeout(() => running.kill('SIGKILL'), killAfterMs)
    out += chunk
  })
  running.stderr.on('data', chunk => {
    err += chunk
  })
  const deadline = setTimeout(() => running.kill('SIGKILL'), 60_000)
  return new Promise(resolve => {
    running.on('close', (code, signal) => {
      clearTimeout(deadline)
      const lines = out
        .split('\n')
        .slice(0, -1)
        .map(line => JSON.parse(line))
      resolve({ lines, failed: code !== 0, how: `${signal ?? code} ${err.trim().split('\n').slice(0, 3).join(' ')}` })
    })
  })
}

const mean = (results, field) => results.reduce((sum, { lines }) => sum + lines[0][field], 0) / results.length
const most = (results, field) => Math.max(...results.map(({ lines }) => lines[0][field]))
const sizeOf = path =>
  statSync(path).isDirectory()
    ? readdirSync(path).reduce((sum, name) => sum + sizeOf(join(path, name)), 0)
    : statSync(path).size
const kb = bytes => `${Math.round(bytes / 1024)} KB`

/** What one durable write of a page costs here; a transaction that is faster was not durable. */
function floorMs() {
  const dir = mkdtempSync(join(tmpdir(), 'state-floor-'))
  const fd = openSync(join(dir, 'page'), 'w')
  const page = Buffer.alloc(4096)
  const start = process.hrtime.bigint()
  for (let i = 0; i < 500; i++) {
    page.writeUInt32BE(i)
    writeSync(fd, page, 0, page.length, 0)
    fdatasyncSync(fd)
  }
  const ms = Number(process.hrtime.bigint() - start) / 1e6 / 500
  closeSync(fd)
  rmSync(dir, { recursive: true })
  return ms
}

async function kills(name, dir, rounds) {
  const bad = []
  let slowestMs = 0
  for (let i = 0; i < rounds; i++) {
    const { lines } = await run(['pairs', name, dir], { killAfterMs: Math.random() * 60 })
    const {
      lines: [seen],
      how,
    } = await run(['check', name, dir])
    if (!seen) bad.push(how)
    else if (seen.a !== seen.b || seen.a < lines.at(-1)) bad.push(JSON.stringify({ ...seen, promised: lines.at(-1) }))
    else slowestMs = Math.max(slowestMs, seen.openMs)
  }
  return { bad, slowestMs }
}

/** Two containers on one volume: each process is number 1 of its own namespace. */
async function namespaces(name, dir) {
  if (spawnSync('unshare', ['--pid', '--fork', 'true']).status !== 0) return 'not measured: unshare is not allowed'
  const prefix = ['unshare', '--pid', '--fork', '--mount-proc']
  const both = await Promise.all([1, 2].map(() => run(['count', name, dir, 300], { prefix })))
  const {
    lines: [seen],
  } = await run(['counter', name, dir])
  const failed = both.filter(({ failed }) => failed).map(({ how }) => how)
  return `${seen?.counter ?? '?'} of 600 increments${failed.length > 0 ? `; failed: ${failed.join(' | ')}` : ''}`
}

const floor = floorMs()
console.log(`floor: one page overwritten and synced in ${floor.toFixed(2)} ms`)
for (const name of names) {
  const dir = mkdtempSync(join(tmpdir(), `state-${name}-`))
  const rows = []
  try {
    const one = await run(['typical', name, dir, 500])
    const doubt = one.lines[0].wallMs < floor ? ' BELOW THE FLOOR: not durable?' : ''
    rows.push([
      'one process',
      `${Math.round(one.lines[0].cpuUs)} us CPU, ${one.lines[0].wallMs.toFixed(2)} ms wall per transaction${doubt}`,
    ])
    const many = await run(['typical', name, dir, 1000, 0, 16])
    rows.push([
      'one process, 16 in flight',
      `${Math.round(many.lines[0].cpuUs)} us CPU, ${many.lines[0].wallMs.toFixed(2)} ms wall per transaction`,
    ])
    const startAt = Date.now() + 2500
    const four = (await Promise.all([1, 2, 3, 4].map(() => run(['typical', name, dir, 500, startAt])))).filter(
      ({ failed }) => !failed,
    )
    const late = most(four, 'lateMs') > 50 ? ` (a child began ${most(four, 'lateMs')} ms late)` : ''
    rows.push([
      `four processes (${four.length} finished)`,
      `${Math.round(mean(four, 'cpuUs'))} us CPU, ${(most(four, 'totalMs') / 2000).toFixed(2)} ms wall per transaction of all, wait p99 ${most(four, 'p99Ms').toFixed(1)} ms, longest ${Math.round(most(four, 'longestMs'))} ms${late}`,
    ])
    await run(['fill', name, dir, 1000])
    const starts = []
    for (let i = 0; i < 5; i++) starts.push(await run(['startup', name, dir]))
    rows.push([
      'import, open, first read, 1000 keys',
      `${mean(starts, 'openMs').toFixed(0)} ms, ${mean(starts, 'rssMb').toFixed(0)} MB`,
    ])
    const before = sizeOf(dir)
    const rewrites = name === 'files' ? 1000 : 100_000
    await run(['rewrite', name, dir, rewrites])
    rows.push([`size, ${rewrites} rewrites`, `${kb(before)} -> ${kb(sizeOf(dir))}`])
    const { bad, slowestMs } = await kills(name, dir, 20)
    rows.push([
      '20 x kill -9',
      `${bad.length} bad, next opener at most ${Math.round(slowestMs)} ms ${[...new Set(bad)].slice(0, 3).join(' | ')}`,
    ])
    rows.push(['two PID namespaces', await namespaces(name, dir)])
  } finally {
    if (existsSync(dir)) rmSync(dir, { recursive: true })
  }
  console.log(`\n${name}`)
  for (const [what, value] of rows) console.log(`  ${what.padEnd(38)} ${value}`)
}
