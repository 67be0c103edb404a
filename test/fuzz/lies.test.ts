import t from 'tap'
import { lie, victims } from '../../fuzz/lies/run.ts'

/** A fixed seed: `npm run fuzz -- --lies` draws a new one. */
const seed = Number(process.env.FUZZ_SEED ?? 42)

// Evidence: X2
t.test('17.lies a node that lies deceives no client, and makes none lose a message, crash or hang', async t => {
  t.comment(`seed ${seed}`)
  const { lies, faults } = await lie(t, { lies: 60, seed, victims, pairs: 4 })
  t.ok(lies >= 60, `${lies} lies`)
  t.same(faults, [])
})
