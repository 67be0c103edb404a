import { execFileSync } from 'node:child_process'
import { setTimeout as delay } from 'node:timers/promises'
import { limits } from '../../src/protocol/limits.ts'
import { bodyOfBytes } from '../load.ts'
import { quantile } from '../statistics.ts'
import { type Deployment, startAimessage, upgradesAsDeployed } from '../systems/aimessage.ts'
import { mebibyte, residentBytes } from '../usage.ts'
import { atLeast, atMost, type Context, type Workload } from '../workloads/workload.ts'
import { startChild } from './child.ts'
import { fullInbox } from './full-inbox.ts'
import { halfOpen } from './half-open.ts'
import { Pace } from './pace.ts'
import { storm } from './storm.ts'

const limit = 500
const times = 20
const calmMs = 20_000
const floodMs = 60_000

type Counts = { sent: number; accepted: number; refused: number; closed: number }

/**
 * Measures other users' latency without the abuser, with it, and without it again, on one node, so that other load on
 * the machine does not affect only one of the phases.
 */
async function beside(
  context: Context,
  kind: 'send' | 'ping',
  perSecond: number,
  ms: number,
  env: Record<string, string>,
) {
  const { owner, progress } = context
  const node = await startAimessage(owner, { env })
  for (let at = 0; at < 50; at += 1) await node.connect(`sink-${at}`, { onMessage: () => {} })
  const pace = await Pace.start(owner, node)
  await delay(5_000)
  pace.take()
  progress('without')
  await delay(calmMs)
  const before = pace.take()
  progress('with')
  const abuser = startChild(owner, './abuser.ts', node.urls[0] ?? '', kind, String(perSecond))
  await abuser.line()
  pace.take()
  await delay(ms)
  const during = pace.take()
  const counts: Counts = JSON.parse(await latest(abuser, ms / 1_000))
  await abuser.end()
  await delay(2_000)
  pace.take()
  progress('without, again')
  await delay(calmMs)
  const after = pace.take()
  return { before, during, after, counts }
}

async function latest(child: { line(): Promise<string> }, lines: number): Promise<string> {
  let last = ''
  for (let index = 0; index < lines; index += 1) last = await child.line()
  return last
}

const abuser: Workload = {
  name: 'abuser',
  what: `one user at ${times} times its limit for ${floodMs / 1_000} s, beside 25 pairs at 20 messages/s`,
  run: async context => {
    const seconds = floodMs / 1_000
    const { before, during, after, counts } = await beside(context, 'send', limit * times, floodMs, {
      USER_FRAMES_PER_S: String(limit),
    })
    const base = Math.max(before.p99, after.p99)
    const mostAccepted =
      limit * (seconds + 2 + limits.userFramesBurstS) * (1 + limits.uncountedShare + limits.leaseShare)
    return {
      workload: 'abuser',
      rows: [
        { system: 'without, before', values: { p50: before.p50, p99: before.p99, messages: before.messages } },
        { system: 'with', values: { p50: during.p50, p99: during.p99, messages: during.messages } },
        { system: 'without, after', values: { p50: after.p50, p99: after.p99, messages: after.messages } },
        { system: 'the abuser', values: { ...counts } },
      ],
      bars: [
        atMost("others' p99 ÷ without", during.p99 / base, 1.5),
        atMost('accepted of the abuser ÷ limit, burst and slack', counts.accepted / mostAccepted, 1),
        atMost('others refused', during.refused, 0),
      ],
    }
  },
}

const pings: Workload = {
  name: 'pings',
  what: '20 000 WebSocket pings per second from one user that reconnects after each close',
  run: async context => {
    const { before, during, after, counts } = await beside(context, 'ping', 20_000, 15_000, {})
    return {
      workload: 'pings',
      rows: [
        { system: 'without, before', values: { p50: before.p50, p99: before.p99 } },
        { system: 'with', values: { p50: during.p50, p99: during.p99 } },
        { system: 'without, after', values: { p50: after.p50, p99: after.p99 } },
        { system: 'the abuser', values: { ...counts } },
      ],
      bars: [
        atLeast('closed by policy', counts.closed, 1),
        atMost("others' p99 ÷ without", during.p99 / Math.max(before.p99, after.p99), 1.5),
      ],
    }
  },
}

