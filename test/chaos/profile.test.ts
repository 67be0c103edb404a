import t from 'tap'
import { check } from '../../chaos/checker/check.ts'
import { readOptions } from '../../chaos/options.ts'
import { describeRun, judge, summarize } from '../../chaos/report.ts'
import { run } from '../../chaos/run.ts'
import { temporaryDirectory } from '../fixtures/agents.ts'

/** The same choices each time; `npm run chaos` draws new ones. */
const seed = process.env.SEED ?? '8'
/** A fault of every lane: what fails, in half a minute. */
const profile = `--faults kill-node,kill-redis,rollback,flush-scripts,lost-acks,cut-pubsub,kill-client,takeover --minutes 0.4 --agents 8 --rate 2 --seed ${seed}`

t.test('three nodes keep their promises while processes, Redis and links fail', { timeout: 220_000 }, async t => {
  t.comment(`npm run chaos -- ${profile}`)
  const evidence = await run(t, await temporaryDirectory(t), readOptions(profile.split(' ')), () => {})
  const broken = check(evidence)
  const summary = summarize(evidence)
  t.comment(describeRun(evidence, summary, broken))
  t.equal(judge(broken, summary), 'pass')
})
