import t from 'tap'
import { fuzz } from '../../fuzz/run.ts'

/** The seed changes each day, to find more; a failed run prints its seed. */
const seed = Number(process.env.FUZZ_SEED ?? Math.floor(Date.now() / 86_400_000))

// Evidence: L12
t.test('a node answers any input over sockets and HTTP as the protocol says, and stays alive', async t => {
  t.comment(`seed ${seed}`)
  const { faults, frames, requests } = await fuzz(t, { frames: 5_000, requests: 1_000, seed })
  t.ok(frames >= 5_000 && requests === 1_000)
  t.same(faults, [])
})
