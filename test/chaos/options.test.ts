import t from 'tap'
import { faultNames } from '../../chaos/faults/names.ts'
import { readOptions, UsageError } from '../../chaos/options.ts'

t.test('without options all faults happen for a minute, with a new seed', async t => {
  const options = readOptions([])
  t.same(options.faults, faultNames)
  t.equal(options.faultsMs, 60_000)
  t.equal(options.guard, undefined)
})

t.test('options are read', async t => {
  const args = '--faults kill-node,rollback --minutes 0.5 --seed 7 --agents 4 --rate 3 --break dedupe --keep here'
  t.same(readOptions(args.split(' ')), {
    faults: ['kill-node', 'rollback'],
    faultsMs: 30_000,
    seed: 7,
    agents: 4,
    rate: 3,
    guard: 'dedupe',
    keep: 'here',
  })
})

t.test('invalid values are refused with a list of valid ones', async t => {
  const wrong: [string, RegExp][] = [
    ['--faults nonsense', /there is no "nonsense"; there are kill-node/],
    ['--break nothing', /there is no guard "nothing"; there are dedupe/],
    ['--minutes x', /--minutes must be a number from 0.1 to 600, not "x"/],
    ['--agents 1', /--agents must be a number from 2/],
    ['--unknown', /unknown/i],
  ]
  for (const [args, message] of wrong) {
    t.throws(() => readOptions(args.split(' ')), { name: 'UsageError', message }, args)
  }
  t.throws(() => readOptions(['stray']), UsageError)
})