const strangers: Workload = {
  name: 'strangers',
  what: '5 000 connections that never log in, 1 000 that send their headers at a byte per second; logins beside them',
  run: async ({ owner, progress }) => {
    const node = await startAimessage(owner, { env: upgradesAsDeployed })
    const child = startChild(owner, './strangers.ts', (node.urls[0] ?? '').replace('ws', 'http'))
    let isOver = false
    const gone = child.line().then(line => {
      isOver = true
      return JSON.parse(line)
    })
    const logins: number[] = []
    for (let at = 0; !isOver; at += 1) {
      const start = performance.now()
      const agent = await node.connect(`normal-${at % 50}`, {})
      logins.push(performance.now() - start)
      agent.close()
      if (at % 50 === 0) progress(`${at} logins`)
      await delay(20)
    }
    const p99 = quantile(logins, 0.99)
    const { silentMs, slowMs }: { silentMs: number; slowMs: number } = await gone
    return {
      workload: 'strangers',
      rows: [
        {
          system: 'aimessage',
          values: {
            'slow headers s': slowMs / 1_000,
            'silent s': silentMs / 1_000,
            logins: logins.length,
            'login p50 ms': quantile(logins, 0.5),
            'login p99 ms': p99,
          },
        },
      ],
      bars: [atMost('longest stay, s', Math.max(silentMs, slowMs) / 1_000, 15), atMost('login p99, ms', p99, 1_000)],
    }
  },
}

const slowCount = 50
const slowBytes = 10 * mebibyte
const slowBody = 60 * 1_024

const slow: Workload = {
  name: 'slow',
  what: '50 clients that never read, with 10 MiB waiting for each',
  run: async ({ owner, progress }) => {
    // The other node fills the inboxes, so that the heap it needs for that is not measured.
    const node = await startAimessage(owner, { nodes: 2, env: { USER_BYTES_PER_S: '1000000000' } })
    const names = Array.from({ length: slowCount }, (_none, at) => `slow-${at}`)
    for (const name of names) (await node.connect(name, {})).close()
    progress('filling')
    const perInbox = Math.ceil(slowBytes / ((slowBody * 4) / 3))
    await fill(node, names, perInbox)
    const before = residentBytes(node.pids[1] ?? 0)
    const child = startChild(
      owner,
      './deaf.ts',
      node.urls[1] ?? '',
      JSON.stringify(names.map(name => [name, node.credentials(name).token])),
    )
    await child.line()
    let most = 0
    for (let second = 0; second < 40; second += 1) {
      await delay(1_000)
      most = Math.max(most, residentBytes(node.pids[1] ?? 0) - before)
    }
    await child.end()
    progress('reconnecting')
    const got = new Map<string, number>(names.map(name => [name, 0]))
    for (const name of names)
      await node.connect(name, { onMessage: () => void got.set(name, (got.get(name) ?? 0) + 1) })
    for (let second = 0; second < 120 && [...got.values()].some(count => count < perInbox); second += 1)
      await delay(1_000)
    const all = [...got.values()].filter(count => count === perInbox).length
    const each = most / slowCount / mebibyte
    return {
      workload: 'slow',
      rows: [
        {
          system: 'aimessage',
          values: { 'MiB on the node each, at most': each, 'messages each': perInbox, 'got all': all },
        },
      ],
      bars: [atMost('MiB on the node each', each, 2), atLeast('got all after reconnecting', all, slowCount)],
    }
  },
}

/** Fills the inboxes from many senders, because one sender may hold only a tenth of an inbox. */
async function fill(node: Deployment, names: readonly string[], perInbox: number): Promise<void> {
  const body = bodyOfBytes(slowBody)
  const senders = 12
  for (let from = 0; from < senders; from += 1) {
    const agent = await node.connect(`filler-${from}`, {})
    const share = Array.from({ length: perInbox }, (_none, at) => at).filter(at => at % senders === from)
    for (const name of names) await Promise.all(share.map(() => agent.send(name, body)))
    agent.close()
  }
}

const descriptors: Workload = {
  name: 'descriptors',
  what: 'a node with a limit of 300 file descriptors, and 600 connections',
  run: async ({ owner, progress }) => {
    const node = await startAimessage(owner, { env: upgradesAsDeployed })
    const pace = await Pace.start(owner, node)
    await delay(2_000)
    const pid = node.pids[0] ?? 0
    execFileSync('prlimit', ['--pid', String(pid), `--nofile=${300}`])
    pace.take()
    const child = startChild(owner, './strangers.ts', (node.urls[0] ?? '').replace('ws', 'http'), '600', '0')
    await delay(8_000)
    const during = pace.take()
    const isAlive = process.kill(pid, 0)
    await child.line()
    progress('a login after')
    const start = performance.now()
    await node.connect('after', {})
    return {
      workload: 'descriptors',
      rows: [
        {
          system: 'aimessage',
          values: {
            'others p99 ms': during.p99,
            'others refused': during.refused,
            'login after ms': performance.now() - start,
          },
        },
      ],
      bars: [
        atLeast('alive', isAlive ? 1 : 0, 1),
        atMost('others refused', during.refused, 0),
        atLeast('messages during it', during.messages, 2_000),
      ],
    }
  },
}

export const rows: readonly Workload[] = [abuser, pings, strangers, slow, descriptors, storm, halfOpen, fullInbox]
