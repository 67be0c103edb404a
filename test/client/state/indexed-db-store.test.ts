import { fileURLToPath } from 'node:url'
import type { BrowserContext } from 'playwright-core'
import t from 'tap'
import { requireTool } from '../../../tools/require-tool.ts'
import { bundleScript, launchBrowser, servePage } from '../../fixtures/browser.ts'
import { contract } from './store-contract.ts'

const executablePath = requireTool(t, 'chromium')

const entry = fileURLToPath(new URL('../../fixtures/state/contract-page.ts', import.meta.url))
const { origin } = await servePage(t, await bundleScript(entry))
const context = await launchBrowser(t, executablePath)

async function openPage(inside: BrowserContext = context) {
  const page = await inside.newPage()
  await page.goto(origin)
  return page
}

for (const [index, { name }] of contract.entries()) {
  t.test(name, async t => {
    const page = await openPage()
    await t.resolves(page.evaluate(`page.runCase(${index})`))
    await page.close()
  })
}

t.test('two tabs each add 50 to one counter and lose none, although the work pauses between its reads', async t => {
  const tabs = [await openPage(), await openPage()]
  await Promise.all(tabs.map(tab => tab.evaluate(`page.increment('shared', 50)`)))
  t.equal(await tabs[0]?.evaluate(`page.read('shared', 'counter')`), '100')
  for (const tab of tabs) await tab.close()
})

t.test('a tab that closes during a transaction leaves no change and no lock', async t => {
  const holder = await openPage()
  await holder.evaluate(`page.hold('held')`)
  const other = await openPage()
  const waiting = other.evaluate(`page.increment('held', 1)`)
  await holder.close()
  await waiting
  t.equal(await other.evaluate(`page.read('held', 'counter')`), '1')
  await other.close()
})

t.test('an old format is migrated or refused, and a newer one is refused', async t => {
  const page = await openPage()
  t.same(await page.evaluate(`page.migrate('old')`), ['version', '1 migrated', 'version'])
  await page.close()
})
