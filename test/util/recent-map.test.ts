import t from 'tap'
import { RecentMap } from '../../src/util/recent-map.ts'

const made = (key: number) => ({ key })

t.test('a value is made once and kept', async t => {
  const map = new RecentMap<number, { key: number }>(2)
  t.equal(map.take(1, made), map.take(1, made))
})

t.test('it never holds more than twice its size', async t => {
  const map = new RecentMap<number, { key: number }>(100)
  for (let key = 0; key < 10_000; key += 1) {
    map.take(key, made)
    if (map.size > 200) t.fail(`${map.size} entries`)
  }
})

t.test('an entry in use stays, and an unused entry is dropped', async t => {
  const map = new RecentMap<number, { key: number }>(10)
  const [kept, forgotten] = [map.take(-1, made), map.take(-2, made)]
  for (let key = 0; key < 100; key += 1) {
    map.take(key, made)
    if (key % 5 === 0) t.equal(map.take(-1, made), kept)
  }
  t.not(map.take(-2, made), forgotten)
})
