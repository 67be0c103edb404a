import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { limits } from '../../src/protocol/limits.ts'
import { HttpClient } from '../../tools/clients/http-client.ts'
import { FaultProxy } from '../../tools/net/fault-proxy.ts'
import { type Deployment, startAimessage } from '../systems/aimessage.ts'
import { RawAgent } from '../systems/raw-agent.ts'
import { atLeast, atMost, type Workload } from '../workloads/workload.ts'
import { chooseMetrics } from './node-metrics.ts'
import { until } from './until.ts'

const clients = 100
const prefix = 'half-open'
const names = Array.from({ length: clients }, (_none, at) => `${prefix}-${at}`)
/** A node checks for silent peers every second. */
const bar = limits.silenceMs / 1_000 + 1

/** Clients whose network fails silently: their mail waits, and other users see them go offline. */
export const halfOpen: Workload = {
  name: 'half-open',
  what:
    `${clients} clients behind a proxy that forwards no bytes and closes nothing; ` +
    'each gets a message before and after the node closes its connection',
  run: async ({ owner, progress }) => {
    const metrics = await chooseMetrics()
    const node = await startAimessage(owner, { nodes: 2, envs: [{}, metrics.env] })
    const proxy = await listenBefore(node.urls[1] ?? '')
    owner.teardown(() => proxy.close())
    const url = `ws://127.0.0.1:${proxy.port}/ws`
    for (const name of names) await (await RawAgent.connect(url, node.credentials(name), () => {})).listen()
    const observer = await node.connect('observer', {})
    const onlineAtFirst = await onlineOf(node)
    proxy.set({ kind: 'pause' })
    const start = performance.now()
    const write = (word: string) => Promise.all(names.map(name => observer.send(name, bodyOfWord(word))))
    await write('before')
    progress('paused')
    const sockets = await until(async () => (await metrics.read('aimessage_connections')) === 0, start)
    const presence = await until(async () => (await onlineOf(node)) === 0, start)
    await write('after')
    progress('coming back')
    const heard = new Map<string, string[]>(names.map(name => [name, []]))
    for (const name of names) await node.connect(name, { onMessage: body => void heard.get(name)?.push(body) })
    const hasBoth = () => [...heard.values()].filter(bodies => isBoth(bodies)).length
    await until(() => hasBoth() === clients).catch(() => {})
    await delay(1_000)
    const [got, online] = [hasBoth(), await onlineOf(node)]
    return {
      workload: 'half-open',
      rows: [
        {
          system: 'aimessage',
          values: {
            'sockets closed s': sockets,
            'shown offline s': presence,
            'got both messages, once, in order': got,
            'online before, and back': Math.min(onlineAtFirst, online),
          },
        },
      ],
      bars: [
        atMost('sockets closed, s', sockets, bar),
        atMost('shown offline, s', presence, bar + 1),
        atLeast('got both messages', got, clients),
        atLeast('online before, and back', Math.min(onlineAtFirst, online), clients),
      ],
    }
  },
}

const bodyOfWord = (word: string): string => Buffer.from(word).toString('base64url')
const isBoth = (bodies: readonly string[]): boolean =>
  bodies.join() === [bodyOfWord('before'), bodyOfWord('after')].join()

function listenBefore(url: string): Promise<FaultProxy> {
  const { hostname, port } = new URL(url)
  return FaultProxy.listen(async () => {
    const socket = connect({ host: hostname, port: Number(port) })
    await once(socket, 'connect')
    return socket
  })
}

/** Returns how many of the clients are online according to the other node. */
async function onlineOf(node: Deployment): Promise<number> {
  const url = (node.urls[0] ?? '').replace(/^ws(.*)\/ws$/, 'http$1')
  const client = new HttpClient(url, node.credentials('observer').token)
  const { body } = await client.call('GET', `/v1/users?online=true&limit=${clients}&prefix=${prefix}`)
  if (Array.isArray(body.users)) return body.users.length
  throw new Error(`the listing failed: ${JSON.stringify(body)}`)
}
