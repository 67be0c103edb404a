// A smoke run of an installed package on the Node that runs this file: `node scripts/smoke.js PACKAGE-DIRECTORY`. It
// plays the demonstration, then a message between two agents through a node, and the handshake of an MCP host. TAP on
// standard output.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'

const timeoutMs = 120_000
const program = resolve(process.argv[2] ?? '.', 'bin/aimessage.js')
const home = mkdtempSync(join(tmpdir(), 'aimessage-smoke-'))
const children = new Set()
let server = ''
let failed = 0

/** Standard error is shown: an engine that warns or refuses says so there. */
function start(...args) {
  const child = spawn(process.execPath, [program, ...args], {
    env: { PATH: process.env.PATH, HOME: home, AIMESSAGE_HOME: home, AIMESSAGE_SERVER: server, PORT: '0' },
    stdio: ['pipe', 'pipe', 'inherit'],
    timeout: timeoutMs,
  })
  children.add(child)
  return child
}

async function run(...args) {
  const child = start(...args)
  child.stdin.end()
  const [output, [code]] = await Promise.all([text(child.stdout), once(child, 'close')])
  if (code !== 0) throw new Error(`aimessage ${args[0]} ended with ${code}`)
  return output
}

async function firstMatch(stream, pattern) {
  for await (const line of createInterface({ input: stream })) {
    const found = pattern.exec(line)
    if (found) return found
  }
  throw new Error(`no line matches ${pattern}`)
}

const steps = {
  demo: async () => {
    if (!(await run('demo', '--json')).includes('nextCommands'))
      throw new Error('the demonstration did not come to its end')
  },
  'a message is sent and received': async () => {
    const [, port] = await firstMatch(start('serve').stdout, /"url":"http:\/\/[^"]+:(\d+)".*"msg":"listening"/)
    server = `ws://127.0.0.1:${port}`
    for (const name of ['alice', 'bob']) await run('register', name, '--agent', name)
    await run('send', 'bob', 'hello', '--agent', 'alice')
    const received = await run('recv', '--agent', 'bob', '--json')
    if (JSON.parse(received.split('\n')[0]).body !== 'hello') throw new Error(`received ${received}`)
  },
  'MCP handshake': async () => {
    const host = start('mcp', '--agent', 'alice')
    const clientInfo = { name: 'smoke', version: '1' }
    const params = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo }
    host.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params })}\n`)
    await firstMatch(host.stdout, /"serverInfo"/)
  },
}

console.log(`TAP version 14\n1..${Object.keys(steps).length}`)
for (const [at, [name, step]] of Object.entries(steps).entries()) {
  try {
    await step()
    console.log(`ok ${at + 1} - Node ${process.version}: ${name}`)
  } catch (error) {
    failed += 1
    console.log(
      `not ok ${at + 1} - Node ${process.version}: ${name}\n  ---\n  message: ${JSON.stringify(error.message)}\n  ...`,
    )
  }
}
for (const child of children) child.kill('SIGKILL')
rmSync(home, { recursive: true, force: true })
process.exit(failed === 0 ? 0 : 1)
