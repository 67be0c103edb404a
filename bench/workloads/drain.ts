import { bodyOfBytes, repeat } from '../load.ts'
import { median } from '../statistics.ts'
import { type Deployment, startAimessage } from '../systems/aimessage.ts'
import { RawAgent } from '../systems/raw-agent.ts'
import type { Owner } from '../systems/system.ts'
import { since, type Usage, usageOf } from '../usage.ts'
import { againstBefore, atLeast, atMost, comparedInstances, type Row, valueIn, type Workload } from './workload.ts'

const inboxes = 25
const perInbox = 800

type Drained = { seconds: number; usage: Usage; inOrder: boolean }

/** 20 000 messages wait for 25 agents that connect at once. */
export const drain: Workload = {
  name: 'drain',
  what: `${inboxes * perInbox} messages waiting in ${inboxes} inboxes, 256 bytes`,
  run: async ({ owner, scale, progress, against }) => {
    const builds = [undefined, ...(against === undefined ? [] : [against])]
    const instances = against === undefined ? 1 : comparedInstances
    const measured: Measured[] = []
    for (let at = 0; at < instances; at += 1) for (const each of builds) measured.push(await start(owner, each))
    for (let run = 1; run <= scale.runs; run += 1) {
      for (const { build, node, drained } of measured) {
        progress(`${nameOf(build)}, run ${run} of ${scale.runs}`)
        await fill(node, run)
        drained.push(await empty(node, run))
      }
    }
    const drainedBy = (build: string | undefined) =>
      measured.filter(each => each.build === build).flatMap(({ drained }) => drained)
    const rows = builds.map(build => toRow(nameOf(build), drainedBy(build)))
    const [row, before] = rows
    const own = drainedBy(undefined)
    return {
      workload: 'drain',
      rows,
      bars: [
        atLeast('runs in which all arrived in order', own.filter(({ inOrder }) => inOrder).length, own.length),
        atLeast('messages a second', valueIn(row, 'messages/s'), 40_000),
        atMost('CPU µs per message', valueIn(row, 'CPU µs'), 15),
        ...againstBefore(row, before),
      ],
    }
  },
}

/** `build` is the directory of another build. */
type Measured = { build: string | undefined; node: Deployment; drained: Drained[] }

const nameOf = (build: string | undefined) => (build === undefined ? 'aimessage' : 'aimessage, the other build')

const start = async (owner: Owner, build: string | undefined): Promise<Measured> => ({
  build,
  node: await startAimessage(owner, build === undefined ? {} : { directory: build }),
  drained: [],
})

/** CPU times are means: one run takes some 20 of the ticks in which the kernel counts them. */
function toRow(system: string, drained: readonly Drained[]): Row {
  const total = inboxes * perInbox
  const mean = (pick: (usage: Usage) => number) =>
    drained.reduce((sum, { usage }) => sum + pick(usage), 0) / (total * drained.length)
  const values = {
    'messages/s': median(drained.map(({ seconds }) => total / seconds)),
    'server CPU µs': mean(({ server }) => server),
    'Redis CPU µs': mean(({ redis }) => redis),
    'CPU µs': mean(({ server, redis }) => server + redis),
  }
  return { system, values }
}

const names = (run: number) => Array.from({ length: inboxes }, (_none, at) => `drain-${run}-${at}`)

async function fill(node: Deployment, run: number): Promise<void> {
  const padding = bodyOfBytes(250)
  const number = (at: number) => String(at).padStart(8, '0')
  const all = names(run)
  await repeat(inboxes, async inbox => {
    const name = all[inbox] ?? ''
    const receiver = await node.connect(name, {})
    receiver.close()
    const sender = await node.connect(`from-${name}`, {})
    await Promise.all(Array.from({ length: perInbox }, (_none, at) => sender.send(name, `${number(at)}${padding}`)))
    sender.close()
  })
}

/** Agents are logged in before the clock starts, so that only delivery is measured. */
async function empty(node: Deployment, run: number): Promise<Drained> {
  const url = node.urls[0] ?? ''
  let inOrder = true
  let missing = inboxes * perInbox
  let finish = () => {}
  const finished = new Promise<void>(resolve => {
    finish = resolve
  })
  const agents = await Promise.all(
    names(run).map(name => {
      let expected = 0
      return RawAgent.connect(url, node.credentials(name), body => {
        inOrder &&= Number(body.slice(0, 8)) === expected++
        if (--missing === 0) finish()
      })
    }),
  )
  const before = usageOf(node)
  const start = performance.now()
  for (const agent of agents) void agent.listen()
  await finished
  const seconds = (performance.now() - start) / 1_000
  const usage = since(before, usageOf(node))
  for (const agent of agents) agent.close()
  return { seconds, usage, inOrder }
}
