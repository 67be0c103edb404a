import t from 'tap'
import { fuzz } from '../../fuzz/run.ts'

/** Another seed each day finds more than the same one for ever, and a red run names its own. */
const seed = Number(process.env.FUZZ_SEED ?? Math.floor(Date.now() / 86_400_000))

// Evidence: L12
t.test('whatever comes over sockets and HTTP, a node answers in its own words and lives', async t => {
  t.comment(`seed ${seed}`)
  const { faults, frames, requests } = await fuzz(t, { frames: 5_000, requests: 1_000, seed })
  t.ok(frames >= 5_000 && requests === 1_000)
  t.same(faults, [])
})
