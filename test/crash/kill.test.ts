import t from 'tap'
import { hookPoints } from '../fixtures/crash/hook-points.ts'
import { type CrashReport, runCrashes } from '../fixtures/crash/run-crashes.ts'

/** The number of kills at each point. `npm run crash` sets it to 50. */
const runs = Number(process.env.RUNS ?? 1)
const seed = Number(process.env.SEED ?? Date.now() % 2 ** 31)

t.setTimeout(runs * 480_000)

// Evidence: K11
t.test(
  'two agents that are killed at every step while they write to each other lose and repeat no message',
  async t => {
    t.comment(`SEED=${seed}`)
    const progress = ({ pairs, landed, faults }: CrashReport, of: number) =>
      t.comment(`${pairs} of ${of} pairs, ${sum(landed)} kills, ${faults.length} faults`)
    const report = await runCrashes(t, { runs, seed, parallel: 6, ...(runs > 1 && { progress }) })
    t.comment(`${hookPoints.length} points, ${sum(report.landed)} kills, ${report.messages} messages`)
    t.same(report.faults, [])
    const untouched = hookPoints.filter(point => !report.landed.has(point))
    t.same(untouched, [], 'every point was hit')
  },
)

const sum = (counts: Map<unknown, number>): number => [...counts.values()].reduce((total, count) => total + count, 0)
