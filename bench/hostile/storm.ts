import { setTimeout as delay } from 'node:timers/promises'
import type { RedisProcess } from '../../tools/servers/redis.ts'
import { startAimessage, upgradesAsDeployed } from '../systems/aimessage.ts'
import { atMost, type Workload } from '../workloads/workload.ts'
import { startChild } from './child.ts'
import { chooseMetrics } from './node-metrics.ts'
import { Pace } from './pace.ts'

const crowd = 2_000
/** The clients of one process act in step, unlike real clients, so there are several processes. */
const processes = 20
const calmMs = 15_000

/** A node with all these clients dies, and all of them reconnect to the other node, which has its own users. */
export const storm: Workload = {
  name: 'storm',
  what: `a node with ${crowd} library clients is killed, beside 25 pairs at 20 messages/s on the other node`,
  run: async ({ owner, progress }) => {
    const metrics = await chooseMetrics()
    const readLag = async () => (await metrics.read('nodejs_eventloop_lag_p99_seconds')) * 1_000
    const node = await startAimessage(owner, {
      nodes: 2,
      env: { REGISTRATIONS_PER_HOUR: '100000' },
      envs: [{ ...metrics.env, ...upgradesAsDeployed }],
    })
    const [leftUrl = '', goneUrl = ''] = node.urls
    const children = Array.from({ length: processes }, () =>
      startChild(owner, './crowd.ts', goneUrl, leftUrl, String(crowd / processes)),
    )
    for (const child of children) progress(await child.line())
    const pace = await Pace.start(owner, node)
    await delay(5_000)
    pace.take()
    const calm = await commandsDuring(node.redis, () => delay(calmMs))
    const before = pace.take()
    // The first call starts a new measurement.
    await readLag()
    pace.take()
    let lines: string[] = []
    const back = await commandsDuring(node.redis, async () => {
      process.kill(node.pids[1] ?? 0, 'SIGKILL')
      lines = await Promise.all(children.map(child => child.line()))
    })
    const during = pace.take()
    const lag = await readLag()
    const outcomes: { seconds: number; attempts: number }[] = lines.map(line => JSON.parse(line))
    const seconds = Math.max(...outcomes.map(outcome => outcome.seconds))
    const attempts = Math.max(...outcomes.map(outcome => outcome.attempts))
    const more = (count: (of: Commands) => number) =>
      (count(back) - (count(calm) * back.seconds) / calm.seconds) / crowd
    const commands = more(({ all }) => all)
    return {
      workload: 'storm',
      rows: [
        {
          system: 'the crowd',
          values: {
            'back s': seconds,
            'attempts, most': attempts,
            'Redis script calls each': more(({ scripts }) => scripts),
            'Redis commands each': commands,
          },
        },
        { system: 'steady users, before', values: { p50: before.p50, p99: before.p99, messages: before.messages } },
        {
          system: 'steady users, during it',
          values: { p50: during.p50, p99: during.p99, messages: during.messages, refused: during.refused },
        },
        { system: 'the node', values: { 'loop lag p99 ms': lag } },
      ],
      bars: [
        atMost('back, s', seconds, 30),
        atMost('attempts of one', attempts, 8),
        atMost('loop lag p99, ms', lag, 200),
        atMost('Redis commands each', commands, maxCommands),
        atMost("steady users' p99 ÷ before", during.p99 / before.p99, 3),
        atMost('steady users refused', during.refused, 0),
      ],
    }
  },
}

/** The allowed Redis commands per reconnecting client, including those in scripts: twice the current number. */
const maxCommands = 45

/** The commands that Redis ran, including those in scripts, and the number of script calls among them. */
type Commands = { all: number; scripts: number; seconds: number }

async function commandsDuring(redis: RedisProcess, work: () => Promise<unknown>): Promise<Commands> {
  const [before, start] = [await commandsOf(redis), performance.now()]
  await work()
  const seconds = (performance.now() - start) / 1_000
  const after = await commandsOf(redis)
  return { all: after.all - before.all, scripts: after.scripts - before.scripts, seconds }
}

async function commandsOf(redis: RedisProcess): Promise<Omit<Commands, 'seconds'>> {
  const text = String(await redis.cli('INFO', 'commandstats'))
  const calls = [...text.matchAll(/^cmdstat_(\S+?):calls=(\d+)/gm)].map(([, name = '', count]) => ({
    isScript: /^(evalsha|eval|fcall)/.test(name),
    count: Number(count),
  }))
  const sum = (of: typeof calls) => of.reduce((total, { count }) => total + count, 0)
  return { all: sum(calls), scripts: sum(calls.filter(({ isScript }) => isScript)) }
}
