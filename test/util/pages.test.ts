import t from 'tap'
import { eachPage } from '../../src/util/pages.ts'

t.test('each page is fetched with the cursor of the previous page', async t => {
  const asked: object[] = []
  const pages = eachPage(async next => {
    asked.push(next)
    return { cursor: asked.length < 3 ? `c${asked.length}` : null, at: asked.length }
  })
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
  })
  for await (const _page of pages) break
  t.equal(asked, 1)
})
