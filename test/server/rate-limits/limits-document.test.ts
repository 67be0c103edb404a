import { readFileSync } from 'node:fs'
import t from 'tap'
import { limits } from '../../../src/protocol/limits.ts'
import { readConfig, type SettingName, settings } from '../../../src/server/base/config.ts'
import { type BucketRule, bucketRules } from '../../../src/server/rate-limits/rate-table.ts'
import { tableUnder } from '../../fixtures/document-tables.ts'

const page = readFileSync(new URL('../../../docs/LIMITS.md', import.meta.url), 'utf8')

const tableOf = (heading: string): string[][] => tableUnder(page, heading)

const rounded = (number: number): string => String(Number(number.toFixed(2)))
const variableIn = (cell = ''): SettingName | undefined =>
  Object.keys(settings).filter((name): name is SettingName => cell.includes(`\`${name}\``))[0]

// Evidence: API4
t.test('the page lists every bucket as the table has it', async t => {
  const config = readConfig({})
  const rules: [string, BucketRule][] = Object.entries(bucketRules)
  t.same(
    tableOf('Rates over all nodes').map(([kind, per, what, perSecond = '', atOnce, away]) => [
      kind,
      per,
      what,
      perSecond.split(' ')[0],
      atOnce,
      away,
    ]),
    rules.map(([kind, { rate, per, what, away }]) => {
      const { perSecond, burst } = rate(config)
      return [`\`${kind}\``, per, what, rounded(perSecond), String(burst), away]
    }),
  )
})

t.test('the page lists the rates of one node', async t => {
  t.same(
    tableOf('Rates of one node').map(([, , perSecond, atOnce]) => [Number(perSecond), Number(atOnce)]),
    [
      [limits.arrivalsPerS, limits.arrivalsBurst],
      [limits.upgradesPerS, limits.upgradesBurst],
      [limits.operatorCallsPerS, limits.operatorCallsBurst],
      [limits.strangerFramesPerS, limits.strangerFramesBurst],
      [limits.controlFramesPerS, limits.controlFramesBurst],
      [limits.refusalsPerS, limits.refusalsBurst],
    ],
  )
})

t.test('the page lists the limits of concurrent use', async t => {
  t.same(
    tableOf('Numbers at once').map(([, most]) => Number(most)),
    [
      limits.maxConnections,
      limits.maxConnectionsPerAddress,
      limits.maxConnectionsPerUser,
      limits.maxStrangers,
      limits.httpReserve,
      limits.maxSessionsPerUser,
      limits.maxEnvelopesPerSender,
      limits.inboxMaxMessages,
      limits.inboxMaxBytes,
      limits.maxOneTimeFetchesPerTarget,
      limits.maxOneTimeFetchesPerPair,
      limits.maxRules,
    ],
  )
})

t.test('the page lists sizes and times', async t => {
  t.same(
    tableOf('Sizes and times').map(([, most]) => Number(most)),
    [
      limits.maxFrameBytes,
      limits.maxDepth,
      limits.maxBodyChars,
      limits.loginTimeoutMs / 1_000,
      limits.headersTimeoutMs / 1_000,
      limits.requestTimeoutMs / 1_000,
      limits.silenceMs / 1_000,
      limits.maxBufferedBytes,
    ],
  )
})

t.test('the page names each variable beside its default', async t => {
  const cells = [
    ...tableOf('Rates over all nodes').map(([, , , cell]) => cell),
    ...tableOf('Rates of one node').map(([what, , perSecond]) => `${perSecond} ${what}`),
    ...tableOf('Numbers at once').map(([what, most]) => `${most} ${what}`),
  ]
  for (const cell of cells) {
    const name = variableIn(cell)
    if (name === undefined || name === 'REGISTRATIONS_PER_HOUR') continue
    t.equal(cell?.split(' ')[0], settings[name].default, name)
  }
  t.equal(cells.filter(cell => variableIn(cell) !== undefined).length, 11)
})

t.test('the page states the shares and the wait', async t => {
  t.equal(limits.leaseShare, 0.1, 'a tenth of the burst')
  t.equal(limits.uncountedShare, 0.05, 'a twentieth')
  t.equal(limits.maxHoldMs, 1_000, 'up to 1 s')
  t.equal(limits.maxUpgradeWaitMs, 3_000, 'over 3 s')
  t.equal(limits.senderShareOfBytes, 0.1, 'a tenth of them for one sender')
})
