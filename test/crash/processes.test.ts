import t from 'tap'
import { seededRandom } from '../fixtures/crash/crash-plan.ts'
import { runSharedAgent } from '../fixtures/crash/shared-agent.ts'

/** The full size is `MESSAGES=5000`. */
const messages = Number(process.env.MESSAGES ?? 150)
const kills = Number(process.env.KILLS ?? 2)
const seed = Number(process.env.SEED ?? Date.now() % 2 ** 31)

t.setTimeout(480_000 + messages * 120)

t.test('three processes of one agent send and one listens: all messages arrive once, in order per sender', async t => {
  const report = await runSharedAgent(t, { messages, kills: 0, random: seededRandom(seed) })
  t.comment(`${report.messages} messages in ${Math.round(report.tookMs)} ms`)
  t.same(report.faults, [])
})

t.test('the same holds while the processes are killed', async t => {
  t.comment(`SEED=${seed}`)
  const report = await runSharedAgent(t, { messages, kills, random: seededRandom(seed) })
  t.comment(`${report.messages} messages, ${report.kills} kills in ${Math.round(report.tookMs)} ms`)
  t.same(report.faults, [])
  t.ok(report.kills >= 4 * kills)
})
