import t from 'tap'
import { lie, victims } from '../../fuzz/lies/run.ts'

/** The seed changes each day, to find more; a failed run prints its seed. */
const seed = Number(process.env.FUZZ_SEED ?? Math.floor(Date.now() / 86_400_000))

// Evidence: X2
t.test('17.lies a node that lies deceives no client, and makes none lose a message, crash or hang', async t => {
  t.comment(`seed ${seed}`)
  const { lies, faults } = await lie(t, { lies: 60, seed, victims, pairs: 4 })
  t.ok(lies >= 60, `${lies} lies`)
  t.same(faults, [])
})
