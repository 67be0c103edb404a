import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { temporaryDirectory } from '../clients/agents.ts'
import { endingWithParent } from '../processes.ts'
import { freePort } from './redis.ts'

type Owner = { teardown(end: () => Promise<unknown> | unknown): unknown }

/** Starts HAProxy in front of nodes (`host:port`), once per certificate. Returns `wss://localhost:PORT` for each. */
export async function startHaproxy(
  t: Owner,
  program: string,
  { nodes, certificates }: { nodes: readonly string[]; certificates: readonly string[] },
): Promise<string[]> {
  const ports = await Promise.all(certificates.map(freePort))
  const file = join(await temporaryDirectory(t), 'haproxy.cfg')
  await writeFile(
    file,
    [
      'defaults',
      '  mode http',
      '  timeout connect 5s',
      '  timeout client 60s',
      '  timeout server 60s',
      '  timeout tunnel 1h',
      '  retries 3',
      '  option redispatch',
      ...certificates.flatMap((certificate, at) => [
        `frontend wss-${at}`,
        `  bind 127.0.0.1:${ports[at]} ssl crt ${certificate}`,
        '  default_backend nodes',
      ]),
      'backend nodes',
      '  balance roundrobin',
      ...nodes.map((node, at) => `  server node-${at} ${node} check inter 200ms fall 1`),
      '',
    ].join('\n'),
  )
  const child = spawn(...endingWithParent(program, ['-db', '-f', file]), { stdio: ['ignore', 'ignore', 'pipe'] })
  const exited = once(child, 'exit')
  let log = ''
  child.stderr.on('data', data => {
    log += data
  })
  t.teardown(async () => {
    child.kill('SIGKILL')
    await exited
  })
  const ended = exited.then(() => {
    throw new Error(`HAProxy ended:\n${log}`)
  })
  await Promise.race([Promise.all(ports.map(untilListening)), ended])
  ended.catch(() => {})
  return ports.map(port => `wss://localhost:${port}`)
}

/** Waits until it accepts connections: HAProxy does not report when it listens. */
async function untilListening(port: number): Promise<void> {
  for (;;) {
    const socket = connect(port, '127.0.0.1')
    try {
      await once(socket, 'connect')
      return
    } catch {
      await new Promise(resolve => setTimeout(resolve, 20))
    } finally {
      socket.destroy()
    }
  }
}
