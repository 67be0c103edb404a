import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { guardRemovals, removeGuard } from '../../chaos/guard-removals.ts'

const source = (file: string): string => readFileSync(fileURLToPath(new URL(`../../${file}`, import.meta.url)), 'utf8')

t.test('every guard stands where the table says, once, and a fault is named that shows it', async t => {
  for (const [guard, each] of Object.entries(guardRemovals)) {
    const text = source(each.file)
    const broken = removeGuard(each, text)
    t.not(broken, text, guard)
    t.notOk(broken.includes(each.find) && !each.put.includes(each.find), `${guard} is gone`)
    t.not(each.shownBy.length, 0, `${guard} is shown by something`)
  }
})

t.test('a guard that has moved is not taken for one that was taken out', async t => {
  const guard = { ...guardRemovals.dedupe, find: 'no such text' }
  t.throws(() => removeGuard(guard, source(guard.file)), /0 times; mend chaos\/guard-removals.ts/)
  t.throws(() => removeGuard({ ...guard, find: 'local' }, source(guard.file)), /times/)
})
