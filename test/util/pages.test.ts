import t from 'tap'
import { eachPage } from '../../src/util/pages.ts'

const repeated = () => new Error('repeated')

t.test('each page is fetched with the cursor of the previous page', async t => {
  const asked: object[] = []
  const pages = eachPage(async next => {
    asked.push(next)
    return { cursor: asked.length < 3 ? `c${asked.length}` : null, at: asked.length }
  }, repeated)
  const seen: number[] = []
  for await (const { at } of pages) seen.push(at)
  t.same(seen, [1, 2, 3])
  t.same(asked, [{}, { cursor: 'c1' }, { cursor: 'c2' }])
})

t.test('a consumer that stops causes no further fetch', async t => {
  let asked = 0
  const pages = eachPage(async () => {
    asked += 1
    return { cursor: 'next' }
  }, repeated)
  for await (const _page of pages) break
  t.equal(asked, 1)
})

t.test('17.lies a cursor that leads no further ends the listing with an error', async t => {
  for (const cursor of ['b', 'a', '']) {
    let asked = 0
    const pages = eachPage(async () => {
      asked += 1
      return { cursor: asked === 1 ? 'b' : cursor }
    }, repeated)
    const read = async () => {
      for await (const _page of pages) t.ok(asked <= 1)
    }
    await t.rejects(read(), { message: 'repeated' })
  }
})
