import { limits } from '../../src/protocol/limits.ts'
import { bodyOfBytes } from '../load.ts'
import { type Deployment, startAimessage } from '../systems/aimessage.ts'
import { atLeast, type Row, type Workload } from '../workloads/workload.ts'
import { until } from './until.ts'

const others = 100
/** One sender reaches its share by number, the other by bytes; both write twice as much. */
const floods = [
  { name: 'small messages', victim: 'victim-of-many', bytes: 16, count: 2 * limits.maxEnvelopesPerSender },
  { name: 'large messages', victim: 'victim-of-large', bytes: 60_000, count: 50 },
] as const
type Flood = (typeof floods)[number]

/** One sender fills the inbox of an absent user; other senders can still write to it. */
export const fullInbox: Workload = {
  name: 'full-inbox',
  what: `one sender writes twice its share to an absent user; then ${others} others write one message each`,
  run: async ({ owner, progress }) => {
    const node = await startAimessage(owner)
    const rows: Row[] = []
    for (const flood of floods) {
      progress(flood.name)
      rows.push(await fill(node, flood))
    }
    const least = (name: string) => Math.min(...rows.map(({ values }) => values[name] ?? Number.NaN))
    return {
      workload: 'full-inbox',
      rows,
      bars: [
        atLeast('refused of the flood', least('refused'), 1),
        atLeast('accepted of others', least('others accepted'), others),
        atLeast('delivered of others', least('others delivered'), others),
      ],
    }
  },
}

async function fill(node: Deployment, { name, victim, bytes, count }: Flood): Promise<Row> {
  const gone = await node.connect(victim, {})
  gone.close()
  const attacker = await node.connect('attacker', {})
  const [flooded, body] = [`${victim}-flooded`, bodyOfBytes(bytes)]
  const outcomes = await Promise.allSettled(Array.from({ length: count }, () => attacker.send(victim, body)))
  const accepted = outcomes.filter(({ status }) => status === 'fulfilled').length
  attacker.close()
  const words = Array.from({ length: others }, (_none, at) => Buffer.from(`${flooded}-${at}`).toString('base64url'))
  const taken: boolean[] = []
  for (const [at, word] of words.entries()) {
    const other = await node.connect(`other-${at}`, {})
    const isTaken = other.send(victim, word).then(
      () => true,
      () => false,
    )
    taken.push(await isTaken)
    other.close()
  }
  const othersAccepted = taken.filter(Boolean).length
  const heard: string[] = []
  const back = await node.connect(victim, { onMessage: each => void heard.push(each) })
  await until(() => heard.length >= accepted + othersAccepted)
  back.close()
  return {
    system: name,
    values: {
      accepted,
      refused: count - accepted,
      'others accepted': othersAccepted,
      'others delivered': words.filter(word => heard.includes(word)).length,
      'delivered together': heard.length,
    },
  }
}
