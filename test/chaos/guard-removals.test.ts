import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { guardRemovals, removeGuard } from '../../chaos/guard-removals.ts'

const source = (file: string): string => readFileSync(fileURLToPath(new URL(`../../${file}`, import.meta.url)), 'utf8')

t.test('every guard occurs once in its file, and its entry names a fault that reveals its removal', async t => {
  for (const [guard, each] of Object.entries(guardRemovals)) {
    const text = source(each.file)
    const broken = removeGuard(each, text)
    t.not(broken, text, guard)
    t.notOk(broken.includes(each.find) && !each.put.includes(each.find), `${guard} is gone`)
    t.not(each.shownBy.length, 0, `${guard} is shown by something`)
  }
})

t.test('a guard that has moved is an error, not a removal', async t => {
  const guard = { ...guardRemovals.dedupe, find: 'no such text' }
  t.throws(() => removeGuard(guard, source(guard.file)), /0 times; change chaos\/guard-removals.ts/)
  t.throws(() => removeGuard({ ...guard, find: 'local' }, source(guard.file)), /times/)
})
